//! What puts a fault right again, as data.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{ComponentId, HttpCall, Template};

/// The state to restore: idempotent, keyed by stable identity, written down before the fault is made.
/// Secrets stay references.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum Undo {
    /// The stack that firedrill stood up is gone.
    Down,
    /// The component runs, and not as one that was told to end after the fault was written down: `since_ns` is when that
    /// was by the engine's clock, on a platform that forgets whom it has told.
    Running {
        component: ComponentId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since_ns: Option<i64>,
    },
    /// The component is not frozen.
    Unpaused { component: ComponentId },
    /// The component is on the network, under these names and, where it was fixed, at this address.
    Connected {
        component: ComponentId,
        network: String,
        aliases: Vec<String>,
        address: Option<IpAddr>,
        fixed: bool,
    },
    /// No packet rule of this chain is in the component's network namespace.
    Reachable {
        component: ComponentId,
        chain: String,
    },
    /// The service has so many replicas: just these, so that one made by the fault is the one to go.
    Replicas { service: String, indexes: Vec<u32> },
    /// The service has so many replicas; which of them go is the platform's choice, so none that the fault made is sure to.
    Count { service: String, replicas: u32 },
    /// Every replica of the service runs this definition (platform's own: image, environment, command).
    Definition {
        service: String,
        indexes: Vec<u32>,
        image: String,
        env: Vec<String>,
        command: Option<Vec<String>>,
    },
    /// The cluster gives the node tasks as before: `active`, or what it was. `node` is the cluster's own id of it.
    Available {
        component: ComponentId,
        node: String,
        availability: String,
    },
    /// This command has ended with 0 inside the component.
    Exec {
        component: ComponentId,
        run: Vec<Template>,
    },
    /// This call has been answered with 2xx.
    Http { call: HttpCall },
    /// This command has ended with 0, in this folder.
    Command { run: Vec<Template>, folder: String },
    /// Nothing is owed (`undo: none`).
    Nothing,
}

impl Undo {
    /// The component it is about, unless it is a whole service's or none's.
    #[must_use]
    pub fn component(&self) -> Option<&ComponentId> {
        match self {
            Self::Running { component, .. }
            | Self::Unpaused { component }
            | Self::Connected { component, .. }
            | Self::Reachable { component, .. }
            | Self::Available { component, .. }
            | Self::Exec { component, .. } => Some(component),
            Self::Down
            | Self::Replicas { .. }
            | Self::Count { .. }
            | Self::Definition { .. }
            | Self::Http { .. }
            | Self::Command { .. }
            | Self::Nothing => None,
        }
    }

    /// The same state of a component that another layer of the platform knows as `named`.
    #[must_use]
    pub fn of(mut self, named: &ComponentId) -> Self {
        match &mut self {
            Self::Running { component, .. }
            | Self::Unpaused { component }
            | Self::Connected { component, .. }
            | Self::Reachable { component, .. }
            | Self::Available { component, .. }
            | Self::Exec { component, .. } => component.clone_from(named),
            Self::Down
            | Self::Replicas { .. }
            | Self::Count { .. }
            | Self::Definition { .. }
            | Self::Http { .. }
            | Self::Command { .. }
            | Self::Nothing => {}
        }
        self
    }
}

/// What has to be done, in words: `unpause backend/2`.
impl fmt::Display for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down => f.write_str("take the stack down"),
            Self::Running { component, .. } => write!(f, "start {component}"),
            Self::Unpaused { component } => write!(f, "unpause {component}"),
            Self::Connected {
                component, network, ..
            } => write!(f, "connect {component} to {network}"),
            Self::Reachable { component, .. } => write!(f, "let {component} be reached again"),
            Self::Replicas { service, indexes } => {
                write!(f, "set {service} to {} replicas", indexes.len())
            }
            Self::Count { service, replicas } => write!(f, "set {service} to {replicas} replicas"),
            Self::Definition { service, image, .. } => write!(f, "put {service} back to {image}"),
            Self::Available {
                component,
                availability,
                ..
            } => write!(f, "make {component} {availability} again"),
            Self::Exec { component, .. } => write!(f, "run the undo in {component}"),
            Self::Http { call } => write!(f, "call {} {}", call.method, call.url),
            Self::Command { run, .. } => {
                let words: Vec<String> = run.iter().map(ToString::to_string).collect();
                write!(f, "run `{}`", words.join(" "))
            }
            Self::Nothing => f.write_str("nothing"),
        }
    }
}
