//! Defects of what a drill does and of the service itself, on the demo system.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::finding::Finding;
use crate::binary::{Folder, until};

const BACKEND: &str =
    "[\"${firedrill}\", demo, backend, --listen, \"${listen}\", --service-time, 2ms]";
const EDGE: &str = "[\"${firedrill}\", demo, edge, --listen, \"${listen}\", --backends, \"${addrs:backend}\", --check, /health, --check-interval, 200ms]";
const KILL: &str = "steps: [ { name: lose-one, at: 2s, kill: { target: backend }, hold: 2s } ]";
const OBJECTIVES: &str = "availability: { at_least: 80% }
  failover: { lose-one: 1500ms }
  lost: { lose-one: 1s }";
const TRAFFIC: &str = "
  detection: { lose-one: { by: traffic, within: 2s } }";

/// A drill of three backends behind an edge that checks them.
pub(super) struct Demo {
    pub(super) backend: String,
    pub(super) edge: String,
    /// Another service, with its name.
    pub(super) spare: String,
    pub(super) request: &'static str,
    /// Steps, monitoring and whatever else there is.
    pub(super) method: String,
    pub(super) objectives: String,
    pub(super) length: &'static str,
}

impl Demo {
    /// Without a defect: one backend is killed and nobody notices.
    pub(super) fn healthy() -> Self {
        Self {
            backend: BACKEND.to_owned(),
            edge: EDGE.to_owned(),
            spare: String::new(),
            request: "{ get: /items }",
            method: KILL.to_owned(),
            objectives: OBJECTIVES.to_owned(),
            length: "7s",
        }
    }

    pub(super) fn text(&self) -> String {
        let Self {
            backend,
            edge,
            spare,
            request,
            method,
            objectives,
            length,
        } = self;
        format!(
            "version: 1
name: defect
seed: 1
stack:
  process:
    services:
      backend:
        command: {backend}
        replicas: 3
        ready: {{ http: \"http://${{listen}}/health\", within: 60s }}
      edge:
        command: {edge}
        ready: {{ http: \"http://${{listen}}/edge-health\", within: 60s }}
{spare}
steady_state: {{ http: {{ get: \"http://${{addr:edge}}/items\", within: 10s }} }}
load:
  base_url: http://${{addr:edge}}
  warmup: 1s
  stages: [ {{ rate: 200/s, for: {length} }} ]
  timeout: 1s
  served_by: {{ instance: X-Backend, version: X-Version }}
  request: {request}
recovery: {{ settle: 1s }}
{method}
objectives:
  {objectives}
"
        )
    }

    fn drilled(&self) -> Finding {
        let folder = Folder::new();
        folder.write("defect.yaml", &self.text());
        Finding::of(&folder, "defect.yaml", "defect")
    }
}

#[test]
fn the_demo_without_a_defect_passes() {
    let mut demo = Demo::healthy();
    demo.objectives += TRAFFIC;
    demo.drilled().is_clean();
}

#[test]
fn a_fault_that_does_nothing() {
    let hang_up = |backend: &str| {
        let mut demo = Demo::healthy();
        backend.clone_into(&mut demo.backend);
        demo.method = KILL.replace("backend }", "backend, signal: SIGHUP }");
        demo.drilled()
    };
    hang_up(BACKEND).is_clean();
    let deaf = "[sh, -c, \"trap '' HUP; exec \\\"$0\\\" demo backend --listen \\\"$1\\\"\", \"${firedrill}\", \"${listen}\"]";
    let open = [
        ("failover lose-one", "inconclusive"),
        ("lost lose-one", "inconclusive"),
    ];
    hang_up(deaf).is_caught(3, &open, &["no_effect", "objective_open"]);
}

#[test]
fn a_fault_on_a_replica_that_serves_nobody() {
    let mut demo = Demo::healthy();
    // The edge knows the first backend alone, and this seed takes another.
    demo.edge = EDGE.replace("addrs:", "addr:");
    let finding = demo.drilled();
    assert_ne!(finding.step("lose-one")["targets"][0], "backend/1");
    let open = [
        ("failover lose-one", "inconclusive"),
        ("lost lose-one", "inconclusive"),
    ];
    finding.is_caught(3, &open, &["not_exposed", "objective_open"]);
}

#[test]
fn a_fault_on_another_service() {
    let mut demo = Demo::healthy();
    demo.spare = format!("      spare: {{ command: {BACKEND} }}");
    demo.method = KILL.replace("target: backend", "target: spare");
    demo.objectives += TRAFFIC;
    let finding = demo.drilled();
    // Nothing is known of a service that answers nobody: a database is such a one, too.
    assert_eq!(
        finding.step("lose-one")["failover"]["exposed"],
        serde_json::Value::Null
    );
    let open = [("detection lose-one", "inconclusive")];
    finding.is_caught(3, &open, &["objective_open"]);
}

#[test]
fn a_generator_that_is_held_up() {
    let mut demo = Demo::healthy();
    demo.method = String::new();
    demo.objectives = "availability: { at_least: 80% }".to_owned();
    demo.length = "5s";
    demo.drilled().is_clean();
    let folder = Folder::new();
    folder.write("defect.yaml", &demo.text());
    let mut drill = folder.start(&["run", "defect.yaml"]);
    let journal = folder.latest("defect").join("journal.ndjson");
    let told = |what: &str| std::fs::read_to_string(&journal).is_ok_and(|j| j.contains(what));
    until("the load", || {
        drill.goes_on();
        told("\"load_started\"")
    });
    until("the load's end", || {
        drill.signal(Signal::STOP);
        thread::sleep(Duration::from_millis(150));
        drill.signal(Signal::CONT);
        thread::sleep(Duration::from_millis(100));
        told("\"load_ended\"")
    });
    let finding = Finding::from(&folder, "defect", drill.end());
    finding.is_caught(3, &[("availability", "inconclusive")], &["objective_open"]);
    assert!(
        finding
            .evidence("availability")
            .contains("the generator was late")
    );
}

#[test]
fn an_update_that_drops_connections() {
    let update = |backend: &str| {
        let mut demo = Demo::healthy();
        backend.clone_into(&mut demo.backend);
        // Three backends that leave one after the other are three failures each, for which a passive check would take all out.
        demo.edge = EDGE.replace("--check,", "--no-passive-checks, --check,");
        demo.request = "{ post: /items, json: { item: { name: lamp } }, expect: { status: 201 } }";
        demo.method = "steps: [ { name: deploy, at: 3s, update: { target: backend, env: { APP_VERSION: v2 } } } ]".to_owned();
        demo.objectives = "availability: { at_least: 80% }
  update: { deploy: { within: 20s, lost: 0, min_healthy: 2 } }"
            .to_owned();
        demo.length = "10s";
        demo
    };
    let slow = BACKEND.replace("2ms", "100ms");
    update(&slow).drilled().is_clean();
    let abrupt = "[sh, -c, \"\\\"$0\\\" demo backend --listen \\\"$1\\\" --service-time 100ms & trap \\\"kill -9 $!; exit 0\\\" TERM; wait\", \"${firedrill}\", \"${listen}\"]";
    let lost = "update.lost deploy";
    let finding = Finding::undisturbed(lost, || update(abrupt).drilled());
    finding.is_caught(1, &[(lost, "fail")], &["objective_missed"]);
}

#[test]
fn a_service_that_fails_without_any_fault() {
    let mut demo = Demo::healthy();
    demo.backend = BACKEND.replace(
        "2ms]",
        "2ms, --outage, \"at=0s for=10m mode=5xx status=500 share=0.4\"]",
    );
    demo.objectives = "availability: { at_least: 80% }
  failover: { lose-one: 1500ms }"
        .to_owned();
    let found = [
        ("availability", "fail"),
        ("failover lose-one", "inconclusive"),
    ];
    let finding = Finding::undisturbed("availability", || demo.drilled());
    finding.is_caught(1, &found, &["objective_missed", "objective_open"]);
}
