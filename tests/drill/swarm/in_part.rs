//! A cluster that was cut short while it was made, and machines that say nothing.

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
        let labels = [
            format!("com.docker.compose.project={}", there.project),
            "com.docker.compose.service=m1".to_owned(),
            "com.docker.compose.container-number=1".to_owned(),
            "io.firedrill.swarm.role=manager".to_owned(),
        ];
        let labels = labels.iter().flat_map(|label| ["--label", label]);
        let run = ["run", "-d"].into_iter().chain(labels).chain([IMAGE]);
        docker(&run.collect::<Vec<&str>>()).unwrap();
        Some(there)
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
