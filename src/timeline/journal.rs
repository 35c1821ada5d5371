//! The journal: one event a line, each with its sequence number and a checksum.
//!
//! `{"seq":1,"at_us":12,"event":{…},"crc":"0f3a9b2c"}`: the CRC32C (Castagnoli, RFC 3720) of the bytes before `,"crc"`,
//! in eight hexadecimal digits. Sequence numbers begin at 1 and leave none out, so a line that was deleted is missed.

use std::fmt;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::TimelineError;
use super::event::{Event, JOURNAL_VERSION, NameTable, Opened};

/// One journal line.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its place in the order of the run, from 1.
    pub seq: u64,
    /// When it was recorded, µs since the run's zero.
    pub at_us: i64,
    /// What happened.
    pub event: Event,
}

/// A part of a recording that cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// A journal line cannot be read or fails its checksum.
    Line {
        /// Its number in the file, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// Journal lines are missing, doubled or out of order.
    Order {
        /// Number of the line that does not follow the one before.
        line: usize,
        /// The sequence number due there.
        expected: u64,
        /// The one found.
        found: u64,
    },
    /// `requests.bin` is not what the journal's last record says.
    Requests {
        /// In what.
        why: String,
    },
    /// A request refers to a name that was never recorded.
    UndefinedName {
        /// Which table's.
        table: NameTable,
        /// Its number there.
        id: u16,
    },
    /// Lines of what an operator did are missing, or were added.
    Acts {
        /// How many were written.
        acts: u64,
        /// How many there are.
        found: u64,
    },
    /// The recorder itself could not write so many lines or records.
    Lost {
        /// How many.
        records: u64,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { line, why } => write!(f, "journal.ndjson line {line}: {why}"),
            Self::Order {
                line,
                expected,
                found,
            } => write!(
                f,
                "journal.ndjson line {line}: record {found} where {expected} should follow: lines are missing or out of order"
            ),
            Self::Requests { why } => write!(f, "requests.bin: {why}"),
            Self::UndefinedName { table, id } => {
                let table = match table {
                    NameTable::Instance => "instance",
                    NameTable::Version => "version",
                };
                write!(f, "requests.bin: {table} {id} has no name in the journal")
            }
            Self::Acts { acts, found } => {
                write!(
                    f,
                    "an operator acted {acts} times, and {found} of that are there"
                )
            }
            Self::Lost { records } => {
                write!(
                    f,
                    "{records} records could not be written while the run went on"
                )
            }
        }
    }
}

/// A journal as found on disk, whether its run has ended or not.
#[derive(Debug, Clone)]
pub struct Journal {
    /// The first record.
    pub opened: Opened,
    /// Every readable line, the first included, in the file's order.
    pub entries: Vec<Entry>,
    /// What could not be read.
    pub damage: Vec<Damage>,
}

impl Journal {
    /// Reads a journal. A last line that was not written to its end is left out; any other fault is [`Damage`].
    ///
    /// # Errors
    /// [`TimelineError::Read`], [`TimelineError::NotOpened`] without a first record, [`TimelineError::Version`].
    pub fn read(path: &Path) -> Result<Self, TimelineError> {
        let text = fs::read(path).map_err(|e| TimelineError::read(path, e))?;
        Self::parse(path, &text)
    }

    /// Reads what a journal holds, as [`Journal::read`] does; `path` is for the words of its errors.
    ///
    /// # Errors
    /// [`TimelineError::NotOpened`] without a first record, [`TimelineError::Version`].
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, TimelineError> {
        let (mut entries, mut damage) = (Vec::<Entry>::new(), Vec::new());
        let mut expected = 1;
        for (index, line) in whole_lines(text).enumerate() {
            let number = index + 1;
            match decode(line) {
                Ok(entry) => {
                    if entry.seq != expected {
                        damage.push(Damage::Order {
                            line: number,
                            expected,
                            found: entry.seq,
                        });
                    }
                    expected = entry.seq.saturating_add(1);
                    entries.push(entry);
                }
                Err(why) => {
                    damage.push(Damage::Line { line: number, why });
                    // The damaged line is reported once, not a second time as a gap.
                    expected = expected.saturating_add(1);
                }
            }
        }
        let opened = match entries.first() {
            Some(Entry {
                seq: 1,
                event: Event::Opened(opened),
                ..
            }) => Opened::clone(opened),
            other => {
                let why = match (other, damage.first()) {
                    (_, Some(damage)) => damage.to_string(),
                    (Some(_), None) => "it begins with another record".to_owned(),
                    (None, None) => "it holds no whole line".to_owned(),
                };
                return Err(TimelineError::NotOpened {
                    path: path.to_owned(),
                    why,
                });
            }
        };
        if opened.journal_version != JOURNAL_VERSION {
            return Err(TimelineError::Version {
                path: path.to_owned(),
                found: opened.journal_version,
                supported: JOURNAL_VERSION,
            });
        }
        Ok(Self {
            opened,
            entries,
            damage,
        })
    }

    /// Whether the run ended in order: its last record is [`Event::Closed`].
    #[must_use]
    pub fn closed(&self) -> bool {
        matches!(
            self.entries.last(),
            Some(Entry {
                event: Event::Closed { .. },
                ..
            })
        )
    }
}

/// The lines that end in a line feed.
fn whole_lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|b| *b == b'\n')
        .filter_map(|line| line.strip_suffix(b"\n"))
}

const CRC_FIELD: &str = ",\"crc\":\"";

/// The journal line of an event, line feed included.
pub(super) fn encode(seq: u64, at_us: i64, event: &Event) -> Result<String, serde_json::Error> {
    let event = serde_json::to_string(event)?;
    let head = format!("{{\"seq\":{seq},\"at_us\":{at_us},\"event\":{event}");
    let crc = checksum(&head);
    Ok(format!("{head}{CRC_FIELD}{crc}\"}}\n"))
}

fn checksum(text: &str) -> String {
    format!("{:08x}", crc32c::crc32c(text.as_bytes()))
}

/// Reads one line back, its line feed left out; the error says what is wrong with it.
pub(super) fn decode(line: &[u8]) -> Result<Entry, String> {
    #[derive(Deserialize)]
    struct Line {
        seq: u64,
        at_us: i64,
        event: Event,
    }
    let text = std::str::from_utf8(line).map_err(|_| "not text".to_owned())?;
    let (head, crc) = text.rsplit_once(CRC_FIELD).ok_or("it has no checksum")?;
    if crc.strip_suffix("\"}") != Some(&checksum(head)) {
        return Err("its checksum does not match".to_owned());
    }
    let Line { seq, at_us, event } = serde_json::from_str(text).map_err(|e| e.to_string())?;
    Ok(Entry { seq, at_us, event })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::event::Phase;

    #[test]
    fn a_line_reads_back_and_any_changed_byte_is_noticed() {
        let line = encode(7, -3, &Event::Phase(Phase::Drill)).unwrap();
        assert_eq!(
            line,
            "{\"seq\":7,\"at_us\":-3,\"event\":{\"phase\":\"drill\"},\"crc\":\"ccf4cd6f\"}\n"
        );
        let bytes = line.trim_end().as_bytes();
        assert_eq!(
            decode(bytes),
            Ok(Entry {
                seq: 7,
                at_us: -3,
                event: Event::Phase(Phase::Drill)
            })
        );
        for i in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[i] ^= 1;
            assert!(decode(&changed).is_err(), "byte {i}");
        }
    }
}
