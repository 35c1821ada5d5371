//! Guards that ask monitoring before a fault is made. Servers do not wait for a paused clock, so these drills are short.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use firedrill::model::{ExternalSpec, StackSpec, Template};
use firedrill::scenario::guards::NotWhileFiring;
use serde_json::{Value, json};

use super::bench::{Drilled, FakeDrill};
use super::guards::{dispatched, not_begun, refused};
use super::moody::Mood;
use crate::observe::fake::{Reply, Server};

/// A drill of 4 s on the machine's own clock, for servers do not wait for a paused one. Its one step is due after 2 s.
fn watched(server: &Server, key: &str, guard: NotWhileFiring) -> FakeDrill {
    let method = "
steps: [ { name: lose-one, at: 2s, kill: { target: backend }, hold: 500ms } ]
objectives: { availability: { at_least: 1% } }
";
    let mut drill = FakeDrill::new(method);
    let load = drill.plan.load.as_mut().unwrap();
    load.warmup = Duration::from_millis(200);
    load.stages[0].length = Duration::from_secs(4);
    let url = Some(Template::literal(&server.url));
    match key {
        "prometheus" => drill.plan.observe.prometheus = url,
        _ => drill.plan.observe.alertmanager = url,
    }
    drill.plan.guards.not_while_firing = Some(guard);
    drill
}

fn forbidding(words: &[&str]) -> NotWhileFiring {
    NotWhileFiring {
        forbid: (!words.is_empty()).then(|| words.iter().map(|w| (*w).to_owned()).collect()),
        allow: vec!["Watchdog".to_owned()],
    }
}

/// A Prometheus with these alerts, and an Alertmanager that holds them too.
async fn monitoring(alerts: Value, rules: Value) -> Server {
    Server::start(move |asked| match asked.path.as_str() {
        "/api/v1/alerts" => Reply::data(&json!({ "alerts": alerts })),
        "/api/v1/rules" => Reply::data(&json!({ "groups": [ { "interval": 1, "rules": rules } ] })),
        "/api/v2/alerts" => {
            let held = alerts.as_array().unwrap().iter().filter(|a| a["state"] == "firing");
            let held: Vec<Value> = held
                .map(|a| json!({ "fingerprint": a["labels"]["alertname"], "labels": a["labels"],
                    "startsAt": a["activeAt"], "updatedAt": a["activeAt"],
                    "status": { "silencedBy": ["by a human"], "inhibitedBy": [], "state": "suppressed" } }))
                .collect();
            Reply::json(&json!(held))
        }
        "/api/v1/query" => {
            let now = jiff::Timestamp::now().as_millisecond() as f64 / 1e3;
            Reply::data(&json!({ "resultType": "scalar", "result": [now, now.to_string()] }))
        }
        "/api/v1/targets" => Reply::data(&json!({ "activeTargets": [] })),
        "/api/v1/query_range" => Reply::data(&json!({ "resultType": "matrix", "result": [] })),
        _ => Reply::Says(200, "# EOF\n".to_owned()),
    })
    .await
}

fn alert(name: &str, severity: &str, state: &str) -> Value {
    json!({ "labels": { "alertname": name, "severity": severity }, "state": state, "activeAt": "2026-01-01T00:00:00Z" })
}

fn rule(name: &str, severity: &str, error: &str) -> Value {
    json!({ "type": "alerting", "name": name, "labels": { "severity": severity }, "lastError": error })
}

#[tokio::test(flavor = "multi_thread")]
async fn no_fault_is_added_to_an_incident() {
    let calm = json!([
        alert("Watchdog", "critical", "firing"),
        alert("DiskFull", "critical", "pending")
    ]);
    let incident = json!([
        alert("Watchdog", "critical", "firing"),
        alert("DiskFull", "warning", "firing")
    ]);
    let critical = rule("EdgeDown", "critical", "");
    let rules = json!([rule("DiskFull", "warning", ""), critical]);
    let failing = json!([
        rule("DiskFull", "warning", "many-to-many matching"),
        critical
    ]);
    for (alerts, rules, key, words, refusal) in [
        (&calm, &rules, "prometheus", &[][..], None),
        (&calm, &rules, "alertmanager", &[], None),
        (
            &incident,
            &rules,
            "prometheus",
            &[],
            Some("incident already: DiskFull"),
        ),
        // Silenced, it is an incident all the same.
        (
            &incident,
            &rules,
            "alertmanager",
            &[],
            Some("incident already: DiskFull"),
        ),
        (&incident, &rules, "prometheus", &["critical"], None),
        (
            &incident,
            &rules,
            "prometheus",
            &["critical", "warning"],
            Some("DiskFull"),
        ),
        (
            &incident,
            &rules,
            "prometheus",
            &["DiskFull"],
            Some("DiskFull"),
        ),
        (
            &calm,
            &failing,
            "prometheus",
            &[],
            Some("cannot evaluate the rule of DiskFull"),
        ),
        (&calm, &failing, "prometheus", &["critical"], None),
        // A slip of the pen, or rules that were not loaded.
        (
            &calm,
            &rules,
            "prometheus",
            &["crtical"],
            Some("no alerting rule"),
        ),
        (
            &calm,
            &json!([]),
            "prometheus",
            &[],
            Some("no alerting rule"),
        ),
    ] {
        let server = monitoring(alerts.clone(), rules.clone()).await;
        let drilled = watched(&server, key, forbidding(words)).run().await;
        match refusal {
            None => assert_eq!(
                dispatched(&drilled),
                ["lose-one"],
                "{key} {words:?}: {:?}",
                drilled.judgement.reasons
            ),
            Some(said) => refused(&drilled, &[], &["not_while_firing", said]),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn monitoring_that_does_not_answer_forbids_the_fault() {
    let broken = Reply::Says(503, "down".to_owned());
    for (key, reply) in [
        ("prometheus", broken.clone()),
        ("alertmanager", broken),
        ("prometheus", Reply::Silent),
    ] {
        let server = Server::always(reply).await;
        let drilled = watched(&server, key, forbidding(&[])).run().await;
        refused(&drilled, &[], &["not_while_firing cannot be kept"]);
    }
}

/// Of two steps the first is expected to cause an alert, which fires from then on. `began` says since when, in seconds
/// from now.
async fn two_steps(began: i64, expected: &str) -> Drilled {
    let fired = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&fired);
    let server = Server::start(move |asked| match asked.path.as_str() {
        "/api/v1/alerts" if seen.load(Ordering::SeqCst) => {
            let since = jiff::Timestamp::now() + jiff::Span::new().seconds(began);
            Reply::data(&json!({ "alerts": [ { "labels": { "alertname": "BackendDown" }, "state": "firing",
                "activeAt": since.to_string() } ] }))
        }
        "/api/v1/alerts" => Reply::data(&json!({ "alerts": [] })),
        "/api/v1/rules" => {
            Reply::data(&json!({ "groups": [ { "interval": 1, "rules": [rule("BackendDown", "critical", "")] } ] }))
        }
        "/api/v1/query" => {
            let now = jiff::Timestamp::now().as_millisecond() as f64 / 1e3;
            Reply::data(&json!({ "resultType": "scalar", "result": [now, now.to_string()] }))
        }
        "/api/v1/targets" => Reply::data(&json!({ "activeTargets": [] })),
        "/api/v1/query_range" => Reply::data(&json!({ "resultType": "matrix", "result": [] })),
        _ => Reply::Says(200, "# EOF\n".to_owned()),
    })
    .await;
    let method = format!(
        "
observe: {{ prometheus: \"{}\" }}
steps:
  - {{ name: first, at: 1s, pause: {{ target: backend }}, hold: 500ms }}
  - {{ name: second, at: 3s, pause: {{ target: backend }}, hold: 500ms }}
objectives: {{ availability: {{ at_least: 1% }}, alerts: {{ expect: {{ alert: {expected}, after: first, fires: 3s }} }} }}
guards: {{ not_while_firing: true }}
",
        server.url
    );
    let mut drill = FakeDrill::new(&method);
    let load = drill.plan.load.as_mut().unwrap();
    load.warmup = Duration::from_millis(200);
    load.stages[0].length = Duration::from_secs(5);
    let drill = drill.moody(move |call| {
        if call.name == "apply" {
            fired.store(true, Ordering::SeqCst);
        }
        Mood::Fine
    });
    drill.run().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_step_is_expected_to_cause_is_no_incident() {
    assert_eq!(
        dispatched(&two_steps(0, "BackendDown").await),
        ["first", "second"]
    );
    // Nobody expected this one; and an alert that began before the step is none of its doing.
    assert_eq!(dispatched(&two_steps(0, "EdgeDown").await), ["first"]);
    assert_eq!(dispatched(&two_steps(-60, "BackendDown").await), ["first"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_load_is_put_on_a_stack_of_others_with_an_incident() {
    let incident = json!([alert("DiskFull", "warning", "firing")]);
    let server = monitoring(incident, json!([rule("DiskFull", "warning", "")])).await;
    let mut drill = watched(&server, "prometheus", forbidding(&[]));
    drill.plan.stack = StackSpec::External(ExternalSpec {
        addresses: BTreeMap::new(),
        compose_project: None,
        ready: None,
    });
    let drilled = drill.run().await;
    not_begun(&drilled, &["DiskFull"]);
}
