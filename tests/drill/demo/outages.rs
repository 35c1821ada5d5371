//! Each outage, as a raw TCP caller meets it, and what the truth log says of it.

use std::io::ErrorKind;
use std::time::Duration;

use firedrill::demo::BackendConfig;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::{Caller, Running, TruthLog, ask, named, until};

/// By how much a timer may be late on a busy machine.
const NOISE_NANOS: u64 = 150_000_000;

#[tokio::test]
async fn refuse_closes_the_socket_and_resets_who_is_in() {
    let log = TruthLog::new();
    let backend = Running::backend(log.config("b1")).await;
    let mut idle = Caller::connect(backend.addr).await.unwrap();
    idle.ask("GET", "/", "").await.unwrap();
    let mut waiting = Caller::connect(backend.addr).await.unwrap();
    waiting.send("GET", "/work?ms=9000", "", "").await.unwrap();
    until(backend.addr, "/metrics", |answer| {
        answer.body.contains("\nin_flight 2\n")
    })
    .await;

    backend.outage("mode=refuse&for=300ms&delay=20ms").await;
    assert_eq!(
        idle.answer().await.unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    assert_eq!(
        waiting.answer().await.unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    log.holds("begin", 1).await;
    let refused = TcpStream::connect(backend.addr).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    log.holds("end", 1).await;
    assert_eq!(backend.get("/work").await.status, 200);

    let length = log.marks("end")[0] - log.marks("begin")[0];
    assert!(
        (295_000_000..300_000_000 + NOISE_NANOS).contains(&length),
        "{length} ns"
    );
    assert_eq!(log.did("/work"), ["lost", "ok"]);
}

#[tokio::test]
async fn overlapping_refusals_end_with_the_last() {
    let log = TruthLog::new();
    let backend = Running::backend(log.config("b1")).await;
    backend.outage("mode=refuse&for=400ms&delay=100ms").await;
    backend.outage("mode=refuse&for=100ms&delay=100ms").await;
    log.holds("end", 1).await;
    let refused = TcpStream::connect(backend.addr).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(log.marks("end").len(), 1, "the longer one still lasts");
    log.holds("end", 2).await;
    backend.get("/").await;
}

#[tokio::test]
async fn reset_is_a_reset_before_any_byte() {
    let log = TruthLog::new();
    let backend = Running::backend(log.config("b1")).await;
    backend.outage("mode=reset&for=1h").await;
    log.holds("begin", 1).await;
    for _ in 0..3 {
        let error = ask(backend.addr, "GET", "/work", "").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    assert_eq!(log.did("/work"), ["reset"; 3]);
}

#[tokio::test]
async fn hang_never_answers_not_even_afterwards() {
    let log = TruthLog::new();
    let backend = Running::backend(log.config("b1")).await;
    backend.outage("mode=hang&for=150ms").await;
    log.holds("begin", 1).await;
    let mut caller = Caller::connect(backend.addr).await.unwrap();
    caller.send("GET", "/work", "", "").await.unwrap();
    log.holds("end", 1).await;
    assert_eq!(backend.get("/work").await.status, 200);
    assert!(
        timeout(Duration::from_millis(100), caller.answer())
            .await
            .is_err(),
        "still nothing"
    );
    assert_eq!(log.did("/work"), ["hang", "ok"]);
}

#[tokio::test]
async fn stall_answers_when_it_ends() {
    let log = TruthLog::new();
    let backend = Running::backend(log.config("b1")).await;
    backend.outage("mode=stall&for=1h").await;
    log.holds("begin", 1).await;
    let mut caller = Caller::connect(backend.addr).await.unwrap();
    caller.send("GET", "/work", "", "").await.unwrap();
    assert!(
        timeout(Duration::from_millis(50), caller.answer())
            .await
            .is_err()
    );
    let ended = ask(backend.addr, "POST", "/_outage/end", "").await.unwrap();
    assert_eq!(ended.status, 200, "the way out is never in an outage");
    assert_eq!(
        timeout(super::SOON, caller.answer())
            .await
            .unwrap()
            .unwrap()
            .status,
        200
    );
    assert_eq!(log.did("/work"), ["stall"]);
    assert_eq!(log.marks("end").len(), 1);
}

#[tokio::test]
async fn slow_answers_that_much_later() {
    let log = TruthLog::new();
    let backend = Running::backend(log.config("b1")).await;
    backend.outage("mode=slow&ms=120&for=1h").await;
    log.holds("begin", 1).await;
    let began = Instant::now();
    assert_eq!(backend.get("/work").await.status, 200);
    assert!(began.elapsed() >= Duration::from_millis(120));
    assert_eq!(log.did("/work"), ["slow"]);
}

#[tokio::test]
async fn failing_answers_carry_the_status_and_the_name() {
    let log = TruthLog::new();
    let backend = Running::backend(log.config("b1")).await;
    backend.outage("mode=5xx&status=502&for=1h").await;
    log.holds("begin", 1).await;
    let answer = backend.get("/health").await;
    assert_eq!(
        (answer.status, answer.header("x-backend")),
        (502, Some("b1"))
    );
    assert_eq!(log.did("/health"), ["5xx"]);
}

#[tokio::test]
async fn cut_promises_more_than_it_brings_and_closes() {
    let log = TruthLog::new();
    let backend = Running::backend(log.config("b1")).await;
    backend.outage("mode=cut&for=1h").await;
    log.holds("begin", 1).await;
    let mut caller = Caller::connect(backend.addr).await.unwrap();
    let error = caller.ask("GET", "/work", "").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "a FIN, not a reset");
    assert_eq!(caller.read, b"half");
    assert_eq!(log.did("/work"), ["cut"]);
}

#[tokio::test]
async fn a_share_is_drawn_by_the_seed() {
    let pattern = async |seed| {
        let log = TruthLog::new();
        let outages = vec!["at=0s for=1h mode=5xx share=30%".parse().unwrap()];
        let backend = Running::backend(BackendConfig {
            outages,
            seed,
            ..log.config("b1")
        })
        .await;
        log.holds("begin", 1).await;
        let mut caller = Caller::connect(backend.addr).await.unwrap();
        let mut seen = Vec::new();
        for _ in 0..500 {
            seen.push(caller.ask("GET", "/work", "").await.unwrap().status == 503);
        }
        let logged: Vec<bool> = log.did("/work").iter().map(|did| did == "5xx").collect();
        assert_eq!(logged, seen, "the log says what callers saw");
        seen
    };
    let first = pattern(1).await;
    let hit = first.iter().filter(|hit| **hit).count();
    assert!((100..200).contains(&hit), "{hit} of 500 at 30 %");
    assert_eq!(pattern(1).await, first);
    assert_ne!(pattern(2).await, first);
}

#[tokio::test]
async fn a_flap_keeps_to_its_times() {
    let log = TruthLog::new();
    let outages = vec![
        "at=100ms for=50ms mode=refuse times=3 every=200ms"
            .parse()
            .unwrap(),
    ];
    let _backend = Running::backend(BackendConfig {
        outages,
        ..log.config("b1")
    })
    .await;
    log.holds("end", 3).await;
    let (begins, ends) = (log.marks("begin"), log.marks("end"));
    assert_eq!(begins.len(), 3);
    for turn in 1..3 {
        let spacing = begins[turn] - begins[0];
        let planned = turn as u64 * 200_000_000;
        assert!(
            spacing.abs_diff(planned) < NOISE_NANOS,
            "{spacing} ns against {planned} ns"
        );
        assert!(ends[turn - 1] < begins[turn]);
    }
}

#[tokio::test]
async fn a_wrong_outage_is_told_why() {
    let backend = Running::backend(named("b1")).await;
    for (words, expected) in [
        (
            "mode=refuse",
            "`for` is missing: how long it lasts, as in for=2s",
        ),
        (
            "mode=refuse&for=2s&at=1s",
            "unknown key `at`; an outage has delay, for, mode, share, ms, status, times, every",
        ),
    ] {
        let answer = ask(backend.addr, "POST", &format!("/_outage?{words}"), "")
            .await
            .unwrap();
        assert_eq!(
            (answer.status, answer.json()["error"].as_str()),
            (400, Some(expected))
        );
    }
}
