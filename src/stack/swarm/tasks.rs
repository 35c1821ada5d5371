//! The tasks of the stack's services, as components: replica `N` of a service is its slot `N`, whichever container fills
//! it; of a global service, its task on `node/N`.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use bollard::Docker;
use bollard::models::{Task, TaskState};
use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptionsBuilder, ListTasksOptionsBuilder,
};
use futures_util::future::{join_all, try_join_all};
use tokio::time::timeout;

use super::SwarmStack;
use super::engines::words;
use super::nodes::ClusterNode;
use super::services::NAMESPACE;
use crate::model::{Component, ComponentId, Health, Label, Place, RunState};
use crate::stack::StackError;
use crate::stack::docker::{Container, Endpoint, TOLD_WITHIN, oldest_event, status, wall_ns};

const SERVICE: &str = "com.docker.swarm.service.name";
const TASK: &str = "com.docker.swarm.task.name";
const NODE_ID: &str = "com.docker.swarm.node.id";

/// How long a machine's engine may take to describe what runs on it.
pub(super) const DESCRIBED_WITHIN: Duration = Duration::from_secs(5);

/// A task's container, and the engine that it runs on.
pub(super) struct TaskContainer {
    pub(super) container: Container,
    pub(super) docker: Docker,
    /// The machine.
    pub(super) node: ComponentId,
    zone: Option<String>,
}

/// What the machines say of the stack's tasks.
#[derive(Default)]
pub(super) struct TaskListing {
    /// Those that serve before others of the same identity.
    pub(super) containers: Vec<TaskContainer>,
    /// Machines that run and do not say what runs on them.
    pub(super) unasked: Vec<ComponentId>,
    /// Machines that are frozen, with all that they run.
    pub(super) frozen: Vec<ComponentId>,
}

impl TaskContainer {
    /// Whether it runs though it was sent a signal since its start, as far as its engine remembers.
    ///
    /// # Errors
    /// The engine's.
    pub(super) async fn was_told_to_end(&self) -> Result<bool, StackError> {
        let container = &self.container;
        let Some(started) = container.component().started_ns else {
            return Ok(false);
        };
        if container.state() != RunState::Running {
            return Ok(false);
        }
        let failed = |why: String| StackError::Call {
            call: "ask for the signals that it was sent".to_owned(),
            component: container.id.to_string(),
            why,
        };
        let info = self.docker.info().await.map_err(|e| failed(words(&e)))?;
        let until = info.system_time.as_deref().and_then(wall_ns);
        let until =
            until.ok_or_else(|| failed("its engine does not say what time it is".to_owned()))?;
        let kills = HashMap::from([
            ("container", vec![container.handle()]),
            ("event", vec!["kill"]),
        ]);
        match oldest_event(&self.docker, started, until, &kills).await {
            Some(Ok(oldest)) => Ok(oldest.is_some()),
            Some(Err(e)) => Err(failed(words(&e))),
            None => Err(failed(format!("no answer within {TOLD_WITHIN:?}"))),
        }
    }

    fn component(&self) -> Component {
        Component {
            place: Place {
                node: Some(self.node.clone()),
                zone: self.zone.clone(),
                role: None,
            },
            ..self.container.component()
        }
    }
}

/// Whose replica a container is, by the labels that Swarm gives it: `STACK_SERVICE.SLOT.TASK`, or the node's id in
/// place of the slot.
pub(super) fn identity(
    labels: &HashMap<String, String>,
    stack: &str,
    node: &ComponentId,
) -> Option<ComponentId> {
    let service = labels
        .get(SERVICE)?
        .strip_prefix(stack)?
        .strip_prefix('_')?;
    let (rest, _) = labels.get(TASK)?.rsplit_once('.')?;
    let (_, slot) = rest.rsplit_once('.')?;
    let index = if labels.get(NODE_ID).is_some_and(|id| id == slot) {
        node.index
    } else {
        slot.parse().ok()?
    };
    Some(ComponentId::new(service, index))
}

impl SwarmStack {
    /// Every replica as it is now. On machines their own engines tell, the managers having a quorum or not; what runs
    /// on one that cannot be reached is not known.
    ///
    /// # Errors
    /// The engine's; elsewhere the managers'.
    pub(super) async fn task_components(
        &self,
        nodes: &[Component],
    ) -> Result<Vec<Component>, StackError> {
        if self.machines.is_none() {
            return self.tasks_by_managers(nodes).await;
        }
        let mut all = self.task_containers().await?;
        all.dedup_by(|b, a| a.container.id == b.container.id);
        let ended = |t: &TaskContainer| t.container.state() == RunState::Exited;
        if all.iter().any(ended)
            && let Ok(wanted) = self.wanted().await
        {
            // The cluster keeps the containers of slots that it has given up.
            all.retain(|t| !ended(t) || wanted.contains(&t.container.id));
        }
        Ok(all.iter().map(TaskContainer::component).collect())
    }

    /// The replicas that should run, by the managers.
    ///
    /// # Errors
    /// As [`SwarmStack::ask`].
    pub(super) async fn wanted(&self) -> Result<BTreeSet<ComponentId>, StackError> {
        let (tasks, services, nodes) =
            tokio::try_join!(self.tasks(), self.services(), self.nodes())?;
        let wanted = tasks.iter().filter_map(|task| {
            let ends = matches!(
                task.desired_state,
                Some(TaskState::SHUTDOWN | TaskState::REMOVE | TaskState::COMPLETE)
            );
            let service = services.iter().find(|s| s.id == task.service_id)?;
            let index = match task.slot {
                Some(slot) => u32::try_from(slot).ok()?,
                None => node_of(&nodes, task.node_id.as_deref()?)?.node.index,
            };
            let id = ComponentId::new(self.short(service)?, index);
            (!ends).then_some(id)
        });
        Ok(wanted.collect())
    }

    /// The containers of the stack's tasks on every machine within reach, those that serve before others of the same
    /// identity.
    ///
    /// # Errors
    /// The engine's of the machines.
    pub(super) async fn task_containers(&self) -> Result<Vec<TaskContainer>, StackError> {
        // A machine that does not answer is dead, frozen or cut off: what it runs serves nobody.
        Ok(self.task_listing().await?.containers)
    }

    /// The machines that run and do not say what runs on them.
    ///
    /// # Errors
    /// The engine's of the machines.
    pub(super) async fn unasked(&self) -> Result<Vec<ComponentId>, StackError> {
        Ok(self.task_listing().await?.unasked)
    }

    /// What every machine says that it runs, and which say nothing: one look.
    ///
    /// # Errors
    /// The engine's of the machines.
    pub(super) async fn task_listing(&self) -> Result<TaskListing, StackError> {
        let machines = self.machine_list().await?.unwrap_or_default();
        let on_each = machines.iter().map(|machine| async move {
            let endpoint = machine.engine()?;
            let listing = self.containers_at(&endpoint, &machine.node, machine.zone.as_deref());
            timeout(DESCRIBED_WITHIN, listing).await.ok()?.ok()
        });
        let mut told = TaskListing::default();
        for (machine, listed) in machines.iter().zip(join_all(on_each).await) {
            match (listed, machine.container.state) {
                (Some(listed), _) => told.containers.extend(listed),
                (None, RunState::Paused) => told.frozen.push(machine.node.clone()),
                (None, RunState::Running) => told.unasked.push(machine.node.clone()),
                // What it ran has ended with it.
                (None, RunState::Exited | RunState::Restarting) => {}
            }
        }
        told.containers
            .sort_by_cached_key(|t| t.container.precedence());
        Ok(told)
    }

    async fn containers_at(
        &self,
        endpoint: &Endpoint,
        node: &ComponentId,
        zone: Option<&str>,
    ) -> Result<Vec<TaskContainer>, StackError> {
        let docker = self.engines.reach(endpoint).await?;
        let failed = |e: bollard::errors::Error| StackError::Call {
            call: "list the tasks' containers".to_owned(),
            component: node.to_string(),
            why: words(&e),
        };
        let filters = HashMap::from([("label", vec![format!("{NAMESPACE}={}", self.name)])]);
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&filters)
            .build();
        let listed = docker
            .list_containers(Some(options))
            .await
            .map_err(failed)?;
        let each = listed.into_iter().filter_map(|summary| {
            let id = identity(summary.labels.as_ref()?, &self.name, node)?;
            let handle = summary.id?;
            let docker = docker.clone();
            Some(async move {
                let seen = docker
                    .inspect_container(&handle, None::<InspectContainerOptions>)
                    .await;
                match seen {
                    Ok(inspect) => Ok(Some(TaskContainer {
                        container: Container { id, inspect },
                        docker,
                        node: node.clone(),
                        zone: zone.map(str::to_owned),
                    })),
                    Err(e) if status(&e) == Some(404) => Ok(None),
                    Err(e) => Err(failed(e)),
                }
            })
        });
        Ok(try_join_all(each).await?.into_iter().flatten().collect())
    }

    /// The container that fills a slot now.
    ///
    /// # Errors
    /// The engine's; [`StackError::Unknown`].
    pub(super) async fn task(&self, id: &ComponentId) -> Result<TaskContainer, StackError> {
        let all = self.task_containers().await?;
        let mut has: Vec<String> = all.iter().map(|t| t.container.id.to_string()).collect();
        has.dedup();
        let found = all.into_iter().find(|t| t.container.id == *id);
        found.ok_or_else(|| StackError::Unknown {
            name: id.to_string(),
            has: if has.is_empty() {
                "no tasks within reach".to_owned()
            } else {
                has.join(", ")
            },
        })
    }

    /// The replicas that bear a label: of their containers, where these are within reach.
    ///
    /// # Errors
    /// The engine's.
    pub(super) async fn labelled_tasks(
        &self,
        label: &Label,
    ) -> Result<Vec<ComponentId>, StackError> {
        let mut all = self.task_containers().await?;
        all.dedup_by(|b, a| a.container.id == b.container.id);
        let bears = |t: &TaskContainer| t.container.labels().iter().any(|(k, v)| label.is(k, v));
        Ok(all
            .into_iter()
            .filter(bears)
            .map(|t| t.container.id)
            .collect())
    }

    async fn tasks_by_managers(&self, nodes: &[Component]) -> Result<Vec<Component>, StackError> {
        let (tasks, services) = tokio::try_join!(self.tasks(), self.services())?;
        let mut found: Vec<(bool, String, Component)> = tasks
            .into_iter()
            .filter_map(|task| {
                let service = services.iter().find(|s| s.id == task.service_id)?;
                let node = nodes
                    .iter()
                    .find(|n| Some(&n.handle) == task.node_id.as_ref());
                let index = match task.slot {
                    Some(slot) => u32::try_from(slot).ok()?,
                    None => node?.id.index,
                };
                let id = ComponentId::new(self.short(service)?, index);
                let component = described(id, &task, node);
                let at = task
                    .created_at
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                Some((component.healthy(), at, component))
            })
            .collect();
        // Of a slot, the task that serves, then the newest.
        found.sort_by(|a, b| (&a.2.id, &b.0, &b.1).cmp(&(&b.2.id, &a.0, &a.1)));
        found.dedup_by(|b, a| a.2.id == b.2.id);
        Ok(found
            .into_iter()
            .map(|(_, _, component)| component)
            .collect())
    }

    /// The stack's tasks by the managers, the ended ones among them.
    ///
    /// # Errors
    /// As [`SwarmStack::ask`].
    pub(super) async fn tasks(&self) -> Result<Vec<Task>, StackError> {
        let label = format!("{NAMESPACE}={}", self.name);
        self.ask("list the tasks", |docker| {
            let filters = HashMap::from([("label", vec![label.clone()])]);
            let options = ListTasksOptionsBuilder::default().filters(&filters).build();
            async move { docker.list_tasks(Some(options)).await }
        })
        .await
    }
}

/// A task as the managers describe it.
fn described(id: ComponentId, task: &Task, node: Option<&Component>) -> Component {
    let status = task.status.as_ref();
    let container = status.and_then(|s| s.container_status.as_ref());
    let handle = container
        .and_then(|c| c.container_id.clone())
        .unwrap_or_default();
    let spec = task.spec.as_ref().and_then(|s| s.container_spec.as_ref());
    let state = status.and_then(|s| s.state).unwrap_or(TaskState::NEW);
    let (state, health) = match state {
        // Swarm calls a task running once it has passed its health check.
        TaskState::RUNNING => (RunState::Running, Health::Healthy),
        TaskState::STARTING => (RunState::Running, Health::Starting),
        TaskState::NEW
        | TaskState::ALLOCATED
        | TaskState::PENDING
        | TaskState::ASSIGNED
        | TaskState::ACCEPTED
        | TaskState::PREPARING
        | TaskState::READY => (RunState::Restarting, Health::Starting),
        TaskState::COMPLETE
        | TaskState::SHUTDOWN
        | TaskState::FAILED
        | TaskState::REJECTED
        | TaskState::REMOVE
        | TaskState::ORPHANED => (RunState::Exited, Health::Unhealthy),
    };
    let since = status
        .and_then(|s| s.timestamp.as_ref())
        .map(ToString::to_string);
    Component {
        host: handle.get(..12).unwrap_or_default().to_owned(),
        name: task.id.clone().unwrap_or_default(),
        handle,
        addresses: Vec::new(),
        // A node that is down cannot say that its tasks have ended.
        state: if node.is_some_and(|n| n.state == RunState::Exited) {
            RunState::Exited
        } else {
            state
        },
        health,
        image: spec.and_then(|s| s.image.clone()).unwrap_or_default(),
        started_ns: since.as_deref().and_then(wall_ns),
        place: Place {
            node: node.map(|n| n.id.clone()),
            zone: node.and_then(|n| n.place.zone.clone()),
            role: None,
        },
        id,
    }
}

/// The machine of a task, by the cluster's id of it.
pub(super) fn node_of<'a>(nodes: &'a [ClusterNode], id: &str) -> Option<&'a ClusterNode> {
    nodes.iter().find(|n| n.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::NODE;

    fn labels(task: &str) -> HashMap<String, String> {
        let labels = [(SERVICE, "fd-x_a-app"), (TASK, task), (NODE_ID, "n0de")];
        labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into()
    }

    #[test]
    fn a_replica_is_its_slot_and_of_a_global_service_its_node() {
        let node = ComponentId::new(NODE, 4);
        let of = |task: &str| identity(&labels(task), "fd-x", &node);
        assert_eq!(of("fd-x_a-app.2.k3j"), Some(ComponentId::new("a-app", 2)));
        assert_eq!(
            of("fd-x_a-app.n0de.k3j"),
            Some(ComponentId::new("a-app", 4))
        );
        assert_eq!(of("what"), None);
        assert_eq!(identity(&labels("fd-x_a-app.2.k3j"), "fd-y", &node), None);
    }

    #[test]
    fn what_a_dead_node_ran_does_not_run() {
        let task: Task = serde_json::from_value(serde_json::json!({
            "ID": "t", "Status": { "State": "running", "ContainerStatus": { "ContainerID": "0123456789abcdef" } } }))
        .unwrap();
        let id = || ComponentId::new("a-app", 1);
        let alone = described(id(), &task, None);
        assert_eq!(
            (alone.state, alone.host.as_str()),
            (RunState::Running, "0123456789ab")
        );
        let node = Component {
            state: RunState::Exited,
            ..alone
        };
        assert_eq!(described(id(), &task, Some(&node)).state, RunState::Exited);
    }
}
