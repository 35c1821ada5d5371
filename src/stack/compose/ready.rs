//! Waiting until everything that was started is up, by health checks and by the user's own question.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::RestartPolicyNameEnum;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt;
use tokio::time::Instant;

use super::engine::Project;
use super::settle::UNCHECKED;
use crate::model::{Health, RunState};
use crate::stack::StackError;
use crate::stack::docker::Container;
use crate::stack::docker::text;

/// Patience where the scenario sets none.
pub(super) const DEFAULT_WITHIN: Duration = Duration::from_secs(180);

/// Between two looks.
const POLL: Duration = Duration::from_millis(200);

/// Lines that an error repeats of a container's log.
const LINES: &str = "15";

/// How far a container has come.
enum Stage {
    Up,
    /// It runs, and nothing but time tells whether it goes on.
    Runs,
    /// It ended with 0 and is not to be started again: a migration, say.
    Done,
    /// Not there yet: what was seen.
    Coming(String),
    /// It will not come.
    Failed(String),
}

impl Project {
    /// Waits until every container with a health check passes it and the others have run for a while.
    ///
    /// # Errors
    /// [`StackError::NotUp`] as soon as one ended for good, [`StackError::NotReady`] at the deadline, both with the
    /// last lines of its log.
    pub(super) async fn wait_until_up(
        &self,
        within: Duration,
        deadline: Instant,
    ) -> Result<(), StackError> {
        let mut running: HashMap<(String, Option<i64>), Instant> = HashMap::new();
        loop {
            let containers = self.current().await?;
            let now = Instant::now();
            if containers.is_empty() {
                return Err(StackError::NotUp {
                    why: "the project has no containers".to_owned(),
                });
            }
            let mut coming = None;
            for container in &containers {
                match stage(container) {
                    Stage::Up | Stage::Done => {}
                    Stage::Runs => {
                        let life = (
                            container.handle().to_owned(),
                            container.component().started_ns,
                        );
                        let since = *running.entry(life).or_insert(now);
                        if now.duration_since(since) < UNCHECKED {
                            let seen = "it has only just started".to_owned();
                            coming = coming.or(Some((container, seen)));
                        }
                    }
                    Stage::Coming(seen) => coming = coming.or(Some((container, seen))),
                    Stage::Failed(why) => {
                        let log = self.last_words(container).await;
                        return Err(StackError::NotUp {
                            why: format!("{} {why}{log}", container.id),
                        });
                    }
                }
            }
            let Some((container, seen)) = coming else {
                return Ok(());
            };
            if now >= deadline {
                let log = self.last_words(container).await;
                return Err(StackError::NotReady {
                    what: container.id.to_string(),
                    within: humantime::format_duration(within).to_string(),
                    last: format!("{seen}{log}"),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The end of a container's log, for an error; says so where it cannot be had.
    pub(super) async fn last_words(&self, container: &Container) -> String {
        let options = LogsOptionsBuilder::default()
            .stdout(true)
            .stderr(true)
            .tail(LINES)
            .build();
        let mut log = Box::pin(self.docker.logs(container.handle(), Some(options)));
        let mut lines = String::new();
        while let Some(chunk) = log.next().await {
            match chunk {
                Ok(output) => lines.push_str(&text(&output)),
                Err(e) => return format!("; its log cannot be read: {e}"),
            }
        }
        match lines.trim() {
            "" => "; its log is empty".to_owned(),
            lines => format!("; its log ends:\n{lines}"),
        }
    }
}

fn stage(container: &Container) -> Stage {
    match (container.state(), container.health()) {
        (RunState::Running, Health::Healthy) => Stage::Up,
        (RunState::Running, Health::Unchecked) => Stage::Runs,
        (RunState::Running, Health::Starting) => {
            Stage::Coming("its health check has not passed yet".to_owned())
        }
        (RunState::Running, Health::Unhealthy) => Stage::Coming("it is unhealthy".to_owned()),
        (RunState::Paused, _) => Stage::Coming("it is paused".to_owned()),
        (RunState::Restarting, _) => Stage::Coming(format!(
            "it ended with {} and restarts",
            container.exit_code()
        )),
        (RunState::Exited, _) => {
            let code = container.exit_code();
            let host_config = container.inspect.host_config.as_ref();
            let policy = host_config
                .and_then(|h| h.restart_policy.as_ref())
                .and_then(|p| p.name);
            let never_started = container.component().started_ns.is_none();
            match policy.unwrap_or(RestartPolicyNameEnum::NO) {
                _ if never_started => Stage::Coming("it was not started yet".to_owned()),
                RestartPolicyNameEnum::EMPTY | RestartPolicyNameEnum::NO if code != 0 => {
                    Stage::Failed(format!("ended with {code}"))
                }
                RestartPolicyNameEnum::EMPTY | RestartPolicyNameEnum::NO => Stage::Done,
                RestartPolicyNameEnum::ON_FAILURE if code == 0 => Stage::Done,
                RestartPolicyNameEnum::ON_FAILURE
                | RestartPolicyNameEnum::ALWAYS
                | RestartPolicyNameEnum::UNLESS_STOPPED => {
                    Stage::Coming(format!("it ended with {code}"))
                }
            }
        }
    }
}
