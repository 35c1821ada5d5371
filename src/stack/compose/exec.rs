//! Commands inside containers.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use futures_util::StreamExt;

use super::containers::Container;
use super::engine::Project;
use crate::model::CUT;
use crate::stack::StackError;
use crate::stack::hands::hand_mark;

/// How long a command may take: as long as any other call of the user's own.
const LIMIT: Duration = Duration::from_secs(60);

/// How much of a command's last words an error repeats.
const TAIL: usize = 400;

impl Project {
    /// Runs a command in a container and awaits its end. What makes a fault `acts_for` a run, and can be stopped by
    /// whoever mends in the run's place.
    ///
    /// # Errors
    /// [`StackError::Call`] where it cannot be run, ends with anything but 0, or takes longer than [`LIMIT`].
    pub(super) async fn exec(
        &self,
        container: &Container,
        run: &[String],
        acts_for: Option<&str>,
    ) -> Result<(), StackError> {
        let ended = tokio::time::timeout(LIMIT, self.exec_to_its_end(container, run, acts_for));
        ended.await.unwrap_or_else(|_| {
            Err(StackError::Call {
                call: format!("exec `{}`", run.join(" ")),
                component: container.id.to_string(),
                why: format!(
                    "it did not end within {LIMIT:?}, and may still run: let it start what is to last in the background"
                ),
            })
        })
    }

    async fn exec_to_its_end(
        &self,
        container: &Container,
        run: &[String],
        acts_for: Option<&str>,
    ) -> Result<(), StackError> {
        let call = format!("exec `{}`", run.join(" "));
        let failed = |e| self.error(&call, &container.id, &e);
        let config = ExecConfig {
            cmd: Some(run.to_vec()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            env: acts_for.map(|run| vec![hand_mark(run)]),
            ..ExecConfig::default()
        };
        let exec = self
            .docker
            .create_exec(container.handle(), config)
            .await
            .map_err(failed)?;
        let mut said = String::new();
        match self
            .docker
            .start_exec(&exec.id, None::<StartExecOptions>)
            .await
            .map_err(failed)?
        {
            StartExecResults::Attached { mut output, .. } => {
                while let Some(chunk) = output.next().await {
                    said.push_str(&text(&chunk.map_err(failed)?));
                }
            }
            // Not asked for.
            StartExecResults::Detached => {}
        }
        let end = self.docker.inspect_exec(&exec.id).await.map_err(failed)?;
        match end.exit_code {
            Some(0) => Ok(()),
            code => Err(StackError::Call {
                call,
                component: container.id.to_string(),
                why: format!(
                    "it ended with {}: {}",
                    code.map_or_else(|| "no exit code".to_owned(), |c| c.to_string()),
                    tail(&said, TAIL)
                ),
            }),
        }
    }
}

pub(super) fn text(output: &LogOutput) -> String {
    String::from_utf8_lossy(output.as_ref()).into_owned()
}

/// The last `limit` bytes or so of a text, whole lines where there are several; a line that is cut begins with a mark.
pub(super) fn tail(text: &str, limit: usize) -> String {
    let text = text.trim();
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut from = text.len() - limit;
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let rest = &text[from..];
    match rest.split_once('\n') {
        Some((_, lines)) => lines.to_owned(),
        None => format!("{CUT}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::tail;

    #[test]
    fn a_tail_is_of_whole_lines() {
        assert_eq!(tail(" one\n", 10), "one");
        assert_eq!(tail("first line\nsecond\nthird", 14), "second\nthird");
        assert_eq!(tail("äöüäöü", 5), "…öü");
    }
}
