//! The nodes of the cluster, as its managers describe them and, where firedrill reaches them, as machines.

use std::collections::HashMap;

use bollard::models::{Node, NodeSpecAvailabilityEnum, NodeState};
use bollard::query_parameters::{ListNodesOptions, ListTasksOptions};

use super::SwarmStack;
use super::machines::Machine;
use crate::model::{
    Component, ComponentId, Health, Label, NODE, NodeRole, NodeSaid, Place, RunState,
};
use crate::stack::compose::Inside;
use crate::stack::docker::wall_ns;
use crate::stack::own::OWN;
use crate::stack::{Stack, StackError};

/// A node's label with its zone.
pub(super) const ZONE: &str = "zone";

/// A node as the managers describe it.
#[derive(Debug, Clone)]
pub(super) struct ClusterNode {
    /// Its name in a scenario.
    pub(super) node: ComponentId,
    /// The cluster's own id of it.
    pub(super) id: String,
    pub(super) described: Node,
}

impl ClusterNode {
    pub(super) fn host(&self) -> &str {
        host(&self.described)
    }

    /// What the managers say of it.
    pub(super) fn said(&self) -> NodeSaid {
        let status = self.described.status.as_ref().and_then(|s| s.state);
        NodeSaid {
            ready: status == Some(NodeState::READY),
            active: self.availability() == "active",
            leads: self.role() == NodeRole::Leader,
        }
    }

    /// Whether the managers have no word of it: for seconds after an election that is so of every node, and says nothing of
    /// any.
    pub(super) fn is_unknown(&self) -> bool {
        let status = self.described.status.as_ref().and_then(|s| s.state);
        matches!(status, None | Some(NodeState::UNKNOWN))
    }

    /// `active`, `pause` or `drain`.
    pub(super) fn availability(&self) -> String {
        let spec = self.described.spec.as_ref();
        let availability = spec.and_then(|s| s.availability);
        availability
            .unwrap_or(NodeSpecAvailabilityEnum::ACTIVE)
            .to_string()
    }

    pub(super) fn role(&self) -> NodeRole {
        match &self.described.manager_status {
            Some(manager) if manager.leader == Some(true) => NodeRole::Leader,
            Some(_) => NodeRole::Manager,
            None => NodeRole::Worker,
        }
    }

    pub(super) fn labels(&self) -> HashMap<String, String> {
        let spec = self.described.spec.as_ref();
        spec.and_then(|s| s.labels.clone()).unwrap_or_default()
    }

    pub(super) fn address(&self) -> Option<&str> {
        self.described.status.as_ref()?.addr.as_deref()
    }

    /// As a component of a cluster whose machines are out of reach.
    fn component(&self) -> Component {
        let described = &self.described;
        let engine = described.description.as_ref();
        let engine = engine.and_then(|d| d.engine.as_ref());
        let version = engine.and_then(|e| e.engine_version.clone());
        let created = described.created_at.as_ref().map(ToString::to_string);
        Component {
            id: self.node.clone(),
            host: self.host().to_owned(),
            handle: self.id.clone(),
            name: self.host().to_owned(),
            addresses: self.address().map(str::to_owned).into_iter().collect(),
            state: if self.said().ready {
                RunState::Running
            } else if self.is_unknown() {
                // A new leader has not heard of it yet: what it runs goes on, as far as anybody knows.
                RunState::Restarting
            } else {
                RunState::Exited
            },
            health: Health::Unchecked,
            image: version.unwrap_or_default(),
            started_ns: created.as_deref().and_then(wall_ns),
            place: self.place(),
        }
    }

    fn place(&self) -> Place {
        Place {
            node: None,
            zone: self.labels().remove(ZONE),
            role: Some(self.role()),
        }
    }
}

fn host(node: &Node) -> &str {
    let description = node.description.as_ref();
    description
        .and_then(|d| d.hostname.as_deref())
        .unwrap_or_default()
}

/// Names nodes as their machines are named; those of a Swarm without machines by the order of their host names.
fn named(mut nodes: Vec<Node>, machines: Option<&[Machine]>) -> Vec<ClusterNode> {
    // A host that left and joined again is there twice; the one that is ready counts.
    let ready = |n: &Node| n.status.as_ref().and_then(|s| s.state) == Some(NodeState::READY);
    nodes.sort_by_cached_key(|n| (host(n).to_owned(), !ready(n), n.id.clone()));
    nodes.dedup_by(|b, a| host(a) == host(b));
    let node = |(index, described): (u32, Node)| {
        let node = match machines {
            None => ComponentId::new(NODE, index),
            Some(all) => {
                let machine = all.iter().find(|m| m.container.host == host(&described))?;
                machine.node.clone()
            }
        };
        let id = described.id.clone()?;
        Some(ClusterNode {
            node,
            id,
            described,
        })
    };
    (1..).zip(nodes).filter_map(node).collect()
}

impl SwarmStack {
    /// The nodes by the managers.
    ///
    /// # Errors
    /// As [`SwarmStack::ask`].
    pub(super) async fn nodes(&self) -> Result<Vec<ClusterNode>, StackError> {
        let machines = self.machine_list().await?;
        self.nodes_among(machines.as_deref()).await
    }

    /// The same, of machines that were just looked up.
    ///
    /// # Errors
    /// As [`SwarmStack::ask`].
    pub(super) async fn nodes_among(
        &self,
        machines: Option<&[Machine]>,
    ) -> Result<Vec<ClusterNode>, StackError> {
        let managers = self.managers_among(machines)?;
        let asked = self.ask_at(&managers, "list the nodes", |docker| async move {
            docker.list_nodes(None::<ListNodesOptions>).await
        });
        let (nodes, _) = asked.await?;
        Ok(named(nodes, machines))
    }

    /// One node by the managers.
    ///
    /// # Errors
    /// As [`SwarmStack::ask`]; [`StackError::Unknown`].
    pub(super) async fn node(&self, id: &ComponentId) -> Result<ClusterNode, StackError> {
        let all = self.nodes().await?;
        let has: Vec<String> = all.iter().map(|n| n.node.to_string()).collect();
        let found = all.into_iter().find(|n| n.node == *id);
        found.ok_or_else(|| StackError::Unknown {
            name: id.to_string(),
            has: has.join(", "),
        })
    }

    pub(super) async fn machine_list(&self) -> Result<Option<Vec<Machine>>, StackError> {
        match &self.machines {
            Some(machines) => machines.list().await.map(Some),
            None => Ok(None),
        }
    }

    /// The nodes as components. A machine's state is its engine's word; its role is the managers', or, where they have
    /// no quorum to tell who leads, what it is meant to be.
    ///
    /// # Errors
    /// The engine's.
    pub(super) async fn node_components(&self) -> Result<Vec<Component>, StackError> {
        let Some(machines) = self.machine_list().await? else {
            let nodes = self.nodes().await?;
            return Ok(nodes.iter().map(ClusterNode::component).collect());
        };
        if machines.is_empty() {
            return Ok(Vec::new());
        }
        let said = self.nodes_among(Some(&machines)).await.unwrap_or_default();
        let component = |machine: Machine| {
            let said = said.iter().find(|n| n.node == machine.node);
            let place = said.map_or_else(
                || Place {
                    node: None,
                    zone: machine.zone.clone(),
                    role: Some(machine.role),
                },
                ClusterNode::place,
            );
            Component {
                id: machine.node,
                place,
                ..machine.container
            }
        };
        Ok(machines.into_iter().map(component).collect())
    }

    /// What firedrill itself runs in, and on.
    ///
    /// # Errors
    /// The engines'; as [`SwarmStack::ask`].
    pub(super) async fn own(&self) -> Result<Vec<(ComponentId, String)>, StackError> {
        let mut all = match &self.outside {
            Some(outside) => outside.untouchable().await?,
            None => Vec::new(),
        };
        match &self.machines {
            Some(machines) => all.extend(machines.untouchable().await?),
            None => all.extend(self.own_nodes().await?),
        }
        Ok(all)
    }

    /// The nodes of a Swarm that was there already on which firedrill itself runs: as a process of the host, or in a task's
    /// container.
    ///
    /// # Errors
    /// As [`SwarmStack::ask`].
    pub(super) async fn own_nodes(&self) -> Result<Vec<(ComponentId, String)>, StackError> {
        let inside = Inside::read();
        let tasks = self.ask("see where firedrill runs", |docker| async move {
            docker.list_tasks(None::<ListTasksOptions>).await
        });
        let tasks = tasks.await?;
        let carries = |node: &ClusterNode| {
            tasks.iter().any(|task| {
                let container = task
                    .status
                    .as_ref()
                    .and_then(|s| s.container_status.as_ref());
                let id = container.and_then(|c| c.container_id.as_deref());
                task.node_id.as_deref() == Some(&node.id) && id.is_some_and(|id| inside.is_id(id))
            })
        };
        let nodes = self.nodes().await?;
        let own = nodes
            .into_iter()
            .filter(|n| inside.is_on(n.host()) || carries(n));
        Ok(own.map(|n| (n.node, OWN.to_owned())).collect())
    }

    /// The nodes that bear a label of the cluster's.
    ///
    /// # Errors
    /// As [`SwarmStack::ask`].
    pub(super) async fn labelled_nodes(
        &self,
        label: &Label,
    ) -> Result<Vec<ComponentId>, StackError> {
        let nodes = self.nodes().await?;
        let bears = |node: &ClusterNode| node.labels().iter().any(|(k, v)| label.is(k, v));
        Ok(nodes.into_iter().filter(bears).map(|n| n.node).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, host: &str, state: &str, leader: Option<bool>) -> Node {
        let manager = leader.map(|leader| serde_json::json!({ "Leader": leader, "Addr": "a" }));
        serde_json::from_value(serde_json::json!({
            "ID": id, "Description": { "Hostname": host }, "Status": { "State": state, "Addr": "10.0.0.1" },
            "Spec": { "Availability": "drain", "Labels": { "zone": "b" } }, "ManagerStatus": manager }))
        .unwrap()
    }

    #[test]
    fn nodes_are_numbered_by_their_hosts_and_one_that_came_again_is_one() {
        let nodes = vec![
            node("3", "m2", "ready", Some(true)),
            node("1", "m1", "down", Some(false)),
            node("2", "m1", "ready", Some(false)),
            node("4", "w1", "unknown", None),
        ];
        let nodes = named(nodes, None);
        let seen: Vec<(String, &str, NodeRole, bool)> = nodes
            .iter()
            .map(|n| (n.node.to_string(), n.id.as_str(), n.role(), n.said().ready))
            .collect();
        assert_eq!(
            seen,
            [
                ("node/1".to_owned(), "2", NodeRole::Manager, true),
                ("node/2".to_owned(), "3", NodeRole::Leader, true),
                ("node/3".to_owned(), "4", NodeRole::Worker, false),
            ]
        );
        assert!(!nodes[0].said().active && nodes[1].said().leads);
        assert!(nodes[2].is_unknown() && !nodes[0].is_unknown());
        assert_eq!(nodes[0].component().place.zone.as_deref(), Some("b"));
    }
}
