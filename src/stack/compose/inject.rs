//! Making faults: what is read before, and the call.

use std::time::Duration;

use bollard::models::{NetworkDisconnectRequest, RestartPolicyNameEnum};
use bollard::query_parameters::{
    KillContainerOptionsBuilder, RestartContainerOptionsBuilder, StopContainerOptionsBuilder,
};

use super::definition::Change;
use super::engine::Project;
use super::host_kill;
use crate::model::{ComponentId, Injection, KillMode, RunState, Signal, Template, Undo};
use crate::stack::docker::Container;
use crate::stack::{Applied, Resolve, StackContext, StackError};

impl Project {
    /// Reads what puts things back. Changes nothing.
    ///
    /// # Errors
    /// [`StackError`] where the target is not there, or not in a state in which the fault means anything.
    pub(super) async fn prepare(
        &self,
        injection: &Injection,
        context: &StackContext,
    ) -> Result<Undo, StackError> {
        match injection {
            Injection::Kill {
                component, mode, ..
            } => {
                let container = self.alive(component, "kill").await?;
                match mode {
                    KillMode::Held => {}
                    KillMode::RestartPolicy => {
                        revives(&container)?;
                        host_kill::reach(self, &container, host_kill::UNREVIVED)?;
                    }
                }
                self.running(component).await
            }
            Injection::Stop { component, .. } => {
                self.alive(component, "stop").await?;
                self.running(component).await
            }
            Injection::Restart { component, .. } => {
                self.find(component).await?;
                self.running(component).await
            }
            Injection::Pause { component } => {
                let container = self.alive(component, "pause").await?;
                if container.state() == RunState::Paused {
                    return Err(refused("pause", component, "it is paused already"));
                }
                Ok(Undo::Unpaused {
                    component: component.clone(),
                })
            }
            Injection::Disconnect { component, network } => {
                let container = self.find(component).await?;
                self.connection(&container, network.as_deref()).await
            }
            Injection::Partition {
                component, from, ..
            } => {
                self.prepare_partition(component, from.as_deref(), &context.run)
                    .await
            }
            Injection::Exec {
                component, undo, ..
            } => {
                self.alive(component, "exec").await?;
                Ok(undo.clone().map_or(Undo::Nothing, |run| Undo::Exec {
                    component: component.clone(),
                    run,
                }))
            }
            Injection::Scale { service, .. } => self.prepare_scale(service).await,
            Injection::UpdateImage { service, .. }
            | Injection::UpdateEnv { service, .. }
            | Injection::UpdateCommand { service, .. } => self.prepare_update(service).await,
            Injection::Drain { .. }
            | Injection::UpdateFiles { .. }
            | Injection::UpdateAgain { .. } => Err(no_nodes()),
        }
    }

    /// Makes the fault for a run.
    ///
    /// # Errors
    /// The engine's. It may have landed even so.
    pub(super) async fn apply(
        &self,
        injection: &Injection,
        undo: &Undo,
        context: &StackContext,
    ) -> Result<Applied, StackError> {
        let secrets = context.secrets.as_ref();
        match injection {
            Injection::Kill {
                component,
                signal,
                mode,
            } => {
                let container = self.find(component).await?;
                match mode {
                    KillMode::Held => self.kill(&container, *signal).await?,
                    KillMode::RestartPolicy => host_kill::kill(self, &container, *signal)?,
                }
            }
            Injection::Stop { component, grace } => {
                let container = self.find(component).await?;
                self.stop(&container, *grace).await?;
            }
            Injection::Restart { component, grace } => {
                let container = self.find(component).await?;
                self.restart(&container, *grace).await?;
            }
            Injection::Pause { component } => {
                let container = self.find(component).await?;
                let done = self.docker.pause_container(container.handle()).await;
                done.map_err(|e| self.error("pause", component, &e))?;
            }
            Injection::Disconnect { component, network } => {
                let container = self.find(component).await?;
                let network = self.network_of(&container, network.as_deref()).await?;
                let request = NetworkDisconnectRequest {
                    container: container.handle().to_owned(),
                    force: Some(false),
                };
                let done = self.docker.disconnect_network(&network, request).await;
                done.map_err(|e| self.error("disconnect", component, &e))?;
            }
            Injection::Partition {
                component,
                from,
                hold,
            } => {
                self.partition(
                    component,
                    from.as_deref(),
                    *hold,
                    &context.run,
                    &context.firedrill,
                )
                .await?;
            }
            Injection::Exec { component, run, .. } => {
                let container = self.find(component).await?;
                let run = texts(run, secrets, "exec.run")?;
                self.exec(&container, &run, Some(&context.run)).await?;
            }
            Injection::Scale { service, replicas } => return self.scale(service, *replicas).await,
            Injection::UpdateImage { service, image } => {
                let change = Change::Image(text(image, secrets, "update.image")?);
                return self.update(service, &change, undo).await;
            }
            Injection::UpdateEnv { service, env } => {
                let value = |(k, v): (&String, _)| Ok((k.clone(), text(v, secrets, "update.env")?));
                let change = Change::Env(env.iter().map(value).collect::<Result<_, StackError>>()?);
                return self.update(service, &change, undo).await;
            }
            Injection::UpdateCommand { service, command } => {
                let change = Change::Command(texts(command, secrets, "update.command")?);
                return self.update(service, &change, undo).await;
            }
            Injection::Drain { .. }
            | Injection::UpdateFiles { .. }
            | Injection::UpdateAgain { .. } => return Err(no_nodes()),
        }
        Ok(Applied::default())
    }

    /// By the engine, which takes it for the user's wish and leaves the restart policy off until the next start.
    async fn kill(&self, container: &Container, signal: Signal) -> Result<(), StackError> {
        let options = KillContainerOptionsBuilder::default()
            .signal(signal_name(signal))
            .build();
        let done = self
            .docker
            .kill_container(container.handle(), Some(options))
            .await;
        done.map_err(|e| self.error("kill", &container.id, &e))
    }

    pub(super) async fn stop(
        &self,
        container: &Container,
        grace: Duration,
    ) -> Result<(), StackError> {
        let options = StopContainerOptionsBuilder::default()
            .t(seconds(grace))
            .build();
        let call = self.patient(grace);
        let done = call.stop_container(container.handle(), Some(options)).await;
        done.map_err(|e| self.error("stop", &container.id, &e))
    }

    pub(super) async fn restart(
        &self,
        container: &Container,
        grace: Duration,
    ) -> Result<(), StackError> {
        let options = RestartContainerOptionsBuilder::default()
            .t(seconds(grace))
            .build();
        let call = self.patient(grace);
        let done = call
            .restart_container(container.handle(), Some(options))
            .await;
        done.map_err(|e| self.error("restart", &container.id, &e))
    }

    async fn running(&self, component: &ComponentId) -> Result<Undo, StackError> {
        Ok(Undo::Running {
            component: component.clone(),
            since_ns: Some(self.engine_ns().await?),
        })
    }

    /// A component that runs, frozen or not.
    pub(super) async fn alive(
        &self,
        id: &ComponentId,
        call: &str,
    ) -> Result<Container, StackError> {
        let container = self.find(id).await?;
        match container.state() {
            RunState::Running | RunState::Paused => Ok(container),
            RunState::Restarting | RunState::Exited => Err(refused(call, id, "it does not run")),
        }
    }
}

fn no_nodes() -> StackError {
    StackError::Unsupported {
        action: "this fault".to_owned(),
        platform: "a Compose stack".to_owned(),
        why: "it is no cluster".to_owned(),
    }
}

fn refused(call: &str, component: &ComponentId, why: &str) -> StackError {
    StackError::Call {
        call: call.to_owned(),
        component: component.to_string(),
        why: why.to_owned(),
    }
}

fn text(template: &Template, secrets: &dyn Resolve, place: &str) -> Result<String, StackError> {
    secrets
        .resolve(template)
        .map_err(|source| StackError::Template {
            place: place.to_owned(),
            source,
        })
}

/// Several templates' texts.
pub(super) fn texts(
    templates: &[Template],
    secrets: &dyn Resolve,
    place: &str,
) -> Result<Vec<String>, StackError> {
    templates.iter().map(|t| text(t, secrets, place)).collect()
}

/// A drill of the restart policy needs one.
fn revives(container: &Container) -> Result<(), StackError> {
    let host_config = container.inspect.host_config.as_ref();
    let policy = host_config
        .and_then(|h| h.restart_policy.as_ref())
        .and_then(|p| p.name);
    match policy.unwrap_or(RestartPolicyNameEnum::NO) {
        RestartPolicyNameEnum::ALWAYS
        | RestartPolicyNameEnum::UNLESS_STOPPED
        | RestartPolicyNameEnum::ON_FAILURE => Ok(()),
        RestartPolicyNameEnum::EMPTY | RestartPolicyNameEnum::NO => Err(StackError::Unsupported {
            action: "a kill without `hold`".to_owned(),
            platform: container.id.to_string(),
            why: "nothing starts it again: its service has no `restart` policy; give the step a `hold`, or the \
                  service a policy"
                .to_owned(),
        }),
    }
}

/// Whole seconds, as the engine takes them; a part of one counts as one.
fn seconds(time: Duration) -> i32 {
    i32::try_from(time.as_millis().div_ceil(1000)).unwrap_or(i32::MAX)
}

fn signal_name(signal: Signal) -> &'static str {
    match signal {
        Signal::SigKill => "SIGKILL",
        Signal::SigTerm => "SIGTERM",
        Signal::SigInt => "SIGINT",
        Signal::SigQuit => "SIGQUIT",
        Signal::SigHup => "SIGHUP",
        Signal::SigAbrt => "SIGABRT",
        Signal::SigUsr1 => "SIGUSR1",
        Signal::SigUsr2 => "SIGUSR2",
    }
}
