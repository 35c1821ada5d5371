//! A Prometheus that cannot tell: its clock is off, or it has no rule that could fire.

use std::fs;
use std::sync::{Arc, Mutex};

use firedrill::timeline::clock::Clock;
use serde_json::{Value, json};

use super::finding::Finding;
use super::processes::Demo;
use crate::binary::{Folder, until};
use crate::observe::fake::{Server, Stored, Tsdb};

/// Longer than any drill here, ms.
const LONG: i64 = 120_000;

fn every_second(from_ms: i64, labels: &[(&'static str, &'static str)]) -> Stored {
    Stored {
        labels: labels.to_vec(),
        samples_ms: (from_ms..from_ms + LONG).step_by(1_000).collect(),
        ended_ms: Vec::new(),
    }
}

/// A rule as Prometheus lists it.
fn rule(alert: &str) -> Value {
    json!({"type": "alerting", "name": alert, "labels": {"severity": "critical"}})
}

/// Drills with a Prometheus that has these rules and whose clock is so far ahead. It sees the fault a second after it
/// happens where it has the rule for it.
async fn drilled(ahead_ms: i64, rules: &[Value], alerts: &str) -> Finding {
    let clock = Clock::start();
    let up = every_second(-LONG / 2, &[("__name__", "up"), ("job", "backend")]);
    let tsdb = Tsdb {
        ahead_ms,
        series: vec![up],
        groups: json!([{"interval": 1, "rules": rules}]),
        ..Tsdb::new(clock)
    };
    let tsdb = Arc::new(Mutex::new(tsdb));
    let told = Arc::clone(&tsdb);
    let server = Server::start(move |asked| told.lock().unwrap().answer(&asked)).await;

    let mut demo = Demo::healthy();
    let observe = format!("\nobserve: {{ prometheus: \"{}\" }}", server.url);
    demo.method += &observe;
    let alerts = format!("\n  alerts: {{ {alerts} }}");
    demo.objectives += &alerts;
    let folder = Folder::new();
    folder.write("defect.yaml", &demo.text());
    let mut drill = folder.start(&["run", "defect.yaml"]);
    let journal = folder.latest("defect").join("journal.ndjson");
    until("the fault", || {
        drill.goes_on();
        fs::read_to_string(&journal).is_ok_and(|j| j.contains("\"dispatched\""))
    });
    if rules.iter().any(|r| r["name"] == "BackendDown") {
        let fires_ms = clock.now_us() / 1_000 + 1_000;
        let firing = [
            ("__name__", "ALERTS"),
            ("alertname", "BackendDown"),
            ("alertstate", "firing"),
            ("severity", "critical"),
        ];
        let firing = every_second(fires_ms, &firing);
        tsdb.lock().unwrap().series.push(firing);
    }
    Finding::from(&folder, "defect", drill.end())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_whose_clock_is_off() {
    let rules = [rule("BackendDown"), rule("DiskFull")];
    let alerts = "expect: { alert: BackendDown, after: lose-one, fires: 5s }, others: forbid";
    drilled(0, &rules, alerts).await.is_clean();
    let finding = drilled(60_000, &rules, alerts).await;
    let alert = "alerts.fires lose-one BackendDown";
    finding.is_caught(3, &[(alert, "inconclusive")], &["objective_open"]);
    let why = finding.evidence(alert);
    assert!(why.contains("clock may be off by 60"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_that_could_not_have_fired() {
    let mut broken = rule("DiskFull");
    broken["lastError"] = json!("many-to-many matching not allowed");
    for (rules, why) in [
        (vec![], "has no alerting rule"),
        (
            vec![rule("Other"), broken],
            "cannot evaluate the rule of DiskFull",
        ),
    ] {
        let finding = drilled(0, &rules, "others: forbid").await;
        let open = [("alerts.others", "inconclusive")];
        finding.is_caught(3, &open, &["objective_open"]);
        let told = finding.evidence("alerts.others");
        assert!(told.contains(why), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_never_resolves() {
    let alerts =
        "expect: { alert: BackendDown, after: lose-one, fires: 5s, resolves: 4s }, others: forbid";
    let finding = drilled(0, &[rule("BackendDown")], alerts).await;
    let missed = [("alerts.resolves lose-one BackendDown", "fail")];
    finding.is_caught(1, &missed, &["objective_missed"]);
}
