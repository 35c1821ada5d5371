//! What the processes wrote.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::ProcessStack;
use crate::model::{ComponentId, Redactor};
use crate::stack::StackError;

/// Most that is handed over of one log at a time, in bytes: its end.
const MOST: u64 = 1 << 20;

/// How much of a log was handed over, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HandedOver {
    end: u64,
    /// Where the last line begins that was not complete: the rest of a secret may follow.
    line: u64,
}

impl ProcessStack {
    pub(super) fn log_path(&self, id: &ComponentId) -> PathBuf {
        self.context
            .run_dir
            .join("logs")
            .join(format!("{}-{}.log", id.service, id.index))
    }

    /// Appends to `path` what each log gained since it was last handed over. Their lines bear no times that firedrill
    /// knows, so a log is left out only if it was not written to since `since_ns`.
    pub(super) fn append_logs(&self, since_ns: i64, path: &Path) -> Result<(), StackError> {
        let folder = self.context.run_dir.join("logs");
        let listed = match std::fs::read_dir(&folder) {
            Ok(listed) => listed.filter_map(|entry| Some(entry.ok()?.path())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(unreadable(&folder, error)),
        };
        let mut logs: Vec<PathBuf> = listed.collect();
        logs.sort();
        let mut out = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .map_err(|e| unreadable(path, e))?;
        let mut handed_over = self
            .handed_over
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for log in logs {
            let from = handed_over.entry(log.clone()).or_default();
            *from = append(&log, *from, since_ns, &self.context.redactor, &mut out)
                .map_err(|e| unreadable(&log, e))?;
        }
        Ok(())
    }
}

/// Appends what the log gained under a heading, without secrets, and returns how much was handed over of it by now.
fn append(
    log: &Path,
    from: HandedOver,
    since_ns: i64,
    redactor: &Redactor,
    out: &mut File,
) -> io::Result<HandedOver> {
    let mut file = File::open(log)?;
    let about = file.metadata()?;
    let written_ns = about.mtime() * 1_000_000_000 + about.mtime_nsec();
    let end = about.len();
    if end <= from.end || written_ns < since_ns {
        return Ok(from);
    }
    let start = from.line.max(end.saturating_sub(MOST));
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(end - start).read_to_end(&mut bytes)?;
    let newline = |byte: &u8| *byte == b'\n';
    // What is left of a line may begin within a secret.
    let cut = match bytes.iter().position(newline) {
        Some(at) if start > from.line => at + 1,
        _ => 0,
    };
    let line = bytes.iter().rposition(newline).map_or(0, |at| at + 1);
    let name = log.file_stem().unwrap_or_default().to_string_lossy();
    writeln!(out, "--- {name}")?;
    let text = String::from_utf8_lossy(&bytes[cut..]);
    // A heading stands on a line of its own, even after one that was not complete.
    let complete = if text.ends_with('\n') { "" } else { "\n" };
    write!(out, "{}{complete}", redactor.redact(&text))?;
    let line = start + u64::try_from(line).unwrap_or_default();
    Ok(HandedOver { end, line })
}

fn unreadable(path: &Path, source: io::Error) -> StackError {
    StackError::Io {
        path: path.display().to_string(),
        source,
    }
}
