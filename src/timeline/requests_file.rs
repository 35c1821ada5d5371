//! `requests.bin`: a header, then one record of fixed size for each request, little-endian.

use std::fs;
use std::path::Path;

use crate::model::{Outcome, RequestRecord, Retried};

use super::{Damage, TimelineError};

const MAGIC: [u8; 8] = *b"FDREQS\r\n";
/// Version of the format. The first knew nothing of tries.
const VERSION: u32 = 2;
/// Bytes of the header: magic, version, record size.
const HEADER: usize = 16;
/// Bytes of a record.
pub(super) const RECORD: usize = 68;
/// Bytes of a record of the first version: how the others begin, too.
const FIRST_RECORD: usize = 56;
/// Stands for a time that never came.
const NEVER: i64 = i64::MIN;

/// The bytes every file begins with.
pub(super) fn header() -> [u8; HEADER] {
    header_of(VERSION, RECORD)
}

fn header_of(version: u32, record: usize) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&version.to_le_bytes());
    bytes[12..].copy_from_slice(&(record as u32).to_le_bytes());
    bytes
}

/// Appends a record's bytes.
pub(super) fn encode(r: &RequestRecord, out: &mut Vec<u8>) {
    out.extend(r.n.to_le_bytes());
    for time in [
        r.due_us,
        r.left_us.unwrap_or(NEVER),
        r.sent_us.unwrap_or(NEVER),
        r.done_us,
    ] {
        out.extend(time.to_le_bytes());
    }
    out.extend(r.user.to_le_bytes());
    for number in [r.journey, r.request, r.status, r.instance, r.version] {
        out.extend(number.to_le_bytes());
    }
    out.extend([r.outcome as u8, u8::from(r.good)]);
    let first = r.retried;
    out.extend(first.map_or(NEVER, |f| f.done_us).to_le_bytes());
    out.extend(first.map_or(0, |f| f.times).to_le_bytes());
    out.extend([first.map_or(0, |f| f.outcome as u8), 0]);
}

/// Takes the fields of a record one after the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn next<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn number(&mut self) -> Option<u16> {
        self.next().map(u16::from_le_bytes)
    }

    fn time(&mut self) -> Option<i64> {
        self.next().map(i64::from_le_bytes)
    }
}

/// Reads a record back; `None` if an outcome or its good mark is none that exists.
fn decode(bytes: &[u8]) -> Option<RequestRecord> {
    let mut f = Fields(bytes);
    let n = u64::from_le_bytes(f.next()?);
    let [due_us, left, sent, done_us] = [f.time()?, f.time()?, f.time()?, f.time()?];
    let user = u32::from_le_bytes(f.next()?);
    let (journey, request) = (f.number()?, f.number()?);
    let (status, instance, version) = (f.number()?, f.number()?, f.number()?);
    let [outcome, good] = f.next()?;
    let retried = if f.0.is_empty() {
        None
    } else {
        decode_retried(&mut f)?
    };
    let came = |time| (time != NEVER).then_some(time);
    Some(RequestRecord {
        n,
        journey,
        request,
        user,
        due_us,
        left_us: came(left),
        sent_us: came(sent),
        done_us,
        outcome: Outcome::from_code(outcome)?,
        good: match good {
            0 => false,
            1 => true,
            _ => return None,
        },
        status,
        instance,
        version,
        retried,
    })
}

/// What a record says of its first try; `None` if that makes no sense.
fn decode_retried(f: &mut Fields<'_>) -> Option<Option<Retried>> {
    let (done_us, times) = (f.time()?, f.number()?);
    let [outcome, _] = f.next()?;
    let outcome = Outcome::from_code(outcome)?;
    match (times, done_us) {
        (0, NEVER) => Some(None),
        (0, _) | (_, NEVER) => None,
        (times, done_us) => Some(Some(Retried {
            times,
            outcome,
            done_us,
        })),
    }
}

/// What a requests file holds.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// Every readable record, in the file's order.
    pub(super) records: Vec<RequestRecord>,
    /// CRC32C of all whole records' bytes.
    pub(super) crc: u32,
    /// Whole records, readable or not.
    pub(super) count: u64,
    /// What is wrong, a torn last record apart.
    pub(super) damage: Vec<String>,
}

impl Requests {
    /// How the file differs from what the journal's last record says it holds.
    pub(super) fn differs(&self, count: u64, crc: u32) -> Option<Damage> {
        let why = if self.count != count {
            format!("it holds {} records, {count} were written", self.count)
        } else if self.crc != crc {
            format!("its checksum is {:08x}, written was {crc:08x}", self.crc)
        } else {
            return None;
        };
        Some(Damage::Requests { why })
    }
}

/// How the records of a file are laid out, by its header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// Bytes of a record.
    record: usize,
}

impl Layout {
    /// Takes the header off the file's beginning; `None` as long as that is not all there.
    ///
    /// # Errors
    /// [`TimelineError::Version`] of a format that is not ours, [`TimelineError::Read`] of a header that is none.
    pub(super) fn read(bytes: &mut Vec<u8>, path: &Path) -> Result<Option<Self>, TimelineError> {
        let Some((head, _)) = bytes.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let layout = Self::of(head, path)?.ok_or_else(|| {
            let damaged = std::io::Error::new(std::io::ErrorKind::InvalidData, DAMAGED);
            TimelineError::read(path, damaged)
        })?;
        bytes.drain(..HEADER);
        Ok(Some(layout))
    }

    /// What a header says; `None` of one that is damaged.
    fn of(head: &[u8; HEADER], path: &Path) -> Result<Option<Self>, TimelineError> {
        let version = Fields(&head[8..]).next().map_or(0, u32::from_le_bytes);
        let record = match version {
            1 => FIRST_RECORD,
            _ => RECORD,
        };
        if head[..8] == MAGIC && !(1..=VERSION).contains(&version) {
            return Err(TimelineError::Version {
                path: path.to_owned(),
                found: version,
                supported: VERSION,
            });
        }
        Ok((*head == header_of(version, record)).then_some(Self { record }))
    }

    /// Takes the whole records off the front of `bytes`; how many of them cannot be read.
    pub(super) fn take(self, bytes: &mut Vec<u8>, records: &mut Vec<RequestRecord>) -> u64 {
        let whole = bytes.len() / self.record * self.record;
        let mut unreadable = 0;
        for record in bytes[..whole].chunks_exact(self.record) {
            match decode(record) {
                Some(record) => records.push(record),
                None => unreadable += 1,
            }
        }
        bytes.drain(..whole);
        unreadable
    }
}

const DAMAGED: &str = "its header is damaged";

/// Reads a requests file; a last record that was not written to its end is left out.
///
/// # Errors
/// [`TimelineError::Read`], or [`TimelineError::Version`] of a format that is not ours.
pub(super) fn read(path: &Path) -> Result<Requests, TimelineError> {
    let bytes = fs::read(path).map_err(|e| TimelineError::read(path, e))?;
    let mut found = Requests::default();
    let Some((head, body)) = bytes.split_first_chunk::<HEADER>() else {
        found.damage.push("its header is cut off".to_owned());
        return Ok(found);
    };
    let Some(Layout { record }) = Layout::of(head, path)? else {
        found.damage.push(DAMAGED.to_owned());
        return Ok(found);
    };
    let whole = body.chunks_exact(record);
    found.count = whole.len() as u64;
    found.crc = crc32c::crc32c(&body[..whole.len() * record]);
    for (index, bytes) in whole.enumerate() {
        match decode(bytes) {
            Some(record) => found.records.push(record),
            None => found
                .damage
                .push(format!("record {index} holds no outcome that exists")),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn record()(
            (n, user, outcome) in (any::<u64>(), any::<u32>(), 0u8..18),
            (journey, request, status) in any::<(u16, u16, u16)>(),
            (instance, version, good) in any::<(u16, u16, bool)>(),
            times in prop::array::uniform4(-1_000_000..i64::MAX),
            (left, sent) in any::<(bool, bool)>(),
            (again, first, first_done) in (any::<u16>(), 0u8..18, -1_000_000..i64::MAX),
        ) -> RequestRecord {
            RequestRecord {
                n, journey, request, user, status, instance, version, good,
                due_us: times[0],
                left_us: left.then_some(times[1]),
                sent_us: sent.then_some(times[2]),
                done_us: times[3],
                outcome: Outcome::from_code(outcome).unwrap(),
                retried: (again > 0).then(|| Retried {
                    times: again,
                    outcome: Outcome::from_code(first).unwrap(),
                    done_us: first_done,
                }),
            }
        }
    }

    proptest! {
        #[test]
        fn records_read_back(records in prop::collection::vec(record(), 0..50), torn in 0..RECORD) {
            let mut bytes = header().to_vec();
            for r in &records {
                encode(r, &mut bytes);
            }
            prop_assert_eq!(bytes.len(), HEADER + records.len() * RECORD);
            let crc = crc32c::crc32c(&bytes[HEADER..]);
            bytes.extend(vec![7; torn]);
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), &bytes).unwrap();
            let found = read(file.path()).unwrap();
            prop_assert_eq!(&found.records, &records);
            prop_assert_eq!((found.count, found.crc), (records.len() as u64, crc));
            prop_assert!(found.damage.is_empty());
        }

        #[test]
        fn records_of_the_first_version_read_back(records in prop::collection::vec(record(), 0..20)) {
            let mut bytes = header_of(1, FIRST_RECORD).to_vec();
            for r in &records {
                let mut whole = Vec::new();
                encode(r, &mut whole);
                bytes.extend(&whole[..FIRST_RECORD]);
            }
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), &bytes).unwrap();
            let found = read(file.path()).unwrap();
            let once = records.iter().map(|r| RequestRecord { retried: None, ..*r });
            prop_assert_eq!(found.records, once.collect::<Vec<_>>());
            prop_assert!(found.damage.is_empty());
        }
    }

    #[test]
    fn foreign_and_damaged_files_are_told_apart() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let check = |bytes: &[u8]| {
            fs::write(file.path(), bytes).unwrap();
            read(file.path())
        };
        let mut newer = header();
        newer[8] = 3;
        assert!(matches!(
            check(&newer),
            Err(TimelineError::Version { found: 3, .. })
        ));
        let mut mixed = header();
        mixed[8] = 1;
        assert_eq!(check(&mixed).unwrap().damage, ["its header is damaged"]);
        assert_eq!(check(b"short").unwrap().damage, ["its header is cut off"]);
        assert_eq!(
            check(&[0; HEADER]).unwrap().damage,
            ["its header is damaged"]
        );
        let mut odd = header().to_vec();
        odd.extend([0xff; RECORD]);
        assert_eq!(check(&odd).unwrap().damage.len(), 1);
    }
}
