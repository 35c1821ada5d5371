//! Whether there is an engine to work with, and a Compose command line.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::engine::Project;
use crate::stack::DockerEnv;
use crate::stack::docker::Endpoint;

/// How long each answer may take.
const WITHIN: Duration = Duration::from_secs(5);

/// What a Docker engine says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// Version of the engine.
    pub version: String,
    /// Version of its API that is spoken with it.
    pub api: String,
    /// Version of its control groups, `1` or `2`.
    pub cgroup: String,
    /// Its wall clock less ours, in ns.
    pub skew_ns: i64,
}

/// Whether there is an engine to work with, and a Compose command line.
#[derive(Debug, Clone)]
pub struct Checkup {
    /// Where the engine is; `None` where not even that can be told.
    pub endpoint: Option<String>,
    /// Whether it is on this machine.
    pub local: bool,
    /// What it says of itself, or why it does not.
    pub engine: Result<Engine, String>,
    /// Compose command lines and their versions, in the order in which they are taken.
    pub compose: Vec<(String, String)>,
}

/// Asks the engine that this environment means, and the Compose command lines, each for a few seconds at most.
pub async fn checkup(docker: &DockerEnv) -> Checkup {
    let endpoint = Endpoint::of(docker);
    let (engine, plugin, own) = tokio::join!(
        timeout(WITHIN, ask(docker)),
        compose(docker, &["docker", "compose"]),
        compose(docker, &["docker-compose"]),
    );
    Checkup {
        local: endpoint.as_ref().is_ok_and(Endpoint::is_local),
        endpoint: endpoint.ok().map(|e| e.to_string()),
        engine: engine.unwrap_or_else(|_| Err(format!("it did not answer within {WITHIN:?}"))),
        compose: [plugin, own].into_iter().flatten().collect(),
    }
}

async fn ask(docker: &DockerEnv) -> Result<Engine, String> {
    let project = Project::reach(docker, "", None)
        .await
        .map_err(|e| e.to_string())?;
    let said = |what, e| project.error(what, &project.endpoint, &e).to_string();
    let version = project.docker.version().await;
    let version = version.map_err(|e| said("ask for its version", e))?;
    let info = project.docker.info().await;
    let info = info.map_err(|e| said("ask for its state", e))?;
    Ok(Engine {
        version: version.version.unwrap_or_default(),
        api: project.docker.client_version().to_string(),
        cgroup: info
            .cgroup_version
            .map_or_else(String::new, |v| v.to_string()),
        skew_ns: project.skew_ns().await.map_err(|e| e.to_string())?,
    })
}

/// The command line and its version, where it can be run.
async fn compose(docker: &DockerEnv, command: &[&str]) -> Option<(String, String)> {
    let mut asking = Command::new(command[0]);
    asking
        .args(&command[1..])
        .args(["version", "--short"])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(path) = &docker.path {
        asking.env("PATH", path);
    }
    let said = timeout(WITHIN, asking.output()).await.ok()?.ok()?;
    let version = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    said.status.success().then(|| (command.join(" "), version))
}
