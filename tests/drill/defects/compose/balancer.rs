//! Defects of the balancer. No monitoring watches it.

use super::{Small, with, without};
use crate::defects::finding::Finding;

/// The healthy drill by callers alone, through the edge's port of this number, with these objectives.
fn through(text: &str, port: &str, objectives: &str) -> String {
    let text = without(text, "observe:\n", "steady_state:\n");
    let text = without(&text, "  - promql: { query: 'sum", "load:\n");
    let text = without(&text, "# A second in which", "objectives:\n");
    let (text, _) = text.split_once("objectives:\n").unwrap();
    let text = with(text, "edge:8001", &format!("edge:{port}"));
    let text = with(&text, "for: 16s", "for: 9s");
    let text = with(&text, "at: 5s", "at: 3s");
    let text = with(&text, "hold: 6s", "hold: 3s");
    format!("{text}objectives:\n  availability: {{ at_least: 70% }}\n{objectives}")
}

const FAILOVER: &str = "  failover: { lose-one: 1500ms }\n  lost: { lose-one: 3s }\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_without_a_defect_and_with_four() {
    let Some(small) = Small::stand("balancer", &[], &[]).await else {
        return;
    };
    let drilled = |port: &'static str| small.drilled(&|text| through(text, port, FAILOVER));
    drilled("8001").is_clean();

    let failover = "failover lose-one";
    let missed = [(failover, "fail")];
    let unchecked = Finding::undisturbed(failover, || drilled("8002"));
    unchecked.is_caught(1, &missed, &["objective_missed"]);
    assert_eq!(outcomes(&unchecked), ["http_5xx"]);

    let swallowed = Finding::undisturbed(failover, || drilled("8004"));
    swallowed.is_caught(1, &missed, &["objective_missed"]);
    assert_eq!(outcomes(&swallowed), ["assertion"]);

    // A balancer that tries again later is none that forgets.
    let patient =
        small.drilled(&|text| with(&through(text, "8003", FAILOVER), "for: 9s", "for: 24s"));
    patient.is_caught(3, &[], &["not_readmitted"]);

    cached(&small);
    small.fall().await;
}

/// What bad requests met while the backend was dead.
fn outcomes(finding: &Finding) -> Vec<String> {
    let met = finding.step("lose-one")["failover"]["by_outcome"].as_object();
    let met = met.unwrap().keys().filter(|k| *k != "ok");
    met.cloned().collect()
}

/// One backend has filled the cache, and every answer bears its name: the others have no callers to lose, and it answers
/// from beyond.
fn cached(small: &Small) {
    let finding = small.drilled(&|text| {
        let text = through(text, "8005", "");
        with(&text, "target: backend", "target: backend, take: all")
    });
    finding.is_caught(3, &[], &["answered_while_gone", "not_exposed"]);
}
