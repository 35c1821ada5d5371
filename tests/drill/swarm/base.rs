//! What the machines have besides the runs' stacks (`cluster.base`): deployed once, kept, and made whole again.

use std::fs;
use std::sync::Arc;

use firedrill::model::StackSpec;
use firedrill::stack::{Stack, open};
use futures_util::FutureExt;

use super::{engine_of, kept, on};
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

/// Not one that another run of this has left on the machines.
fn base(internal: bool) -> String {
    let made_by = std::process::id();
    format!(
        r#"
version: "3.8"
services:
  holder:
    image: firedrill-test/http:1
    stop_grace_period: 1s
    networks: [ shared ]
    deploy: {{ mode: global, endpoint_mode: dnsrr }}
networks: {{ shared: {{ driver: overlay, internal: {internal}, labels: {{ made-by: "{made_by}" }} }} }}
"#
    )
}

/// The stack of a run on the machines that the bundled drills keep.
fn run(bench: &Bench, name: &str) -> Arc<dyn Stack> {
    let [base, file] = ["base.yml", "docker-compose.yml"].map(|n| bench.folder.path().join(n));
    let spec = StackSpec::Swarm(Box::new(on(kept(Some(base)), file)));
    let mut context = bench.context();
    context.run = format!("{}-{name}", context.run);
    open(&spec, context).unwrap()
}

/// What a manager says, and not firedrill.
fn said(words: &[&str]) -> Result<String, String> {
    docker(&[&["-H", &engine_of("m1")?], words].concat())
}

/// Whether the shared network keeps what is on it from the world, and its id.
fn network() -> Result<String, String> {
    let format = "{{.Internal}} {{.Id}}";
    said(&["network", "inspect", "--format", format, "fd-base_shared"])
}

/// Stands a run up, this often, and takes it down; gives each time whether it deployed the base.
async fn lays_it<const TIMES: usize>(bench: &Bench, name: &str) -> [bool; TIMES] {
    let stack = run(bench, name);
    let mut laid = [false; TIMES];
    for laid in &mut laid {
        let before = network();
        let notes = stack.up().await.unwrap().notes;
        *laid = notes.iter().any(|note| note.contains("as fd-base"));
        assert_ne!(*laid, before == network(), "{notes:?}");
    }
    stack.down().await.unwrap();
    assert_eq!(stack.owned().await.unwrap(), []);
    laid
}

async fn story(bench: &Bench) {
    let file = bench.folder.path().join("base.yml");
    fs::write(&file, base(true)).unwrap();
    assert_eq!(lays_it(bench, "first").await, [true, false]);
    let first = network().unwrap();
    assert!(first.starts_with("true "), "{first}");

    fs::write(&file, base(false)).unwrap();
    assert_eq!(lays_it(bench, "second").await, [true, false]);
    let second = network().unwrap();
    assert!(second.starts_with("false "), "{second}");

    said(&["service", "rm", "fd-base_holder"]).unwrap();
    assert_eq!(lays_it(bench, "third").await, [true]);
    let tasks = [
        "service",
        "ps",
        "--filter",
        "desired-state=running",
        "-q",
        "fd-base_holder",
    ];
    assert_eq!(
        said(&tasks).unwrap().lines().count(),
        5,
        "one on each machine"
    );
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
