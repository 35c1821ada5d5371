//! An engine that has lost track of a container's end: its endpoint keeps the network, and no container has it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use firedrill::model::ComposeSpec;
use firedrill::stack::{ComposeStack, Stack};
use serde_json::{Value, json};

use crate::observe::fake::{Asked, Reply, Server};

/// An engine with one network and the endpoint on it, which a container still has or no container has.
fn engine(has_container: bool, released: Arc<AtomicBool>) -> impl Fn(Asked) -> Reply {
    let removed = AtomicBool::new(false);
    move |asked| {
        let path = asked.path.trim_start_matches("/v1.41");
        let error = |status, why: &str| Reply::Says(status, json!({ "message": why }).to_string());
        match (asked.method.as_str(), path) {
            ("GET", "/version") => Reply::json(&json!({ "ApiVersion": "1.41" })),
            ("GET", "/containers/json") => Reply::json(&json!([])),
            ("GET", "/volumes") => Reply::json(&json!({ "Volumes": [] })),
            ("GET", "/networks") if removed.load(Ordering::Relaxed) => Reply::json(&json!([])),
            ("GET", "/networks") => Reply::json(&json!([{ "Name": "p_default" }])),
            ("GET", "/networks/p_default") => {
                let on_it = json!({ "ep-1234": { "Name": "p_web_1" } });
                Reply::json(&json!({ "Name": "p_default", "Containers": on_it }))
            }
            ("GET", "/containers/ep-1234/json") if has_container => Reply::json(&json!({})),
            ("POST", "/networks/p_default/disconnect") => {
                let body: Value = serde_json::from_str(&asked.body).unwrap();
                assert_eq!(body, json!({ "Container": "p_web_1", "Force": true }));
                released.store(true, Ordering::Relaxed);
                Reply::Says(200, String::new())
            }
            ("DELETE", "/networks/p_default") if released.load(Ordering::Relaxed) => {
                removed.store(true, Ordering::Relaxed);
                Reply::Says(204, String::new())
            }
            ("DELETE", "/networks/p_default") => error(403, "p_default has active endpoints"),
            _ => error(404, "not here"),
        }
    }
}

async fn taken_down(has_container: bool) -> (bool, Option<String>) {
    let released = Arc::new(AtomicBool::new(false));
    let server = Server::start(engine(has_container, Arc::clone(&released))).await;
    let folder = tempfile::tempdir().unwrap();
    let mut context = crate::stacks::context(folder.path(), "orphans");
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
    let stack = ComposeStack::new(spec, context);
    let why = stack.down().await.err().map(|e| e.to_string());
    (released.load(Ordering::Relaxed), why)
}

#[tokio::test]
async fn an_endpoint_without_a_container_does_not_keep_a_network() {
    assert_eq!(taken_down(false).await, (true, None));
}

#[tokio::test]
async fn a_container_of_somebody_else_is_not_taken_off_the_network() {
    let (released, why) = taken_down(true).await;
    assert!(!released);
    assert!(why.unwrap().contains("has active endpoints"));
}
