//! Guards at the moment of injection: what a plan could not know, or what has changed since.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use firedrill::judge::Verdict;
use firedrill::model::{ComponentId, ExternalSpec, Selector, StackSpec, Template};
use firedrill::restore::Owed;
use firedrill::run::RunError;
use firedrill::scenario::guards::NotWhileFiring;
use firedrill::stack::Lies;
use firedrill::timeline::event::{Event, Level};
use serde_json::{Value, json};

use super::bench::{Drilled, FakeDrill, LOSE_ONE};
use crate::observe::fake::{Reply, Server};

fn backend(index: u32) -> ComponentId {
    ComponentId::new("backend", index)
}

fn dispatched(drilled: &Drilled) -> Vec<String> {
    drilled.events(|e| match e {
        Event::Dispatched { step, .. } => Some(step.clone()),
        _ => None,
    })
}

/// Only these steps were made, the others were refused by a guard with these words; nothing is owed, and nothing passes.
fn refused(drilled: &Drilled, made: &[&str], words: &[&str]) {
    let reasons = &drilled.judgement.reasons;
    assert_eq!(dispatched(drilled), made, "{reasons:?}");
    assert_eq!(
        drilled.judgement.verdict,
        Verdict::Inconclusive,
        "{reasons:?}"
    );
    assert_eq!(drilled.judgement.exit_code, 3);
    let reason = reasons.iter().find(|r| r.code == "guard");
    let reason = &reason.unwrap_or_else(|| panic!("{reasons:?}")).message;
    for word in words {
        assert!(reason.contains(word), "no `{word}` in {reason}");
    }
    let owing = drilled.events(|e| match e {
        Event::Owed {
            step: Some(step), ..
        } => Some(step.clone()),
        _ => None,
    });
    assert!(
        owing.iter().all(|step| made.contains(&step.as_str())),
        "{owing:?}"
    );
    assert!(Owed::left_by(&drilled.recording.entries).is_empty());
}

const CHAIN: &str = "
steps:
  - { name: first, at: 4s, pause: { target: backend }, hold: 4s }
  - { name: second, after: { first: healed }, kill: { target: backend }, hold: 4s }
objectives: { availability: { at_least: 1% } }
guards: { max_concurrent: 1 }
";

#[tokio::test(start_paused = true)]
async fn what_follows_a_heal_is_not_at_once_with_it() {
    let drilled = FakeDrill::new(CHAIN).run().await;
    assert_eq!(dispatched(&drilled), ["first", "second"]);
    assert_eq!(drilled.judgement.verdict, Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_is_open_longer_than_planned_counts() {
    // The update takes its time, which no plan knows.
    let method = "
steps:
  - { name: roll, at: 4s, update: { target: backend, image: v2, keep: true } }
  - { name: lose, at: 4050ms, kill: { target: backend }, hold: 1s }
  - { name: later, at: 9s, kill: { target: backend }, hold: 1s }
objectives: { availability: { at_least: 1% } }
guards: { max_concurrent: 1 }
";
    let drilled = FakeDrill::new(method).run().await;
    let words = [
        "lose was never dispatched",
        "max_concurrent allows 1",
        "roll",
    ];
    refused(&drilled, &["roll", "later"], &words);
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_could_not_be_mended_stays_open() {
    let drill = FakeDrill::new(
        CHAIN
            .replace("healed }", "dispatched, wait: 10s }")
            .as_str(),
    );
    let lies = Lies {
        failing_undos: 20,
        ..Lies::default()
    };
    drill.world.lie(lies);
    let drilled = drill.run().await;
    assert_eq!(dispatched(&drilled), ["first"]);
    assert!(
        drilled.codes().contains(&"guard"),
        "{:?}",
        drilled.judgement.reasons
    );
}

#[tokio::test(start_paused = true)]
async fn what_bears_a_label_is_never_taken_and_the_record_says_so() {
    for seed in 0..8 {
        let mut drill = FakeDrill::new(LOSE_ONE);
        drill.plan.seed = seed;
        drill.world.label(backend(1), "tier=db");
        drill.world.label(backend(3), "tier=db");
        drill.plan.guards.never_touch = vec![Selector::Label("tier=db".parse().unwrap())];
        let drilled = drill.run().await;
        assert_eq!(drilled.judgement.verdict, Verdict::Pass);
        assert_eq!(drilled.judgement.steps[0].targets, ["backend/2"]);
        let notes = drilled.events(|e| match e {
            Event::Note {
                level: Level::Info,
                text,
            } => Some(text.clone()),
            _ => None,
        });
        let narrowed = notes
            .iter()
            .find(|n| n.contains("chosen among 1 of 3"))
            .unwrap();
        assert!(
            narrowed.contains("backend/1 (guards.never_touch names label tier=db)"),
            "{narrowed}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_is_not_made_smaller_by_what_is_protected() {
    for (action, words) in [
        ("pause: { target: backend, take: 2 }", "taking 2 of 3"),
        ("pause: { target: backend, take: all }", "taking 3 of 3"),
        (
            "scale: { target: backend, replicas: 2 }",
            "changing `backend`",
        ),
        (
            "update: { target: backend, image: v2 }",
            "changing `backend`",
        ),
        (
            "exec: { target: backend, take: 2, run: [date], undo: none }",
            "taking 2 of 3",
        ),
    ] {
        let method = format!(
            "steps: [ {{ name: wide, at: 4s, {action} }} ]\nobjectives: {{ availability: {{ at_least: 1% }} }}\n"
        );
        let mut drill = FakeDrill::new(&method);
        drill.world.label(backend(1), "tier=db");
        drill.world.label(backend(2), "tier=db");
        drill.plan.guards.never_touch = vec![Selector::Label("tier".parse().unwrap())];
        refused(&drill.run().await, &[], &[words, "backend/1", "backend/2"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_protects_nothing_keeps_every_fault_from_being_made() {
    for selector in [
        Selector::Service("postgrs".to_owned()),
        Selector::Component(backend(9)),
        Selector::Label("tier=db".parse().unwrap()),
    ] {
        let mut drill = FakeDrill::new(LOSE_ONE);
        let name = selector.to_string();
        drill.plan.guards.never_touch = vec![selector];
        refused(&drill.run().await, &[], &[&name, "protects nothing"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_firedrill_runs_in_is_out_of_bounds_without_any_guard() {
    let own = |action: &str, inhabited: &[u32]| {
        let method = format!(
            "steps: [ {{ name: one, at: 4s, {action}, hold: 1s }} ]\nobjectives: {{ availability: {{ at_least: 1% }} }}\n"
        );
        let drill = FakeDrill::new(&method);
        for index in inhabited {
            drill.world.inhabit(backend(*index));
        }
        drill.run()
    };
    let drilled = own("kill: { target: backend }", &[1, 2]).await;
    assert_eq!(drilled.judgement.steps[0].targets, ["backend/3"]);
    let words = ["firedrill itself runs in it"];
    refused(
        &own("kill: { target: backend }", &[1, 2, 3]).await,
        &[],
        &words,
    );
    refused(
        &own("scale: { target: backend, replicas: 1 }", &[1]).await,
        &[],
        &words,
    );
}

/// 2026-11-20, a Friday, so many seconds before 16:00 in Berlin.
fn before_four(seconds: i64) -> Option<i64> {
    let four: jiff::Timestamp = "2026-11-20T15:00:00Z".parse().unwrap();
    Some(i64::try_from(four.as_nanosecond()).unwrap() - seconds * 1_000_000_000)
}

#[tokio::test(start_paused = true)]
async fn a_run_that_drifts_out_of_its_window_makes_no_more_faults() {
    let method = "
steps:
  - { name: first, at: 4s, pause: { target: backend }, hold: 10s }
  - { name: second, at: 20s, pause: { target: backend }, hold: 1s }
objectives: { availability: { at_least: 1% } }
guards: { only: 'Mon-Fri 09:00-16:00 Europe/Berlin' }
";
    let run = |wall_ns| {
        let drill = FakeDrill::new(method);
        FakeDrill { wall_ns, ..drill }.run()
    };
    let drilled = run(before_four(3_600)).await;
    assert_eq!(drilled.judgement.verdict, Verdict::Pass);
    // It ends 12 s into the run: the first fault is made, kept for its hold, and mended outside.
    let drilled = run(before_four(12)).await;
    let words = [
        "second was never dispatched",
        "it is Fri 2026-11-20 16:00 CET",
        "Mon 2026-11-23 09:00 CET",
    ];
    refused(&drilled, &["first"], &words);
    assert!(drilled.judgement.steps[0].verified_us.is_some());
}

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
        super::moody::Mood::Fine
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
    let ended = drilled.ended.as_ref().unwrap_err();
    assert!(
        matches!(ended, RunError::Guarded(why) if why.contains("DiskFull")),
        "{ended}"
    );
    let loaded = drilled.events(|e| matches!(e, Event::LoadStarted { .. }).then_some(()));
    assert!(loaded.is_empty() && dispatched(&drilled).is_empty());
    assert_eq!(drilled.judgement.exit_code, 3);
}
