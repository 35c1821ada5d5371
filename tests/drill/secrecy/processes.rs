//! A stack of processes that tell what they were trusted with, and a server that tells what it was asked with.

use std::fs;
use std::sync::atomic::Ordering;

use rustix::process::Signal;

use super::echo::Echo;
use super::{Vault, leaks, unseen_by_ps};
use crate::binary::until;
use crate::recovery::{gone, guardian, kill, told};

const DRILL: &str = r#"version: 1
name: trusted
stack:
  process:
    services:
      teller:
        command: [sh, -c, 'echo "$PASSWORD"; echo "$ODD"; cat "$0"; printf "%s" "$PASSWORD" | head -c 9; sleep 0.2; printf "%s\n" "$PASSWORD" | tail -c +10; env; END', "${scenario_dir}/key.pem", "${listen}"]
        ready: { http: "http://${listen}/", within: 60s }
        env: { PASSWORD: "${env:PLAIN}", ODD: "${env:ODD}", KEY: "${file:key.pem}" }
steady_state:
  - http: { get: "http://${ECHO}/ok?k=${env:PLAIN}", headers: { X-Api-Key: "${env:PLAIN}" } }
load:
  base_url: http://${ECHO}
  warmup: 500ms
  stages: [ { rate: 20/s, for: LENGTH } ]
  timeout: 2s
  served_by: { instance: X-Backend }
  request:
    post: /ok?k=${env:PLAIN}
    headers: { Authorization: "Bearer ${env:PLAIN}", x-key: "${env:PLAIN}" }
    json: { odd: "${env:ODD}", key: "${file:key.pem}" }
    expect: { contains: "${env:PLAIN}" }
steps:
STEPS
objectives: { availability: { at_least: 1% } }
recovery: { settle: 1s, bad: 0 }
"#;

/// Nothing answers there: only what is to die before it is ready has it.
const READY: &str = "        ready: { http: \"http://${listen}/\", within: 60s }\n";
/// How the service ends its script.
const LIVES: &str = "exec sleep 600";
const DIES: &str = "exit 3";

/// Faults that fail, telling why.
const FAILING: &str = r#"  - { name: lose-one, at: 500ms, kill: { target: teller }, hold: 500ms }
  - { name: refused, at: 0s, http: { post: "http://drill:${env:PLAIN}@${ECHO}/broken?k=${env:ODD}", headers: { X-Api-Key: "${env:PLAIN}" }, body: "${env:ODD} ${file:key.pem}", undo: none } }
  - { name: told, at: 0s, command: { run: [sh, -c, 'echo "$PLAIN"; echo "$ODD $PLAIN" >&2; cat key.pem >&2; exit 3'], undo: none } }
  - { name: long, at: 0s, command: { run: [sh, -c, 'printf "%0490d$PLAIN" 0 >&2; exit 3'], undo: none } }
  - { name: missing, at: 0s, command: { run: ["/nowhere/${env:PLAIN}"], undo: none } }
"#;

/// A fault that lasts, and whose undo is refused for a while.
const LASTING: &str = r#"  - name: open
    at: 0s
    http:
      post: http://${ECHO}/ok
      undo: { put: "http://drill:${env:PLAIN}@${ECHO}/flaky?k=${env:ODD}", headers: { X-Api-Key: "${env:PLAIN}" }, body: "${env:ODD} ${file:key.pem}" }
    hold: 200s
"#;

fn write(vault: &Vault, echo: &Echo, length: &str, end: &str, steps: &str) {
    let text = DRILL
        .replace(if end == DIES { "NOTHING" } else { READY }, "")
        .replace("LENGTH", length)
        .replace("END", end)
        .replace("STEPS\n", steps)
        .replace("${ECHO}", &echo.address);
    vault.0.write("trusted.yaml", &text);
}

fn planned(vault: &Vault) {
    vault.told(&["validate", "trusted.yaml"]);
    let plan = vault.told(&["plan", "trusted.yaml"]);
    assert!(plan.out.contains("${env:"), "{plan:?}");
    vault.told(&["plan", "trusted.yaml", "--format", "json"]);
    vault.told(&["doctor", "trusted.yaml"]);
}

#[test]
fn a_drill_to_its_end() {
    let (vault, echo) = (Vault::new(), Echo::new());
    write(&vault, &echo, "4s", LIVES, FAILING);
    planned(&vault);
    let said = vault.told(&["run", "trusted.yaml"]);
    assert!([0, 1, 3].contains(&said.code), "{said:?}");
    // They were told, or there would be nothing to find.
    for what in [
        "was answered with 500",
        "ended with exit status: 3",
        "/nowhere/",
    ] {
        assert!(said.err.contains(what), "{what}: {}", said.err);
    }
    assert!(said.err.contains("[redacted]"), "{said:?}");
    let run = vault.0.latest("trusted");
    let log = fs::read_to_string(run.join("logs/teller-1.log")).unwrap();
    assert!(log.contains("PASSWORD=[redacted]"), "{log}");
    let exported = vault.told(&["export", run.to_str().unwrap()]);
    assert!(exported.out.contains("pod-[redacted]"), "{}", exported.out);
    vault.kept("trusted");
}

#[test]
fn a_stack_that_never_comes_up() {
    let (vault, echo) = (Vault::new(), Echo::new());
    write(&vault, &echo, "4s", DIES, FAILING);
    let said = vault.told(&["run", "trusted.yaml"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.err.contains("ended before it was ready"), "{said:?}");
    vault.kept("trusted");
}

#[test]
fn a_scenario_that_is_wrong() {
    let (vault, echo) = (Vault::new(), Echo::new());
    write(&vault, &echo, "4", DIES, FAILING);
    for command in ["validate", "plan", "run"] {
        let said = vault.told(&[command, "trusted.yaml"]);
        assert_eq!(said.code, 2, "{said:?}");
    }
}

#[test]
fn a_run_that_is_killed_and_mended_by_its_guardian() {
    let (vault, echo) = (Vault::new(), Echo::new());
    write(&vault, &echo, "300s", LIVES, LASTING);
    planned(&vault);
    let drill = vault
        .0
        .start_command(vault.command(&["run", "trusted.yaml"]));
    let run = vault.0.latest("trusted");
    until("the fault", || told(&run, r#""effect":{"step":"open""#));
    unseen_by_ps();
    let watching = guardian(&run);
    drill.signal(Signal::KILL);
    let said = drill.end();
    until("a refused undo", || echo.asked.load(Ordering::Relaxed) > 2);
    unseen_by_ps();
    echo.patient.store(true, Ordering::Relaxed);
    until("the guardian's leave", || gone(watching));
    assert_eq!(leaks(&(said.out + &said.err)), [""; 0]);
    assert!(!run.join("run.lock").exists(), "it was mended");
    vault.kept("trusted");
}

#[test]
fn a_run_that_is_killed_with_its_guardian_and_recovered() {
    let (vault, echo) = (Vault::new(), Echo::new());
    write(&vault, &echo, "300s", LIVES, LASTING);
    let drill = vault
        .0
        .start_command(vault.command(&["run", "trusted.yaml"]));
    let run = vault.0.latest("trusted");
    until("the fault", || told(&run, r#""effect":{"step":"open""#));
    let watching = guardian(&run);
    // The guardian first would be replaced.
    drill.signal(Signal::STOP);
    kill(watching);
    drill.signal(Signal::KILL);
    let said = drill.end();
    assert_eq!(leaks(&(said.out + &said.err)), [""; 0]);
    let refused = vault.told(&["run", "trusted.yaml"]);
    assert_eq!(refused.code, 3, "{refused:?}");

    let recovering = vault.0.start_command(vault.command(&["recover"]));
    until("a refused undo", || echo.asked.load(Ordering::Relaxed) > 2);
    unseen_by_ps();
    echo.patient.store(true, Ordering::Relaxed);
    let said = recovering.end();
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(leaks(&(said.out + &said.err)), [""; 0]);
    vault.kept("trusted");
}
