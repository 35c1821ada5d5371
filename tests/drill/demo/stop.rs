//! A graceful stop loses nothing.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use firedrill::demo::{BackendConfig, EdgeConfig, Passive};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Caller, Running, anywhere, named, until};

/// Callers at once.
const CALLERS: usize = 16;

/// Asks over kept connections, one request after the other, until `enough` or until nobody lets it in; answers how
/// many were answered. A request that left and was not answered whole with a 2xx is a panic.
async fn keep_asking(
    addr: SocketAddr,
    method: &'static str,
    target: &'static str,
    enough: CancellationToken,
) -> usize {
    let mut answered = 0;
    let mut kept: Option<Caller> = None;
    while !enough.is_cancelled() {
        let mut caller = match kept.take() {
            Some(caller) => caller,
            None => match Caller::connect(addr).await {
                Ok(caller) => caller,
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => break,
                Err(error) => panic!("connecting: {error}"),
            },
        };
        let answer = caller
            .ask(method, target, "{}")
            .await
            .unwrap_or_else(|error| panic!("lost: {error}"));
        assert!((200..300).contains(&answer.status), "{answer:?}");
        answered += 1;
        if answer.header("connection") != Some("close") {
            kept = Some(caller);
        }
    }
    answered
}

async fn counted(mut callers: JoinSet<usize>) -> Vec<usize> {
    let mut counts = Vec::new();
    while let Some(count) = callers.join_next().await {
        counts.push(count.unwrap());
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backend_stops_under_load_without_losing_a_request() {
    let mut backend = Running::backend(named("b1")).await;
    let mut callers = JoinSet::new();
    for index in 0..CALLERS {
        let target = if index % 2 == 0 { "/work?ms=3" } else { "/" };
        callers.spawn(keep_asking(
            backend.addr,
            "GET",
            target,
            CancellationToken::new(),
        ));
    }
    until(backend.addr, "/metrics", |answer| {
        answer.body.contains(r#"{path="/work",status="200"} 4"#)
    })
    .await;
    backend.stopped().await;
    assert!(counted(callers).await.iter().all(|count| *count > 0));
    let refused = TcpStream::connect(backend.addr).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_an_edge_nobody_notices_a_backend_stop_and_return() {
    let mut leaving = Running::backend(named("leaving")).await;
    let staying = Running::backend(named("staying")).await;
    let backends = [&leaving, &staying].map(|backend| backend.addr.to_string());
    let max_fails = NonZeroU32::new(3).unwrap();
    let passive = Some(Passive {
        max_fails,
        fail_timeout: Duration::from_millis(300),
    });
    let edge = Running::edge(EdgeConfig {
        passive,
        ..EdgeConfig::new(anywhere(), backends.into())
    })
    .await;
    let enough = CancellationToken::new();
    let mut callers = JoinSet::new();
    for index in 0..CALLERS {
        let (method, target) = if index % 4 == 0 {
            ("POST", "/items")
        } else {
            ("GET", "/work?ms=3")
        };
        callers.spawn(keep_asking(edge.addr, method, target, enough.clone()));
    }
    until(edge.addr, "/", |answer| {
        answer.header("x-backend") == Some("leaving")
    })
    .await;
    leaving.stopped().await;
    for _ in 0..20 {
        assert_eq!(edge.get("/").await.header("x-backend"), Some("staying"));
    }
    let back = BackendConfig {
        listen: leaving.addr,
        ..named("returned")
    };
    let _returned = Running::backend(back).await;
    until(edge.addr, "/", |answer| {
        answer.header("x-backend") == Some("returned")
    })
    .await;
    enough.cancel();
    assert!(counted(callers).await.iter().all(|count| *count > 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_stops_under_load_without_losing_a_request() {
    let backend = Running::backend(named("b1")).await;
    let mut edge = Running::edge(EdgeConfig::new(anywhere(), vec![backend.addr.to_string()])).await;
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        callers.spawn(keep_asking(
            edge.addr,
            "GET",
            "/work?ms=3",
            CancellationToken::new(),
        ));
    }
    until(backend.addr, "/metrics", |answer| {
        answer.body.contains(r#"{path="/work",status="200"} 4"#)
    })
    .await;
    edge.stopped().await;
    assert!(counted(callers).await.iter().all(|count| *count > 0));
}

#[tokio::test]
async fn what_is_in_flight_is_finished_and_idle_connections_are_closed() {
    let mut backend = Running::backend(named("b1")).await;
    let mut idle = Caller::connect(backend.addr).await.unwrap();
    idle.ask("GET", "/", "").await.unwrap();
    let mut busy = Caller::connect(backend.addr).await.unwrap();
    busy.send("GET", "/work?ms=400", "", "").await.unwrap();
    until(backend.addr, "/metrics", |answer| {
        answer.body.contains("\nin_flight 2\n")
    })
    .await;
    backend.stopped().await;
    assert_eq!(
        idle.answer().await.unwrap_err().kind(),
        ErrorKind::UnexpectedEof
    );
    let last = busy.answer().await.unwrap();
    assert_eq!(
        (last.status, last.header("connection")),
        (200, Some("close"))
    );
}

#[tokio::test]
async fn a_request_that_hangs_does_not_hold_the_stop() {
    let outages = vec!["at=0s for=1h mode=hang".parse().unwrap()];
    let log = super::TruthLog::new();
    let mut backend = Running::backend(BackendConfig {
        outages,
        ..log.config("b1")
    })
    .await;
    log.holds("begin", 1).await;
    let mut caller = Caller::connect(backend.addr).await.unwrap();
    caller.send("GET", "/", "", "").await.unwrap();
    log.holds("req", 1).await;
    let began = tokio::time::Instant::now();
    backend.stopped().await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "well below the limit for requests in flight"
    );
    assert_eq!(
        caller.answer().await.unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
}
