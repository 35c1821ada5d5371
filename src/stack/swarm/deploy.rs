//! The `docker` command line deploys the stack file: what it means is what `docker stack deploy` takes it for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf, absolute};
use std::process::{Command as StdCommand, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::SwarmStack;
use crate::model::Template;
use crate::stack::docker::{Endpoint, tail};
use crate::stack::{GroupGuard, Resolve, StackContext, StackError, Surroundings, hand};

/// How long a call may take.
const DONE_WITHIN: Duration = Duration::from_secs(300);
/// How much of what it said an error repeats.
const TAIL: usize = 1500;
/// Variables that would send the call to another engine.
const NOT_INHERITED: [&str; 4] = [
    "DOCKER_CONTEXT",
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "DOCKER_STACK_ORCHESTRATOR",
];

impl SwarmStack {
    /// Deploys the stack file, or a first file and those that change it, under the run's own name.
    ///
    /// # Errors
    /// [`StackError::InvalidFile`] where a file is not there; [`StackError::NotUp`] with the command's own words.
    pub(super) async fn deploy(
        &self,
        files: &[PathBuf],
        manager: &Endpoint,
    ) -> Result<(), StackError> {
        let files = files.iter().map(|file| there(file));
        let files: Vec<PathBuf> = files.collect::<Result<_, StackError>>()?;
        let mut command = StdCommand::new("docker");
        command.args(["stack", "deploy", "--prune"]);
        for file in &files {
            command.arg("--compose-file").arg(file);
        }
        if self.machines.is_some() {
            // They were given the images as they are; nobody else knows a digest of them.
            command.args(["--resolve-image", "never"]);
        }
        command.arg(&self.name);
        for name in NOT_INHERITED {
            command.env_remove(name);
        }
        command.envs(manager.cli_env());
        command.envs(environment(&self.spec.env, &self.context)?);
        if let Some(path) = &self.context.docker.path {
            command.env("PATH", path);
        }
        // Paths in the files are the first one's folder's.
        let folder = files.first().and_then(|file| file.parent());
        command.current_dir(folder.unwrap_or(Path::new("/")));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut command = Command::from(command);
        // A Ctrl-C is for firedrill, which then takes down in order what this call made.
        command.process_group(0).kill_on_drop(true);
        hand(&mut command, &self.context.run);
        let child = command.spawn().map_err(|source| StackError::Engine {
            engine: "the `docker` command".to_owned(),
            why: source.to_string(),
            advice: "Install Docker's command line (Debian's package `docker-cli`, or `docker.io`)"
                .to_owned(),
        })?;
        let group = GroupGuard::of(&child);
        let ended = timeout(DONE_WITHIN, child.wait_with_output()).await;
        let output = ended
            .map_err(|_| not_up(format!("it did not end within {DONE_WITHIN:?}")))?
            .map_err(|e| not_up(e.to_string()))?;
        group.ended();
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(not_up(tail(&said, TAIL)))
    }
}

/// The whole path of a file that is there.
pub(super) fn there(file: &Path) -> Result<PathBuf, StackError> {
    let file = absolute(file).map_err(|source| StackError::Io {
        path: file.display().to_string(),
        source,
    })?;
    if file.is_file() {
        Ok(file)
    } else {
        Err(StackError::InvalidFile {
            file: file.display().to_string(),
            why: "there is no such file".to_owned(),
        })
    }
}

fn not_up(why: String) -> StackError {
    StackError::NotUp {
        why: format!("`docker stack deploy` failed: {why}"),
    }
}

/// The variables of the scenario's `env`, resolved.
pub(super) fn environment(
    env: &BTreeMap<String, Template>,
    context: &StackContext,
) -> Result<Vec<(String, String)>, StackError> {
    let values = Surroundings::of(context);
    let resolve = |(name, template): (&String, &Template)| {
        let value = values
            .resolve(template)
            .map_err(|source| StackError::Template {
                place: format!("stack.swarm.env.{name}"),
                source,
            })?;
        Ok((name.clone(), value))
    };
    env.iter().map(resolve).collect()
}
