//! Going on with a journal whose run has ended without closing it.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::model::Redactor;

use super::clock::Clock;
use super::{Journal, Recorder, RunDir, TimelineError};

impl Recorder {
    /// Goes on with a run's journal behind its last whole line, on the run's own clock. `journal` is what was read of it.
    /// A last line that was not written to its end is cut off: nobody may have acted on it. Requests are not recorded.
    ///
    /// The caller holds the run's [`RunLock`](super::RunLock), so nobody else writes.
    ///
    /// # Errors
    /// [`TimelineError::Read`] or [`TimelineError::Write`] for the journal.
    pub fn resume(
        dir: &RunDir,
        journal: &Journal,
        redactor: Redactor,
    ) -> Result<Self, TimelineError> {
        let path = dir.journal();
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(&path)
            .map_err(|e| TimelineError::write(&path, e))?;
        cut_torn_line(&file, &path)?;
        let seq = journal.entries.iter().map(|e| e.seq).max().unwrap_or(0);
        let opened = &journal.opened;
        let same_boot = boot_id() == opened.boot_id;
        let clock = Clock::resume(opened.started_ns, opened.boottime_ns, same_boot);
        Self::start((file, path), None, seq, clock, redactor)
    }
}

/// How much of a file's end is looked at at once.
const CHUNK: u64 = 64 * 1024;

fn cut_torn_line(mut file: &File, path: &Path) -> Result<(), TimelineError> {
    let length = file.metadata().map_err(|e| TimelineError::read(path, e))?;
    let mut end = length.len();
    let mut chunk = Vec::new();
    while end > 0 {
        let from = end.saturating_sub(CHUNK);
        chunk.clear();
        file.seek(SeekFrom::Start(from))
            .and_then(|_| file.take(end - from).read_to_end(&mut chunk))
            .map_err(|e| TimelineError::read(path, e))?;
        if let Some(at) = chunk.iter().rposition(|b| *b == b'\n') {
            end = from + at as u64 + 1;
            break;
        }
        end = from;
    }
    if end == length.len() {
        return Ok(());
    }
    file.set_len(end).map_err(|e| TimelineError::write(path, e))
}

/// The id of this boot (random(4)); empty where it cannot be read.
#[must_use]
pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .unwrap_or_default()
        .trim()
        .to_owned()
}
