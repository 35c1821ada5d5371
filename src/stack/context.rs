//! What a stack is handed: firedrill's own surroundings, which only `cli` reads.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Owner, Resolve};
use crate::model::Redactor;

/// The run that a stack belongs to, and where things are.
#[derive(Clone)]
pub struct StackContext {
    /// The run's id: the label of everything the stack starts.
    pub run: String,
    /// Who stands behind it: the other label.
    pub owner: Owner,
    /// The run's directory, absolute.
    pub run_dir: PathBuf,
    /// The folder of the scenario file, absolute.
    pub scenario_dir: PathBuf,
    /// Folder for undos of platforms that have no place for them; `None` where the user has none.
    pub state_dir: Option<PathBuf>,
    /// This binary.
    pub firedrill: PathBuf,
    /// Port of each `${free_port}`, by the number of its mention ([`free_ports`](super::free_ports)).
    pub ports: BTreeMap<u32, u16>,
    /// Fills in secrets where they are used.
    pub secrets: Arc<dyn Resolve>,
    /// Keeps their values out of all that is passed on of what the stack wrote.
    pub redactor: Redactor,
    /// How to reach a Docker engine.
    pub docker: DockerEnv,
}

/// The part of the environment that the Docker command line and API clients go by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DockerEnv {
    /// `DOCKER_HOST`.
    pub docker_host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub docker_context: Option<String>,
    /// `DOCKER_CONFIG`, the folder of `config.json` and `contexts/`.
    pub docker_config: Option<PathBuf>,
    /// `DOCKER_CERT_PATH`.
    pub docker_cert_path: Option<PathBuf>,
    /// `DOCKER_TLS_VERIFY`.
    pub docker_tls_verify: Option<String>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `PATH`.
    pub path: Option<OsString>,
}
