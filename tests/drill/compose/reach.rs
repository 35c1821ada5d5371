//! Other ways to an engine, streams that break, and projects that were there before.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use firedrill::model::{ComponentId, Injection, KillMode, Signal, StackEventKind, Undo};
use firedrill::stack::{ComposeStack, Stack, Verified};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::{mpsc::unbounded_channel, watch};
use tokio::time::timeout;

use super::engine::{Bench, Flavour};

const FILE: &str =
    "services: { web: { image: 'firedrill-test/http:1', init: true, ports: [ '80' ] } }\n";

/// The engine's socket behind a TCP port, with connections that can be cut.
struct Relay {
    address: SocketAddr,
    open: Arc<AtomicBool>,
    cut: watch::Sender<u32>,
}

impl Relay {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let relay = Self {
            address: listener.local_addr().unwrap(),
            open: Arc::new(AtomicBool::new(true)),
            cut: watch::Sender::new(0),
        };
        let (open, cut) = (relay.open.clone(), relay.cut.clone());
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                if !open.load(Ordering::SeqCst) {
                    continue;
                }
                let mut cut = cut.subscribe();
                tokio::spawn(async move {
                    let mut far = UnixStream::connect("/var/run/docker.sock").await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        relay
    }

    /// Cuts every connection, and refuses others or no more.
    fn set(&self, open: bool) {
        self.open.store(open, Ordering::SeqCst);
        self.cut.send_modify(|times| *times += 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_behind_a_context_loses_no_event_when_its_stream_breaks() {
    let Some(bench) = Bench::new(Flavour::One, "context", FILE) else {
        return;
    };
    let relay = Relay::new().await;
    let config = bench.folder.path().join("config");
    let meta = config.join("contexts/meta/any");
    fs::create_dir_all(&meta).unwrap();
    let json = serde_json::json!({ "Name": "relay", "Endpoints": { "docker": { "Host": format!("tcp://{}", relay.address) } } });
    fs::write(meta.join("meta.json"), json.to_string()).unwrap();
    fs::write(
        config.join("config.json"),
        r#"{ "currentContext": "relay" }"#,
    )
    .unwrap();
    let mut context = bench.context();
    context.docker.docker_config = Some(config);
    context.docker.docker_host = None;
    let far = ComposeStack::new(bench.spec.clone(), context);
    far.up().await.unwrap();
    let (sender, mut events) = unbounded_channel();
    let (deaf, mut unheard) = unbounded_channel();
    far.watch(sender, deaf).await.unwrap();

    relay.set(false);
    assert!(far.components().await.is_err(), "it is really cut off");
    let near = bench.stack();
    let component = ComponentId::new("web", 1);
    let kill = Injection::Kill {
        component: component.clone(),
        signal: Signal::SigKill,
        mode: KillMode::Held,
    };
    let undo = near.prepare(&kill).await.unwrap();
    near.apply(&kill, &undo).await.unwrap();
    relay.set(true);
    near.undo(&undo, &*bench.secrets()).await.unwrap();

    let mut seen = Vec::new();
    let all = async {
        while !seen.contains(&StackEventKind::Started) {
            seen.push(events.recv().await.unwrap().kind);
        }
    };
    timeout(Duration::from_secs(20), all)
        .await
        .unwrap_or_else(|_| panic!("a start is missing"));
    let deaths = seen
        .iter()
        .filter(|k| **k == StackEventKind::Died { code: 137 })
        .count();
    assert_eq!(deaths, 1, "once, not lost and not told twice: {seen:?}");
    // What an engine that was started anew would have lost is told all the same.
    while !timeout(Duration::from_secs(20), unheard.recv())
        .await
        .expect("the cut is told")
        .unwrap()
        .over
    {}
    far.down().await.unwrap();
    assert_eq!(bench.left(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adopted_project_is_hit_and_mended_but_never_taken_down() {
    let Some(bench) = Bench::new(Flavour::One, "adopted", FILE) else {
        return;
    };
    let own = bench.stack();
    own.up().await.unwrap();
    let adopted = ComposeStack::adopt(bench.project(), bench.context());
    adopted.up().await.unwrap();
    let pause = Injection::Pause {
        component: ComponentId::new("web", 1),
    };
    let undo = adopted.prepare(&pause).await.unwrap();
    adopted.apply(&pause, &undo).await.unwrap();
    assert!(matches!(
        adopted.verify(&undo).await.unwrap(),
        Verified::Not(_)
    ));
    adopted.undo(&undo, &*bench.secrets()).await.unwrap();
    assert_eq!(adopted.verify(&undo).await.unwrap(), Verified::Holds);

    let before = bench.left();
    adopted.down().await.unwrap();
    adopted.undo(&Undo::Down, &*bench.secrets()).await.unwrap();
    assert_eq!(bench.left(), before);
    own.down().await.unwrap();
    assert_eq!(bench.left(), "");
}
