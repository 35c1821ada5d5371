//! The reference stack's two tenants, each trying to get at the other from inside.

use std::collections::BTreeMap;
use std::path::Path;

use firedrill::model::{Component, ComponentId, Injection, StackSpec, SwarmSpec, Template};
use firedrill::stack::{Stack, open};
use futures_util::FutureExt;

use super::{kept, on};
use crate::compose::engine::{Bench, Flavour};

/// Ends with 0 if the other tenant can be neither named nor reached, its own replica can, and only its own secret is there.
/// Arguments: own replica's address, own service, the other's service, the other's addresses.
const TRY: &str = r#"
import os, socket, sys
own, name, other, addresses = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
def reaches(host):
    try:
        socket.create_connection((host, 8000), timeout=2).close()
        return True
    except OSError:
        return False
assert reaches(own), "its own replica is out of reach, so this proves nothing"
assert reaches(name), "its own name means nothing, so this proves nothing"
assert not reaches(other), "the other is known by name"
for address in addresses:
    assert not reaches(address), f"the other answers at {address}"
assert os.listdir("/run/secrets") == ["tenant"], os.listdir("/run/secrets")
"#;

fn spec() -> SwarmSpec {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let secret = |tenant: &str| {
        let file = root.join(".secrets").join(tenant).display().to_string();
        Template::literal(file)
    };
    SwarmSpec {
        env: BTreeMap::from([
            ("A_SECRET_FILE".to_owned(), secret("tenant-a")),
            ("B_SECRET_FILE".to_owned(), secret("tenant-b")),
        ]),
        services: ["a-app", "b-app", "gate"].map(str::to_owned).into(),
        global: vec!["gate".to_owned()],
        ..on(
            kept(Some(root.join("stack/swarm/base.yml"))),
            root.join("stack/swarm/stack.yml"),
        )
    }
}

fn addresses(all: &[Component], service: &str) -> Vec<String> {
    let of = all.iter().filter(|c| c.id.service == service);
    of.flat_map(|c| c.addresses.clone()).collect()
}

async fn tries(stack: &dyn Stack, all: &[Component], own: &str, other: &str) {
    let (ours, theirs) = (addresses(all, own), addresses(all, other));
    assert!(ours.len() >= 3 && theirs.len() >= 3, "{all:?}");
    let words = ["python3", "-c", TRY, &ours[1], own, other];
    let words = words.into_iter().chain(theirs.iter().map(String::as_str));
    let injection = Injection::Exec {
        component: ComponentId::new(own, 1),
        run: words.map(Template::literal).collect(),
        undo: None,
    };
    let undo = stack.prepare(&injection).await.unwrap();
    let tried = stack.apply(&injection, &undo).await;
    tried.unwrap_or_else(|why| panic!("{own} against {other}: {why}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_tenant_gets_at_the_other() {
    let Some(bench) = Bench::new(Flavour::One, "tenants", "services: {}") else {
        return;
    };
    super::built();
    // The bench's own PATH prefers Debian's command line, which may be too old for this file.
    let mut context = bench.context();
    context.docker.path = std::env::var_os("PATH");
    let stack = open(&StackSpec::Swarm(Box::new(spec())), context).unwrap();
    let tried = std::panic::AssertUnwindSafe(async {
        stack.up().await.unwrap();
        let all = stack.components().await.unwrap();
        tries(&*stack, &all, "a-app", "b-app").await;
        tries(&*stack, &all, "b-app", "a-app").await;
    });
    let tried = tried.catch_unwind().await;
    stack.down().await.unwrap();
    assert_eq!(stack.owned().await.unwrap(), []);
    if let Err(panic) = tried {
        std::panic::resume_unwind(panic);
    }
}
