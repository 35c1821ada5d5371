//! The edge between callers and backends that fail.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use firedrill::demo::{Active, BackendConfig, DemoError, Edge, EdgeConfig, Passive};
use tokio::net::TcpSocket;

use super::{Answer, Caller, Running, TruthLog, anywhere, ask, named, until};

fn over(backends: &[SocketAddr]) -> EdgeConfig {
    EdgeConfig::new(
        anywhere(),
        backends.iter().map(SocketAddr::to_string).collect(),
    )
}

fn unprotected(backends: &[SocketAddr]) -> EdgeConfig {
    EdgeConfig {
        passive: None,
        active: None,
        ..over(backends)
    }
}

/// A port where nobody listens, for as long as the socket lives.
fn nobody() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(anywhere()).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

fn tried(answer: &Answer) -> Vec<&str> {
    answer
        .header("x-upstream")
        .map(|list| list.split(", ").collect())
        .unwrap_or_default()
}

/// A backend on which an outage lasts from before its first request.
async fn ailing(outage: &str) -> (Running, TruthLog) {
    let log = TruthLog::new();
    let outages = vec![format!("at=0s for=1h {outage}").parse().unwrap()];
    let backend = Running::backend(BackendConfig {
        outages,
        ..log.config("ailing")
    })
    .await;
    log.holds("begin", 1).await;
    (backend, log)
}

#[tokio::test]
async fn requests_and_answers_pass_whole() {
    let backend = Running::backend(named("b1")).await;
    let edge = Running::edge(over(&[backend.addr])).await;
    let posted = ask(edge.addr, "POST", "/items", r#"{"title":"one"}"#)
        .await
        .unwrap();
    assert_eq!(
        (posted.status, posted.json()["item"]["title"].as_str()),
        (201, Some("one"))
    );
    assert_eq!(
        (posted.header("x-backend"), tried(&posted)),
        (Some("b1"), vec![backend.addr.to_string().as_str()])
    );
    let login = ask(edge.addr, "POST", "/login", r#"{"user":{"email":"a@b.c"}}"#)
        .await
        .unwrap();
    let token = login.json()["user"]["token"].as_str().unwrap().to_owned();
    let mut caller = Caller::connect(edge.addr).await.unwrap();
    for _ in 0..3 {
        caller
            .send(
                "GET",
                "/private",
                &format!("Authorization: Token {token}\r\n"),
                "",
            )
            .await
            .unwrap();
        assert_eq!(caller.answer().await.unwrap().status, 200);
    }
    assert_eq!(edge.get("/nowhere").await.status, 404);
}

#[tokio::test]
async fn the_least_busy_backend_gets_the_request() {
    let (stalling, log) = ailing("mode=stall").await;
    let lively = Running::backend(named("lively")).await;
    let edge = Running::edge(over(&[stalling.addr, lively.addr])).await;
    let mut first = Caller::connect(edge.addr).await.unwrap();
    first.send("GET", "/work", "", "").await.unwrap();
    log.holds("req", 1).await;
    for _ in 0..20 {
        assert_eq!(edge.get("/work").await.header("x-backend"), Some("lively"));
    }
    ask(stalling.addr, "POST", "/_outage/end", "")
        .await
        .unwrap();
    assert_eq!(
        first.answer().await.unwrap().header("x-backend"),
        Some("ailing")
    );
}

#[tokio::test]
async fn passive_checks_spare_callers_the_dead_backend() {
    let (_socket, dead) = nobody();
    let lively = Running::backend(named("lively")).await;
    let edge = Running::edge(over(&[dead, lively.addr])).await;
    let mut detours = 0;
    for _ in 0..30 {
        let answer = edge.get("/").await;
        assert_eq!(answer.status, 200);
        detours += usize::from(tried(&answer).len() == 2);
    }
    assert_eq!(detours, 3, "max_fails is 3");
    let metrics = edge.get("/metrics").await.body;
    for line in [
        format!("upstream_up{{upstream=\"{dead}\"}} 0"),
        format!("upstream_up{{upstream=\"{}\"}} 1", lively.addr),
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line} in\n{metrics}"
        );
    }
}

#[tokio::test]
async fn without_checks_every_second_request_meets_the_dead_backend() {
    let (_socket, dead) = nobody();
    let lively = Running::backend(named("lively")).await;
    let edge = Running::edge(EdgeConfig {
        retries: 0,
        ..unprotected(&[dead, lively.addr])
    })
    .await;
    let mut statuses = Vec::new();
    for _ in 0..30 {
        statuses.push(edge.get("/").await.status);
    }
    assert_eq!(statuses, [502, 200].repeat(15));
}

#[tokio::test]
async fn a_backend_is_tried_again_after_its_time_out() {
    let log = TruthLog::new();
    let backend = Running::backend(log.config("b1")).await;
    let passive = Some(Passive {
        max_fails: NonZeroU32::MIN,
        fail_timeout: Duration::from_millis(300),
    });
    let edge = Running::edge(EdgeConfig {
        passive,
        ..over(&[backend.addr])
    })
    .await;
    backend.outage("mode=refuse&for=100ms").await;
    log.holds("begin", 1).await;
    until(edge.addr, "/", |answer| answer.status == 502).await;
    let spared = edge.get("/").await;
    assert_eq!((spared.status, tried(&spared)), (503, Vec::new()));
    log.holds("end", 1).await;
    until(edge.addr, "/", |answer| answer.status == 200).await;
}

#[tokio::test]
async fn active_checks_take_out_and_bring_back() {
    let two = NonZeroU32::new(2).unwrap();
    let path = "/health".to_owned();
    let active = Active {
        interval: Duration::from_millis(20),
        timeout: Duration::from_secs(5),
        path,
        rise: two,
        fall: two,
    };
    let (ailing, _log) = ailing("mode=5xx").await;
    let lively = Running::backend(named("lively")).await;
    let edge = Running::edge(EdgeConfig {
        active: Some(active),
        ..unprotected(&[ailing.addr, lively.addr])
    })
    .await;
    let healthy = |answer: &Answer| answer.json()["upstreams"][0]["healthy"].as_bool().unwrap();
    until(edge.addr, "/edge-health", |answer| !healthy(answer)).await;
    for _ in 0..6 {
        let answer = edge.get("/").await;
        assert_eq!(tried(&answer), [lively.addr.to_string()]);
    }
    ask(ailing.addr, "POST", "/_outage/end", "").await.unwrap();
    until(edge.addr, "/edge-health", healthy).await;
    until(edge.addr, "/", |answer| {
        answer.header("x-backend") == Some("ailing")
    })
    .await;
}

#[tokio::test]
async fn what_is_safe_to_repeat_is_repeated_elsewhere() {
    for outage in ["mode=reset", "mode=hang", "mode=5xx", "mode=5xx status=502"] {
        let (ailing, _log) = ailing(outage).await;
        let lively = Running::backend(named("lively")).await;
        let read_timeout = Duration::from_millis(150);
        let edge = Running::edge(EdgeConfig {
            read_timeout,
            ..unprotected(&[ailing.addr, lively.addr])
        })
        .await;
        let answer = edge.get("/").await;
        assert_eq!(
            (answer.status, answer.header("x-backend")),
            (200, Some("lively")),
            "{outage}"
        );
        assert_eq!(
            tried(&answer),
            [ailing.addr.to_string(), lively.addr.to_string()],
            "{outage}"
        );
    }
}

#[tokio::test]
async fn a_post_that_was_sent_is_not_sent_again() {
    for (outage, status) in [("mode=reset", 502), ("mode=hang", 504), ("mode=5xx", 503)] {
        let (ailing, log) = ailing(outage).await;
        let lively = Running::backend(named("lively")).await;
        let read_timeout = Duration::from_millis(150);
        let edge = Running::edge(EdgeConfig {
            read_timeout,
            ..unprotected(&[ailing.addr, lively.addr])
        })
        .await;
        let answer = ask(edge.addr, "POST", "/items", "{}").await.unwrap();
        assert_eq!(
            (answer.status, tried(&answer)),
            (status, vec![ailing.addr.to_string().as_str()]),
            "{outage}"
        );
        assert_eq!(log.did("/items").len(), 1, "{outage}");
        assert_eq!(lively.get("/items").await.json()["count"], 0, "{outage}");
    }
}

#[tokio::test]
async fn a_post_that_never_left_goes_elsewhere() {
    let (_socket, dead) = nobody();
    let lively = Running::backend(named("lively")).await;
    let edge = Running::edge(unprotected(&[dead, lively.addr])).await;
    let answer = ask(edge.addr, "POST", "/items", "{}").await.unwrap();
    assert_eq!((answer.status, tried(&answer).len()), (201, 2));
}

#[tokio::test]
async fn the_last_failure_is_what_the_caller_gets() {
    let (_socket, dead) = nobody();
    for (outage, status) in [("mode=reset", 502), ("mode=hang", 504), ("mode=5xx", 503)] {
        let (ailing, _log) = ailing(outage).await;
        let read_timeout = Duration::from_millis(150);
        let edge = Running::edge(EdgeConfig {
            read_timeout,
            ..unprotected(&[dead, ailing.addr])
        })
        .await;
        let answer = edge.get("/").await;
        assert_eq!(
            (answer.status, tried(&answer).len()),
            (status, 2),
            "{outage}"
        );
    }
}

#[tokio::test]
async fn a_cut_answer_reaches_the_caller_cut() {
    let (ailing, _log) = ailing("mode=cut").await;
    let edge = Running::edge(over(&[ailing.addr])).await;
    let error = ask(edge.addr, "GET", "/", "").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_configuration_that_cannot_work_is_an_error() {
    let good = over(&["127.0.0.1:1".parse().unwrap()]);
    let one = NonZeroU32::MIN;
    let check = |path: &str, interval| {
        let timeout = Duration::from_secs(1);
        Some(Active {
            interval,
            timeout,
            path: path.to_owned(),
            rise: one,
            fall: one,
        })
    };
    for (config, expected) in [
        (
            over(&[]),
            "an edge needs at least one backend; give each as host:port",
        ),
        (
            EdgeConfig {
                backends: vec!["b1".to_owned()],
                ..good.clone()
            },
            "`b1` is no backend address; write host:port, as in 127.0.0.1:8000",
        ),
        (
            EdgeConfig {
                active: check("health", Duration::from_secs(1)),
                ..good.clone()
            },
            "`health` is no path for health checks; write one with its leading slash, as in /health",
        ),
        (
            EdgeConfig {
                active: check("/health", Duration::ZERO),
                ..good.clone()
            },
            "a check interval of 0s cannot be kept; give more than 0 and at most 30d",
        ),
    ] {
        assert_eq!(Edge::bind(config).await.unwrap_err().to_string(), expected);
    }
    let taken = Running::backend(named("b1")).await;
    let error = Edge::bind(EdgeConfig {
        listen: taken.addr,
        ..good
    })
    .await
    .unwrap_err();
    assert!(
        matches!(error, DemoError::Listen { addr, .. } if addr == taken.addr),
        "{error}"
    );
}
