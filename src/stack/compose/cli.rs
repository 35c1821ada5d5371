//! The Compose command line: which one there is, and running it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use crate::stack::docker::tail;
use crate::stack::{DockerEnv, GroupGuard, StackError, hand};

/// How much of what it said an error repeats.
const TAIL: usize = 1500;

/// How long an answer may take that needs no engine: its version, and a file read.
const ANSWERED_WITHIN: Duration = Duration::from_secs(60);
/// How long it may take to build, pull and start: as long as any image takes, but not for ever.
const DONE_WITHIN: Duration = Duration::from_secs(3600);

/// Variables of Compose's own that would change what the scenario asks for.
const NOT_INHERITED: [&str; 5] = [
    "COMPOSE_FILE",
    "COMPOSE_PROJECT_NAME",
    "COMPOSE_PROFILES",
    "COMPOSE_ENV_FILES",
    "DOCKER_CONTEXT",
];

/// The two generations of Compose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Generation {
    /// 1.x, in Python.
    One,
    /// 2 and later, in Go.
    Two,
}

/// A Compose command line with what every call of it needs.
pub(super) struct Cli {
    /// `docker compose` or `docker-compose`.
    command: &'static [&'static str],
    pub(super) generation: Generation,
    path: Option<OsString>,
    /// The run that it acts for.
    run: String,
    env: Vec<(String, String)>,
    /// Options before the subcommand.
    options: Vec<OsString>,
}

/// What the calls are about.
pub(super) struct Subject<'a> {
    pub(super) run: &'a str,
    pub(super) project: &'a str,
    /// Folder that relative paths of the Compose file start from.
    pub(super) directory: &'a Path,
    pub(super) profiles: &'a [String],
    pub(super) env_file: Option<PathBuf>,
    /// For interpolation, and for reaching the engine.
    pub(super) env: Vec<(String, String)>,
}

impl Cli {
    /// Finds one: the plugin of the `docker` command before a program of its own.
    ///
    /// # Errors
    /// [`StackError::Engine`] if there is none.
    pub(super) async fn find(docker: &DockerEnv, subject: Subject<'_>) -> Result<Self, StackError> {
        let Subject {
            run,
            project,
            directory,
            profiles,
            env_file,
            env,
        } = subject;
        let mut options: Vec<OsString> = vec!["--project-name".into(), project.into()];
        options.extend(["--project-directory".into(), directory.into()]);
        for profile in profiles {
            options.extend(["--profile".into(), profile.into()]);
        }
        if let Some(file) = env_file {
            options.extend(["--env-file".into(), file.into()]);
        }
        let mut cli = Self {
            command: &["docker", "compose"],
            generation: Generation::Two,
            path: docker.path.clone(),
            run: run.to_owned(),
            env,
            options,
        };
        for command in [&["docker", "compose"] as &[&str], &["docker-compose"]] {
            cli.command = command;
            let asked = cli.base().args(["version", "--short"]).output();
            let said = timeout(ANSWERED_WITHIN, asked).await;
            let Some(said) = said
                .ok()
                .and_then(Result::ok)
                .filter(|o| o.status.success())
            else {
                continue;
            };
            cli.generation = generation(&String::from_utf8_lossy(&said.stdout));
            return Ok(cli);
        }
        Err(StackError::Engine {
            engine: "Docker Compose".to_owned(),
            why: "neither `docker compose` nor `docker-compose` can be run".to_owned(),
            advice: "Install Docker's compose plugin (Debian's package `docker-compose` will do)"
                .to_owned(),
        })
    }

    fn base(&self) -> Command {
        let mut command = Command::new(self.command[0]);
        command
            .args(&self.command[1..])
            .stdin(Stdio::null())
            .kill_on_drop(true);
        // A Ctrl-C is for firedrill, which then takes down in order what this call made.
        command.process_group(0);
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        for name in NOT_INHERITED {
            command.env_remove(name);
        }
        command.envs(self.env.iter().map(|(k, v)| (k, v)));
        hand(&mut command, &self.run);
        command
    }

    /// The file with everything resolved, as this generation prints it.
    ///
    /// # Errors
    /// [`StackError::InvalidFile`] with Compose's own words.
    pub(super) async fn config(&self, file: &Path) -> Result<String, StackError> {
        let args: &[&str] = match self.generation {
            Generation::One => &["config"],
            Generation::Two => &["config", "--format", "json"],
        };
        let mut command = self.base();
        command
            .arg("--file")
            .arg(file)
            .args(&self.options)
            .args(args);
        let output = timeout(ANSWERED_WITHIN, command.output()).await;
        let output = output.map_err(|_| self.endless("config", ANSWERED_WITHIN))?;
        let output = output.map_err(|e| self.io(e))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(StackError::InvalidFile {
            file: file.display().to_string(),
            why: words(&output),
        })
    }

    /// Runs a command on a resolved file. It may hold secrets, so it goes through a pipe and never lies on a disk.
    ///
    /// # Errors
    /// [`StackError::NotUp`] with Compose's own words, or if it takes longer than [`DONE_WITHIN`].
    pub(super) async fn run(&self, resolved: &str, args: &[&str]) -> Result<(), StackError> {
        let mut command = self.base();
        command.args(["--file", "-"]).args(&self.options).args(args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| self.io(e))?;
        // `docker compose` is a plugin that the command line starts, and outlives it.
        let group = GroupGuard::of(&child);
        let input = child.stdin.take();
        let feed = async {
            if let Some(mut input) = input {
                input.write_all(resolved.as_bytes()).await?;
            }
            Ok(())
        };
        let both = async { tokio::join!(feed, child.wait_with_output()) };
        // The guard ends what does not end.
        let (fed, output) = timeout(DONE_WITHIN, both)
            .await
            .map_err(|_| self.endless(&args.join(" "), DONE_WITHIN))?;
        group.ended();
        let output = output.map_err(|e| self.io(e))?;
        if output.status.success() {
            return fed.map_err(|e| self.io(e));
        }
        let command = self.command.join(" ");
        Err(StackError::NotUp {
            why: format!("`{command} {}` failed: {}", args.join(" "), words(&output)),
        })
    }

    fn endless(&self, args: &str, within: Duration) -> StackError {
        StackError::Engine {
            engine: "Docker Compose".to_owned(),
            why: format!(
                "`{} {args}` did not end within {} and was killed",
                self.command.join(" "),
                humantime::format_duration(within)
            ),
            advice: "See by `docker info` whether the engine still answers, and pull or build the images beforehand if they take so long"
                .to_owned(),
        }
    }

    fn io(&self, source: std::io::Error) -> StackError {
        StackError::Io {
            path: self.command.join(" "),
            source,
        }
    }
}

fn generation(version: &str) -> Generation {
    match version.trim().trim_start_matches('v').split_once('.') {
        Some(("1", _)) => Generation::One,
        Some(_) | None => Generation::Two,
    }
}

/// What it said last, errors before progress.
fn words(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    let said = if errors.trim().is_empty() {
        String::from_utf8_lossy(&output.stdout)
    } else {
        errors
    };
    tail(&said, TAIL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_command_that_never_ends_is_given_up_and_killed() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let cli = Cli {
            command: &["sh", "-c", "echo $$ > \"$PID_FILE\"; exec sleep 3600"],
            generation: Generation::Two,
            path: None,
            run: "endless".to_owned(),
            env: vec![("PID_FILE".to_owned(), pid.display().to_string())],
            options: Vec::new(),
        };
        let given_up = cli.run("", &["up", "-d"]).await.unwrap_err().to_string();
        assert!(
            given_up.contains("up -d` did not end within 1h"),
            "{given_up}"
        );
        assert!(given_up.contains("docker info"), "{given_up}");
        let given_up = cli.config(Path::new("x.yml")).await.unwrap_err();
        assert!(given_up.to_string().contains("within 1m"), "{given_up}");
    }

    #[test]
    fn generations_are_told_by_their_version() {
        assert_eq!(generation("1.29.2\n"), Generation::One);
        assert_eq!(generation("2.26.1-4\n"), Generation::Two);
        assert_eq!(generation("v2.40.0\n"), Generation::Two);
        assert_eq!(generation("dev"), Generation::Two);
    }
}
