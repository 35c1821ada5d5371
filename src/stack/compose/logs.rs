//! Containers' logs, kept for a person to read.

use std::path::Path;
use std::time::Duration;

use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt;
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::containers::Container;
use super::engine::Project;
use super::exec::text;
use crate::model::Redactor;
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
        while let Some(chunk) = log.next().await {
            let chunk = chunk.map_err(|e| self.error("read the log", &container.id, &e))?;
            for line in redactor.redact(&text(&chunk)).lines() {
                let line = format!("{} {line}\n", container.id);
                if let Err(e) = file.write_all(line.as_bytes()).await {
                    return Ok(Err(e));
                }
            }
        }
        Ok(Ok(()))
    }
}
