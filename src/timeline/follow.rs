//! A run's files read as they grow, by somebody who is not the run.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use crate::model::RequestRecord;

use super::journal::{Entry, decode};
use super::requests_file::Layout;
use super::{RunDir, TimelineError};

/// Most bytes taken from each file at a time, so that whoever asks is never long without an answer.
const MOST: u64 = 4 << 20;

/// Reads what is added to a run's journal and requests. It takes no lock and asks nothing of the run, so it can neither
/// slow it nor stop it.
#[derive(Debug)]
pub struct Follower {
    journal: Tail,
    requests: Tail,
    /// Known once the header is there.
    layout: Option<Layout>,
}

/// What was added since the last time.
#[derive(Debug, Default)]
pub struct Added {
    /// Whole journal lines, in their order.
    pub entries: Vec<Entry>,
    /// Requests, about in the order in which they ended.
    pub requests: Vec<RequestRecord>,
    /// Lines and records that could not be read: whoever shows the rest says so.
    pub unreadable: u64,
    /// There is more already.
    pub more: bool,
}

impl Follower {
    /// Begins at the start of both files.
    ///
    /// # Errors
    /// [`TimelineError::Read`] if the journal cannot be opened.
    pub fn open(dir: &RunDir) -> Result<Self, TimelineError> {
        let mut journal = Tail::of(dir.journal());
        journal.open()?;
        Ok(Self {
            journal,
            requests: Tail::of(dir.requests()),
            layout: None,
        })
    }

    /// What was added since the last call; nothing where nothing was.
    ///
    /// # Errors
    /// [`TimelineError::Read`], or [`TimelineError::Version`] of requests in a format that is not ours.
    pub fn read(&mut self) -> Result<Added, TimelineError> {
        let mut added = Added::default();
        // Names are defined in the journal before a record refers to them: records first, so that none comes too early.
        let of_requests = self.requests.read()?;
        added.more = self.journal.read()? || of_requests;
        for line in self.journal.lines() {
            match decode(&line) {
                Ok(entry) => added.entries.push(entry),
                Err(_) => added.unreadable += 1,
            }
        }
        if self.layout.is_none() {
            self.layout = Layout::read(&mut self.requests.rest, &self.requests.path)?;
        }
        if let Some(layout) = self.layout {
            added.unreadable += layout.take(&mut self.requests.rest, &mut added.requests);
        }
        Ok(added)
    }
}

/// A file that grows.
#[derive(Debug)]
struct Tail {
    path: PathBuf,
    file: Option<File>,
    /// What was read and not used yet.
    rest: Vec<u8>,
}

impl Tail {
    fn of(path: PathBuf) -> Self {
        Self {
            path,
            file: None,
            rest: Vec::new(),
        }
    }

    fn open(&mut self) -> Result<(), TimelineError> {
        match File::open(&self.path) {
            Ok(file) => self.file = Some(file),
            Err(error) => return Err(TimelineError::read(&self.path, error)),
        }
        Ok(())
    }

    /// Reads on; whether it stopped before the end.
    fn read(&mut self) -> Result<bool, TimelineError> {
        if self.file.is_none() && self.path.exists() {
            self.open()?;
        }
        let Some(file) = &mut self.file else {
            return Ok(false);
        };
        let read = file.take(MOST).read_to_end(&mut self.rest);
        match read {
            Ok(count) => Ok(count as u64 == MOST),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(TimelineError::read(&self.path, error)),
        }
    }

    /// The whole lines that were read, without their line feeds.
    fn lines(&mut self) -> Vec<Vec<u8>> {
        let Some(end) = self.rest.iter().rposition(|b| *b == b'\n') else {
            return Vec::new();
        };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        whole[..end]
            .split(|b| *b == b'\n')
            .map(<[u8]>::to_vec)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write;

    use super::*;
    use crate::model::Outcome;
    use crate::timeline::event::{Event, Phase};
    use crate::timeline::journal::encode;
    use crate::timeline::requests_file;

    fn record(n: u64) -> RequestRecord {
        RequestRecord {
            n,
            journey: 0,
            request: 0,
            user: 0,
            due_us: 1,
            left_us: Some(2),
            sent_us: Some(3),
            done_us: 4,
            outcome: Outcome::Ok,
            good: true,
            status: 200,
            instance: 0,
            version: 0,
            retried: None,
        }
    }

    #[test]
    fn what_is_added_byte_by_byte_comes_whole_and_once() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("journal.ndjson"), "").unwrap();
        let dir = RunDir::open(folder.path()).unwrap();
        let mut follower = Follower::open(&dir).unwrap();
        let lines: String = [Phase::StandingUp, Phase::Warmup]
            .into_iter()
            .zip(1..)
            .map(|(phase, seq)| encode(seq, 0, &Event::Phase(phase)).unwrap())
            .collect();
        let mut records = requests_file::header().to_vec();
        (0..3).for_each(|n| requests_file::encode(&record(n), &mut records));
        let (mut seen, mut numbers) = (Vec::new(), Vec::new());
        let mut append = |path: PathBuf, bytes: &[u8], follower: &mut Follower| {
            for byte in bytes {
                let mut file = OpenOptions::new()
                    .append(true)
                    .create(true)
                    .open(&path)
                    .unwrap();
                file.write_all(&[*byte]).unwrap();
                let added = follower.read().unwrap();
                assert_eq!(added.unreadable, 0);
                seen.extend(added.entries.into_iter().map(|e| e.seq));
                numbers.extend(added.requests.into_iter().map(|r| r.n));
            }
        };
        append(dir.journal(), lines.as_bytes(), &mut follower);
        append(dir.requests(), &records, &mut follower);
        assert_eq!(seen, [1, 2]);
        assert_eq!(numbers, [0, 1, 2]);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("journal.ndjson"), "no line\n").unwrap();
        let mut follower = Follower::open(&RunDir::open(folder.path()).unwrap()).unwrap();
        assert_eq!(follower.read().unwrap().unreadable, 1);
        assert_eq!(follower.read().unwrap().unreadable, 0);
    }
}
