//! Servers that lie or say nothing: a gap and a check that does not hold, never a panic and never evidence.

use std::time::Duration;

use firedrill::model::Template;
use firedrill::observe::{CollectOrder, DetectionQuery};
use firedrill::scenario::plan::{Comparison, Observe, SteadyCheck};
use firedrill::timeline::event::Event;
use serde_json::json;
use tokio::net::TcpListener;

use super::fake::{Reply, Server};
use super::{Bench, Nothing, gaps};

fn check() -> SteadyCheck {
    SteadyCheck::Promql {
        query: Template::literal("up"),
        is: Comparison::AtLeast(0.0),
        within: Duration::ZERO,
    }
}

/// What comes of observing a server: the events, and why the check did not hold.
async fn observed(url: &str) -> (Vec<std::sync::Arc<firedrill::timeline::Entry>>, String) {
    let mut bench = Bench::new();
    let observe = Observe {
        prometheus: Some(Template::literal(url)),
        alertmanager: Some(Template::literal(url)),
        ..Observe::default()
    };
    let observers = bench.observe(&observe).await.unwrap();
    let seen = observers.steady(&check(), &Nothing).await;
    assert!(!seen.held, "{seen:?}");
    let order = CollectOrder {
        from_us: -50_000_000,
        to_us: bench.recorder.clock().now_us(),
        detections: vec![DetectionQuery {
            step: "lose-one".to_owned(),
            victim: None,
            query: "up == 0".to_owned(),
            written: Template::literal("up == 0"),
        }],
    };
    let to_us = order.to_us;
    observers.collect(order).await;
    observers.stop().await;
    let entries = bench.recorded();
    let over_all = gaps(&entries, "prometheus");
    let over_all = over_all.iter().any(|g| (g.0, g.1) == (-50_000_000, to_us));
    assert!(over_all, "{url}: {:?}", gaps(&entries, "prometheus"));
    for entry in &entries {
        let evidence = matches!(
            entry.event,
            Event::Rules { .. }
                | Event::AlertHistory { .. }
                | Event::AlertState { .. }
                | Event::Detected { .. }
                | Event::Received { .. }
        );
        assert!(!evidence, "{:?}", entry.event);
    }
    (entries, seen.observed)
}

#[tokio::test]
async fn a_server_that_lies_is_not_believed() {
    let data = |data: serde_json::Value| Reply::data(&data);
    for (reply, why) in [
        (
            Reply::Says(500, "<html>\n<b>oops</b>".to_owned()),
            "answered 500: <html> <b>oops</b>",
        ),
        (Reply::Says(302, String::new()), "answered 302: nothing"),
        (
            Reply::Says(200, "<html>".to_owned()),
            "answered what cannot be read: expected value",
        ),
        (
            Reply::Says(200, String::new()),
            "answered what cannot be read: EOF",
        ),
        (
            Reply::Says(200, r#"{"status":"success","data":{"resultTy"#.to_owned()),
            "answered what cannot be read: EOF",
        ),
        (
            data(json!({"resultType": "matrix", "result": []})),
            "a range of samples, which compares to nothing",
        ),
        (
            data(json!({"resultType": "vector", "result": []})),
            "no sample, wanted >= 0",
        ),
        (
            data(json!({"resultType": "scalar", "result": [-1e300, "1"]})),
            "is not a sample's time",
        ),
        (data(json!({})), "missing field"),
        (
            Reply::Says(200, "[".repeat(100_000)),
            "answered what cannot be read",
        ),
    ] {
        let server = Server::always(reply).await;
        let (_, observed) = observed(&server.url).await;
        assert!(observed.contains(why), "{observed}");
    }
}

#[tokio::test]
async fn a_server_that_never_answers_costs_a_bounded_time() {
    let server = Server::always(Reply::Silent).await;
    let began = tokio::time::Instant::now();
    let (entries, observed) = observed(&server.url).await;
    assert!(
        began.elapsed() < Duration::from_secs(30),
        "{:?}",
        began.elapsed()
    );
    assert!(
        observed.contains("does not answer: not within the time it was given"),
        "{observed}"
    );
    assert!(!gaps(&entries, "alertmanager").is_empty());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_gap_and_its_password_is_not_told() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let (entries, observed) = observed(&format!("http://ann:hunter2@{closed}/prom/")).await;
    for text in gaps(&entries, "prometheus")
        .iter()
        .map(|g| &g.2)
        .chain([&observed])
    {
        assert!(
            text.contains(&format!(
                "http://{closed}/prom/api/v1/query does not answer: "
            )),
            "{text}"
        );
        assert!(
            text.contains("refused") && !text.contains("hunter2"),
            "{text}"
        );
    }
    assert_eq!(gaps(&entries, "alertmanager").len(), 1);
}
