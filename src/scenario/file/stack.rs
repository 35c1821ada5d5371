//! `stack:` as written.

use schemars::{JsonSchema, Schema};
use serde::Deserialize;

use super::swarm::Swarm;
use super::{Later, exactly_one};
use crate::scenario::shape::{At, Named};
use crate::scenario::units::{Period, Text};

/// The platforms, as keys of a stack.
pub(in crate::scenario) const PLATFORMS: [&str; 4] = ["compose", "swarm", "process", "external"];

/// The system under test: exactly one platform.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = one_platform)]
pub(in crate::scenario) struct Stack {
    /// A Compose project that firedrill stands up and takes down.
    pub(in crate::scenario) compose: Option<Compose>,
    /// Services that firedrill deploys on a Docker Swarm, and removes again.
    pub(in crate::scenario) swarm: Option<Swarm>,
    /// Child processes of firedrill's own.
    pub(in crate::scenario) process: Option<Process>,
    /// A stack that is there already: nothing is started or stopped.
    pub(in crate::scenario) external: Option<External>,
    #[schemars(skip)]
    pub(in crate::scenario) kubernetes: Option<Later>,
    #[schemars(skip)]
    pub(in crate::scenario) aws: Option<Later>,
    /// When the whole counts as ready.
    pub(in crate::scenario) ready: Option<Ready>,
}

/// A GET that must be answered with 2xx.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Ready {
    /// The address; without one, health checks decide.
    pub(in crate::scenario) http: Option<At<String>>,
    /// How long that may take.
    pub(in crate::scenario) within: Option<At<Period>>,
}

/// A Compose project.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Compose {
    /// The Compose file, relative to the scenario's folder.
    pub(in crate::scenario) file: At<String>,
    /// Profiles to enable.
    pub(in crate::scenario) profiles: Option<Vec<String>>,
    /// Environment for the Compose file's interpolation.
    pub(in crate::scenario) env: Option<Named<At<Text>>>,
    /// A file with more of it, relative to the scenario's folder.
    pub(in crate::scenario) env_file: Option<At<String>>,
    /// Build images first.
    pub(in crate::scenario) build: Option<bool>,
}

/// Child processes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Process {
    /// The services by name.
    pub(in crate::scenario) services: Named<Service>,
}

/// One service, run as one process or more.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Service {
    /// Command line; `${listen}` is the address to listen on.
    pub(in crate::scenario) command: At<Vec<At<Text>>>,
    /// Number of processes: 1 unless set.
    pub(in crate::scenario) replicas: Option<At<u32>>,
    /// Environment, added to firedrill's own.
    pub(in crate::scenario) env: Option<Named<At<Text>>>,
    /// When one of its processes counts as ready.
    pub(in crate::scenario) ready: Option<Ready>,
}

/// A stack that is there already.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct External {
    /// Service to `host:port`.
    pub(in crate::scenario) addresses: Option<Named<At<String>>>,
    /// A Compose project whose containers may be targets.
    pub(in crate::scenario) compose_project: Option<At<String>>,
}

fn one_platform(schema: &mut Schema) {
    exactly_one(schema, &PLATFORMS);
}
