//! What is seen while the run goes on: alerts that fire, deliveries that come.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use firedrill::model::Template;
use firedrill::observe::{Expectation, ObserveError};
use firedrill::scenario::plan::Observe;
use firedrill::timeline::event::{AlertState, Event, Level};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::fake::{Reply, Server, Tsdb};
use super::{Bench, notes, until};

/// An offset as RFC 3339, by a clock without skew.
fn time(bench: &Bench, offset_us: i64) -> String {
    let ns = bench.recorder.clock().wall_ns(offset_us);
    jiff::Timestamp::from_nanosecond(i128::from(ns))
        .unwrap()
        .to_string()
}

async fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}

/// A delivery of one alert, as Alertmanager 0.28 writes it.
fn delivery(status: &str, starts_at: &str) -> Value {
    json!({
        "receiver": "hook", "status": status, "version": "4", "truncatedAlerts": 0,
        "alerts": [{"status": status, "labels": {"alertname": "BackendDown", "instance": "a"},
            "annotations": {}, "startsAt": starts_at, "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "7fe8"}],
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://vm:9093", "groupKey": "{}:{}",
    })
}

async fn post(address: &str, body: impl Into<reqwest::Body>) -> StatusCode {
    let client = Client::builder().no_proxy().build().unwrap();
    let sent = client
        .post(format!("http://{address}/any/path"))
        .body(body)
        .send();
    sent.await.unwrap().status()
}

fn wanted(since_us: i64, healed_us: Option<i64>, what: &str) -> Expectation {
    Expectation {
        alert: "BackendDown".to_owned(),
        labels: BTreeMap::from([("instance".to_owned(), "a".to_owned())]),
        since_us,
        healed_us,
        fires: what == "fires",
        notifies: what == "notifies",
        resolves: what == "resolves",
        clears: what == "clears",
    }
}

#[tokio::test]
async fn an_alert_is_followed_from_firing_to_cleared() {
    let mut bench = Bench::new();
    let clock = bench.recorder.clock();
    let tsdb = Tsdb::new(clock);
    let (server, address) = (tsdb.serve().await, free_address().await);
    let observe = Observe {
        prometheus: Some(Template::literal(&server.url)),
        webhook: Some(Template::literal(&address)),
        ..Observe::default()
    };
    let observers = bench.observe(&observe).await.unwrap();
    let since_us = clock.now_us();
    let met = |healed_us, what| observers.met(&wanted(since_us, healed_us, what));
    assert!(met(None, "nothing"));

    let starts_at = time(&bench, since_us + 1_000);
    *tsdb.alerts.lock().unwrap() = json!([
        {"labels": {"alertname": "BackendDown", "instance": "a"}, "annotations": {}, "state": "pending",
         "activeAt": starts_at, "value": "0e+00"},
        {"labels": {"alertname": "BackendDown", "instance": "b"}, "annotations": {}, "state": "firing",
         "activeAt": starts_at, "value": "0e+00"},
    ]);
    until("firing on b", || {
        let on_b = Expectation {
            labels: BTreeMap::from([("instance".to_owned(), "b".to_owned())]),
            ..wanted(since_us, None, "fires")
        };
        observers.met(&on_b)
    })
    .await;
    assert!(!met(None, "fires"), "pending is not firing");
    tsdb.alerts.lock().unwrap()[0]["state"] = json!("firing");
    until("firing on a", || met(None, "fires")).await;

    assert!(!met(None, "notifies"));
    let sent_us = clock.now_us();
    assert_eq!(
        post(&address, delivery("firing", &starts_at).to_string()).await,
        StatusCode::OK
    );
    assert!(met(None, "notifies") && !met(None, "clears"));

    let healed_us = Some(clock.now_us());
    assert!(!met(healed_us, "resolves"));
    *tsdb.alerts.lock().unwrap() = json!([]);
    until("its end", || met(healed_us, "resolves")).await;
    assert!(!met(healed_us, "clears"));
    assert_eq!(
        post(&address, delivery("resolved", &starts_at).to_string()).await,
        StatusCode::OK
    );
    assert!(met(healed_us, "clears"));
    let answered_us = clock.now_us();
    observers.stop().await;

    let entries = bench.recorded();
    let notified: Vec<_> = entries
        .iter()
        .filter_map(|e| match &e.event {
            Event::Notified {
                alert,
                resolved,
                starts_us,
                ..
            } => Some((e.at_us, alert.as_str(), *resolved, *starts_us)),
            _ => None,
        })
        .collect();
    assert_eq!(
        notified.iter().map(|n| (n.1, n.2)).collect::<Vec<_>>(),
        [("BackendDown", false), ("BackendDown", true)]
    );
    assert!(
        notified
            .iter()
            .all(|n| (sent_us..=answered_us).contains(&n.0))
    );
    assert!(
        notified
            .iter()
            .all(|n| (n.3 - since_us - 1_000).abs() <= 1_000_000)
    );
    // It no longer listens.
    TcpListener::bind(&address).await.unwrap();
}

/// Every state of an alert that was recorded: of which instance, what it was, what it is, and since when.
type Turn = (String, Option<AlertState>, Option<AlertState>, Option<i64>);

fn turn(event: &Event) -> Option<Turn> {
    let Event::AlertState {
        alert,
        labels,
        was,
        state,
        since_us,
    } = event
    else {
        return None;
    };
    assert_eq!(alert, "BackendDown");
    assert!(!labels.contains_key("alertname"));
    Some((labels["instance"].clone(), *was, *state, *since_us))
}

/// Waits for the next state of an alert.
async fn next_turn(bench: &mut Bench) -> Turn {
    let entries = &mut bench.entries;
    let next = async {
        loop {
            if let Some(turn) = turn(&entries.recv().await.unwrap().event) {
                return turn;
            }
        }
    };
    tokio::time::timeout(super::SOON, next).await.unwrap()
}

#[tokio::test]
async fn each_change_of_an_alert_is_told_once_whatever_comes_between() {
    let mut bench = Bench::new();
    let clock = bench.recorder.clock();
    let mut tsdb = Tsdb::new(clock);
    tsdb.ahead_ms = 40_000;
    let failing = Arc::new(AtomicBool::new(false));
    let failed = Arc::new(AtomicUsize::new(0));
    let server = {
        let (tsdb, failing, failed) = (tsdb.clone(), Arc::clone(&failing), Arc::clone(&failed));
        Server::start(move |asked| {
            if failing.load(Ordering::Relaxed) && asked.path == "/api/v1/alerts" {
                failed.fetch_add(1, Ordering::Relaxed);
                return Reply::Says(503, "starting".to_owned());
            }
            tsdb.answer(&asked)
        })
        .await
    };
    let observers = bench
        .observe(&super::prometheus(&server.url))
        .await
        .unwrap();
    let since_us = clock.now_us();
    // By its own clock, which is 40 s ahead.
    let active_at = time(&bench, since_us + 40_000_000);
    let set = |states: &[(&str, &str)]| {
        let alerts = states.iter().map(|(instance, state)| {
            json!({"labels": {"alertname": "BackendDown", "instance": instance}, "annotations": {},
                   "state": state, "activeAt": active_at, "value": "0e+00"})
        });
        *tsdb.alerts.lock().unwrap() = alerts.collect();
    };
    let (pending, firing) = (Some(AlertState::Pending), Some(AlertState::Firing));

    set(&[("a", "pending")]);
    let (of, was, state, since) = next_turn(&mut bench).await;
    assert_eq!((of.as_str(), was, state), ("a", None, pending));
    let since = since.unwrap();
    assert!((since - since_us).abs() < 1_000_000, "{since} {since_us}");

    // What cannot be asked is neither over nor new.
    failing.store(true, Ordering::Relaxed);
    until("a failure", || failed.load(Ordering::Relaxed) >= 2).await;
    assert!(bench.recorded().iter().all(|e| turn(&e.event).is_none()));
    failing.store(false, Ordering::Relaxed);

    set(&[("b", "pending"), ("a", "firing")]);
    let turned = next_turn(&mut bench).await;
    assert_eq!(turned, ("a".to_owned(), pending, firing, Some(since)));
    let turned = next_turn(&mut bench).await;
    assert_eq!(turned, ("b".to_owned(), None, pending, Some(since)));
    set(&[("b", "pending")]);
    let turned = next_turn(&mut bench).await;
    assert_eq!(turned, ("a".to_owned(), firing, None, None));
    // The end of watching is not the end of an alert.
    observers.stop().await;
    let rest = bench.recorded();
    assert!(rest.iter().all(|e| turn(&e.event).is_none()), "{rest:?}");
    assert!(super::gaps(&rest, "prometheus").is_empty(), "{rest:?}");
}

#[tokio::test]
async fn what_alertmanager_holds_back_is_named() {
    let mut bench = Bench::new();
    let clock = bench.recorder.clock();
    let starts_us = clock.now_us();
    let at = |us| time(&bench, starts_us + us);
    let held = Arc::new(Mutex::new(json!([{
        "fingerprint": "7fe8", "labels": {"alertname": "BackendDown", "instance": "a"}, "annotations": {},
        "startsAt": at(0), "updatedAt": at(2_000), "endsAt": at(9_000_000), "receivers": [{"name": "hook"}],
        "status": {"inhibitedBy": [], "mutedBy": [], "silencedBy": [], "state": "active"},
    }])));
    let told = Arc::clone(&held);
    let server = Server::start(move |asked| match asked.path.as_str() {
        "/api/v2/alerts" => Reply::json(&told.lock().unwrap()),
        _ => Reply::Says(200, "OK".to_owned()),
    })
    .await;
    let observe = Observe {
        alertmanager: Some(Template::literal(&server.url)),
        ..Observe::default()
    };
    let observers = bench.observe(&observe).await.unwrap();
    let mut received = Vec::new();
    let began = tokio::time::Instant::now();
    while received.len() < 2 {
        assert!(began.elapsed() < super::SOON, "{received:?}");
        let entry = tokio::time::timeout(super::SOON, bench.entries.recv())
            .await
            .unwrap()
            .unwrap();
        if let Event::Received {
            received_us,
            suppressed,
            labels,
            ..
        } = &entry.event
        {
            assert_eq!(labels["instance"], "a");
            received.push((*received_us, suppressed.clone()));
            held.lock().unwrap()[0]["status"]["silencedBy"] = json!(["34f1e464"]);
        }
    }
    observers.stop().await;
    let (first, second) = (&received[0], &received[1]);
    assert_eq!(
        (first.1.as_deref(), second.1.as_deref()),
        (None, Some("silenced"))
    );
    assert_eq!(first.0, second.0, "it was received once");
    // The `Date` of its answers tells its clock to a fraction of a second, and `updatedAt` is by that clock.
    assert!(
        (first.0 - starts_us - 2_000).abs() < 1_000_000,
        "{received:?}"
    );
}

#[tokio::test]
async fn a_delivery_that_cannot_be_read_is_refused_and_told() {
    let mut bench = Bench::new();
    let address = free_address().await;
    let observe = Observe {
        webhook: Some(Template::literal(&address)),
        ..Observe::default()
    };
    let observers = bench.observe(&observe).await.unwrap();
    for bad in ["", "<html>", "{}", r#"{"alerts":[{"status":"firing"}]}"#] {
        assert_eq!(post(&address, bad).await, StatusCode::BAD_REQUEST, "{bad}");
    }
    let endless = vec![b' '; 9 << 20];
    assert_eq!(post(&address, endless).await, StatusCode::BAD_REQUEST);
    let client = Client::builder().no_proxy().build().unwrap();
    let got = client
        .get(format!("http://{address}/"))
        .send()
        .await
        .unwrap();
    assert_eq!(got.status(), StatusCode::METHOD_NOT_ALLOWED);
    let truncated = r#"{"alerts":[],"truncatedAlerts":2}"#;
    assert_eq!(post(&address, truncated).await, StatusCode::OK);
    observers.stop().await;
    let entries = bench.recorded();
    let warnings = notes(&entries, Level::Warning);
    assert_eq!(warnings.len(), 6, "{warnings:?}");
    assert!(warnings[5].contains("left 2 alerts out"), "{warnings:?}");
    assert!(
        !entries
            .iter()
            .any(|e| matches!(e.event, Event::Notified { .. }))
    );
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let bench = Bench::new();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let observe = Observe {
        webhook: Some(Template::literal(&address)),
        ..Observe::default()
    };
    let error = bench.observe(&observe).await.err().unwrap();
    assert!(matches!(error, ObserveError::Listen { .. }));
    assert_eq!(
        error.to_string(),
        format!(
            "observe.webhook: cannot listen on {address}: Address already in use (os error 98); end what holds the port, or let `${{free_port}}` draw one"
        )
    );
}
