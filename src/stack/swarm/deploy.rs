//! The `docker` command line deploys the stack file: what it means is what `docker stack deploy` takes it for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf, absolute};
use std::process::{Command as StdCommand, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
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
/// How the help of `docker stack` begins.
const ITS_HELP: &str = "Manage Docker stacks";
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
        // They were given the images as they are; nobody else knows a digest of them.
        let own = self.machines.is_some();
        let unresolved: &[&str] = if own {
            &["--resolve-image", "never"]
        } else {
            &[]
        };
        let words = [&["deploy", "--prune"], unresolved].concat();
        let on = Some((manager, self.name.as_str()));
        let output = self.docker_stack(&words, files, on).await?;
        if output.status.success() {
            return Ok(());
        }
        Err(not_up("deploy", &said(&output)))
    }

    /// The images that a stack file names, as `docker stack deploy` would read it, and how it reads the whole. Compose knows
    /// other fields, and reads a `.env` beside the file: it is asked, for the images alone, only where the command line is
    /// older than `docker stack config` (23).
    ///
    /// # Errors
    /// As [`SwarmStack::deploy`]; Compose's.
    pub(super) async fn images_of(
        &self,
        file: &Path,
    ) -> Result<(BTreeSet<String>, Option<Value>), StackError> {
        let files = [file.to_owned()];
        let output = self.docker_stack(&["config"], &files, None).await?;
        if !output.status.success() {
            let said = said(&output);
            // It knows no `config`, and prints what there is instead.
            if said.contains(ITS_HELP) {
                let machines = self.machines("read the stack file")?;
                let images = machines.project().images_of(file, &self.spec.env).await?;
                return Ok((images, None));
            }
            return Err(not_up("config", &said));
        }
        let config: Value = serde_saphyr::from_str(&String::from_utf8_lossy(&output.stdout))
            .map_err(|e| not_up("config", &format!("what it prints cannot be read: {e}")))?;
        let services = config.get("services").and_then(Value::as_object);
        let images = services.into_iter().flat_map(serde_json::Map::values);
        let images = images.filter_map(|service| service.get("image")?.as_str());
        Ok((images.map(str::to_owned).collect(), Some(config)))
    }

    /// How `docker stack WORDS -c FILE…` ended; `on` is the manager it goes to, and the stack's name.
    async fn docker_stack(
        &self,
        words: &[&str],
        files: &[PathBuf],
        on: Option<(&Endpoint, &str)>,
    ) -> Result<Output, StackError> {
        let files = files.iter().map(|file| there(file));
        let files: Vec<PathBuf> = files.collect::<Result<_, StackError>>()?;
        let mut command = StdCommand::new("docker");
        command.arg("stack").args(words);
        for file in &files {
            command.arg("--compose-file").arg(file);
        }
        for name in NOT_INHERITED {
            command.env_remove(name);
        }
        match on {
            Some((manager, name)) => command.arg(name).envs(manager.cli_env()),
            // The command line asks an engine for its version even so: not one that the user's settings name.
            None => command.envs(Endpoint::of(&self.context.docker)?.cli_env()),
        };
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
        let verb = words.first().copied().unwrap_or_default();
        let ended = timeout(DONE_WITHIN, child.wait_with_output()).await;
        let output = ended
            .map_err(|_| not_up(verb, &format!("it did not end within {DONE_WITHIN:?}")))?
            .map_err(|e| not_up(verb, &e.to_string()))?;
        group.ended();
        Ok(output)
    }
}

/// The end of what a command said of its failure.
fn said(output: &Output) -> String {
    tail(&String::from_utf8_lossy(&output.stderr), TAIL)
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

fn not_up(verb: &str, said: &str) -> StackError {
    StackError::NotUp {
        why: format!("`docker stack {verb}` failed: {said}"),
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
