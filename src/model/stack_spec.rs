//! Which stack, and how to reach it again: also part of the journal's first record.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Template;

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
            Self::Process(p) => p.ready.as_ref(),
            Self::External(e) => e.ready.as_ref(),
            Self::Fake(_) => None,
        }
    }
}
