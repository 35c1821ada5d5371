//! The parts of a stack, and what their engine says of them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::NodeRole;

/// The service whose replicas are the nodes of a cluster.
pub const NODE: &str = "node";

/// The stable identity of a component: a service and the number of the replica, from 1. Written `backend/2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComponentId {
    /// Its service.
    pub service: String,
    /// Its replica number, from 1.
    pub index: u32,
}

impl ComponentId {
    /// Replica `index` of `service`.
    #[must_use]
    pub fn new(service: impl Into<String>, index: u32) -> Self {
        Self {
            service: service.into(),
            index,
        }
    }
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.index)
    }
}

impl FromStr for ComponentId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` does not name a component; write service/number");
        let (service, index) = text.rsplit_once('/').ok_or_else(bad)?;
        Ok(Self::new(service, index.parse().map_err(|_| bad())?))
    }
}

impl Serialize for ComponentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ComponentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Whether it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Running.
    Running,
    /// Frozen.
    Paused,
    /// Between death and the next start.
    Restarting,
    /// Not running.
    Exited,
}

/// What its health check says; `Unchecked` where it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It has no health check.
    Unchecked,
    /// Not known yet.
    Starting,
    /// Passing.
    Healthy,
    /// Failing.
    Unhealthy,
}

/// A component as its engine describes it now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// Stable identity.
    pub id: ComponentId,
    /// Host name, as its own answers may give it.
    pub host: String,
    /// The engine's handle: a container id or a process id. Changes when it is recreated.
    pub handle: String,
    /// The engine's name for it (a container's name).
    pub name: String,
    /// Addresses: container networks' addresses, or `127.0.0.1:port` of a process.
    pub addresses: Vec<String>,
    /// Whether it runs.
    pub state: RunState,
    /// What its health check says.
    pub health: Health,
    /// Image or version it runs.
    pub image: String,
    /// When it was started, in ns of the engine's wall clock; `None` if never.
    pub started_ns: Option<i64>,
    /// Where in a cluster it is.
    #[serde(default, skip_serializing_if = "Place::is_nowhere")]
    pub place: Place,
}

/// Where in a cluster a component is; nowhere on a platform without nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The node that it runs on; for a node, `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<ComponentId>,
    /// The node's zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// What a node is to its cluster; `None` for what runs on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<NodeRole>,
}

impl Place {
    /// Whether nothing is known of it.
    #[must_use]
    pub fn is_nowhere(&self) -> bool {
        *self == Self::default()
    }
}

impl Component {
    /// Whether an instance header names this component: by name, host name, container id (first 12) or address.
    #[must_use]
    pub fn answers_to(&self, instance: &str) -> bool {
        instance == self.id.to_string()
            || self.made_as(instance)
            || self.addresses.iter().any(|a| a == instance)
    }

    /// Whether an instance header names it by what it was made with: its name, host name or container id.
    #[must_use]
    pub fn made_as(&self, instance: &str) -> bool {
        let id12 = self.handle.get(..12).unwrap_or(&self.handle);
        instance == self.host
            || instance == self.name
            || (!id12.is_empty() && instance.get(..12).unwrap_or(instance) == id12)
    }

    /// Up as far as one can tell: running and not failing its health check.
    #[must_use]
    pub fn healthy(&self) -> bool {
        self.state == RunState::Running
            && matches!(self.health, Health::Healthy | Health::Unchecked)
    }

    /// Whether it ran on one of these nodes, to go down with it.
    #[must_use]
    pub fn is_carried_by(&self, nodes: &[ComponentId]) -> bool {
        let on = self.place.node.as_ref();
        self.state == RunState::Running && on.is_some_and(|node| nodes.contains(node))
    }

    /// Its first address without a port, for `${victim.address}`.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        let first = self.addresses.first()?;
        if first.parse::<IpAddr>().is_ok() {
            Some(first)
        } else {
            Some(
                first
                    .rsplit_once(':')
                    .map_or(first.as_str(), |(host, _)| host),
            )
        }
    }
}

/// When something happened, in the terms of who says so.
#[derive(Debug, Clone, Copy)]
pub enum When {
    /// On this process's monotonic clock.
    Here(tokio::time::Instant),
    /// In nanoseconds of the engine's wall clock since 1970.
    Wall(i64),
}

/// Something an engine reports of a component.
#[derive(Debug, Clone)]
pub struct StackEvent {
    /// When it happened.
    pub when: When,
    /// To which component.
    pub component: ComponentId,
    /// The engine's handle of it then.
    pub handle: String,
    /// What happened.
    pub kind: StackEventKind,
}

/// What an engine can report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StackEventKind {
    /// Made (a container was created, a process forked).
    Created,
    /// Running.
    Started,
    /// Its main process ended; `code` is the exit status, 128 + signal after a signal.
    Died { code: i64 },
    /// Frozen.
    Paused,
    /// Running again after a freeze.
    Unpaused,
    /// Sent a signal.
    Signalled { signal: String },
    /// Cut off a network.
    Disconnected { network: String },
    /// On a network again.
    Connected { network: String },
    /// Its health check changed its answer.
    Health { health: Health },
    /// Removed.
    Destroyed,
    /// Killed by the kernel for want of memory.
    OutOfMemory,
    /// Its cluster's managers say otherwise of a node than before.
    Node {
        #[serde(flatten)]
        said: NodeSaid,
    },
}

/// What the managers of a cluster say of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSaid {
    /// Whether it is ready.
    pub ready: bool,
    /// Whether tasks may run on it (it is not drained).
    pub active: bool,
    /// Whether it leads.
    pub leads: bool,
}
