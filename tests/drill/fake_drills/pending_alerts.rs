//! Alerts that are pending when the load is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;

use super::bench::FakeDrill;
use super::monitored_stops::{errors, prometheus};

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_must_not_fire_is_awaited_as_long_as_it_is_pending() {
    let alert = |name: &str| {
        json!({"labels": {"alertname": name, "severity": "critical"}, "state": "pending",
            "activeAt": "2026-11-21T10:07:08Z"})
    };
    // A look a second: it is over long after the load is. What may fire is pending for ever.
    let enough = 8;
    let looks = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&looks);
    let alerts = move |n| {
        seen.store(n, Ordering::Relaxed);
        match n {
            n if n < enough => json!([alert("Slow"), alert("Down")]),
            _ => json!([alert("Slow")]),
        }
    };
    let server = prometheus(|_| errors("0"), alerts).await;
    let method = format!(
        "
observe: {{ prometheus: \"{}\" }}
steps: [ {{ name: hang, at: 500ms, pause: {{ target: backend }}, hold: 500ms }} ]
objectives: {{ alerts: {{ others: {{ forbid: [critical], allow: [Slow] }} }} }}
",
        server.url
    );
    let mut drill = FakeDrill::new(&method);
    let plan = drill.plan.load.as_mut().unwrap();
    plan.warmup = Duration::from_millis(200);
    plan.stages[0].length = Duration::from_secs(2);
    let drilled = drill.run().await;
    assert!(drilled.recording.complete);
    assert!(looks.load(Ordering::Relaxed) >= enough, "{looks:?}");
}
