//! The recorder: takes events and requests without ever waiting for the disk.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::broadcast;

use crate::model::{Redactor, RequestRecord};

use super::clock::Clock;
use super::event::{Event, Level, NameTable};
use super::journal::{Entry, encode};
use super::live::{Fold, Live};
use super::writer::{Ending, Queue, Shared, Writer};
use super::{RunDir, TimelineError};

/// Entries that a slow subscriber may lag behind.
const SUBSCRIBER_LAG: usize = 4096;
/// Most names of one table: more are no names of instances or versions but of requests.
const MOST_NAMES: usize = 4096;

/// Records one run. Clones record the same run, in one order and on one clock.
#[derive(Clone)]
pub struct Recorder(Arc<Inner>);

struct Inner {
    clock: Clock,
    redactor: Redactor,
    journal: PathBuf,
    shared: Arc<Shared>,
    live: Arc<Live>,
    names: Mutex<NameIds>,
    entries: broadcast::Sender<Arc<Entry>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Recorder {
    /// Begins a recording in a run's directory: makes `journal.ndjson` and `requests.bin`, readable by their owner
    /// alone, and starts the thread that writes them.
    ///
    /// # Errors
    /// [`TimelineError::Create`].
    pub fn create(dir: &RunDir, clock: Clock, redactor: Redactor) -> Result<Self, TimelineError> {
        let journal = (create(&dir.journal())?, dir.journal());
        let requests = Some((create(&dir.requests())?, dir.requests()));
        // The files' names must survive a power cut as surely as their contents.
        File::open(dir.path())
            .and_then(|folder| folder.sync_all())
            .map_err(|e| TimelineError::create(dir.path(), e))?;
        Self::start(journal, requests, 0, clock, redactor)
    }

    /// Starts the thread that writes, behind the `seq` lines that the journal holds.
    pub(super) fn start(
        journal: (File, PathBuf),
        requests: Option<(File, PathBuf)>,
        seq: u64,
        clock: Clock,
        redactor: Redactor,
    ) -> Result<Self, TimelineError> {
        let (path, shared) = (journal.1.clone(), Arc::new(Shared::default()));
        shared.queue().seq = seq;
        let (writer, theirs) = (Writer::new(journal, requests), Arc::clone(&shared));
        let thread = thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || writer.run(&theirs))
            .map_err(|e| TimelineError::create(&path, e))?;
        Ok(Self(Arc::new(Inner {
            clock,
            redactor,
            journal: path,
            shared,
            live: Arc::default(),
            names: Mutex::default(),
            entries: broadcast::Sender::new(SUBSCRIBER_LAG),
            writer: Mutex::new(Some(thread)),
        })))
    }

    /// The run's clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.0.clock
    }

    /// Records an event as happening now. Returns at once; a failure is known by [`Recorder::failure`]. Nothing is
    /// recorded after [`Recorder::close`].
    pub fn record(&self, event: Event) {
        self.0.put(None, event);
    }

    /// Records an event at an offset, µs since the run's zero. The order of lines is that of recording.
    pub fn record_at(&self, at_us: i64, event: Event) {
        self.0.put(Some(at_us), event);
    }

    /// Records an event as happening now, and returns once it and everything recorded before it are on disk. The
    /// event is recorded even if the future is dropped after its first poll.
    ///
    /// # Errors
    /// What keeps the journal from being written: the event may not be on disk.
    pub async fn record_synced(&self, event: Event) -> Result<(), TimelineError> {
        let closed = || TimelineError::Closed {
            path: self.0.journal.clone(),
        };
        if !self.0.put(None, event) {
            return Err(closed());
        }
        let (ack, acked) = mpsc::channel();
        self.0.shared.sync(ack);
        let acked = match Handle::current().runtime_flavor() {
            // A paused clock would jump ahead while a future waits, and what is ready meanwhile would come before or
            // after by the disk's speed: a drill in memory has the same order every time.
            RuntimeFlavor::CurrentThread => acked.recv().ok(),
            _ => {
                let waited = tokio::task::spawn_blocking(move || acked.recv()).await;
                waited.ok().and_then(Result::ok)
            }
        };
        acked.unwrap_or_else(|| Err(self.failure().unwrap_or_else(closed)))
    }

    /// A way in for requests; each worker of the load takes its own.
    #[must_use]
    pub fn requests(&self) -> RequestSink {
        RequestSink {
            recorder: Arc::clone(&self.0),
            names: NameIds::default(),
            pending: Vec::new(),
        }
    }

    /// What is known of the requests so far.
    #[must_use]
    pub fn live(&self) -> Arc<Live> {
        Arc::clone(&self.0.live)
    }

    /// Every entry recorded from here on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Entry>> {
        self.0.entries.subscribe()
    }

    /// Why the recording is incomplete, once it is: a full disk, a disk too slow.
    #[must_use]
    pub fn failure(&self) -> Option<TimelineError> {
        self.0.shared.failure()
    }

    /// Ends the recording: writes the last line and returns once all of it is on disk.
    ///
    /// # Errors
    /// What kept the recording from being complete.
    pub async fn close(&self) -> Result<(), TimelineError> {
        self.end(Ending::Closed(self.0.clock.now_us())).await
    }

    /// Ends the recording without its last line, and returns once all of it is on disk: somebody else than the run has
    /// added to it, who cannot vouch for its requests.
    ///
    /// # Errors
    /// What kept the recording from being complete.
    pub async fn abandon(&self) -> Result<(), TimelineError> {
        self.end(Ending::Abandoned).await
    }

    async fn end(&self, ending: Ending) -> Result<(), TimelineError> {
        let inner = Arc::clone(&self.0);
        inner.shared.end(ending);
        let joined = tokio::task::spawn_blocking(move || inner.join()).await;
        if !matches!(joined, Ok(true)) {
            self.0.shared.fail(TimelineError::Closed {
                path: self.0.journal.clone(),
            });
        }
        self.failure().map_or(Ok(()), Err)
    }
}

impl Inner {
    /// Whether it was recorded: nothing is after the end.
    fn put(&self, at_us: Option<i64>, mut event: Event) -> bool {
        event.redact(&self.redactor);
        let mut queue = self.shared.queue();
        if queue.ended() {
            return false;
        }
        // Read under the lock, so that offsets stamped here rise with the sequence numbers.
        let at_us = at_us.unwrap_or_else(|| self.clock.now_us());
        let seq = queue.seq + 1;
        match encode(seq, at_us, &event) {
            Ok(line) => {
                queue.acts += u64::from(matches!(event, Event::Operated(_)));
                queue.line(line);
            }
            Err(e) => {
                let error = TimelineError::write(&self.journal, e.into());
                self.shared.fail(error);
                return false;
            }
        }
        // Nobody may be listening.
        let _ = self.entries.send(Arc::new(Entry { seq, at_us, event }));
        true
    }

    /// The number of a name; defines it where it is new.
    fn name(&self, table: NameTable, name: &str) -> u16 {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let names = names.of(table);
        if let Some(id) = names.get(name) {
            return *id;
        }
        let taken = names.len();
        if taken > MOST_NAMES {
            return 0;
        }
        let id = if taken == MOST_NAMES {
            let text = format!(
                "over {MOST_NAMES} names of answering instances or versions, further ones are not told apart: does the served_by header name requests?"
            );
            let level = Level::Warning;
            self.put(None, Event::Note { level, text });
            0
        } else {
            let id = u16::try_from(taken + 1).expect("MOST_NAMES fits");
            let defined = name.to_owned();
            self.put(
                None,
                Event::Name {
                    table,
                    id,
                    name: defined,
                },
            );
            self.live.named(table, name);
            id
        };
        names.insert(name.to_owned(), id);
        id
    }

    /// Waits for the writer to end; whether it did in order (or had before).
    fn join(&self) -> bool {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.take().is_none_or(|thread| thread.join().is_ok())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.end(Ending::Abandoned);
        self.join();
    }
}

/// Takes requests, from one worker of the load. Never waits for the disk, and for another thread only once so many are
/// pending that something is wrong: whoever holds a lock may be waiting for the CPU that the load has taken from it.
pub struct RequestSink {
    recorder: Arc<Inner>,
    /// The names this worker has met, so that it needs no lock to find them.
    names: NameIds,
    /// Records that could not be handed over yet; the next one takes them along.
    pending: Vec<RequestRecord>,
}

/// Most records that wait for a lock.
const MOST_PENDING: usize = 4096;

impl RequestSink {
    /// Records a request that has ended.
    pub fn push(&mut self, record: RequestRecord) {
        self.pending.push(record);
        let recorder = Arc::clone(&self.recorder);
        if self.pending.len() < MOST_PENDING {
            if let Some(live) = recorder.live.try_fold()
                && let Some(queue) = recorder.shared.try_queue()
            {
                self.hand_over(live, queue);
            }
        } else {
            self.hand_over(recorder.live.fold(), recorder.shared.queue());
        }
    }

    /// Hands over what is pending, and waits for the locks.
    pub fn flush(&mut self) {
        let recorder = Arc::clone(&self.recorder);
        self.hand_over(recorder.live.fold(), recorder.shared.queue());
    }

    fn hand_over(&mut self, mut live: Fold<'_>, mut queue: MutexGuard<'_, Queue>) {
        for record in &self.pending {
            live.add(record);
        }
        queue.records(&mut self.pending);
    }

    /// The number of an instance or version in the recording's table; 0 where there are too many to tell apart.
    pub fn name(&mut self, table: NameTable, name: &str) -> u16 {
        if let Some(id) = self.names.of(table).get(name) {
            return *id;
        }
        let id = self.recorder.name(table, name);
        if id != 0 {
            self.names.of(table).insert(name.to_owned(), id);
        }
        id
    }
}

impl Drop for RequestSink {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Numbers by name.
#[derive(Clone, Default)]
struct NameIds {
    instances: HashMap<String, u16>,
    versions: HashMap<String, u16>,
}

impl NameIds {
    fn of(&mut self, table: NameTable) -> &mut HashMap<String, u16> {
        match table {
            NameTable::Instance => &mut self.instances,
            NameTable::Version => &mut self.versions,
        }
    }
}

fn create(path: &Path) -> Result<File, TimelineError> {
    let mut options = OpenOptions::new();
    options.append(true).create_new(true).mode(0o600);
    options
        .open(path)
        .map_err(|e| TimelineError::create(path, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::event::Phase;

    #[tokio::test(start_paused = true)]
    async fn a_full_disk_is_known_and_stops_nothing() {
        let full = || {
            let path = PathBuf::from("/dev/full");
            (OpenOptions::new().append(true).open(&path).unwrap(), path)
        };
        let recorder =
            Recorder::start(full(), Some(full()), 0, Clock::start(), Redactor::default()).unwrap();
        let error = recorder
            .record_synced(Event::Phase(Phase::Warmup))
            .await
            .unwrap_err();
        assert!(matches!(error, TimelineError::Write { .. }), "{error}");
        recorder.record(Event::Phase(Phase::Drill));
        assert!(recorder.failure().is_some());
        recorder.close().await.unwrap_err();
        assert!(
            recorder
                .record_synced(Event::Phase(Phase::Mending))
                .await
                .is_err()
        );
    }
}
