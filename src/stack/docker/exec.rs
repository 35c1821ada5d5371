//! Commands inside containers.

use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use futures_util::StreamExt;

use super::{Container, tail, text};
use crate::stack::hands::hand_mark;

/// How long a command may take: as long as any other call of the user's own.
pub(in crate::stack) const INSIDE_WITHIN: Duration = Duration::from_secs(60);
/// How much of a command's last words an error repeats.
const TAIL: usize = 400;

/// Runs a command in a container to its end, on behalf of a run where it makes a fault. The inner error says how it ended, if
/// not with 0.
///
/// # Errors
/// The engine's.
pub(in crate::stack) async fn run_inside(
    docker: &Docker,
    container: &Container,
    run: &[String],
    acts_for: Option<&str>,
) -> Result<Result<(), String>, Error> {
    let config = ExecConfig {
        cmd: Some(run.to_vec()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        env: acts_for.map(|run| vec![hand_mark(run)]),
        ..ExecConfig::default()
    };
    let exec = docker.create_exec(container.handle(), config).await?;
    let mut said = String::new();
    match docker
        .start_exec(&exec.id, None::<StartExecOptions>)
        .await?
    {
        StartExecResults::Attached { mut output, .. } => {
            while let Some(chunk) = output.next().await {
                said.push_str(&text(&chunk?));
            }
        }
        // Not asked for.
        StartExecResults::Detached => {}
    }
    let end = docker.inspect_exec(&exec.id).await?;
    Ok(match end.exit_code {
        Some(0) => Ok(()),
        code => Err(format!(
            "it ended with {}: {}",
            code.map_or_else(|| "no exit code".to_owned(), |c| c.to_string()),
            tail(&said, TAIL)
        )),
    })
}
