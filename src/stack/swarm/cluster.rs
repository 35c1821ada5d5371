//! Making a Swarm of machines: its first manager, the others, their zones. What is there already is left as it is, so that
//! one that was cut short is gone on with.

use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{
    LocalNodeState, NodeSpecAvailabilityEnum, SwarmInitRequest, SwarmJoinRequest, SwarmSpec,
    SwarmSpecDispatcher,
};
use bollard::query_parameters::UpdateNodeOptionsBuilder;
use futures_util::future::try_join_all;
use tokio::time::Instant;

use super::SwarmStack;
use super::engines::words;
use super::machines::Machine;
use super::nodes::ZONE;
use crate::stack::StackError;

/// Where a node listens for its peers.
const LISTEN: &str = "0.0.0.0:2377";
/// Addresses of overlay networks: clear of Docker's own 172.17 and of what machines' networks commonly have.
const OVERLAYS: &str = "10.215.0.0/16";
/// How often a node tells its managers that it lives, in ns: Swarm's own default, said aloud. Three of them missed make a
/// node down, and with 1 s healthy nodes of a busy machine were declared dead.
const HEARTBEAT_NS: i64 = 5_000_000_000;
/// Under this, healthy nodes may be declared dead.
const HEARTBEAT_LEAST_NS: i64 = 3_000_000_000;
/// How long the nodes may take to find one another.
const FORMED_WITHIN: Duration = Duration::from_secs(90);
/// Time between two looks.
const POLL: Duration = Duration::from_millis(200);

/// A machine with a connection to its engine.
struct Member<'a> {
    machine: &'a Machine,
    docker: Docker,
    active: bool,
}

impl SwarmStack {
    /// Makes one Swarm of all machines, each with its zone, and waits until all are ready.
    ///
    /// # Errors
    /// The engines'; [`StackError::NotReady`].
    pub(super) async fn form(&self, machines: &[Machine]) -> Result<(), StackError> {
        let members = try_join_all(machines.iter().map(|machine| self.member(machine))).await?;
        let first = match members.iter().find(|m| m.active && m.machine.is_manager()) {
            Some(first) => first,
            None => {
                let first = members.iter().find(|m| m.machine.is_manager());
                let first = first.ok_or_else(|| StackError::NotUp {
                    why: "no machine of the cluster is to be a manager".to_owned(),
                })?;
                init(first).await?;
                first
            }
        };
        let newcomers: Vec<&Member<'_>> = members
            .iter()
            .filter(|m| !m.active && m.machine.node != first.machine.node)
            .collect();
        // Managers that were just started again have no leader to say how one joins, and nobody asks.
        if !newcomers.is_empty() {
            take_in(first, &newcomers).await?;
        }
        self.all_ready(machines.len()).await?;
        self.label(machines).await
    }

    async fn member<'a>(&self, machine: &'a Machine) -> Result<Member<'a>, StackError> {
        let endpoint = machine.engine().ok_or_else(|| StackError::NotUp {
            why: format!("{} has no address", machine.container.name),
        })?;
        let docker = self.engines.reach(&endpoint).await?;
        let info = docker.info().await;
        let info = info.map_err(|e| failed("ask for its Swarm", machine, &e))?;
        let state = info.swarm.and_then(|s| s.local_node_state);
        Ok(Member {
            machine,
            docker,
            active: matches!(
                state,
                Some(LocalNodeState::ACTIVE | LocalNodeState::PENDING)
            ),
        })
    }

    /// Waits until the managers call every machine ready.
    ///
    /// # Errors
    /// [`StackError::NotReady`] with those that are not.
    pub(super) async fn all_ready(&self, count: usize) -> Result<(), StackError> {
        let deadline = Instant::now() + FORMED_WITHIN;
        loop {
            let last = match self.nodes().await {
                Ok(nodes) => {
                    let not: Vec<String> = nodes
                        .iter()
                        .filter(|n| !n.said().ready)
                        .map(|n| format!("{} ({})", n.node, n.host()))
                        .collect();
                    if not.is_empty() && nodes.len() == count {
                        return Ok(());
                    }
                    format!(
                        "{} of {count} nodes have joined; not ready: {}",
                        nodes.len(),
                        if not.is_empty() {
                            "none".to_owned()
                        } else {
                            not.join(", ")
                        }
                    )
                }
                Err(e) => e.to_string(),
            };
            if Instant::now() >= deadline {
                return Err(StackError::NotReady {
                    what: "the cluster".to_owned(),
                    within: humantime::format_duration(FORMED_WITHIN).to_string(),
                    last,
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Gives each node the zone of its machine, for placement to go by.
    async fn label(&self, machines: &[Machine]) -> Result<(), StackError> {
        for machine in machines {
            let Some(zone) = &machine.zone else { continue };
            let node = self.node(&machine.node).await?;
            if node.labels().get(ZONE) == Some(zone) {
                continue;
            }
            self.redefine_node("label", &node.id, |spec| {
                let labels = spec.labels.get_or_insert_default();
                labels.insert(ZONE.to_owned(), zone.clone());
            })
            .await?;
        }
        Ok(())
    }

    /// Changes a node's definition, by the cluster's own id of it: what it is called here goes by who else is there.
    ///
    /// # Errors
    /// The managers'.
    async fn redefine_node(
        &self,
        call: &str,
        id: &str,
        change: impl Fn(&mut bollard::models::NodeSpec),
    ) -> Result<(), StackError> {
        let refused = |why: String| StackError::Call {
            call: call.to_owned(),
            component: format!("node {id}"),
            why,
        };
        // The cluster itself changes nodes (their state counts), and each change makes the version another.
        for last in [false, false, false, false, true] {
            let all = self.nodes().await?;
            let Some(node) = super::tasks::node_of(&all, id) else {
                return Err(refused("it is no node of the cluster any more".to_owned()));
            };
            let (Some(mut spec), Some(version)) = (
                node.described.spec.clone(),
                node.described.version.as_ref().and_then(|v| v.index),
            ) else {
                return Err(refused("the managers do not describe it".to_owned()));
            };
            change(&mut spec);
            let docker = self.leader_through(call).await?;
            let options = UpdateNodeOptionsBuilder::default()
                .version(i64::try_from(version).unwrap_or(i64::MAX))
                .build();
            match docker.update_node(&node.id, spec, options).await {
                Ok(()) => return Ok(()),
                Err(e) if !last && words(&e).contains("out of sequence") => {}
                Err(e) => return Err(refused(words(&e))),
            }
        }
        Err(refused("it changed at every try".to_owned()))
    }

    /// Sets whether a node gets tasks: `active`, `pause` or `drain`. It goes by the cluster's own id.
    ///
    /// # Errors
    /// The managers'.
    pub(super) async fn make_available(
        &self,
        id: &str,
        availability: &str,
    ) -> Result<(), StackError> {
        let availability = match availability {
            "drain" => NodeSpecAvailabilityEnum::DRAIN,
            "pause" => NodeSpecAvailabilityEnum::PAUSE,
            _ => NodeSpecAvailabilityEnum::ACTIVE,
        };
        self.redefine_node("set the availability", id, |spec| {
            spec.availability = Some(availability);
        })
        .await
    }

    /// A warning where the cluster's heartbeat is so short that a busy machine passes for a dead one.
    pub(super) async fn heartbeat_note(&self) -> Option<String> {
        let swarm = self
            .ask("inspect the Swarm", |docker| async move {
                docker.inspect_swarm().await
            })
            .await
            .ok()?;
        let period = swarm.spec?.dispatcher?.heartbeat_period?;
        (period > 0 && period < HEARTBEAT_LEAST_NS).then(|| {
            format!(
                "the Swarm's heartbeat is {:.1} s: under 3 s, nodes of a busy machine are declared dead that are not \
                 (`docker swarm update --dispatcher-heartbeat 5s`)",
                period as f64 / 1e9
            )
        })
    }
}

async fn init(first: &Member<'_>) -> Result<(), StackError> {
    let request = SwarmInitRequest {
        listen_addr: Some(LISTEN.to_owned()),
        advertise_addr: first.machine.address().map(str::to_owned),
        default_addr_pool: Some(vec![OVERLAYS.to_owned()]),
        // Left out, it is 0, and no network ever gets addresses.
        subnet_size: Some(24),
        spec: Some(SwarmSpec {
            name: Some("default".to_owned()),
            dispatcher: Some(SwarmSpecDispatcher {
                heartbeat_period: Some(HEARTBEAT_NS),
            }),
            ..SwarmSpec::default()
        }),
        ..SwarmInitRequest::default()
    };
    let made = first.docker.init_swarm(request).await;
    made.map(|_| ())
        .map_err(|e| failed("make the Swarm", first.machine, &e))
}

/// Has machines join the Swarm of the first.
///
/// # Errors
/// The engines'.
async fn take_in(first: &Member<'_>, newcomers: &[&Member<'_>]) -> Result<(), StackError> {
    let swarm = first.docker.inspect_swarm().await;
    let swarm = swarm.map_err(|e| failed("inspect the Swarm", first.machine, &e))?;
    let tokens = swarm.join_tokens.unwrap_or_default();
    let at = format!("{}:2377", first.machine.address().unwrap_or_default());
    // Managers one by one: each changes who makes a quorum.
    for manager in newcomers.iter().filter(|m| m.machine.is_manager()) {
        join(manager, &at, tokens.manager.as_deref()).await?;
    }
    let workers = newcomers.iter().filter(|m| !m.machine.is_manager());
    try_join_all(workers.map(|m| join(m, &at, tokens.worker.as_deref()))).await?;
    Ok(())
}

async fn join(member: &Member<'_>, at: &str, token: Option<&str>) -> Result<(), StackError> {
    let request = SwarmJoinRequest {
        listen_addr: Some(LISTEN.to_owned()),
        advertise_addr: member.machine.address().map(str::to_owned),
        remote_addrs: Some(vec![at.to_owned()]),
        join_token: token.map(str::to_owned),
        ..SwarmJoinRequest::default()
    };
    let joined = member.docker.join_swarm(request).await;
    joined.map_err(|e| failed("join the Swarm", member.machine, &e))
}

fn failed(call: &str, machine: &Machine, error: &Error) -> StackError {
    StackError::Call {
        call: call.to_owned(),
        component: format!("{} ({})", machine.node, machine.container.name),
        why: words(error),
    }
}
