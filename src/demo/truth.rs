//! The truth log: what the backend did and when, written by the backend itself.
//!
//! One JSON object a line, whole on disk even if the process is killed; `t` is nanoseconds of the wall clock since 1970:
//! `{"t":…,"ev":"begin","mode":"refuse"}`, `{"t":…,"ev":"end","mode":"refuse"}` for outages, and
//! `{"t":…,"ev":"req","path":"/work","did":"ok"}` for requests. There `t` is the arrival, and `did` is `ok`, the error
//! status answered (`401`), the mode of the outage that hit it (`hang`), or `lost`: the connection ended before the answer.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::sync::mpsc;

use super::DemoError;

/// Appends to the truth log, or does nothing where none is asked for.
#[derive(Debug)]
pub(super) struct Truth {
    log: Option<(PathBuf, Mutex<File>)>,
    failed: mpsc::Sender<DemoError>,
}

impl Truth {
    /// Opens `path` to append. The receiver gets the first write that fails: a log with holes must not go on as the truth.
    pub(super) fn open(
        path: Option<&Path>,
    ) -> Result<(Self, mpsc::Receiver<DemoError>), DemoError> {
        let log = match path {
            None => None,
            Some(path) => {
                let file = File::options().create(true).append(true).open(path);
                let file = file.map_err(|source| DemoError::TruthLog {
                    path: path.to_owned(),
                    source,
                })?;
                Some((path.to_owned(), Mutex::new(file)))
            }
        };
        let (failed, failure) = mpsc::channel(1);
        Ok((Self { log, failed }, failure))
    }

    pub(super) fn begin(&self, mode: &str) {
        self.write(|| json!({ "t": wall_nanos(), "ev": "begin", "mode": mode }));
    }

    pub(super) fn end(&self, mode: &str) {
        self.write(|| json!({ "t": wall_nanos(), "ev": "end", "mode": mode }));
    }

    pub(super) fn request(&self, arrived_nanos: u64, path: &str, did: &str) {
        self.write(|| json!({ "t": arrived_nanos, "ev": "req", "path": path, "did": did }));
    }

    fn write(&self, line: impl FnOnce() -> serde_json::Value) {
        let Some((path, file)) = &self.log else {
            return;
        };
        let line = format!("{}\n", line());
        // One write of one whole line: a kill never tears a line.
        let written = file
            .lock()
            .expect("no writer panics while it holds the log")
            .write_all(line.as_bytes());
        if let Err(source) = written {
            // A full channel holds an earlier failure, which ends the server as well as this one would.
            let _ = self.failed.try_send(DemoError::TruthLog {
                path: path.clone(),
                source,
            });
        }
    }
}

/// Nanoseconds of the wall clock since 1970: the one place of the demo system that reads it.
pub(super) fn wall_nanos() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "ground truth is compared with clocks of other processes"
    )]
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
