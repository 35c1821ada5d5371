//! The command line: what it says, what it exits with, and what it leaves behind.
#![expect(
    clippy::unwrap_used,
    reason = "what a test needs and does not get fails it"
)]

mod aborts;
mod commands;
mod disk;
mod doctor;
mod guards;
mod interrupts;
mod load;
mod plans;
mod refusals;
mod signals;
mod stops;

use crate::binary::Folder;

/// One small backend, a few seconds of load, one kill.
pub(crate) const SMALL: &str = r#"version: 1
name: small
stack:
  process:
    services:
      backend:
        command: ["${firedrill}", demo, backend, --listen, "${listen}"]
        replicas: 2
        ready: { http: "http://${listen}/health", within: 60s }
load:
  base_url: http://${addr:backend}
  warmup: 1s
  stages: [ { rate: 50/s, for: 6s } ]
  timeout: 2s
  request: { get: /items }
steps:
  - { name: lose-one, at: 1s, kill: { target: backend }, hold: 1s }
objectives: { availability: { at_least: 1% } }
recovery: { settle: 1s, bad: 0 }
"#;

/// A drill whose fault is a file, for as long as the test likes.
pub(crate) fn marked() -> Folder {
    let folder = Folder::new();
    let text = SMALL.replace("for: 6s", "for: 300s").replace(
        "kill: { target: backend }, hold: 1s",
        r#"command: { run: [touch, "${scenario_dir}/broken"], undo: [rm, -f, "${scenario_dir}/broken"] }, hold: 250s"#,
    );
    folder.write("small.yaml", &text);
    folder
}
