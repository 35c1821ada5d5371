//! Putting things back, and reading back whether they are. Both start from the state found: a paused container that
//! was killed is not paused any more.

use super::engine::Project;
use super::events::Signals;
use super::inject::texts;
use super::networks::Connection;
use super::settle::grace;
use crate::model::{ComponentId, Health, RunState, Undo};
use crate::stack::docker::Container;
use crate::stack::{Resolve, StackError, Verified};

impl Project {
    /// Does what is missing of the state that `undo` describes.
    ///
    /// # Errors
    /// The engine's; [`StackError::Unsupported`] for what is not the stack's to undo.
    pub(super) async fn undo(&self, undo: &Undo, secrets: &dyn Resolve) -> Result<(), StackError> {
        match undo {
            Undo::Down => self.down().await,
            Undo::Running {
                component,
                since_ns,
            } => {
                let container = self.find(component).await?;
                self.set_running(&container, *since_ns).await
            }
            Undo::Unpaused { component } => {
                let container = self.find(component).await?;
                self.set_running(&container, None).await
            }
            Undo::Connected {
                component,
                network,
                aliases,
                address,
                fixed,
            } => {
                self.connect(&Connection {
                    component,
                    network,
                    aliases,
                    address: *address,
                    fixed: *fixed,
                })
                .await
            }
            Undo::Reachable { component, chain } => self.reach_again(component, chain).await,
            Undo::Replicas { service, indexes } => self.restore_replicas(service, indexes).await,
            Undo::Definition {
                service,
                indexes,
                env,
                ..
            } => self.restore_definition(service, indexes, env).await,
            Undo::Exec { component, run } => {
                let run = texts(run, secrets, "exec.undo")?;
                let container = self.find(component).await?;
                self.exec(&container, &run, None).await
            }
            Undo::Available { .. } => Err(not_ours("a node's availability")),
            Undo::Count { .. } => Err(not_ours("a number of tasks")),
            Undo::Http { .. } => Err(not_ours("an HTTP call")),
            Undo::Command { .. } => Err(not_ours("a command of the user's own")),
            Undo::Nothing => Ok(()),
        }
    }

    /// Whether the state that `undo` describes holds. What an [`Undo::Exec`] leaves cannot be read back.
    ///
    /// # Errors
    /// The engine's.
    pub(super) async fn verify(&self, undo: &Undo) -> Result<Verified, StackError> {
        match undo {
            Undo::Down => {
                let left = self.left().await?;
                Ok(if left.is_empty() {
                    Verified::Holds
                } else {
                    Verified::Not(format!("left: {}", left.join(", ")))
                })
            }
            // What was frozen ran before: had it ended meanwhile, only running again makes it what it was.
            Undo::Running {
                component,
                since_ns,
            } => self.runs(component, *since_ns).await,
            Undo::Unpaused { component } => self.runs(component, None).await,
            Undo::Connected {
                component,
                network,
                aliases,
                address,
                fixed,
            } => {
                self.connected(&Connection {
                    component,
                    network,
                    aliases,
                    address: *address,
                    fixed: *fixed,
                })
                .await
            }
            Undo::Reachable { component, chain } => self.reachable(component, chain).await,
            Undo::Replicas { service, indexes } => self.has_replicas(service, indexes).await,
            Undo::Definition {
                service,
                indexes,
                env,
                ..
            } => self.has_definition(service, indexes, env).await,
            Undo::Exec { .. } | Undo::Nothing => Ok(Verified::Holds),
            Undo::Available { .. } => Err(not_ours("a node's availability")),
            Undo::Count { .. } => Err(not_ours("a number of tasks")),
            Undo::Http { .. } => Err(not_ours("an HTTP call")),
            Undo::Command { .. } => Err(not_ours("a command of the user's own")),
        }
    }

    /// Running, and passing its health check where it has one.
    async fn runs(
        &self,
        component: &ComponentId,
        since_ns: Option<i64>,
    ) -> Result<Verified, StackError> {
        let container = self.find(component).await?;
        let seen = match container.state() {
            RunState::Running => match self.signals(&container, since_ns).await? {
                Signals::Sent => "running, but was sent a signal",
                Signals::Forgotten => {
                    "running as before, and the engine does not know any more whether it was sent a signal"
                }
                Signals::None => match container.health() {
                    Health::Unchecked | Health::Healthy => return Ok(Verified::Holds),
                    Health::Starting => "still to pass its health check",
                    Health::Unhealthy => "unhealthy",
                },
            },
            RunState::Paused => "paused",
            RunState::Restarting => "restarting",
            RunState::Exited => "not running",
        };
        Ok(Verified::Not(format!("{component} is {seen}")))
    }

    pub(super) async fn set_running(
        &self,
        container: &Container,
        since_ns: Option<i64>,
    ) -> Result<(), StackError> {
        match container.state() {
            RunState::Restarting => Ok(()),
            RunState::Exited => self.start(&container.id, container.handle()).await,
            RunState::Running => self.outlive_signals(container, since_ns).await,
            RunState::Paused => {
                let done = self.docker.unpause_container(container.handle()).await;
                done.map_err(|e| self.error("unpause", &container.id, &e))?;
                self.outlive_signals(container, since_ns).await
            }
        }
    }

    /// A container that runs may be about to end: it was signalled, and takes its time. Nobody would start it again
    /// then, for the signal has switched its restart policy off. Only a new start makes it what it was.
    async fn outlive_signals(
        &self,
        container: &Container,
        since_ns: Option<i64>,
    ) -> Result<(), StackError> {
        match self.signals(container, since_ns).await? {
            Signals::None => Ok(()),
            Signals::Sent | Signals::Forgotten => self.restart(container, grace(container)).await,
        }
    }
}

fn not_ours(what: &str) -> StackError {
    StackError::Unsupported {
        action: format!("the undo of {what}"),
        platform: "a Compose stack".to_owned(),
        why: "it is not made on the stack".to_owned(),
    }
}
