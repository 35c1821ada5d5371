//! An engine whose stream of events breaks: what it reported meanwhile may be lost, and that is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use firedrill::model::{ComponentId, StackEventKind};
use firedrill::stack::{ComposeStack, Stack};
use serde_json::json;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::timeout;

use crate::observe::fake::{Asked, Reply, Server};

/// Long enough for any machine.
const SOON: Duration = Duration::from_secs(20);

/// An engine whose first stream of events ends at once, that does not answer for two calls after it, and whose second
/// stream tells of a start.
fn engine(streams: Arc<AtomicUsize>) -> impl Fn(Asked) -> Reply {
    let away = AtomicUsize::new(0);
    move |asked| {
        let path = asked.path.trim_start_matches("/v1.41");
        match (asked.method.as_str(), path) {
            ("GET", "/version") => Reply::json(&json!({ "ApiVersion": "1.41" })),
            ("GET", "/containers/json") => Reply::json(&json!([])),
            ("GET", "/info")
                if streams.load(Ordering::SeqCst) == 1
                    && away.fetch_add(1, Ordering::SeqCst) < 2 =>
            {
                Reply::Says(503, json!({ "message": "starting" }).to_string())
            }
            ("GET", "/info") => Reply::json(&json!({ "SystemTime": "2026-01-02T03:04:05.6Z" })),
            ("GET", "/events") => match streams.fetch_add(1, Ordering::SeqCst) {
                0 => Reply::Says(200, String::new()),
                1 => Reply::Says(200, started()),
                _ => Reply::Silent,
            },
            _ => Reply::Says(404, json!({ "message": "not here" }).to_string()),
        }
    }
}

fn started() -> String {
    let labels = json!({
        "com.docker.compose.project": "p",
        "com.docker.compose.service": "web",
        "com.docker.compose.container-number": "1",
    });
    let event = json!({
        "Type": "container", "Action": "start", "timeNano": 1_767_323_046_000_000_000_i64,
        "Actor": { "ID": "abc", "Attributes": labels },
    });
    format!("{event}\n")
}

#[tokio::test]
async fn a_stream_that_breaks_is_a_stretch_unheard_until_the_engine_answers_again() {
    let streams = Arc::new(AtomicUsize::new(0));
    let server = Server::start(engine(Arc::clone(&streams))).await;
    let folder = tempfile::tempdir().unwrap();
    let mut context = crate::stacks::context(folder.path(), "unheard");
    context.docker.docker_host = Some(server.url.replace("http:", "tcp:"));
    let stack = ComposeStack::adopt("p".to_owned(), context);
    let (sender, mut events) = unbounded_channel();
    let (deaf, mut unheard) = unbounded_channel();
    stack.watch(sender, deaf).await.unwrap();

    let event = timeout(SOON, events.recv()).await.unwrap().unwrap();
    assert_eq!(event.component, ComponentId::new("web", 1));
    assert_eq!(event.kind, StackEventKind::Started);
    let mut pieces = Vec::new();
    while !pieces
        .last()
        .is_some_and(|p: &firedrill::stack::Unheard| p.over)
    {
        pieces.push(timeout(SOON, unheard.recv()).await.unwrap().unwrap());
    }
    assert_eq!(pieces.len(), 3, "away twice, then back: {pieces:?}");
    for (one, next) in pieces.iter().zip(&pieces[1..]) {
        assert_eq!(one.to, next.from, "without a hole");
    }
    assert!(pieces[0].from < pieces[0].to);
    assert!(pieces[0].why.contains("events"), "{}", pieces[0].why);
}
