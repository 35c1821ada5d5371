//! Taking down what this run put on the cluster, and then, where it made them, the machines; by labels, so that it needs
//! neither the file nor the command line.

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::TaskState;
use bollard::query_parameters::{
    ListConfigsOptionsBuilder, ListNetworksOptionsBuilder, ListSecretsOptionsBuilder,
    ListVolumesOptionsBuilder, RemoveVolumeOptions, StopContainerOptionsBuilder,
};
use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use super::SwarmStack;
use super::claim::CLAIM;
use super::engines::words;
use super::services::NAMESPACE;
use crate::model::RunState;
use crate::stack::docker::{Endpoint, skew_ns, status, wall_ns};
use crate::stack::{OwnedThing, Stack, StackError};

/// How long the tasks may take to end, where nobody but the cluster can end them: longer than any grace of a service that is
/// worth waiting for.
const ENDED_WITHIN: Duration = Duration::from_secs(120);
/// Seconds that tasks get to end by themselves when their stack is taken away, as a Compose project's containers do.
const GRACE_S: i32 = 3;
/// How long an engine may take to end one, that grace included.
const STOPPED_WITHIN: Duration = Duration::from_secs(15);
/// How long an engine may take to remove the volumes of a stack.
const VOLUMES_WITHIN: Duration = Duration::from_secs(15);
/// Time between two looks.
const POLL: Duration = Duration::from_millis(250);

/// What a run put on a Swarm, by names.
#[derive(Default)]
struct Deployed {
    services: Vec<String>,
    secrets: Vec<String>,
    configs: Vec<String>,
    networks: Vec<String>,
    /// The managers' id of the run's claim, which is among the configs.
    claim: Option<String>,
}

impl Deployed {
    /// Every thing, with its kind.
    fn each(self) -> impl Iterator<Item = (&'static str, String)> {
        let kinds = [
            ("service", self.services),
            ("secret", self.secrets),
            ("config", self.configs),
            ("network", self.networks),
        ];
        kinds
            .into_iter()
            .flat_map(|(kind, names)| names.into_iter().map(move |name| (kind, name)))
    }

    /// The same without the claim, which goes last: whoever comes next meets nothing of this run.
    fn unclaimed(mut self) -> Self {
        self.configs.retain(|name| name != CLAIM);
        self
    }

    /// The first thing that is there still, in words.
    fn first(self) -> Option<String> {
        let (kind, name) = self.each().next()?;
        Some(format!("{kind} {name} is still there"))
    }
}

impl SwarmStack {
    /// Takes the stack off the cluster and what stands outside down, then the machines if they are this run's.
    ///
    /// # Errors
    /// The engines'.
    pub(super) async fn take_down(&self) -> Result<(), StackError> {
        let deployed = async {
            if self.takes_machines_down().await? {
                return Ok(());
            }
            self.remove_deployed().await
        };
        let outside = async {
            match &self.outside {
                Some(outside) => outside.down().await,
                None => Ok(()),
            }
        };
        // Whatever becomes of one, the other goes.
        let (deployed, outside) = tokio::join!(deployed, outside);
        deployed?;
        outside?;
        match &self.machines {
            Some(machines) => machines.down().await,
            None => Ok(()),
        }
    }

    /// Whether the machines go too: then so does all that is on them.
    async fn takes_machines_down(&self) -> Result<bool, StackError> {
        let Some(machines) = &self.machines else {
            return Ok(false);
        };
        let owned = machines.owned().await?;
        let all = machines.project().components().await?;
        // Nothing is on machines that are not there.
        Ok(all.iter().all(|m| owned.iter().any(|t| t.name == m.name)))
    }

    /// What of this run is on the Swarm.
    ///
    /// # Errors
    /// The managers'.
    pub(super) async fn deployed(&self) -> Result<Vec<OwnedThing>, StackError> {
        if self.machines.is_some() && self.takes_machines_down().await? {
            return Ok(Vec::new());
        }
        let things = self.what_is_deployed().await?;
        Ok(things
            .each()
            .map(|(kind, name)| OwnedThing {
                run: self.context.run.clone(),
                kind: kind.to_owned(),
                name,
            })
            .collect())
    }

    async fn what_is_deployed(&self) -> Result<Deployed, StackError> {
        let label = format!("{NAMESPACE}={}", self.name);
        let services = self.services().await?;
        let filters = || HashMap::from([("label", vec![label.clone()])]);
        let (secrets, configs, networks) = self
            .ask("see what is on the cluster", |docker| {
                let secrets = ListSecretsOptionsBuilder::default()
                    .filters(&filters())
                    .build();
                let configs = ListConfigsOptionsBuilder::default()
                    .filters(&filters())
                    .build();
                let networks = ListNetworksOptionsBuilder::default()
                    .filters(&filters())
                    .build();
                async move {
                    Ok((
                        docker.list_secrets(Some(secrets)).await?,
                        docker.list_configs(Some(configs)).await?,
                        docker.list_networks(Some(networks)).await?,
                    ))
                }
            })
            .await?;
        Ok(Deployed {
            services: services
                .into_iter()
                .filter_map(|s| s.spec.and_then(|s| s.name))
                .collect(),
            secrets: secrets
                .into_iter()
                .filter_map(|s| s.spec.and_then(|s| s.name))
                .collect(),
            claim: configs.iter().find_map(|c| {
                let is = c.spec.as_ref()?.name.as_deref() == Some(CLAIM);
                c.id.clone().filter(|_| is)
            }),
            configs: configs
                .into_iter()
                .filter_map(|c| c.spec.and_then(|c| c.name))
                .collect(),
            networks: networks.into_iter().filter_map(|n| n.name).collect(),
        })
    }

    /// Removes the stack, waits until nothing of it is left, and gives the cluster back where this run has it.
    ///
    /// # Errors
    /// The managers'; [`StackError::Call`] with what is there still.
    pub(super) async fn remove_deployed(&self) -> Result<(), StackError> {
        let deadline = Instant::now() + ENDED_WITHIN;
        loop {
            let things = self.what_is_deployed().await?;
            let claim = things.claim.clone();
            let things = things.unclaimed();
            let docker = self.leader_through("take the stack down").await?;
            let mut last = remove(&docker, &things).await;
            if last.is_none() {
                // What ends is no longer listed, but still holds its ports and its memory.
                last = self.still_running().await;
            }
            if last.is_none() {
                last = self.volumes_left().await;
            }
            if last.is_none() {
                // An engine takes a network's end on hand, and lists it until it is through.
                last = self.what_is_deployed().await?.unclaimed().first();
            }
            let Some(last) = last else {
                return match claim {
                    Some(id) => self.release(&id).await,
                    None => Ok(()),
                };
            };
            if Instant::now() >= deadline {
                return Err(StackError::Call {
                    call: "take the stack down".to_owned(),
                    component: self.name.clone(),
                    why: last,
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Ends what still runs of the services that are gone, and gives the first of it, in words, or why that cannot be told. The
    /// cluster would end it, too, but 2 s later: it gives its gossip that time to take a task's address away before it tells
    /// the task. One out of reach counts as ended.
    async fn still_running(&self) -> Option<String> {
        if self.machines.is_none() {
            return self.still_ending().await;
        }
        let all = match self.task_containers().await {
            Ok(all) => all,
            Err(e) => return Some(e.to_string()),
        };
        let alive = all
            .iter()
            .filter(|t| t.container.state() != RunState::Exited);
        let ends = join_all(alive.map(|task| async move {
            let grace = StopContainerOptionsBuilder::default().t(GRACE_S).build();
            let done = task
                .docker
                .stop_container(task.container.handle(), Some(grace));
            let why = match timeout(STOPPED_WITHIN, done).await {
                Ok(Ok(())) => return None,
                // It has ended meanwhile.
                Ok(Err(e)) if matches!(status(&e), Some(304 | 404)) => return None,
                Ok(Err(e)) => words(&e),
                Err(_) => format!("its engine did not end it within {STOPPED_WITHIN:?}"),
            };
            let (id, node) = (&task.container.id, &task.node);
            Some(format!("{id} on {node} still runs: {why}"))
        }));
        ends.await.into_iter().flatten().next()
    }

    /// Removes the volumes that the stack's tasks had on machines that run, and gives the first that is still there, or why
    /// that cannot be told, in words.
    async fn volumes_left(&self) -> Option<String> {
        let machines = match self.machine_list().await {
            Ok(machines) => machines.unwrap_or_default(),
            Err(e) => return Some(e.to_string()),
        };
        let on_each = machines.iter().map(|machine| async move {
            let endpoint = machine.engine()?;
            let removed = timeout(VOLUMES_WITHIN, self.remove_volumes(&endpoint)).await;
            let why = match removed {
                Ok(Ok(())) => return None,
                Ok(Err(why)) => why,
                Err(_) => format!("no answer within {VOLUMES_WITHIN:?}"),
            };
            Some(format!("volumes on {}: {why}", machine.node))
        });
        join_all(on_each).await.into_iter().flatten().next()
    }

    async fn remove_volumes(&self, endpoint: &Endpoint) -> Result<(), String> {
        let docker = self.engines.reach(endpoint).await;
        let docker = docker.map_err(|e| e.to_string())?;
        let label = format!("{NAMESPACE}={}", self.name);
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListVolumesOptionsBuilder::default()
            .filters(&filters)
            .build();
        let listed = docker.list_volumes(Some(options)).await;
        let listed = listed.map_err(|e| words(&e))?.volumes.unwrap_or_default();
        for volume in listed {
            let done = docker.remove_volume(&volume.name, None::<RemoveVolumeOptions>);
            match done.await {
                Ok(()) => {}
                Err(e) if status(&e) == Some(404) => {}
                Err(e) => return Err(format!("{}: {}", volume.name, words(&e))),
            }
        }
        Ok(())
    }

    /// The same by the managers, for machines that are out of reach: tasks of services that are gone are listed until they have
    /// ended.
    async fn still_ending(&self) -> Option<String> {
        let all = match self.tasks().await {
            Ok(all) => all,
            Err(e) => return Some(e.to_string()),
        };
        let nodes = match self.nodes().await {
            Ok(nodes) => nodes,
            Err(e) => return Some(e.to_string()),
        };
        all.iter().find_map(|task| {
            let node = super::tasks::node_of(&nodes, task.node_id.as_deref()?)?;
            let state = task.status.as_ref()?.state?;
            let runs = matches!(state, TaskState::STARTING | TaskState::RUNNING);
            (runs && node.said().ready).then(|| {
                let task = task.id.as_deref().unwrap_or_default();
                format!("task {task} on {} still ends", node.host())
            })
        })
    }

    /// The managers' wall clock less ours, in ns.
    ///
    /// # Errors
    /// The managers'.
    pub(super) async fn manager_skew_ns(&self) -> Result<i64, StackError> {
        skew_ns(|| async {
            let info = self.ask(
                "ask for the time",
                |docker| async move { docker.info().await },
            );
            let time = info.await?.system_time;
            time.as_deref()
                .and_then(wall_ns)
                .ok_or_else(|| StackError::Call {
                    call: "ask for the time".to_owned(),
                    component: "the Swarm's managers".to_owned(),
                    why: "the answer holds none".to_owned(),
                })
        })
        .await
    }
}

/// Removes what can be removed; what is in use still is said.
async fn remove(docker: &Docker, things: &Deployed) -> Option<String> {
    let mut last = None;
    let mut note = |kind: &str, name: &str, done: Result<(), Error>| match done {
        Ok(()) => {}
        Err(e) if status(&e) == Some(404) => {}
        Err(e) => last = Some(format!("{kind} {name}: {}", words(&e))),
    };
    for name in &things.services {
        note("service", name, docker.delete_service(name).await);
    }
    for name in &things.secrets {
        note("secret", name, docker.delete_secret(name).await);
    }
    for name in &things.configs {
        note("config", name, docker.delete_config(name).await);
    }
    for name in &things.networks {
        note("network", name, docker.remove_network(name).await);
    }
    last
}
