//! Containers that tell what they were trusted with, and a Compose command line that quotes what it is given.

use std::fs;

use rustix::process::Signal;

use super::{Vault, leaks, unseen_by_ps};
use crate::binary::until;
use crate::compose::engine::{Bench, Flavour, remove};
use crate::recovery::{gone, guardian, told};

const FILE: &str = r#"
services:
  web:
    image: firedrill-test/http:1
    init: true
    scale: 2
    restart: unless-stopped
    ports: [ "80" ]
    stop_grace_period: 1s
    environment: { PASSWORD: "${PASSWORD}", ODD: "${ODD}", KEY: "${KEY}" }
    command: [ "sh", "-c", 'echo "told $$PASSWORD"; echo "$$ODD"; echo "$$KEY" >&2; exec /serve' ]
"#;

const DRILL: &str = r#"version: 1
name: trusted
stack: { compose: { file: docker-compose.yml, env: { PASSWORD: "${env:PLAIN}", ODD: "${env:ODD}", KEY: "${file:key.pem}" } } }
load:
  base_url: http://${addr:web:80}
  warmup: 500ms
  stages: [ { rate: 20/s, for: LENGTH } ]
  headers: { X-Api-Key: "${env:PLAIN}" }
  request: { get: "/?k=${env:PLAIN}" }
steps:
STEPS
objectives: { availability: { at_least: 1% } }
recovery: { settle: 1s, bad: 0 }
"#;

const FAILING: &str = r#"  - { name: told, at: 0s, exec: { target: web, run: [sh, -c, 'echo "$ODD $0"; echo "$KEY" >&2; exit 3', "${env:PLAIN}"], undo: none } }
  - { name: changed, at: 1s, update: { target: web, env: { PASSWORD: "${env:ODD}", NEXT: "${env:PLAIN}" } } }
"#;

const LASTING: &str = r#"  - { name: changed, at: 0s, update: { target: web, env: { PASSWORD: "${env:ODD}", NEXT: "${env:PLAIN}" } } }
  - { name: frozen, at: 0s, pause: { target: web }, hold: 200s }
"#;

fn write(vault: &Vault, length: &str, steps: &str) {
    vault.0.write("docker-compose.yml", FILE);
    let text = DRILL.replace("LENGTH", length).replace("STEPS\n", steps);
    vault.0.write("trusted.yaml", &text);
}

/// The project of the latest run, gone when this is.
struct Standing<'a>(&'a Vault);

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        let run = fs::canonicalize(self.0.0.latest("trusted")).unwrap_or_default();
        let name = run.file_name().and_then(|n| n.to_str()?.rsplit_once('-'));
        if let Some((_, id)) = name {
            remove(&format!("fd-{id}"));
        }
    }
}

/// Whether there is an engine; says so where there is none.
fn engine(name: &str) -> bool {
    Bench::new(Flavour::One, name, FILE).is_some()
}

#[test]
fn a_drill_to_its_end() {
    if !engine("secrecy") {
        return;
    }
    let vault = Vault::new();
    let _standing = Standing(&vault);
    write(&vault, "20s", FAILING);
    vault.told(&["plan", "trusted.yaml"]);
    vault.told(&["plan", "trusted.yaml", "--format", "json"]);
    let said = vault.told(&["run", "trusted.yaml"]);
    assert!([0, 1, 3].contains(&said.code), "{said:?}");
    assert!(said.err.contains("it ended with 3"), "{said:?}");
    let log = fs::read_to_string(vault.0.latest("trusted").join("stack.log")).unwrap();
    assert!(log.contains("told [redacted]"), "{log}");
    vault.kept("trusted");
}

#[test]
fn a_run_that_is_killed_and_mended_by_its_guardian() {
    if !engine("secrecy-killed") {
        return;
    }
    let vault = Vault::new();
    let _standing = Standing(&vault);
    write(&vault, "300s", LASTING);
    let drill = vault
        .0
        .start_command(vault.command(&["run", "trusted.yaml"]));
    let run = vault.0.latest("trusted");
    until("the update", || {
        unseen_by_ps();
        told(&run, r#""dispatched":{"step":"changed""#)
    });
    let watching = guardian(&run);
    drill.signal(Signal::KILL);
    let said = drill.end();
    until("the guardian's leave", || {
        unseen_by_ps();
        gone(watching)
    });
    assert_eq!(leaks(&(said.out + &said.err)), [""; 0]);
    assert!(!run.join("run.lock").exists(), "it was mended");
    vault.kept("trusted");
}

#[test]
fn a_compose_file_that_is_wrong_with_a_secret_in_it() {
    if !engine("secrecy-wrong") {
        return;
    }
    let vault = Vault::new();
    write(&vault, "300s", LASTING);
    // Compose quotes what it cannot read as a number.
    for wrong in ["scale: ${PASSWORD}", "scale: ${ODD}"] {
        let text = FILE.replace("scale: 2", wrong);
        vault.0.write("docker-compose.yml", &text);
        let said = vault.told(&["run", "trusted.yaml"]);
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.err.contains("[redacted]"), "{wrong}: {said:?}");
    }
}
