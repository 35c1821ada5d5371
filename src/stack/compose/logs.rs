//! Containers' logs, kept for a person to read.

use std::path::Path;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::engine::Project;
use crate::model::Redactor;
use crate::stack::StackError;
use crate::stack::docker::{append_log, log_file};

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
        let mut file = log_file(path).await.map_err(io)?;
        let since = i32::try_from(since_ns.div_euclid(1_000_000_000)).unwrap_or(0);
        let all = async {
            for container in self.containers().await? {
                append_log(&self.docker, &container, since, redactor, &mut file)
                    .await
                    .map_err(|e| self.error("read the log", &container.id, &e))?
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
}
