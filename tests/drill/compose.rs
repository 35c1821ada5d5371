//! The Compose body on a real engine, by both generations of the command line. What happened is asked of the engine.
#![expect(
    clippy::unwrap_used,
    reason = "what a test needs and does not get fails it"
)]

mod coming;
mod endless;
pub(crate) mod engine;
mod failures;
mod faults;
mod guards;
mod orphans;
mod partition;
mod promises;
mod reach;
mod signals;
mod unheard;
mod updates;

use std::time::Duration;

use firedrill::model::{ComponentId, Injection, StackEvent, StackEventKind, Undo};
use firedrill::stack::{Stack, Verified};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep, timeout};

use self::engine::{Bench, docker};

const PATIENCE: Duration = Duration::from_secs(40);

const FILE: &str = r#"
services:
  web:
    image: ${WEB_IMAGE:-firedrill-test/http:1}
    scale: 2
    restart: unless-stopped
    ports: [ "80" ]
    environment: { PASSWORD: "${PASSWORD:-none}", FLAVOUR: own }
    networks: { front: { aliases: [ shop ] } }
    volumes: [ "data:/data" ]
    stop_grace_period: 5s
    healthcheck: { test: [ "CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1/" ], interval: 1s, timeout: 5s, retries: 3 }
  probe:
    image: firedrill-test/http:1
    networks: [ front, back ]
  migrate:
    image: firedrill-test/http:1
    command: [ "sh", "-c", "exit 0" ]
    networks: [ front ]
networks: { front: {}, back: {} }
volumes: { data: {} }
"#;

fn web(index: u32) -> ComponentId {
    ComponentId::new("web", index)
}

/// Polls until it holds.
async fn verified(stack: &dyn Stack, undo: &Undo) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match stack.verify(undo).await.unwrap() {
            Verified::Holds => return,
            Verified::Not(seen) => assert!(Instant::now() < deadline, "{undo:?}: {seen}"),
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn event(
    events: &mut UnboundedReceiver<StackEvent>,
    of: &ComponentId,
    kind: &StackEventKind,
) -> StackEvent {
    let wanted = async {
        loop {
            let event = events
                .recv()
                .await
                .expect("the stream lasts as long as its receiver");
            if event.component == *of && event.kind == *kind {
                return event;
            }
        }
    };
    timeout(PATIENCE, wanted)
        .await
        .unwrap_or_else(|_| panic!("no {kind:?} of {of}"))
}

async fn get(address: &str) -> String {
    reqwest::get(format!("http://{address}/"))
        .await
        .unwrap()
        .text()
        .await
        .unwrap()
}

/// What the engine says of a container.
fn asked(bench: &Bench, id: &ComponentId, format: &str) -> String {
    let project = format!("label=com.docker.compose.project={}", bench.project());
    let service = format!("label=com.docker.compose.service={}", id.service);
    let number = format!("label=com.docker.compose.container-number={}", id.index);
    let filters = [
        "--filter", &project, "--filter", &service, "--filter", &number,
    ];
    let found = docker(&[&["ps", "-aq"], filters.as_slice()].concat()).unwrap();
    docker(&["inspect", "--format", format, &found]).unwrap()
}

async fn inject(stack: &dyn Stack, injection: &Injection) -> Undo {
    let undo = stack.prepare(injection).await.unwrap();
    stack.apply(injection, &undo).await.unwrap();
    undo
}

async fn heal(bench: &Bench, stack: &dyn Stack, undo: &Undo) {
    stack.undo(undo, &*bench.secrets()).await.unwrap();
    verified(stack, undo).await;
    // Again, and from another process.
    bench.stack().undo(undo, &*bench.secrets()).await.unwrap();
    verified(stack, undo).await;
}
