//! A cluster that was cut short while it was made.

use std::collections::BTreeMap;
use std::fs;

use firedrill::model::{MachinesSpec, StackSpec, SwarmSpec};
use firedrill::stack::open;

use crate::compose::engine::{Bench, Flavour, IMAGE, docker, remove};

const MACHINES: &str = r#"
services:
  m1: { image: "firedrill-test/http:1", labels: { io.firedrill.swarm.role: manager } }
  m2: { image: "firedrill-test/http:1", labels: { io.firedrill.swarm.role: worker } }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_stands_only_in_part_is_refused() {
    let Some(bench) = Bench::new(Flavour::One, "in-part", "services: {}") else {
        return;
    };
    let name = format!("in-part-{}", std::process::id());
    let project = format!("fd-cluster-{name}");
    let machines = bench.folder.path().join("cluster.yml");
    fs::write(&machines, MACHINES).unwrap();
    let stack = open(
        &StackSpec::Swarm(Box::new(SwarmSpec {
            file: bench.folder.path().join("docker-compose.yml"),
            env: BTreeMap::new(),
            images: Vec::new(),
            machines: Some(MachinesSpec {
                file: machines,
                name,
                env: BTreeMap::new(),
                keep: true,
            }),
            manager: None,
            outside: None,
            ready: None,
            services: Vec::new(),
            global: Vec::new(),
        })),
        bench.context(),
    )
    .unwrap();
    let labels = [
        format!("com.docker.compose.project={project}"),
        "com.docker.compose.service=m1".to_owned(),
        "com.docker.compose.container-number=1".to_owned(),
    ];
    let labels = labels.iter().flat_map(|label| ["--label", label]);
    let arguments: Vec<&str> = ["run", "-d"]
        .into_iter()
        .chain(labels)
        .chain([IMAGE])
        .collect();
    let made = docker(&arguments);
    let refused = stack.up().await;
    remove(&project);
    made.unwrap();
    let why = refused.unwrap_err().to_string();
    assert!(why.contains("only in part") && why.contains("m2"), "{why}");
}
