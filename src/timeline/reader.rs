//! A recording read back from its files.

use std::path::Path;

use crate::model::RequestRecord;

use super::event::{Event, NameTable, Opened};
use super::journal::{Damage, Entry, Journal};
use super::{RunDir, TimelineError, requests_file};

/// Names by number, from 1; 0 is no name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names(Vec<String>);

impl Names {
    /// The name with this number.
    #[must_use]
    pub fn get(&self, id: u16) -> Option<&str> {
        let index = usize::from(id).checked_sub(1)?;
        self.0.get(index).map(String::as_str)
    }

    /// Every name with its number, in order.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &str)> {
        (1..).zip(self.0.iter().map(String::as_str))
    }

    /// The numbers of the names that satisfy `is`.
    pub fn ids(&self, is: impl Fn(&str) -> bool) -> Vec<u16> {
        let named = self.iter().filter(|(_, name)| is(name));
        named.map(|(id, _)| id).collect()
    }

    /// Whether no answer named anyone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<String> for Names {
    /// Names in the order of their numbers.
    fn from_iter<I: IntoIterator<Item = String>>(names: I) -> Self {
        Self(names.into_iter().collect())
    }
}

/// Everything one run left behind that a verdict may use.
#[derive(Debug, Clone)]
pub struct Recording {
    /// The journal's first record.
    pub opened: Opened,
    /// Every journal entry, the first included, in the order of recording.
    pub entries: Vec<Entry>,
    /// Every request, by due time, then arrival and place in its journey.
    pub requests: Vec<RequestRecord>,
    /// Who answered.
    pub instances: Names,
    /// Which versions answered.
    pub versions: Names,
    /// What cannot be trusted.
    pub damage: Vec<Damage>,
    /// Whether the run ended in order and nothing of it is missing or damaged.
    pub complete: bool,
}

impl Recording {
    /// Forgets what came after a moment, µs since the run's zero: what is left is as a run that was cut off then.
    pub fn until(&mut self, at_us: i64) {
        let all = (self.entries.len(), self.requests.len());
        self.entries.retain(|e| e.at_us <= at_us);
        self.requests.retain(|r| r.done_us <= at_us);
        self.complete &= all == (self.entries.len(), self.requests.len());
    }

    /// Reads the recording in a run's directory, of a run that goes on or was cut off, too.
    ///
    /// # Errors
    /// [`TimelineError::NoRun`], or that the journal's beginning or a whole file cannot be read.
    pub fn read(dir: &Path) -> Result<Self, TimelineError> {
        let dir = RunDir::open(dir)?;
        let Journal {
            opened,
            entries,
            mut damage,
        } = Journal::read(&dir.journal())?;
        let requests_found = requests_file::read(&dir.requests())?;
        damage.extend(
            requests_found
                .damage
                .iter()
                .map(|why| Damage::Requests { why: why.clone() }),
        );
        let mut names = Tables::default();
        let mut closed = false;
        for entry in &entries {
            if closed {
                // A second run cannot have used the directory, so this line was added.
                let why = "it follows the record that ends the run".to_owned();
                let line = usize::try_from(entry.seq).unwrap_or(usize::MAX);
                damage.push(Damage::Line { line, why });
            }
            if let Event::Name { table, id, name } = &entry.event {
                names.define(*table, *id, name, &mut damage);
            }
            if let Event::Closed {
                requests,
                requests_crc,
                lost_records,
                acts,
            } = entry.event
            {
                closed = true;
                let is_act = |e: &&Entry| matches!(e.event, Event::Operated(_));
                let found = entries.iter().filter(is_act).count() as u64;
                if found != acts {
                    damage.push(Damage::Acts { acts, found });
                }
                damage.extend(requests_found.differs(requests, requests_crc));
                if lost_records > 0 {
                    let records = lost_records;
                    damage.push(Damage::Lost { records });
                }
            }
        }
        let mut requests = requests_found.records;
        requests.sort_by_key(|r| (r.due_us, r.n, r.request, r.journey));
        names.check(&requests, &mut damage);
        Ok(Self {
            opened,
            entries,
            requests,
            instances: names.instances,
            versions: names.versions,
            complete: closed && damage.is_empty(),
            damage,
        })
    }

    /// Adds records that its run could not write any more. The recording stays as incomplete as it is.
    pub fn remember(&mut self, events: Vec<Event>) {
        for event in events {
            if !self.entries.iter().any(|e| e.event == event) {
                let (seq, at_us) = self.entries.last().map_or((0, 0), |e| (e.seq, e.at_us));
                self.entries.push(Entry {
                    seq: seq + 1,
                    at_us,
                    event,
                });
            }
        }
    }
}

/// Both tables of names, as the journal defines them.
#[derive(Default)]
struct Tables {
    instances: Names,
    versions: Names,
}

impl Tables {
    fn define(&mut self, table: NameTable, id: u16, name: &str, damage: &mut Vec<Damage>) {
        let names = match table {
            NameTable::Instance => &mut self.instances,
            NameTable::Version => &mut self.versions,
        };
        if usize::from(id) == names.0.len() + 1 {
            names.0.push(name.to_owned());
        } else {
            damage.push(Damage::UndefinedName { table, id });
        }
    }

    /// Notes each number that a request refers to and no line defines.
    fn check(&self, requests: &[RequestRecord], damage: &mut Vec<Damage>) {
        let highest = |id: fn(&RequestRecord) -> u16| requests.iter().map(id).max().unwrap_or(0);
        for (table, names, highest) in [
            (
                NameTable::Instance,
                &self.instances,
                highest(|r| r.instance),
            ),
            (NameTable::Version, &self.versions, highest(|r| r.version)),
        ] {
            if usize::from(highest) > names.0.len() {
                damage.push(Damage::UndefinedName { table, id: highest });
            }
        }
    }
}
