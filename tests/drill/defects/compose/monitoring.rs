//! Defects of monitoring: what should have told a person did not.

use std::fs;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use super::{Small, with, without};
use crate::binary::{Folder, until};
use crate::compose::engine::docker;
use crate::defects::finding::Finding;

/// Alertmanager tells whoever listens here.
fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

/// The healthy drill with other expectations of the alert and a load no longer than they take.
fn expecting(text: &str, hook: &str, alert: &str) -> String {
    let text = with(text, "${free_port}", hook);
    let text = without(&text, "  detection:", "  alerts:\n");
    let (text, _) = text.split_once("  alerts:\n").unwrap();
    let text = with(text, "for: 16s", "for: 12s");
    let text = with(&text, "at: 5s", "at: 3s");
    format!("{text}  alerts: {{ expect: {{ {alert} }}, others: forbid }}\n")
}

const FIRES: &str = "alert: BackendDown, after: lose-one, fires: 5s";

#[tokio::test(flavor = "multi_thread")]
async fn monitoring_without_a_defect_and_with_five() {
    let hook = free_port();
    let env = [("HOOK_PORT", hook.clone())];
    let Some(small) = Small::stand("monitoring", &["watched"], &env).await else {
        return;
    };
    small
        .drilled(&|text| with(text, "${free_port}", &hook))
        .is_clean();

    // The hook that Alertmanager was given is not where firedrill listens.
    let nowhere = small.drilled(&|text| {
        let alert = format!("{FIRES}, notifies: 7s");
        expecting(text, "${free_port}", &alert)
    });
    let missed = [("alerts.notifies lose-one BackendDown", "fail")];
    nowhere.is_caught(1, &missed, &["objective_missed"]);

    standing_still(&small, &hook);

    let rules = |change: &dyn Fn(&str) -> String| {
        let path = small.bench.folder.path().join("conf/rules.yml");
        let text = fs::read_to_string(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/stacks/small/conf/rules.yml"
        ));
        fs::write(path, change(&text.unwrap())).unwrap();
        let prometheus = &small.containers("prometheus")[0];
        docker(&["kill", "--signal", "HUP", prometheus]).unwrap();
        small.drilled(&|text| expecting(text, &hook, FIRES))
    };
    let missed = [("alerts.fires lose-one BackendDown", "fail")];
    let late = rules(&|text| with(text, "for: 1s", "for: 30s"));
    late.is_caught(1, &missed, &["objective_missed"]);
    assert!(
        late.evidence(missed[0].0)
            .contains("pending, but never fired")
    );

    let missing = rules(&|text| with(text, "alert: BackendDown", "alert: AnotherName"));
    // The rule under its other name is one that nobody expects.
    let missed = [missed[0], ("alerts.others", "fail")];
    missing.is_caught(1, &missed, &["objective_missed"]);
    assert!(
        missing
            .evidence(missed[0].0)
            .contains("no rule of this name")
    );
    small.fall().await;
}

/// Prometheus is frozen as soon as the fault is made, and comes back in time to fire: what it missed nobody knows.
fn standing_still(small: &Small, hook: &str) {
    let folder = Folder::new();
    let alert = "alert: BackendDown, after: lose-one, fires: 10s";
    small.scenario(&folder, &|text| expecting(text, hook, alert));
    let mut drill = folder.start(&["run", "small.yaml", "--yes"]);
    let journal = folder.latest("small-healthy").join("journal.ndjson");
    until("the fault", || {
        drill.goes_on();
        fs::read_to_string(&journal).is_ok_and(|j| j.contains("\"dispatched\""))
    });
    let prometheus = &small.containers("prometheus")[0];
    docker(&["pause", prometheus]).unwrap();
    // How long it misses everything is the defect itself.
    thread::sleep(Duration::from_secs(4));
    docker(&["unpause", prometheus]).unwrap();
    let finding = Finding::from(&folder, "small-healthy", drill.end());
    let open = [
        ("alerts.fires lose-one BackendDown", "inconclusive"),
        ("alerts.others", "inconclusive"),
    ];
    finding.is_caught(3, &open, &["objective_open"]);
    assert!(
        finding
            .evidence(open[0].0)
            .contains("prometheus did not answer")
    );
}
