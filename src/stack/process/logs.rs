//! What the processes wrote. They write it themselves, secrets too if they like, for they outlive firedrill; what is handed
//! over of it, and what stays when they have ended, holds none.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::ProcessStack;
use crate::model::{CUT, ComponentId, Redactor};
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

    /// Takes the secrets out of the logs. For when nobody writes to them any more.
    pub(super) fn clean_logs(&self) -> Result<(), StackError> {
        for log in self.logs_there()? {
            clean(&log, &self.context.redactor).map_err(|e| unreadable(&log, e))?;
        }
        Ok(())
    }

    fn logs_there(&self) -> Result<Vec<PathBuf>, StackError> {
        let folder = self.context.run_dir.join("logs");
        let listed = match std::fs::read_dir(&folder) {
            Ok(listed) => listed.filter_map(|entry| Some(entry.ok()?.path())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(&folder, error)),
        };
        let mut logs: Vec<PathBuf> = listed.collect();
        logs.sort();
        Ok(logs)
    }

    /// Appends to `path` what each log gained since it was last handed over. Their lines bear no times that firedrill
    /// knows, so a log is left out only if it was not written to since `since_ns`.
    pub(super) fn append_logs(&self, since_ns: i64, path: &Path) -> Result<(), StackError> {
        let logs = self.logs_there()?;
        if logs.is_empty() {
            return Ok(());
        }
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
    if text.ends_with('\n') {
        write!(out, "{}", redactor.redact(&text))?;
    } else {
        // A heading stands on a line of its own, and a secret may only have begun.
        writeln!(out, "{}", redactor.redact(&format!("{text}{CUT}")))?;
    }
    let line = start + u64::try_from(line).unwrap_or_default();
    Ok(HandedOver { end, line })
}

/// Writes the log anew without secrets; not at all where it holds none.
fn clean(log: &Path, redactor: &Redactor) -> io::Result<()> {
    let next = log.with_extension("clean");
    let mut from = BufReader::new(File::open(log)?);
    let file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&next)?;
    let (mut to, mut line, mut differs) = (BufWriter::new(file), Vec::new(), false);
    while from.read_until(b'\n', &mut line)? > 0 {
        let text = String::from_utf8_lossy(&line);
        let clean = redactor.redact(&text);
        if clean == text {
            to.write_all(&line)?;
        } else {
            differs = true;
            to.write_all(clean.as_bytes())?;
        }
        line.clear();
    }
    to.flush()?;
    if differs {
        std::fs::rename(next, log)
    } else {
        std::fs::remove_file(next)
    }
}

fn unreadable(path: &Path, source: io::Error) -> StackError {
    StackError::Io {
        path: path.display().to_string(),
        source,
    }
}
