//! What is read of Prometheus after the load, from a server whose samples and clock are known.

use std::collections::BTreeMap;

use firedrill::model::{ComponentId, Template};
use firedrill::observe::{CollectOrder, DetectionQuery};
use firedrill::timeline::event::{AlertState, Event, Level};
use serde_json::json;

use super::fake::{Stored, Tsdb};
use super::{Bench, gaps, notes, prometheus};

/// Every five seconds from one offset to another, both included, in ms.
fn every_5_s(from_s: i64, to_s: i64) -> Vec<i64> {
    (from_s..=to_s).step_by(5).map(|s| s * 1000).collect()
}

fn alert(state: &'static str, samples_ms: Vec<i64>, ended_ms: Vec<i64>) -> Stored {
    Stored {
        labels: vec![
            ("__name__", "ALERTS"),
            ("alertname", "BackendDown"),
            ("alertstate", state),
            ("instance", "10.0.0.2:8000"),
            ("severity", "warning"),
        ],
        samples_ms,
        ended_ms,
    }
}

fn up(samples_ms: Vec<i64>) -> Stored {
    Stored {
        labels: vec![("__name__", "up"), ("job", "backend")],
        samples_ms,
        ended_ms: Vec::new(),
    }
}

/// The run is from 100 s ago till 0.2 s ago. Evaluations are due at each multiple of 5 s, and the one at -40 s was missed.
fn tsdb(bench: &Bench) -> Tsdb {
    let scrapes = [every_5_s(-130, -20), every_5_s(-5, 0)].concat();
    let missing = |at: &i64| *at != -40_000;
    let down = Stored {
        labels: vec![("__name__", "absent_backend")],
        samples_ms: every_5_s(-60, -35),
        ended_ms: vec![-30_000],
    };
    Tsdb {
        ahead_ms: 7_000,
        series: vec![
            alert("pending", every_5_s(-60, -55), vec![-50_000]),
            alert(
                "firing",
                every_5_s(-50, -35)
                    .into_iter()
                    .filter(missing)
                    .chain([-25_000])
                    .collect(),
                vec![-30_000, -20_000],
            ),
            Stored {
                labels: vec![
                    ("__name__", "ALERTS"),
                    ("alertname", "Watchdog"),
                    ("alertstate", "firing"),
                ],
                samples_ms: every_5_s(-900, 0),
                ended_ms: Vec::new(),
            },
            up(scrapes),
            up(every_5_s(-130, -60)),
            down,
        ],
        groups: json!([{"interval": 5, "rules": [
            {"type": "alerting", "name": "BackendDown", "labels": {"severity": "warning"}},
            {"type": "alerting", "name": "Watchdog", "labels": {}},
            {"type": "alerting", "name": "Broken", "labels": {}, "lastError": "many-to-many"},
            {"type": "recording", "name": "job:up:sum"},
        ]}]),
        ..Tsdb::new(bench.recorder.clock())
    }
}

fn order(queries: &[&str]) -> CollectOrder {
    let detection = |query: &&str| DetectionQuery {
        step: "lose-one".to_owned(),
        victim: Some(ComponentId::new("backend", 2)),
        query: (*query).to_owned(),
        written: Template::literal(*query),
    };
    CollectOrder {
        from_us: -100_000_000,
        to_us: -200_000,
        detections: queries.iter().map(detection).collect(),
    }
}

#[tokio::test]
async fn samples_become_histories_on_the_runs_clock() {
    let mut bench = Bench::new();
    let tsdb = tsdb(&bench);
    let server = tsdb.serve().await;
    let observers = bench.observe(&prometheus(&server.url)).await.unwrap();
    observers.collect(order(&["absent_backend"])).await;
    observers.stop().await;
    let entries = bench.recorded();
    let events = || entries.iter().map(|e| &e.event);

    let skew = events().find_map(|e| match e {
        Event::Skew {
            skew_us, error_us, ..
        } => Some((*skew_us, *error_us)),
        _ => None,
    });
    let (skew_us, error_us) = skew.unwrap();
    assert!(
        (skew_us - 7_000_000).abs() <= error_us,
        "{skew_us} ± {error_us}"
    );
    // What is corrected by a measured skew is as exact as that; queries are exact to the millisecond.
    let near = |offset_us: i64, s: f64| (offset_us as f64 - s * 1e6).abs() <= error_us as f64 + 1e3;

    let histories: BTreeMap<&str, _> = events()
        .filter_map(|e| match e {
            Event::AlertHistory {
                alert,
                labels,
                spans,
            } => Some((alert.as_str(), (labels, spans))),
            _ => None,
        })
        .collect();
    let (labels, spans) = histories["BackendDown"];
    let wanted = [("instance", "10.0.0.2:8000"), ("severity", "warning")];
    assert_eq!(
        *labels,
        wanted.map(|(k, v)| (k.to_owned(), v.to_owned())).into()
    );
    // The evaluation that was missed ends nothing, the flap does.
    let wanted = [
        (AlertState::Pending, -60.0, -50.0),
        (AlertState::Firing, -50.0, -30.0),
        (AlertState::Firing, -25.0, -20.0),
    ];
    assert_eq!(spans.len(), wanted.len(), "{spans:?}");
    for (span, (state, from, to)) in spans.iter().zip(wanted) {
        assert_eq!(span.state, state);
        assert!(
            near(span.from_us, from) && near(span.to_us.unwrap(), to),
            "{span:?}"
        );
    }
    let (_, spans) = histories["Watchdog"];
    assert_eq!((spans.len(), spans[0].to_us), (1, None));

    let detected: Vec<_> = events()
        .filter_map(|e| match e {
            Event::Detected { victim, spans, .. } => Some((victim.clone(), spans.clone())),
            _ => None,
        })
        .collect();
    let [(victim, spans)] = &detected[..] else {
        panic!("{detected:?}");
    };
    assert_eq!(*victim, Some(ComponentId::new("backend", 2)));
    let [(from, to)] = spans[..] else {
        panic!("{spans:?}");
    };
    // Seen at the first point of the grid after it, never before it.
    let late = from + 60_000_000 + error_us;
    assert!((0..=250_000 + 2 * error_us).contains(&late), "{from}");
    assert!(
        to < -30_000_000 + error_us && to > -31_000_000 - error_us,
        "{to}"
    );

    // One target vanished at -60 s, which is no gap; at -20 s all of them did.
    let gaps = gaps(&entries, "prometheus");
    let [(from, to, why)] = &gaps[..] else {
        panic!("{gaps:?}");
    };
    assert!(near(*from, -20.0) && near(*to, -5.0), "{gaps:?}");
    assert_eq!(
        why,
        "no target was scraped for 15.0 s, though one is due every 5.0 s"
    );

    let rules = events().filter_map(|e| match e {
        Event::Rules { alerts, .. } => Some(alerts.clone()),
        _ => None,
    });
    let rules: Vec<_> = rules.collect();
    let wanted = [("BackendDown", "warning"), ("Broken", ""), ("Watchdog", "")];
    let wanted: BTreeMap<_, _> = wanted.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    assert_eq!(rules, [wanted.clone(), wanted]);
    let warnings = notes(&entries, Level::Warning);
    assert_eq!(
        warnings[0],
        "Prometheus cannot evaluate the rule of alert Broken: many-to-many"
    );
}

#[tokio::test]
async fn a_query_that_is_refused_is_not_taken_for_an_answer() {
    let mut bench = Bench::new();
    let server = tsdb(&bench).serve().await;
    let observers = bench.observe(&prometheus(&server.url)).await.unwrap();
    observers
        .collect(order(&["sum(", "nothing_of_this_name"]))
        .await;
    observers.stop().await;
    let entries = bench.recorded();
    let detected: Vec<_> = entries
        .iter()
        .filter_map(|e| match &e.event {
            Event::Detected { query, spans, .. } => Some((query.as_str(), spans.len())),
            _ => None,
        })
        .collect();
    assert_eq!(detected, [("nothing_of_this_name", 0)]);
    let errors = notes(&entries, Level::Error);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].starts_with("detection of lose-one: Prometheus refuses `sum(`: ")
            && errors[0].contains("parse error"),
        "{errors:?}"
    );
}

#[tokio::test]
async fn failures_that_prometheus_counts_are_told() {
    let mut bench = Bench::new();
    let tsdb = tsdb(&bench);
    *tsdb.metrics.lock().unwrap() = vec![
        "prometheus_notifications_dropped_total 4\nprometheus_rule_evaluation_failures_total{rule_group=\"a,b\"} 1\n",
        "prometheus_notifications_dropped_total 4\nprometheus_rule_evaluation_failures_total{rule_group=\"a,b\"} 3\n",
    ];
    let server = tsdb.serve().await;
    let observers = bench.observe(&prometheus(&server.url)).await.unwrap();
    observers.collect(order(&[])).await;
    observers.stop().await;
    let told = notes(&bench.recorded(), Level::Warning);
    let told: Vec<_> = told
        .iter()
        .filter(|t| t.starts_with("prometheus: "))
        .collect();
    assert_eq!(
        told,
        [
            "prometheus: rule evaluations failed (prometheus_rule_evaluation_failures_total{rule_group=\"a,b\"}: 2)"
        ]
    );
}

#[tokio::test]
async fn a_prometheus_that_scrapes_nothing_is_a_gap() {
    let mut bench = Bench::new();
    let tsdb = Tsdb {
        series: Vec::new(),
        ..tsdb(&bench)
    };
    let server = tsdb.serve().await;
    let observers = bench.observe(&prometheus(&server.url)).await.unwrap();
    observers.collect(order(&[])).await;
    observers.stop().await;
    let gaps = gaps(&bench.recorded(), "prometheus");
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    let (from_us, to_us, _) = gaps[0];
    assert!(from_us < -99_000_000 && to_us > -1_200_000, "{gaps:?}");
}
