//! Containers' logs, kept for a person to read.

use std::path::Path;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt;
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::containers::Container;
use super::engine::Project;
use super::exec::text;
use crate::model::{CUT, Redactor};
use crate::stack::StackError;

/// How long all logs together may take. They are for a person to read, and whatever is still broken waits for them.
const READ_WITHIN: Duration = Duration::from_secs(120);

impl Project {
    /// Appends every container's log since a second of the engine's wall clock, each line under its component's name, without
    /// secrets. What was read stays in the file whatever happens.
    ///
    /// # Errors
    /// The engine's, and the file's; [`StackError::Call`] if it takes longer than [`READ_WITHIN`].
    pub(super) async fn logs(
        &self,
        since_ns: i64,
        redactor: &Redactor,
        path: &Path,
    ) -> Result<(), StackError> {
        let io = |source| StackError::Io {
            path: path.display().to_string(),
            source,
        };
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .await;
        let mut file = file.map_err(io)?;
        let since = i32::try_from(since_ns.div_euclid(1_000_000_000)).unwrap_or(0);
        let all = async {
            for container in self.containers().await? {
                self.log(&container, since, redactor, &mut file)
                    .await?
                    .map_err(io)?;
            }
            Ok(())
        };
        let read = timeout(READ_WITHIN, all).await;
        file.flush().await.map_err(io)?;
        read.unwrap_or_else(|_| {
            Err(StackError::Call {
                call: "read the logs".to_owned(),
                component: format!("project {}", self.name),
                why: format!(
                    "they were not all there within {}, so the rest is missing; see by `docker info` whether the engine still answers",
                    humantime::format_duration(READ_WITHIN)
                ),
            })
        })
    }

    /// Appends one container's log. The inner error is the file's.
    async fn log(
        &self,
        container: &Container,
        since: i32,
        redactor: &Redactor,
        file: &mut File,
    ) -> Result<std::io::Result<()>, StackError> {
        let options = LogsOptionsBuilder::default()
            .stdout(true)
            .stderr(true)
            .timestamps(true)
            .since(since)
            .build();
        let mut log = Box::pin(self.docker.logs(container.handle(), Some(options)));
        let (mut out, mut err) = (Lines::default(), Lines::default());
        loop {
            let whole = match log.next().await {
                Some(chunk) => {
                    let chunk = chunk.map_err(|e| self.error("read the log", &container.id, &e))?;
                    let lines = match &chunk {
                        LogOutput::StdErr { .. } => &mut err,
                        LogOutput::StdOut { .. }
                        | LogOutput::StdIn { .. }
                        | LogOutput::Console { .. } => &mut out,
                    };
                    lines.take(&text(&chunk))
                }
                None => {
                    let rest = [out.rest(), err.rest()].concat();
                    let written = write(file, container, redactor, &rest).await;
                    return Ok(written);
                }
            };
            if let Err(e) = write(file, container, redactor, &whole).await {
                return Ok(Err(e));
            }
        }
    }
}

async fn write(
    file: &mut File,
    container: &Container,
    redactor: &Redactor,
    text: &str,
) -> std::io::Result<()> {
    for line in redactor.redact(text).lines() {
        let line = format!("{} {line}\n", container.id);
        file.write_all(line.as_bytes()).await?;
    }
    Ok(())
}

/// Most of a line that is waited for, in bytes: what never ends one cannot be kept.
const LINE: usize = 1 << 20;

/// One stream of a log, put together to whole lines: the engine cuts long ones, and terminals give what they get, so that
/// a secret may come in two pieces.
#[derive(Default)]
struct Lines {
    begun: String,
}

impl Lines {
    /// The lines that this piece completes.
    fn take(&mut self, piece: &str) -> String {
        let goes_on = !self.begun.is_empty();
        self.begun.push_str(match piece.split_once(' ') {
            // Every piece of a line bears a time of its own.
            Some((time, rest)) if goes_on && is_time(time) => rest,
            _ => piece,
        });
        if self.begun.len() > LINE {
            return self.rest();
        }
        let end = self.begun.rfind('\n').map_or(0, |at| at + 1);
        let rest = self.begun.split_off(end);
        std::mem::replace(&mut self.begun, rest)
    }

    /// What was begun and never completed.
    fn rest(&mut self) -> String {
        let mut rest = std::mem::take(&mut self.begun);
        if !rest.is_empty() {
            rest.push(CUT);
            rest.push('\n');
        }
        rest
    }
}

fn is_time(word: &str) -> bool {
    word.parse::<jiff::Timestamp>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_comes_in_pieces_is_one() {
        let mut lines = Lines::default();
        assert_eq!(lines.take("2026-01-02T03:04:05.000000001Z got hun"), "");
        let whole = lines.take("2026-01-02T03:04:05.000000002Z ter2\nand");
        assert_eq!(whole, "2026-01-02T03:04:05.000000001Z got hunter2\n");
        assert_eq!(lines.take(" so on\n"), "and so on\n");
        assert_eq!(lines.take("hun"), "");
        let redactor = Redactor::new(["hunter2".to_owned()]);
        assert_eq!(redactor.redact(&lines.rest()), "[redacted]…\n");
        assert_eq!(lines.rest(), "");
    }
}
