//! What the machines have besides the runs' stacks (`cluster.base`): deployed once, kept, and made whole again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use firedrill::model::{MachinesSpec, Ready, StackSpec, SwarmSpec};
use firedrill::stack::{Stack, open};
use futures_util::FutureExt;

use super::engine_of;
use crate::compose::engine::{Bench, Flavour, docker};

const FILE: &str = r#"
version: "3.8"
services:
  web:
    image: firedrill-test/http:1
    stop_grace_period: 1s
    networks: [ shared ]
    deploy: { replicas: 1, endpoint_mode: dnsrr }
networks: { shared: { external: true, name: fd-base_shared } }
"#;

fn base(internal: bool) -> String {
    format!(
        r#"
version: "3.8"
services:
  holder:
    image: firedrill-test/http:1
    stop_grace_period: 1s
    networks: [ shared ]
    deploy: {{ mode: global, endpoint_mode: dnsrr }}
networks: {{ shared: {{ driver: overlay, internal: {internal} }} }}
"#
    )
}

/// The stack of a run on the machines that the bundled drills keep.
fn run(bench: &Bench, name: &str) -> Arc<dyn Stack> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = bench.folder.path();
    let spec = StackSpec::Swarm(Box::new(SwarmSpec {
        file: folder.join("docker-compose.yml"),
        env: BTreeMap::new(),
        images: Vec::new(),
        machines: Some(MachinesSpec {
            file: root.join("stack/swarm/cluster.yml"),
            name: "drill".to_owned(),
            env: BTreeMap::new(),
            keep: true,
            base: Some(folder.join("base.yml")),
        }),
        manager: None,
        outside: None,
        ready: Some(Ready {
            http: None,
            within: Duration::from_secs(120),
        }),
        services: vec!["web".to_owned()],
        global: Vec::new(),
    }));
    let mut context = bench.context();
    context.run = format!("{}-{name}", context.run);
    open(&spec, context).unwrap()
}

/// What a manager says, and not firedrill.
fn said(words: &[&str]) -> String {
    docker(&[&["-H", &engine_of("m1").unwrap()], words].concat()).unwrap()
}

/// Whether the shared network keeps what is on it from the world, and its id.
fn network() -> String {
    said(&[
        "network",
        "inspect",
        "--format",
        "{{.Internal}} {{.Id}}",
        "fd-base_shared",
    ])
}

/// Stands a run up and takes it down; gives whether it deployed the base, which it does not twice.
async fn lays_it(bench: &Bench, name: &str) -> bool {
    let stack = run(bench, name);
    let laid = |notes: Vec<String>| notes.iter().any(|note| note.contains("as fd-base"));
    let up = stack.up().await;
    let network_then = network();
    let again = stack.up().await;
    let network_now = network();
    stack.down().await.unwrap();
    assert_eq!(stack.owned().await.unwrap(), []);
    let first = laid(up.unwrap().notes);
    assert!(!laid(again.unwrap().notes), "it is there");
    assert_eq!(network_now, network_then);
    first
}

async fn story(bench: &Bench) {
    let file = bench.folder.path().join("base.yml");
    fs::write(&file, base(true)).unwrap();
    assert!(lays_it(bench, "first").await);
    let first = network();
    assert!(first.starts_with("true "), "{first}");

    fs::write(&file, base(false)).unwrap();
    assert!(lays_it(bench, "second").await, "it has changed");
    let second = network();
    assert!(second.starts_with("false "), "{second}");

    said(&["service", "rm", "fd-base_holder"]);
    assert!(lays_it(bench, "third").await, "it is not whole");
    let tasks = [
        "service",
        "ps",
        "--filter",
        "desired-state=running",
        "-q",
        "fd-base_holder",
    ];
    assert_eq!(said(&tasks).lines().count(), 5, "one on each machine");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_machines_have_besides_is_deployed_once_and_made_whole() {
    let Some(bench) = Bench::new(Flavour::One, "base", FILE) else {
        return;
    };
    super::built();
    let told = std::panic::AssertUnwindSafe(story(&bench))
        .catch_unwind()
        .await;
    for name in ["first", "second", "third"] {
        run(&bench, name).down().await.unwrap();
    }
    if let Err(panic) = told {
        std::panic::resume_unwind(panic);
    }
}
