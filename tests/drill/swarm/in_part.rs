//! A cluster that was cut short while it was made, machines that have stopped, and machines that say nothing.

use std::fs;
use std::sync::Arc;

use firedrill::model::{ComponentId, MachinesSpec, NODE, StackSpec};
use firedrill::stack::{Stack, open};

use super::{kept, on};
use crate::compose::engine::{Bench, Flavour, IMAGE, docker, remove};

const MACHINES: &str = r#"
services:
  m1: { image: "firedrill-test/http:1", labels: { io.firedrill.swarm.role: manager } }
  m2: { image: "firedrill-test/http:1", labels: { io.firedrill.swarm.role: worker } }
"#;

/// A cluster of two machines, of which one is there: a container, but no engine.
struct InPart {
    /// Its folder has the cluster's file.
    _bench: Bench,
    project: String,
    stack: Arc<dyn Stack>,
}

impl InPart {
    fn new(name: &str) -> Option<Self> {
        let bench = Bench::new(
            Flavour::One,
            name,
            "services: { web: { image: \"firedrill-test/http:1\" } }",
        )?;
        let name = format!("{name}-{}", std::process::id());
        let project = format!("fd-cluster-{name}");
        let machines = bench.folder.path().join("cluster.yml");
        fs::write(&machines, MACHINES).unwrap();
        let machines = MachinesSpec {
            file: machines,
            name,
            ..kept(None)
        };
        let spec = on(machines, bench.folder.path().join("docker-compose.yml"));
        let stack = open(&StackSpec::Swarm(Box::new(spec)), bench.context()).unwrap();
        let there = Self {
            _bench: bench,
            project,
            stack,
        };
        there.start("m1", "manager");
        Some(there)
    }

    /// Starts a machine as Compose would, and gives the engine's id of it.
    fn start(&self, machine: &str, role: &str) -> String {
        let labels = [
            format!("com.docker.compose.project={}", self.project),
            format!("com.docker.compose.service={machine}"),
            "com.docker.compose.container-number=1".to_owned(),
            format!("io.firedrill.swarm.role={role}"),
        ];
        let labels = labels.iter().flat_map(|label| ["--label", label]);
        let run = ["run", "-d"].into_iter().chain(labels).chain([IMAGE]);
        docker(&run.collect::<Vec<&str>>()).unwrap()
    }

    /// The names of its machines that are in this state.
    fn machines(&self, state: &str) -> Vec<String> {
        let [project, state] = [
            format!("label=com.docker.compose.project={}", self.project),
            format!("status={state}"),
        ];
        let filters = ["--filter", &project, "--filter", &state];
        let named = ["ps", "-a", "--format", "{{.Names}}"];
        let names = docker(&[named.as_slice(), &filters].concat()).unwrap();
        names.lines().map(str::to_owned).collect()
    }
}

impl Drop for InPart {
    fn drop(&mut self) {
        remove(&self.project);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_stands_only_in_part_is_refused() {
    let Some(cluster) = InPart::new("in-part") else {
        return;
    };
    let why = cluster.stack.up().await.unwrap_err().to_string();
    assert!(why.contains("only in part") && why.contains("m2"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_that_have_stopped_are_started_again() {
    let Some(cluster) = InPart::new("stopped") else {
        return;
    };
    cluster.start("m2", "worker");
    let all = cluster.machines("running");
    docker(
        &[
            &["kill"],
            all.iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .as_slice(),
        ]
        .concat(),
    )
    .unwrap();
    assert_eq!(cluster.machines("exited"), all);
    cluster.stack.reachable().await.unwrap();
    // There is no engine in them, so it goes no further.
    let why = cluster.stack.up().await.unwrap_err().to_string();
    assert_eq!(cluster.machines("running"), all, "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_machine_is_told_and_left() {
    let Some(cluster) = InPart::new("paused") else {
        return;
    };
    let worker = cluster.start("m2", "worker");
    docker(&["pause", &worker]).unwrap();
    let why = cluster.stack.up().await.unwrap_err().to_string();
    assert!(why.contains("(paused)") && why.contains("unpause"), "{why}");
    assert_eq!(cluster.machines("paused").len(), 1);
    docker(&["unpause", &worker]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_does_not_say_what_it_runs_is_not_touched() {
    let Some(cluster) = InPart::new("silent") else {
        return;
    };
    let untouchable = cluster.stack.untouchable().await.unwrap();
    let [(node, why)] = untouchable.as_slice() else {
        panic!("{untouchable:?}");
    };
    assert_eq!(*node, ComponentId::new(NODE, 1));
    assert!(why.contains("does not say what runs on it"), "{why}");
}
