//! The Swarm body on a real engine: a cluster whose machines are containers.
#![expect(
    clippy::unwrap_used,
    reason = "what a test needs and does not get fails it"
)]

mod base;
mod in_part;
mod promises;
mod tenants;
mod there_already;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use firedrill::model::{MachinesSpec, Ready, SwarmSpec};

use crate::compose::engine::docker;

/// The images of the reference stacks, made unless they are there.
fn built() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = Command::new(root.join("scripts/build-images"))
        .output()
        .unwrap();
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
}

/// The cluster that the bundled drills keep, with this besides.
fn kept(base: Option<PathBuf>) -> MachinesSpec {
    MachinesSpec {
        file: Path::new(env!("CARGO_MANIFEST_DIR")).join("stack/swarm/cluster.yml"),
        name: "drill".to_owned(),
        env: BTreeMap::new(),
        keep: true,
        base,
    }
}

/// A stack on such machines.
fn on(machines: MachinesSpec, file: PathBuf) -> SwarmSpec {
    SwarmSpec {
        file,
        env: BTreeMap::new(),
        images: Vec::new(),
        machines: Some(machines),
        manager: None,
        outside: None,
        ready: Some(Ready {
            http: None,
            within: Duration::from_secs(120),
        }),
        services: vec!["web".to_owned()],
        global: Vec::new(),
    }
}

/// Where the engine of a machine of the cluster listens that the bundled drills keep.
fn engine_of(machine: &str) -> Result<String, String> {
    let service = format!("label=com.docker.compose.service={machine}");
    let project = "label=com.docker.compose.project=fd-cluster-drill";
    let id = docker(&["ps", "-q", "--filter", project, "--filter", &service])?;
    let address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let address = docker(&["inspect", "--format", address, &id])?;
    Ok(format!("tcp://{address}:2375"))
}
