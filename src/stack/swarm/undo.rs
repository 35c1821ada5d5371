//! Putting things back, and reading back whether they are: from the state found, by the engines' and the managers' word.

use std::collections::BTreeSet;

use bollard::models::LocalNodeState;

use super::engines::words;
use super::inject::text;
use super::{Part, SwarmStack};
use crate::model::{ComponentId, RunState, Undo};
use crate::stack::docker::status;
use crate::stack::{Resolve, Stack, StackError, Verified};

impl SwarmStack {
    /// Does what is missing of the state that `undo` describes.
    ///
    /// # Errors
    /// The engines'; [`StackError::Unsupported`] for what is not the stack's to undo.
    pub(super) async fn mend(&self, undo: &Undo, secrets: &dyn Resolve) -> Result<(), StackError> {
        if let (Some(component), false) = (undo.component(), matches!(undo, Undo::Available { .. }))
        {
            match self.part(&component.service) {
                Part::Outside(outside) => return outside.undo(undo, secrets).await,
                Part::Node => {
                    let machines = self.machines("to mend a machine")?;
                    return machines.undo(undo, component, secrets).await;
                }
                Part::Service => {}
            }
        }
        match undo {
            Undo::Down => self.take_down().await,
            Undo::Nothing => Ok(()),
            Undo::Available {
                node, availability, ..
            } => self.make_available_again(node, availability).await,
            Undo::Unpaused { component } => self.thaw(component).await,
            Undo::Running { component, .. } => self.end_the_told(component).await,
            Undo::Count { service, replicas } => self.scale(service, *replicas).await.map(|_| ()),
            Undo::Replicas { service, .. } => match self.part(service) {
                Part::Outside(outside) => outside.undo(undo, secrets).await,
                Part::Node | Part::Service => Err(not_ours(undo)),
            },
            Undo::Definition { service, env, .. } => match self.part(service) {
                Part::Outside(outside) => outside.undo(undo, secrets).await,
                Part::Node | Part::Service => self.restore_definitions(service, env).await,
            },
            Undo::Exec { component, run } => {
                let run = run.iter().map(|w| text(w, secrets, "exec.undo"));
                let run: Vec<String> = run.collect::<Result<_, StackError>>()?;
                match self.exec(component, &run, None).await {
                    // What was changed in it went with it.
                    Err(_) if matches!(self.has_let_go(component).await, Ok(true)) => Ok(()),
                    done => done,
                }
            }
            Undo::Connected { .. }
            | Undo::Reachable { .. }
            | Undo::Http { .. }
            | Undo::Command { .. } => Err(not_ours(undo)),
        }
    }

    /// Whether the state that `undo` describes holds.
    ///
    /// # Errors
    /// The engines'.
    pub(super) async fn mended(&self, undo: &Undo) -> Result<Verified, StackError> {
        if let (Some(component), false) = (undo.component(), matches!(undo, Undo::Available { .. }))
        {
            match self.part(&component.service) {
                Part::Outside(outside) => return outside.verify(undo).await,
                Part::Node => return self.node_mended(undo, component).await,
                Part::Service => {}
            }
        }
        match undo {
            Undo::Down => {
                let left = self.owned().await?;
                let left: Vec<String> = left
                    .iter()
                    .map(|t| format!("{} {}", t.kind, t.name))
                    .collect();
                Ok(if left.is_empty() {
                    Verified::Holds
                } else {
                    Verified::Not(format!("left: {}", left.join(", ")))
                })
            }
            Undo::Nothing | Undo::Exec { .. } => Ok(Verified::Holds),
            Undo::Available {
                component,
                node,
                availability,
            } => {
                let all = self.nodes().await?;
                Ok(match super::tasks::node_of(&all, node) {
                    Some(node) if node.availability() == *availability => Verified::Holds,
                    Some(node) => {
                        Verified::Not(format!("{component} is `{}`", node.availability()))
                    }
                    None => {
                        Verified::Not(format!("{component} is no node of the cluster any more"))
                    }
                })
            }
            Undo::Running { component, .. } => self.runs(component).await,
            Undo::Unpaused { component } => {
                // The cluster may have put another in its place, on another machine.
                if let Some(unasked) = self.unasked().await?.first() {
                    return Ok(Verified::Not(format!(
                        "{unasked} does not say whether a task of {component} is frozen there"
                    )));
                }
                self.runs(component).await
            }
            Undo::Count { service, replicas } => self.has_replicas(service, *replicas).await,
            Undo::Replicas { service, .. } => match self.part(service) {
                Part::Outside(outside) => outside.verify(undo).await,
                Part::Node | Part::Service => Err(not_ours(undo)),
            },
            Undo::Definition { service, env, .. } => match self.part(service) {
                Part::Outside(outside) => outside.verify(undo).await,
                Part::Node | Part::Service => self.are_restored(service, env).await,
            },
            Undo::Connected { .. }
            | Undo::Reachable { .. }
            | Undo::Http { .. }
            | Undo::Command { .. } => Err(not_ours(undo)),
        }
    }

    /// The machine is as before by its engine, takes part by its own, and is ready by the managers'.
    async fn node_mended(&self, undo: &Undo, id: &ComponentId) -> Result<Verified, StackError> {
        let machines = self.machines("to mend a machine")?;
        if let not @ Verified::Not(_) = machines.verify(undo, id).await? {
            return Ok(not);
        }
        let machine = machines.find(id).await?;
        let Some(endpoint) = machine.engine() else {
            return Ok(Verified::Not(format!("{id} does not run")));
        };
        let docker = self.engines.reach(&endpoint).await?;
        let info = docker.info().await.map_err(|e| StackError::Call {
            call: "ask for its Swarm".to_owned(),
            component: id.to_string(),
            why: words(&e),
        })?;
        let state = info.swarm.and_then(|s| s.local_node_state);
        if state != Some(LocalNodeState::ACTIVE) {
            return Ok(Verified::Not(format!(
                "{id} does not take part in the Swarm yet"
            )));
        }
        let node = self.node(id).await?;
        if !node.said().ready {
            return Ok(Verified::Not(format!("{id} is not ready by the managers")));
        }
        self.joined_up(id);
        Ok(Verified::Holds)
    }

    async fn make_available_again(&self, node: &str, availability: &str) -> Result<(), StackError> {
        let all = self.nodes().await?;
        let Some(node) = super::tasks::node_of(&all, node) else {
            return Err(StackError::Unknown {
                name: format!("node {node}"),
                has: all
                    .iter()
                    .map(|n| n.node.to_string())
                    .collect::<Vec<_>>()
                    .join(", "),
            });
        };
        if node.availability() == availability {
            return Ok(());
        }
        self.make_available(&node.id, availability).await
    }

    /// Thaws whatever of a slot is frozen; one that died frozen has been replaced.
    async fn thaw(&self, id: &ComponentId) -> Result<(), StackError> {
        let all = self.task_containers().await?;
        let frozen = |t: &&super::tasks::TaskContainer| {
            t.container.id == *id && t.container.state() == RunState::Paused
        };
        for task in all.iter().filter(frozen) {
            let done = task.docker.unpause_container(task.container.handle()).await;
            done.map_err(|e| StackError::Call {
                call: "unpause".to_owned(),
                component: id.to_string(),
                why: words(&e),
            })?;
        }
        Ok(())
    }

    /// Ends a task that was sent a signal and still runs, so that the cluster puts another in its place; for what has
    /// ended it has done so, or will.
    async fn end_the_told(&self, id: &ComponentId) -> Result<(), StackError> {
        for task in self.task_containers().await? {
            if task.container.id != *id || !task.was_told_to_end().await? {
                continue;
            }
            let done = task
                .docker
                .kill_container(task.container.handle(), None)
                .await;
            // It may end by itself meanwhile.
            if let Err(e) = done
                && !matches!(status(&e), Some(404 | 409))
            {
                return Err(StackError::Call {
                    call: "kill".to_owned(),
                    component: id.to_string(),
                    why: words(&e),
                });
            }
        }
        Ok(())
    }

    /// Whether a task of the slot runs and passes its health check, and none of it is frozen. A slot that the managers have
    /// given up (the service shrank) is to run nothing.
    async fn runs(&self, id: &ComponentId) -> Result<Verified, StackError> {
        let all = self.task_containers().await?;
        let of: Vec<_> = all.iter().filter(|t| t.container.id == *id).collect();
        if of.iter().any(|t| t.container.state() == RunState::Paused) {
            return Ok(Verified::Not(format!("{id} is paused")));
        }
        for task in &of {
            if task.was_told_to_end().await? {
                return Ok(Verified::Not(format!(
                    "a task of {id} runs that was sent a signal"
                )));
            }
        }
        if of.iter().any(|t| t.container.is_up()) {
            return Ok(Verified::Holds);
        }
        let ended = of.iter().all(|t| t.container.state() == RunState::Exited);
        Ok(if ended && self.has_let_go(id).await? {
            Verified::Holds
        } else {
            Verified::Not(format!("no task of {id} is healthy"))
        })
    }

    /// Whether the managers have given a slot up and, by every machine's word, nothing of it is left.
    async fn has_let_go(&self, id: &ComponentId) -> Result<bool, StackError> {
        let wanted = self.wanted().await?;
        let replicas = self.definition(&id.service).await?.replicas();
        if !is_given_up(id, &wanted, replicas) {
            return Ok(false);
        }
        let told = self.task_listing().await?;
        let mut of = told.containers.iter().filter(|t| t.container.id == *id);
        let ended = of.all(|t| t.container.state() == RunState::Exited);
        Ok(ended && told.unasked.is_empty() && told.frozen.is_empty())
    }
}

/// Whether a service has all its replicas without this slot. One that is merely not replaced (`condition: none`) leaves the
/// service a replica short.
fn is_given_up(id: &ComponentId, wanted: &BTreeSet<ComponentId>, replicas: Option<u32>) -> bool {
    let of = wanted.iter().filter(|w| w.service == id.service).count();
    !wanted.contains(id) && replicas.is_some_and(|n| of >= n as usize)
}

fn not_ours(undo: &Undo) -> StackError {
    StackError::Unsupported {
        action: format!("to {undo}"),
        platform: "a Swarm's services".to_owned(),
        why: "it is not made on them".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_given_up_only_by_a_service_that_is_whole_without_it() {
        let slots = |all: &[u32]| all.iter().map(|i| ComponentId::new("web", *i)).collect();
        let five = ComponentId::new("web", 5);
        assert!(is_given_up(&five, &slots(&[1, 2, 4]), Some(3)));
        assert!(!is_given_up(&five, &slots(&[1, 2, 5]), Some(3)));
        assert!(
            !is_given_up(&five, &slots(&[1, 2]), Some(3)),
            "not replaced"
        );
        let mut other: BTreeSet<_> = slots(&[1, 2]);
        other.insert(ComponentId::new("api", 1));
        assert!(!is_given_up(&five, &other, Some(3)), "another service's");
        assert!(
            !is_given_up(&five, &slots(&[1, 2, 3]), None),
            "one on each node"
        );
    }
}
