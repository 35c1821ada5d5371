//! Making faults: what is read before, and the call.

use bollard::query_parameters::KillContainerOptionsBuilder;
use tokio::time::timeout;

use super::engines::words;
use super::tasks::TaskContainer;
use super::update::Change;
use super::{Part, SwarmStack};
use crate::model::{ComponentId, Injection, KillMode, RunState, Template, Undo};
use crate::stack::docker::{INSIDE_WITHIN, run_inside};
use crate::stack::{Applied, Resolve, Stack, StackError};

impl SwarmStack {
    /// Reads what puts things back. Changes nothing.
    ///
    /// # Errors
    /// [`StackError`] where the target is not there, or not in a state in which the fault means anything.
    pub(super) async fn prepare_for(&self, injection: &Injection) -> Result<Undo, StackError> {
        if let Injection::Drain { component } = injection {
            return self.prepare_drain(component).await;
        }
        let service = injection.component().map(|c| c.service.as_str());
        let service = service.or(injection.service()).unwrap_or_default();
        match (self.part(service), injection.component()) {
            (Part::Outside(outside), _) => outside.prepare(injection).await,
            (Part::Node, Some(node)) => {
                self.machines("to break a machine")?
                    .prepare(injection, node)
                    .await
            }
            (Part::Node, None) => Err(unsupported(injection, "a node is no service")),
            (Part::Service, _) => self.prepare_on_service(injection).await,
        }
    }

    async fn prepare_on_service(&self, injection: &Injection) -> Result<Undo, StackError> {
        match injection {
            Injection::Kill {
                component, mode, ..
            } => {
                match mode {
                    KillMode::RestartPolicy => {}
                    KillMode::Held => {
                        return Err(unsupported(
                            injection,
                            "the cluster puts another task in its place at once; leave `hold` out",
                        ));
                    }
                }
                self.alive(component, "kill").await?;
                Ok(Undo::Running {
                    component: component.clone(),
                    since_ns: None,
                })
            }
            Injection::Pause { component } => {
                self.alive(component, "pause").await?;
                Ok(Undo::Unpaused {
                    component: component.clone(),
                })
            }
            Injection::Scale { service, .. } => {
                let replicas = self.replicas_of(service).await?;
                Ok(Undo::Count {
                    service: service.clone(),
                    replicas,
                })
            }
            Injection::UpdateImage { service, .. }
            | Injection::UpdateEnv { service, .. }
            | Injection::UpdateCommand { service, .. }
            | Injection::UpdateAgain { service } => self.keep_definition(service).await,
            Injection::UpdateFiles { service, .. } => self.keep_all_definitions(service).await,
            Injection::Exec {
                component, undo, ..
            } => {
                self.alive(component, "exec").await?;
                Ok(undo.clone().map_or(Undo::Nothing, |run| Undo::Exec {
                    component: component.clone(),
                    run,
                }))
            }
            Injection::Stop { .. }
            | Injection::Restart { .. }
            | Injection::Disconnect { .. }
            | Injection::Partition { .. }
            | Injection::Drain { .. } => Err(unsupported(injection, "it is not done to a task")),
        }
    }

    async fn prepare_drain(&self, component: &ComponentId) -> Result<Undo, StackError> {
        let node = self.node(component).await?;
        let availability = node.availability();
        if availability != "active" {
            return Err(StackError::Call {
                call: "drain".to_owned(),
                component: component.to_string(),
                why: format!("its availability is `{availability}` already"),
            });
        }
        Ok(Undo::Available {
            component: component.clone(),
            node: node.id,
            availability,
        })
    }

    /// Makes the fault.
    ///
    /// # Errors
    /// The engines'. It may have landed even so.
    pub(super) async fn inject(
        &self,
        injection: &Injection,
        undo: &Undo,
    ) -> Result<Applied, StackError> {
        if let Injection::Drain { component } = injection {
            // The one whose undo is written down, whoever else goes by that name now.
            let Undo::Available { node, .. } = undo else {
                return Err(unsupported(
                    injection,
                    "its undo names no node of the cluster",
                ));
            };
            if self.node(component).await?.id != *node {
                return Err(unsupported(injection, "another node goes by that name now"));
            }
            self.make_available(node, "drain").await?;
            return Ok(Applied::default());
        }
        let service = injection.component().map(|c| c.service.as_str());
        let service = service.or(injection.service()).unwrap_or_default();
        match (self.part(service), injection.component()) {
            (Part::Outside(outside), _) => outside.apply(injection, undo).await,
            (Part::Node, Some(node)) => {
                if matches!(
                    injection,
                    Injection::Disconnect { .. } | Injection::Partition { .. }
                ) {
                    self.cut_off(node);
                }
                let machines = self.machines("to break a machine")?;
                machines.apply(injection, undo, node).await
            }
            (Part::Node, None) => Err(unsupported(injection, "a node is no service")),
            (Part::Service, _) => self.inject_on_service(injection).await,
        }
    }

    async fn inject_on_service(&self, injection: &Injection) -> Result<Applied, StackError> {
        let secrets = self.context.secrets.as_ref();
        match injection {
            Injection::Kill {
                component, signal, ..
            } => {
                let task = self.task(component).await?;
                let name = format!("{signal:?}").to_uppercase();
                let options = KillContainerOptionsBuilder::default().signal(&name).build();
                let done = task
                    .docker
                    .kill_container(task.container.handle(), Some(options))
                    .await;
                done.map_err(|e| failed("kill", component, words(&e)))?;
            }
            Injection::Pause { component } => {
                let task = self.task(component).await?;
                let done = task.docker.pause_container(task.container.handle()).await;
                done.map_err(|e| failed("pause", component, words(&e)))?;
            }
            Injection::Scale { service, replicas } => {
                return self.scale(service, *replicas).await;
            }
            Injection::UpdateImage { service, image } => {
                let change = Change::Image(text(image, secrets, "update.image")?);
                return self.update(service, &change).await;
            }
            Injection::UpdateEnv { service, env } => {
                let value = |(k, v): (&String, _)| Ok((k.clone(), text(v, secrets, "update.env")?));
                let change = Change::Env(env.iter().map(value).collect::<Result<_, StackError>>()?);
                return self.update(service, &change).await;
            }
            Injection::UpdateCommand { service, command } => {
                let words = command.iter().map(|w| text(w, secrets, "update.command"));
                let change = Change::Command(words.collect::<Result<_, StackError>>()?);
                return self.update(service, &change).await;
            }
            Injection::UpdateAgain { service } => {
                return self.update(service, &Change::Nothing).await;
            }
            Injection::UpdateFiles { service, files } => {
                return self.redeploy(service, files).await;
            }
            Injection::Exec { component, run, .. } => {
                let run = run.iter().map(|w| text(w, secrets, "exec.run"));
                let run: Vec<String> = run.collect::<Result<_, StackError>>()?;
                self.exec(component, &run, Some(&self.context.run)).await?;
            }
            Injection::Stop { .. }
            | Injection::Restart { .. }
            | Injection::Disconnect { .. }
            | Injection::Partition { .. }
            | Injection::Drain { .. } => {
                return Err(unsupported(injection, "it is not done to a task"));
            }
        }
        Ok(Applied::default())
    }

    /// Runs a command inside a task to its end.
    ///
    /// # Errors
    /// [`StackError::Call`] where it cannot be run, or ends with anything but 0.
    pub(super) async fn exec(
        &self,
        id: &ComponentId,
        run: &[String],
        acts_for: Option<&str>,
    ) -> Result<(), StackError> {
        let call = format!("exec `{}`", run.join(" "));
        let task = self.task(id).await?;
        let inside = run_inside(&task.docker, &task.container, run, acts_for);
        match timeout(INSIDE_WITHIN, inside).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(why))) => Err(failed(&call, id, why)),
            Ok(Err(e)) => Err(failed(&call, id, words(&e))),
            Err(_) => Err(failed(
                &call,
                id,
                format!("it did not end within {INSIDE_WITHIN:?}, and may still run"),
            )),
        }
    }

    /// A task whose container runs.
    async fn alive(&self, id: &ComponentId, call: &str) -> Result<TaskContainer, StackError> {
        self.machines(call)?;
        let task = self.task(id).await?;
        match task.container.state() {
            RunState::Running => Ok(task),
            RunState::Paused => Err(failed(call, id, "it is paused already".to_owned())),
            RunState::Restarting | RunState::Exited => {
                Err(failed(call, id, "it does not run".to_owned()))
            }
        }
    }
}

fn failed(call: &str, component: &ComponentId, why: String) -> StackError {
    StackError::Call {
        call: call.to_owned(),
        component: component.to_string(),
        why,
    }
}

fn unsupported(injection: &Injection, why: &str) -> StackError {
    let component = injection.component().map(ToString::to_string);
    let on = component.or_else(|| injection.service().map(str::to_owned));
    StackError::Unsupported {
        action: "this fault".to_owned(),
        platform: on.unwrap_or_default(),
        why: why.to_owned(),
    }
}

pub(super) fn text(
    template: &Template,
    secrets: &dyn Resolve,
    place: &str,
) -> Result<String, StackError> {
    secrets
        .resolve(template)
        .map_err(|source| StackError::Template {
            place: place.to_owned(),
            source,
        })
}
