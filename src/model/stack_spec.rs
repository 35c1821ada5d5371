//! Which stack, and how to reach it again: also part of the journal's first record.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Action, ComponentId, NODE, Template};

/// When a stack or a service counts as ready: a GET answered with 2xx.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    /// Address to GET; without one, health checks (or the bare start) decide.
    pub http: Option<Template>,
    /// How long that may take.
    pub within: Duration,
}

/// The platform and what it needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StackSpec {
    /// Docker Compose.
    Compose(ComposeSpec),
    /// Docker Swarm.
    Swarm(Box<SwarmSpec>),
    /// Child processes of firedrill's own.
    Process(ProcessSpec),
    /// Nothing is started or stopped.
    External(ExternalSpec),
    /// In memory, for tests on a paused clock.
    Fake(FakeSpec),
}

/// A Compose project that firedrill stands up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComposeSpec {
    /// The Compose file, absolute or relative to where firedrill runs.
    pub file: PathBuf,
    /// Profiles to enable.
    pub profiles: Vec<String>,
    /// Environment for interpolation.
    pub env: BTreeMap<String, Template>,
    /// File with more of it.
    pub env_file: Option<PathBuf>,
    /// Build images before.
    pub build: bool,
    /// When it is ready, besides its health checks.
    pub ready: Option<Ready>,
    /// Container ports mentioned in the scenario need no listing here: they are asked of the engine.
    pub services: Vec<String>,
}

/// A stack of services that firedrill deploys on a Swarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SwarmSpec {
    /// The stack file, as `docker stack deploy` takes it.
    pub file: PathBuf,
    /// Environment for its interpolation.
    pub env: BTreeMap<String, Template>,
    /// Images that the nodes must have besides those of the stack file: what updates roll out. Given to machines only.
    pub images: Vec<Template>,
    /// Machines that firedrill stands up.
    pub machines: Option<MachinesSpec>,
    /// How a Swarm is reached that is there already; with neither, the engine at hand must be a manager.
    pub manager: Option<ManagerSpec>,
    /// What stands beside the cluster: a load balancer, monitoring.
    pub outside: Option<ComposeSpec>,
    /// When the whole is ready, besides its health checks.
    pub ready: Option<Ready>,
    /// The services of the stack file.
    pub services: Vec<String>,
    /// Those of them of which each node runs one: what is lost with a node is not replaced elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub global: Vec<String>,
}

/// The nodes of a cluster, as containers of the engine at hand that run engines of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MachinesSpec {
    /// The Compose file of the machines: its labels say who is a manager, and in which zone.
    pub file: PathBuf,
    /// The cluster's name: one that stands already under it is used, and left as it was found.
    pub name: String,
    /// Environment for its interpolation.
    pub env: BTreeMap<String, Template>,
    /// They are left standing, whoever made them.
    pub keep: bool,
    /// A stack file with what they have besides the runs' stacks, deployed once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<PathBuf>,
}

/// How a manager is reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ManagerSpec {
    /// `tcp://host:port`, by TLS where a folder with `ca.pem`, `cert.pem` and `key.pem` is given.
    At {
        /// The address.
        address: String,
        /// The folder.
        certs: Option<PathBuf>,
    },
    /// The Docker context of this name.
    Context(String),
}

/// Services run as child processes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessSpec {
    /// The services, in the order they are started: a service comes after those whose `${addr…}` it mentions.
    pub services: BTreeMap<String, ProcessService>,
    /// When the whole is ready.
    pub ready: Option<Ready>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessService {
    /// Command line.
    pub command: Vec<Template>,
    /// Number of processes.
    pub replicas: u32,
    /// Environment, added to firedrill's own.
    pub env: BTreeMap<String, Template>,
    /// When one of them is ready.
    pub ready: Option<Ready>,
}

/// A stack that is already there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExternalSpec {
    /// Service → `host:port` (several, comma-separated).
    pub addresses: BTreeMap<String, Template>,
    /// A Compose project whose containers may be targets.
    pub compose_project: Option<String>,
    /// When it is ready.
    pub ready: Option<Ready>,
}

/// A stack in memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FakeSpec {
    /// Service → replicas.
    pub services: BTreeMap<String, u32>,
    /// How long an effect takes after the call.
    pub effect_after: Duration,
    /// How long callers' requests to a dead replica go on failing before the fake edge takes it out.
    pub failover_after: Duration,
}

impl StackSpec {
    /// Its key in the scenario language.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Compose(_) => "compose",
            Self::Swarm(_) => "swarm",
            Self::Process(_) => "process",
            Self::External(_) => "external",
            Self::Fake(_) => "fake",
        }
    }

    /// The names of its services, as far as the scenario tells them.
    #[must_use]
    pub fn services(&self) -> Vec<String> {
        match self {
            Self::Compose(c) => c.services.clone(),
            Self::Swarm(s) => {
                let outside = s.outside.iter().flat_map(|o| &o.services);
                s.services.iter().chain(outside).cloned().collect()
            }
            Self::Process(p) => p.services.keys().cloned().collect(),
            Self::External(e) => e.addresses.keys().cloned().collect(),
            Self::Fake(f) => f.services.keys().cloned().collect(),
        }
    }

    /// The patience for the whole stack's readiness.
    #[must_use]
    pub fn ready(&self) -> Option<&Ready> {
        match self {
            Self::Compose(c) => c.ready.as_ref(),
            Self::Swarm(s) => s.ready.as_ref(),
            Self::Process(p) => p.ready.as_ref(),
            Self::External(e) => e.ready.as_ref(),
            Self::Fake(_) => None,
        }
    }

    /// Whether the platform makes another replica of a service elsewhere when one is lost with its node.
    #[must_use]
    pub fn replaces(&self, service: &str) -> bool {
        match self {
            Self::Swarm(s) => !s.global.iter().any(|global| global == service),
            Self::Compose(_) | Self::Process(_) | Self::External(_) | Self::Fake(_) => false,
        }
    }

    /// Whether a cluster runs this service as tasks: one that ends is never started again, another takes its slot. What stands
    /// beside the cluster is no such service.
    #[must_use]
    pub fn has_tasks_of(&self, service: &str) -> bool {
        match self {
            Self::Swarm(s) => s.services.iter().any(|own| own == service),
            Self::Compose(_) | Self::Process(_) | Self::External(_) | Self::Fake(_) => false,
        }
    }

    /// Whether a component is still there when all that the run stood up has been taken down: a node of a cluster that is
    /// kept, or that was there before.
    #[must_use]
    pub fn leaves(&self, id: &ComponentId) -> bool {
        match self {
            Self::Swarm(s) => id.service == NODE && s.machines.as_ref().is_none_or(|m| m.keep),
            Self::Compose(_) | Self::Process(_) | Self::External(_) | Self::Fake(_) => false,
        }
    }

    /// Whether the action breaks what firedrill did not start, so that the scenario has to allow it: on an external stack
    /// whatever it is aimed at, on a Swarm that is there already its nodes.
    #[must_use]
    pub fn is_foreign_to(&self, action: &Action) -> bool {
        match self {
            Self::External(_) => action.target().is_some(),
            Self::Swarm(s) => s.machines.is_none() && matches!(action, Action::Node { .. }),
            Self::Compose(_) | Self::Process(_) | Self::Fake(_) => false,
        }
    }
}
