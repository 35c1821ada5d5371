//! An engine that forgets: whether it has sent a container a signal it may not know any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use firedrill::model::{ComponentId, Undo};
use firedrill::stack::{ComposeStack, Stack, Verified};
use serde_json::{Value, json};

use crate::observe::fake::{Asked, Reply, Server};

/// When the fault was written down: 2026-01-02T03:04:05Z.
const WRITTEN: i64 = 1_767_323_045_000_000_000;
const SECOND: i64 = 1_000_000_000;

/// An engine with one container that runs since a minute before the fault, and whose oldest event is from `oldest_ns`.
fn engine(oldest_ns: Option<i64>, restarts: Arc<AtomicUsize>) -> impl Fn(Asked) -> Reply {
    let labels = json!({
        "com.docker.compose.project": "p",
        "com.docker.compose.service": "web",
        "com.docker.compose.container-number": "1",
    });
    move |asked| {
        let path = asked.path.trim_start_matches("/v1.41");
        match (asked.method.as_str(), path) {
            ("GET", "/version") => Reply::json(&json!({ "ApiVersion": "1.41" })),
            ("GET", "/info") => Reply::json(&json!({ "SystemTime": "2026-01-02T03:05:05Z" })),
            ("GET", "/containers/json") => Reply::json(&json!([{ "Id": "abc", "Labels": labels }])),
            ("GET", "/containers/abc/json") => {
                let restarted = restarts.load(Ordering::SeqCst) > 0;
                let started = if restarted {
                    "2026-01-02T03:05:05Z"
                } else {
                    "2026-01-02T03:03:05Z"
                };
                Reply::json(&json!({
                    "Id": "abc", "Name": "/p-web-1", "Config": { "Labels": labels },
                    "State": { "Status": "running", "Running": true, "StartedAt": started },
                }))
            }
            ("GET", "/events") => {
                let filters = asked.query.get("filters").map_or("{}", String::as_str);
                let filters: Value = serde_json::from_str(filters).unwrap();
                let of_all = filters.get("event").is_none();
                let event = |at: i64| json!({ "Type": "image", "Action": "pull", "timeNano": at });
                let known = oldest_ns
                    .filter(|_| of_all)
                    .map(|at| format!("{}\n", event(at)));
                Reply::Says(200, known.unwrap_or_default())
            }
            ("POST", "/containers/abc/restart") => {
                restarts.fetch_add(1, Ordering::SeqCst);
                Reply::Says(204, String::new())
            }
            _ => Reply::Says(404, json!({ "message": "not here" }).to_string()),
        }
    }
}

/// Whether a container that still runs counts as mended, how often its undo starts it anew, and whether it counts then.
async fn mended(oldest_ns: Option<i64>, undo: &Undo) -> (bool, usize, bool) {
    let restarts = Arc::new(AtomicUsize::new(0));
    let server = Server::start(engine(oldest_ns, Arc::clone(&restarts))).await;
    let folder = tempfile::tempdir().unwrap();
    let mut context = crate::stacks::context(folder.path(), "signals");
    context.docker.docker_host = Some(server.url.replace("http:", "tcp:"));
    let secrets = Arc::clone(&context.secrets);
    let stack = ComposeStack::adopt("p".to_owned(), context);
    let before = stack.verify(undo).await.unwrap() == Verified::Holds;
    stack.undo(undo, &*secrets).await.unwrap();
    let times = restarts.load(Ordering::SeqCst);
    let after = stack.verify(undo).await.unwrap() == Verified::Holds;
    (before, times, after)
}

#[tokio::test]
async fn a_container_of_whose_signals_nobody_knows_is_started_anew() {
    let undo = Undo::Running {
        component: ComponentId::new("web", 1),
        since_ns: Some(WRITTEN),
    };
    // The engine remembers all since the fault was written down: nobody was told to end.
    let known = mended(Some(WRITTEN - SECOND), &undo).await;
    assert_eq!(known, (true, 0, true));
    // Busy since, or started anew itself.
    assert_eq!(
        mended(Some(WRITTEN + SECOND), &undo).await,
        (false, 1, true)
    );
    assert_eq!(mended(None, &undo).await, (false, 1, true));
    // What was only frozen was not told to end.
    let frozen = Undo::Unpaused {
        component: ComponentId::new("web", 1),
    };
    assert_eq!(mended(None, &frozen).await, (true, 0, true));
}
