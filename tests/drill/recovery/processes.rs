//! Every fault of the process stack.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use super::{kill_and_compare, rounds};
use crate::binary::Folder;

const DRILL: &str = r#"version: 1
name: broken
stack:
  process:
    services:
      backend:
        command: ["${firedrill}", demo, backend, --listen, "${listen}"]
        replicas: 3
        env: { APP_VERSION: v1 }
        ready: { http: "http://${listen}/health", within: 60s }
load:
  base_url: http://${addr:backend}
  warmup: 500ms
  stages: [ { rate: 20/s, for: 300s } ]
  request: { get: /items }
steps:
  - { name: break, at: 0s, ACTION }
"#;

/// What each component is: what it was started from, and whether it is frozen.
type State = BTreeMap<String, (String, bool)>;

/// The stack as the kernel has it.
fn state(folder: &Folder) -> State {
    let mut found = State::new();
    for pid in folder.processes() {
        let proc = format!("/proc/{}", pid.as_raw_nonzero());
        // It may end while we look.
        let environment = fs::read_to_string(format!("{proc}/environ")).unwrap_or_default();
        let value = |name: &str| {
            let mut lines = environment.split('\0').filter_map(|l| l.split_once('='));
            lines.find(|(n, _)| *n == name).map(|(_, v)| v.to_owned())
        };
        let stat = fs::read_to_string(format!("{proc}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").map_or("Z", |(_, after)| after);
        let (Some(component), Some(version)) = (value("FIREDRILL_COMPONENT"), value("APP_VERSION"))
        else {
            continue;
        };
        if !state.starts_with('Z') {
            found.insert(component, (version, state.starts_with('T')));
        }
    }
    found
}

fn killed(action: &str) {
    for _ in 0..rounds(7) {
        let folder = Folder::new();
        folder.write("broken.yaml", &DRILL.replace("ACTION", action));
        let drill = folder.start(&["run", "broken.yaml", "--keep-stack"]);
        let within = Duration::from_millis(250);
        kill_and_compare(&folder, drill, ("broken", action), within, || {
            state(&folder)
        });
    }
}

macro_rules! killed_in {
    ($($name:ident: $action:literal;)+) => { $(
        #[test]
        fn $name() {
            killed($action);
        }
    )+ };
}

killed_in! {
    in_a_kill: "kill: { target: backend, take: 2 }, hold: 200s";
    in_a_stop: "stop: { target: backend }, hold: 200s";
    in_a_pause: "pause: { target: backend, take: 2 }, hold: 200s";
    in_a_restart: "restart: { target: backend }";
    in_a_scaling_down: "scale: { target: backend, replicas: 1 }, hold: 200s";
    in_a_scaling_up: "scale: { target: backend, replicas: 5 }, hold: 200s";
    in_an_update: "update: { target: backend, env: { APP_VERSION: v2 } }";
}
