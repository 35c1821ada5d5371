//! The tasks' logs.

use std::path::Path;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::SwarmStack;
use super::engines::words;
use crate::stack::StackError;
use crate::stack::docker::{append_log, log_file};

/// How long all of them may take together.
const READ_WITHIN: Duration = Duration::from_secs(120);

impl SwarmStack {
    /// Appends the log of every task's container that is within reach, without secrets.
    ///
    /// # Errors
    /// The engines' and the file's.
    pub(super) async fn task_logs(&self, since_ns: i64, path: &Path) -> Result<(), StackError> {
        let io = |source| StackError::Io {
            path: path.display().to_string(),
            source,
        };
        let mut file = log_file(path).await.map_err(io)?;
        let since = i32::try_from(since_ns.div_euclid(1_000_000_000)).unwrap_or(0);
        let all = async {
            for task in self.task_containers().await? {
                let redactor = &self.context.redactor;
                let log = append_log(&task.docker, &task.container, since, redactor, &mut file);
                log.await
                    .map_err(|e| unread(&task.container.id.to_string(), &words(&e)))?
                    .map_err(io)?;
            }
            Ok(())
        };
        let read = timeout(READ_WITHIN, all).await;
        file.flush().await.map_err(io)?;
        read.unwrap_or_else(|_| {
            Err(unread(
                &self.name,
                &format!("they were not all there within {READ_WITHIN:?}"),
            ))
        })
    }
}

fn unread(what: &str, why: &str) -> StackError {
    StackError::Call {
        call: "read the logs".to_owned(),
        component: what.to_owned(),
        why: why.to_owned(),
    }
}
