//! An engine that lists a container before it can be asked for it: the call that makes it is still under way, and whoever
//! made the call is gone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use firedrill::model::{ComposeSpec, Undo};
use firedrill::stack::{ComposeStack, Stack, Verified};
use serde_json::{Value, json};

use crate::observe::fake::{Asked, Reply, Server};

/// How often the engine says that it does not know what it lists.
const LOOKS: u32 = 3;
const RUN: &str = "coming";

fn labels(index: u32, more: &[(&str, &str)]) -> Value {
    let mut labels = json!({
        "com.docker.compose.project": "p",
        "com.docker.compose.service": "web",
        "com.docker.compose.container-number": index.to_string(),
        "firedrill.run": RUN,
    });
    for (name, value) in more {
        labels[*name] = json!(value);
    }
    labels
}

/// An engine with a healthy `web/1` and one that is coming, until it is removed.
fn engine(coming: Value, removed: Arc<AtomicBool>) -> impl Fn(Asked) -> Reply {
    let looks = AtomicU32::new(0);
    let old = labels(1, &[]);
    move |asked| {
        let path = asked.path.trim_start_matches("/v1.41");
        let error = |status, why: &str| Reply::Says(status, json!({ "message": why }).to_string());
        let state = json!({ "Status": "running", "Health": { "Status": "healthy" } });
        match (asked.method.as_str(), path) {
            ("GET", "/version") => Reply::json(&json!({ "ApiVersion": "1.41" })),
            ("GET", "/containers/json") => {
                let mut all = vec![json!({ "Id": "old", "Labels": old })];
                if !removed.load(Ordering::Relaxed) {
                    all.push(json!({ "Id": "coming", "Labels": coming }));
                }
                Reply::json(&json!(all))
            }
            ("GET", "/containers/old/json") => Reply::json(&json!({
                "Id": "old", "Name": "/p_web_1", "State": state, "Config": { "Labels": old },
            })),
            ("GET", "/containers/coming/json")
                if looks.fetch_add(1, Ordering::Relaxed) >= LOOKS =>
            {
                let state = json!({ "Status": "created" });
                Reply::json(&json!({
                    "Id": "coming", "Name": "/coming", "State": state, "Config": { "Labels": coming },
                }))
            }
            ("POST", "/containers/coming/stop") => Reply::Says(304, String::new()),
            ("DELETE", "/containers/coming") => {
                removed.store(true, Ordering::Relaxed);
                Reply::Says(204, String::new())
            }
            _ => error(404, "not here"),
        }
    }
}

async fn is_removed_by(undo: Undo, coming: Value) {
    let removed = Arc::new(AtomicBool::new(false));
    let server = Server::start(engine(coming, Arc::clone(&removed))).await;
    let folder = tempfile::tempdir().unwrap();
    let mut context = crate::stacks::context(folder.path(), RUN);
    context.docker.docker_host = Some(server.url.replace("http:", "tcp:"));
    let spec = ComposeSpec {
        file: folder.path().join("not-needed.yml"),
        profiles: Vec::new(),
        env: BTreeMap::new(),
        env_file: None,
        build: false,
        ready: None,
        services: Vec::new(),
    };
    let secrets = Arc::clone(&context.secrets);
    let stack = ComposeStack::new(spec, context);
    stack.undo(&undo, &*secrets).await.unwrap();
    assert!(removed.load(Ordering::Relaxed), "it is left");
    assert!(matches!(
        stack.verify(&undo).await.unwrap(),
        Verified::Holds
    ));
}

#[tokio::test]
async fn a_replacement_that_is_still_to_come_is_removed_by_the_undo() {
    let undo = Undo::Definition {
        service: "web".into(),
        indexes: vec![1],
        image: "shop:1".into(),
        env: vec!["firedrill.definition=original".into()],
        command: None,
    };
    is_removed_by(undo, labels(1, &[("firedrill.definition", "new")])).await;
}

#[tokio::test]
async fn a_replica_that_is_still_to_come_is_removed_by_the_undo() {
    let undo = Undo::Replicas {
        service: "web".into(),
        indexes: vec![1],
    };
    is_removed_by(undo, labels(2, &[("firedrill.made", "scale")])).await;
}
