//! `requests.bin`: a header, then one record of fixed size for each request, little-endian.

use std::fs;
use std::path::Path;

use crate::model::{Outcome, RequestRecord};

use super::{Damage, TimelineError};

const MAGIC: [u8; 8] = *b"FDREQS\r\n";
/// Version of the format.
const VERSION: u32 = 1;
/// Bytes of the header: magic, version, record size.
const HEADER: usize = 16;
/// Bytes of a record.
pub(super) const RECORD: usize = 56;
/// Stands for a time that never came.
const NEVER: i64 = i64::MIN;

/// The bytes every file begins with.
pub(super) fn header() -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..].copy_from_slice(&(RECORD as u32).to_le_bytes());
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

/// Reads a record back; `None` if its outcome or its good mark is none that exists.
fn decode(bytes: &[u8]) -> Option<RequestRecord> {
    let mut f = Fields(bytes);
    let n = u64::from_le_bytes(f.next()?);
    let [due_us, left, sent, done_us] = [f.time()?, f.time()?, f.time()?, f.time()?];
    let user = u32::from_le_bytes(f.next()?);
    let (journey, request) = (f.number()?, f.number()?);
    let (status, instance, version) = (f.number()?, f.number()?, f.number()?);
    let [outcome, good] = f.next()?;
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
    })
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
    let mut fields = Fields(&head[8..]);
    let version = fields.next().map_or(0, u32::from_le_bytes);
    if head[..8] == MAGIC && version != VERSION {
        return Err(TimelineError::Version {
            path: path.to_owned(),
            found: version,
            supported: VERSION,
        });
    }
    if *head != header() {
        found.damage.push("its header is damaged".to_owned());
        return Ok(found);
    }
    let whole = body.chunks_exact(RECORD);
    found.count = whole.len() as u64;
    found.crc = crc32c::crc32c(&body[..whole.len() * RECORD]);
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
        ) -> RequestRecord {
            RequestRecord {
                n, journey, request, user, status, instance, version, good,
                due_us: times[0],
                left_us: left.then_some(times[1]),
                sent_us: sent.then_some(times[2]),
                done_us: times[3],
                outcome: Outcome::from_code(outcome).unwrap(),
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
    }

    #[test]
    fn foreign_and_damaged_files_are_told_apart() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let check = |bytes: &[u8]| {
            fs::write(file.path(), bytes).unwrap();
            read(file.path())
        };
        let mut newer = header();
        newer[8] = 2;
        assert!(matches!(
            check(&newer),
            Err(TimelineError::Version { found: 2, .. })
        ));
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
