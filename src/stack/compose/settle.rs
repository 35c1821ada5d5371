//! One container's start and end, each awaited.

use std::time::Duration;

use bollard::query_parameters::StartContainerOptions;
use tokio::time::Instant;

use super::engine::Project;
use crate::model::{ComponentId, Health, RunState};
use crate::stack::StackError;
use crate::stack::docker::Container;

/// Between two looks.
const POLL: Duration = Duration::from_millis(200);
/// How long a container without a health check must have run to count as up: one that ends at once runs too, for a moment.
pub(super) const UNCHECKED: Duration = Duration::from_secs(2);
/// The longest that any container may take to become healthy.
const CAP: Duration = Duration::from_secs(120);
/// On top of the time that its health check takes to give up.
const MARGIN: Duration = Duration::from_secs(5);
/// The engine's own grace for a stop.
const DEFAULT_GRACE: u64 = 10;

impl Project {
    pub(super) async fn start(&self, id: &ComponentId, handle: &str) -> Result<(), StackError> {
        let done = self
            .docker
            .start_container(handle, None::<StartContainerOptions>)
            .await;
        done.map_err(|e| self.error("start", id, &e))
    }

    /// Starts a new container and waits until it is healthy.
    ///
    /// # Errors
    /// As [`Project::settle`].
    pub(super) async fn start_and_settle(
        &self,
        id: &ComponentId,
        handle: &str,
    ) -> Result<(), StackError> {
        self.start(id, handle).await?;
        self.settle(id, handle, 0).await
    }

    /// Waits until a container is healthy, or has run for a while where it has no health check. `restarts` is how often
    /// it had been restarted before.
    ///
    /// # Errors
    /// [`StackError::Call`] with the end of its log once it is unhealthy, has ended, or took too long.
    pub(super) async fn settle(
        &self,
        id: &ComponentId,
        handle: &str,
        restarts: i64,
    ) -> Result<(), StackError> {
        let begun = Instant::now();
        loop {
            let Some(now) = self.inspect(id.clone(), handle.to_owned()).await? else {
                return Err(did_not_come_up(id, "someone removed it"));
            };
            let patience = patience(&now);
            let restarted = now.inspect.restart_count.unwrap_or(0) > restarts;
            let why = match (now.state(), now.health()) {
                (RunState::Restarting | RunState::Exited, _) => {
                    format!("it ended with {}", now.exit_code())
                }
                _ if restarted => "it ended and was restarted".to_owned(),
                (RunState::Running, Health::Healthy) => return Ok(()),
                (RunState::Running, Health::Unchecked) if begun.elapsed() >= UNCHECKED => {
                    return Ok(());
                }
                (RunState::Running, Health::Unhealthy) => "it is unhealthy".to_owned(),
                (RunState::Running, Health::Starting | Health::Unchecked)
                | (RunState::Paused, _)
                    if begun.elapsed() < patience =>
                {
                    tokio::time::sleep(POLL).await;
                    continue;
                }
                (RunState::Running, Health::Starting | Health::Unchecked)
                | (RunState::Paused, _) => {
                    format!(
                        "it was not healthy within {}",
                        humantime::format_duration(patience)
                    )
                }
            };
            let log = self.last_words(&now).await;
            return Err(did_not_come_up(id, &format!("{why}{log}")));
        }
    }

    /// Ends a container within the grace of its own definition, and removes it.
    ///
    /// # Errors
    /// The engine's.
    pub(super) async fn remove_gracefully(&self, container: &Container) -> Result<(), StackError> {
        let grace_s = i32::try_from(grace(container).as_secs()).unwrap_or(i32::MAX);
        self.remove_container(container.handle().to_owned(), grace_s)
            .await
    }
}

fn did_not_come_up(id: &ComponentId, why: &str) -> StackError {
    StackError::GivenUp {
        call: "replace".to_owned(),
        component: id.to_string(),
        why: format!("the replica did not come up: {why}"),
    }
}

/// What the container's own definition gives it to stop in.
pub(super) fn grace(container: &Container) -> Duration {
    let own = container
        .inspect
        .config
        .as_ref()
        .and_then(|c| c.stop_timeout);
    Duration::from_secs(
        own.and_then(|s| u64::try_from(s).ok())
            .unwrap_or(DEFAULT_GRACE),
    )
}

/// As long as its health check can take to call it unhealthy. The engine's defaults: 30 s, 30 s, 3 times.
fn patience(container: &Container) -> Duration {
    let check = container
        .inspect
        .config
        .as_ref()
        .and_then(|c| c.healthcheck.clone())
        .unwrap_or_default();
    let or = |ns: Option<i64>, default: Duration| match ns.and_then(|n| u64::try_from(n).ok()) {
        None | Some(0) => default,
        Some(ns) => Duration::from_nanos(ns),
    };
    let once =
        or(check.interval, Duration::from_secs(30)) + or(check.timeout, Duration::from_secs(30));
    let retries = check
        .retries
        .and_then(|r| u32::try_from(r).ok())
        .filter(|r| *r > 0)
        .unwrap_or(3);
    (or(check.start_period, Duration::ZERO) + once * retries + MARGIN).min(CAP)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(config: serde_json::Value) -> Container {
        Container {
            id: ComponentId::new("web", 1),
            inspect: serde_json::from_value(serde_json::json!({ "Config": config })).unwrap(),
        }
    }

    #[test]
    fn patience_is_what_the_health_check_takes_to_give_up() {
        let second = 1_000_000_000_i64;
        let quick = serde_json::json!({ "Healthcheck": {
            "Interval": second, "Timeout": 2 * second, "Retries": 2, "StartPeriod": 10 * second } });
        assert_eq!(
            patience(&container(quick)),
            Duration::from_secs(10 + 2 * 3 + 5)
        );
        assert_eq!(patience(&container(serde_json::json!({}))), CAP);
        assert_eq!(
            grace(&container(serde_json::json!({ "StopTimeout": 3 }))),
            Duration::from_secs(3)
        );
        assert_eq!(
            grace(&container(serde_json::json!({}))),
            Duration::from_secs(10)
        );
    }
}
