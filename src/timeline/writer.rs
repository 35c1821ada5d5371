//! The thread that writes a recording: it takes what has queued up, so that no caller waits for the disk.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError, mpsc};
use std::time::Duration;

use crate::model::RequestRecord;

use super::event::Event;
use super::journal::encode;
use super::{TimelineError, requests_file};

/// How long anything waits to be written.
const FLUSH_EVERY: Duration = Duration::from_millis(50);
/// Most requests that may wait to be written; at 56 bytes each, what a stuck disk may cost in memory.
const MOST_WAITING: usize = 1 << 20;

/// Told once everything queued before is on disk.
pub(super) type Ack = mpsc::Sender<Result<(), TimelineError>>;

/// How a recording ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ending {
    /// In order, at this offset: with [`Event::Closed`].
    Closed(i64),
    /// Nobody is left to close it: without.
    Abandoned,
}

/// What waits to be written.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Lines handed out so far.
    pub(super) seq: u64,
    lines: Vec<String>,
    records: Vec<RequestRecord>,
    acks: Vec<Ack>,
    /// Records given up because the disk is too slow.
    overrun: u64,
    /// Lines of what an operator did.
    pub(super) acts: u64,
    ending: Option<Ending>,
}

impl Queue {
    /// Whether nothing more will be written.
    pub(super) fn ended(&self) -> bool {
        self.ending.is_some()
    }

    /// Takes all the records, as far as there is room.
    pub(super) fn records(&mut self, records: &mut Vec<RequestRecord>) {
        let room = if self.ended() {
            0
        } else {
            MOST_WAITING.saturating_sub(self.records.len())
        };
        let taken = room.min(records.len());
        self.overrun += (records.len() - taken) as u64;
        self.records.extend(records.drain(..taken));
        records.clear();
    }

    /// The next line of the journal.
    pub(super) fn line(&mut self, line: String) {
        self.seq += 1;
        self.lines.push(line);
    }
}

/// What recorders, sinks and the writer share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    failure: Mutex<Option<TimelineError>>,
}

impl Shared {
    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        // Pushing to a vector leaves nothing half done, so a panicking holder did no harm.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queue, unless another thread has it.
    pub(super) fn try_queue(&self) -> Option<MutexGuard<'_, Queue>> {
        match self.queue.try_lock() {
            Ok(queue) => Some(queue),
            Err(TryLockError::Poisoned(queue)) => Some(queue.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Asks for everything queued so far to be on disk.
    pub(super) fn sync(&self, ack: Ack) {
        self.queue().acks.push(ack);
        self.wake.notify_one();
    }

    /// The first ending stands.
    pub(super) fn end(&self, ending: Ending) {
        self.queue().ending.get_or_insert(ending);
        self.wake.notify_one();
    }

    pub(super) fn failure(&self) -> Option<TimelineError> {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.clone()
    }

    /// The first failure is the one to tell: those after it follow from it.
    pub(super) fn fail(&self, error: TimelineError) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(error);
    }

    /// Waits for something urgent, or until a flush is due, and takes all there is.
    fn take(&self) -> Queue {
        let idle = |q: &mut Queue| q.acks.is_empty() && !q.ended();
        let queue = self.queue();
        let (mut queue, _) = self
            .wake
            .wait_timeout_while(queue, FLUSH_EVERY, idle)
            .unwrap_or_else(PoisonError::into_inner);
        let rest = Queue {
            seq: queue.seq,
            overrun: queue.overrun,
            acts: queue.acts,
            ending: queue.ending,
            ..Queue::default()
        };
        std::mem::replace(&mut *queue, rest)
    }
}

/// A file that is written until it first fails, and never after: a half-written line is the last thing in it.
struct Appended {
    file: File,
    path: PathBuf,
    broken: bool,
}

impl Appended {
    /// Whether all of it was written.
    fn write(&mut self, bytes: &[u8], shared: &Shared) -> bool {
        let done = |file: &mut Self| file.file.write_all(bytes);
        self.attempt(done, shared)
    }

    fn sync(&mut self, shared: &Shared) -> bool {
        self.attempt(|file| file.file.sync_data(), shared)
    }

    fn attempt(&mut self, what: impl FnOnce(&mut Self) -> io::Result<()>, shared: &Shared) -> bool {
        if self.broken {
            return false;
        }
        if let Err(error) = what(self) {
            self.broken = true;
            shared.fail(TimelineError::write(&self.path, error));
        }
        !self.broken
    }
}

/// The writer's own state.
pub(super) struct Writer {
    journal: Appended,
    /// `None` where a journal is continued after its run: nothing is due any more.
    requests: Option<Appended>,
    /// Records on disk, and their checksum.
    written: u64,
    crc: u32,
    /// Lines and records that did not reach the disk.
    lost: u64,
}

impl Writer {
    /// A writer behind what these files hold; one of requests is empty.
    pub(super) fn new(journal: (File, PathBuf), requests: Option<(File, PathBuf)>) -> Self {
        let appended = |(file, path)| Appended {
            file,
            path,
            broken: false,
        };
        Self {
            journal: appended(journal),
            requests: requests.map(appended),
            written: 0,
            crc: 0,
            lost: 0,
        }
    }

    /// Writes until the recording ends.
    pub(super) fn run(mut self, shared: &Shared) {
        if let Some(requests) = &mut self.requests {
            requests.write(&requests_file::header(), shared);
        }
        loop {
            let batch = shared.take();
            // Names are defined in the journal before a record refers to them.
            self.write_lines(&batch.lines, shared);
            self.write_records(&batch.records, shared);
            if batch.overrun > 0 {
                shared.fail(TimelineError::Overrun {
                    path: self.journal.path.with_file_name("requests.bin"),
                    lost: batch.overrun,
                });
            }
            match batch.ending {
                None if batch.acks.is_empty() => {}
                None | Some(Ending::Abandoned) => {
                    self.journal.sync(shared);
                }
                Some(Ending::Closed(at_us)) => self.close(&batch, at_us, shared),
            }
            let outcome = shared.failure().map_or(Ok(()), Err);
            for ack in batch.acks {
                // Whoever asked may have given up waiting.
                let _ = ack.send(outcome.clone());
            }
            if batch.ending.is_some() {
                return;
            }
        }
    }

    fn write_lines(&mut self, lines: &[String], shared: &Shared) {
        if !lines.is_empty() && !self.journal.write(lines.concat().as_bytes(), shared) {
            self.lost += lines.len() as u64;
        }
    }

    fn write_records(&mut self, records: &[RequestRecord], shared: &Shared) {
        if records.is_empty() {
            return;
        }
        let mut bytes = Vec::with_capacity(records.len() * requests_file::RECORD);
        for record in records {
            requests_file::encode(record, &mut bytes);
        }
        if self
            .requests
            .as_mut()
            .is_some_and(|r| r.write(&bytes, shared))
        {
            self.written += records.len() as u64;
            self.crc = crc32c::crc32c_append(self.crc, &bytes);
        } else {
            self.lost += records.len() as u64;
        }
    }

    fn close(&mut self, batch: &Queue, at_us: i64, shared: &Shared) {
        // The requests first: the last line vouches for them.
        if let Some(requests) = &mut self.requests {
            requests.sync(shared);
        }
        let closed = Event::Closed {
            requests: self.written,
            requests_crc: self.crc,
            lost_records: self.lost + batch.overrun,
            acts: batch.acts,
        };
        match encode(batch.seq + 1, at_us, &closed) {
            Ok(line) => self.write_lines(&[line], shared),
            Err(e) => shared.fail(TimelineError::write(&self.journal.path, e.into())),
        }
        self.journal.sync(shared);
    }
}
