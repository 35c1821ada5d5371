//! Stop conditions that a Prometheus decides, in real time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use firedrill::judge::Verdict;
use firedrill::run::RunError;
use firedrill::timeline::event::{Event, Level};
use serde_json::{Value, json};

use super::bench::{Drilled, FakeDrill};
use crate::observe::fake::{Asked, Reply, Server};

/// Seconds since 1970, as Prometheus has them.
fn now() -> f64 {
    jiff::Timestamp::now().as_millisecond() as f64 / 1e3
}

/// A Prometheus: what it says to the n-th query but `time()`, and the n-th time that its alerts are asked for.
pub(super) async fn prometheus(
    query: impl Fn(u32) -> Reply + Send + Sync + 'static,
    alerts: impl Fn(u32) -> Value + Send + Sync + 'static,
) -> Server {
    let (queries, looks) = (AtomicU32::new(0), AtomicU32::new(0));
    let (queries, looks) = (Arc::new(queries), Arc::new(looks));
    let next = |count: &AtomicU32| count.fetch_add(1, Ordering::Relaxed);
    Server::start(move |asked: Asked| match asked.path.as_str() {
        "/api/v1/query" if asked.query["query"] == "time()" => {
            Reply::data(&json!({"resultType": "scalar", "result": [now(), now().to_string()]}))
        }
        "/api/v1/query" if asked.query["query"] == "errors" => query(next(&queries)),
        "/api/v1/alerts" => Reply::data(&json!({"alerts": alerts(next(&looks))})),
        "/api/v1/rules" => {
            let rule = json!({"type": "alerting", "name": "Down", "labels": {}, "health": "ok"});
            Reply::data(&json!({"groups": [{"interval": 1, "rules": [rule]}]}))
        }
        "/api/v1/targets" => Reply::data(&json!({"activeTargets": []})),
        "/metrics" => Reply::Says(200, "# EOF\n".to_owned()),
        _ => Reply::data(&json!({"resultType": "matrix", "result": []})),
    })
    .await
}

pub(super) fn errors(value: &str) -> Reply {
    let sample = json!({"metric": {"job": "api"}, "value": [now(), value]});
    Reply::data(&json!({"resultType": "vector", "result": [sample]}))
}

async fn run(server: &Server, stop_when: &str, load: Duration) -> Drilled {
    let method = format!(
        "
observe: {{ prometheus: \"{}\" }}
steps:
  - {{ name: hang, at: 500ms, pause: {{ target: backend }}, hold: 60s }}
objectives: {{ availability: {{ at_least: 1% }} }}
stop_when: {stop_when}
",
        server.url
    );
    let mut drill = FakeDrill::new(&method);
    let plan = drill.plan.load.as_mut().unwrap();
    plan.warmup = Duration::from_millis(200);
    plan.stages[0].length = load;
    drill.run().await
}

const LONG: Duration = Duration::from_secs(120);

fn is_stopped(drilled: &Drilled, what: &str, observed: &str) {
    let told = format!("{:#?}", drilled.judgement.reasons);
    assert_eq!(drilled.codes()[0], "stopped", "{told}");
    assert_eq!(drilled.judgement.exit_code, 1, "{told}");
    let stop = drilled.judgement.stopped.as_ref().unwrap();
    assert_eq!(stop.condition, what);
    assert!(stop.observed.contains(observed), "{stop:?}");
    assert!(drilled.left.is_empty() && drilled.recording.complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_holds_for_long_enough_stops_the_run() {
    // It holds once, and then from the 15th time on.
    let query = |n| errors(if n == 8 || n >= 15 { "250" } else { "3" });
    let server = prometheus(query, |_| json!([])).await;
    let stop = "{ promql: { query: errors, at_least: 100 }, for: 500ms }";
    let drilled = run(&server, stop, LONG).await;
    is_stopped(&drilled, "promql", "{job=\"api\"} is 250");
    let stretch = drilled
        .recording
        .entries
        .iter()
        .find_map(|e| match e.event {
            Event::Stopped { from_us, .. } => Some(e.at_us - from_us),
            _ => None,
        });
    assert!(stretch.unwrap() >= 500_000, "{stretch:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_fires_stops_the_run() {
    let alert = |severity: &str, state: &str| {
        json!({"labels": {"alertname": "Down", "severity": severity}, "state": state,
            "activeAt": "2026-11-21T10:07:08Z"})
    };
    let alerts = move |n| match n {
        0 => json!([]),
        1 => json!([alert("critical", "pending"), alert("warning", "firing")]),
        _ => json!([alert("critical", "firing")]),
    };
    let server = prometheus(|_| errors("0"), alerts).await;
    let stop = "{ alert: Down, match: { severity: critical } }";
    let drilled = run(&server, stop, LONG).await;
    is_stopped(&drilled, "alert", "severity=\"critical\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_is_not_answered_is_no_breach_and_no_pass() {
    let query = |n| match n {
        0..10 => errors("3"),
        _ => Reply::Says(503, "busy".to_owned()),
    };
    let server = prometheus(query, |_| json!([])).await;
    let stop = "{ promql: { query: errors, at_least: 100 } }";
    let drilled = run(&server, stop, Duration::from_secs(9)).await;
    assert!(drilled.judgement.stopped.is_none());
    assert_eq!(drilled.judgement.verdict, Verdict::Inconclusive);
    assert!(
        drilled.codes().contains(&"stop_unwatched"),
        "{:?}",
        drilled.codes()
    );
    let warned = drilled.events(|e| match e {
        Event::Note {
            level: Level::Warning,
            text,
        } if text.contains("nobody can tell") => Some(text.clone()),
        _ => None,
    });
    assert_eq!(warned.len(), 1, "{warned:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_cannot_be_asked_keeps_the_drill_from_beginning() {
    // Its patience is 30 s; it is aborted before, and nothing was broken by then.
    let server = prometheus(
        |_| Reply::Says(400, "parse error".to_owned()),
        |_| json!([]),
    )
    .await;
    let method = format!(
        "
observe: {{ prometheus: \"{}\" }}
steps: [ {{ name: hang, at: 0s, pause: {{ target: backend }}, hold: 60s }} ]
objectives: {{ availability: {{ at_least: 1% }} }}
stop_when: {{ promql: {{ query: errors, at_least: 100 }} }}
",
        server.url
    );
    let drilled = FakeDrill::new(&method).run().await;
    assert!(
        matches!(drilled.ended, Err(RunError::Unwatched { .. })),
        "{:?}",
        drilled.ended
    );
    assert_eq!(drilled.judgement.verdict, Verdict::Inconclusive);
    let broken = drilled.events(|e| matches!(e, Event::Dispatched { .. }).then_some(()));
    assert_eq!(broken, []);
    assert!(drilled.left.is_empty());
}
