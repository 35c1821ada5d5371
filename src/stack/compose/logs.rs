//! Containers' logs, kept for a person to read.

use std::path::Path;

use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt;
use tokio::fs::OpenOptions;
use tokio::io::AsyncWriteExt;

use super::engine::Project;
use super::exec::text;
use crate::model::Redactor;
use crate::stack::StackError;

impl Project {
    /// Appends every container's log since a second of the engine's wall clock, each line under its component's name, without
    /// secrets.
    ///
    /// # Errors
    /// The engine's, and the file's.
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
        for container in self.containers().await? {
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
                    file.write_all(format!("{} {line}\n", container.id).as_bytes())
                        .await
                        .map_err(io)?;
                }
            }
        }
        file.flush().await.map_err(io)
    }
}
