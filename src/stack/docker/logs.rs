//! Containers' logs, kept for a person to read.

use std::path::Path;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt;
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;

use super::{Container, text};
use crate::model::{CUT, Redactor};

/// Opens a file for logs, for its owner alone, at its end.
///
/// # Errors
/// The file's.
pub(in crate::stack) async fn log_file(path: &Path) -> std::io::Result<File> {
    let options = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .to_owned();
    options.open(path).await
}

/// Appends a container's log since a second of the engine's wall clock, each line under its component's name, without
/// secrets. The inner error is the file's.
///
/// # Errors
/// The engine's.
pub(in crate::stack) async fn append_log(
    docker: &Docker,
    container: &Container,
    since: i32,
    redactor: &Redactor,
    file: &mut File,
) -> Result<std::io::Result<()>, Error> {
    let options = LogsOptionsBuilder::default()
        .stdout(true)
        .stderr(true)
        .timestamps(true)
        .since(since)
        .build();
    let mut log = Box::pin(docker.logs(container.handle(), Some(options)));
    let (mut out, mut err) = (Lines::default(), Lines::default());
    loop {
        let whole = match log.next().await {
            Some(chunk) => {
                let chunk = chunk?;
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
