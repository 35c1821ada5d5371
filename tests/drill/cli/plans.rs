//! What `plan` says before anything is touched.

use std::fmt::Write;
use std::io::Read;
use std::net::TcpListener;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::SMALL;
use crate::binary::{Folder, said};

/// No plan takes as long, however busy the machine: the aim is 200 ms for this one, of a release build.
const SOON: Duration = Duration::from_secs(5);

fn as_json(folder: &Folder, file: &str) -> Value {
    let said = folder.firedrill(&["plan", file, "--format", "json", "--seed", "7"]);
    assert_eq!(said.code, 0, "{said:?}");
    serde_json::from_str(&said.out).unwrap()
}

#[test]
fn each_fault_is_laid_out() {
    let folder = Folder::new();
    let steps = r#"  - { name: lose-one, at: 1s, kill: { target: backend }, hold: 1s }
  - { name: freeze, after: { lose-one: healed, wait: 1s }, pause: { target: backend } }
  - { name: touch, at: 2s, command: { run: [touch, "${scenario_dir}/x", "http://${addr:backend}/"], undo: none } }
  - { name: grow, at: 4s, scale: { target: backend, replicas: 3 }, hold: 30s }
guards: { keep_healthy: 1 }
"#;
    let (before, after) = SMALL.split_once("  - { name: lose-one").unwrap();
    let after = after.split_once('\n').unwrap().1;
    folder.write("small.yaml", &format!("{before}{steps}{after}"));
    let said = folder.firedrill(&["plan", "small.yaml", "--seed", "7"]);
    assert_eq!(said.code, 0, "{said:?}");
    insta::assert_snapshot!("plan", said.out);

    let plan = as_json(&folder, "small.yaml");
    let step = |name: &str| {
        let mut steps = plan["steps"].as_array().unwrap().iter();
        steps.find(|s| s["name"] == name).unwrap().clone()
    };
    let lose = step("lose-one");
    assert_eq!(
        lose["targets"]["candidates"],
        serde_json::json!(["backend/1", "backend/2"])
    );
    assert_eq!(lose["targets"]["count"], 1);
    assert_eq!(lose["limit"]["at_most_us"], 1_000_000);
    assert_eq!(plan["stack"]["targets_from"], "file");
    let freeze = step("freeze");
    // 6 s of load; after a step of 1 s at +1 s, and a wait of 1 s.
    assert_eq!(freeze["limit"]["at_most_us"], 3_000_000);
    let touch = step("touch");
    assert_eq!(touch["limit"]["at_most_us"], Value::Null);
    assert_eq!(touch["targets"], Value::Null);
    assert!(touch["call"].as_str().unwrap().contains("${addr:backend}"));
    assert_eq!(step("grow")["limit"]["at_most_us"], 2_000_000);
}

#[test]
fn an_engine_that_does_not_answer_is_said_and_fails_nothing() {
    let external = r#"version: 1
name: shop
stack: { external: { addresses: { edge: "127.0.0.1:1" }, compose_project: shop } }
load: { base_url: "http://${addr:edge}", warmup: 1s, stages: [ { rate: 1/s, for: 9s } ], request: { get: / } }
steps: [ { name: freeze, at: 1s, pause: { target: web }, hold: 1s } ]
guards: { allow_external: true }
"#;
    let folder = Folder::new();
    folder.write("shop.yaml", external);
    let asked = |host: &str| {
        let mut command = folder.command(&["plan", "shop.yaml"]);
        command.env("DOCKER_HOST", host);
        said(command)
    };
    let gone = asked("unix:///nowhere/docker.sock");
    assert_eq!(gone.code, 0, "{gone:?}");
    assert!(gone.out.contains("unix:///nowhere/docker.sock"), "{gone:?}");
    assert!(gone.out.contains("allow_external"), "{gone:?}");

    // It takes the connection, and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("tcp://{}", listener.local_addr().unwrap());
    let dumb = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut said = Vec::new();
        // Until the other side has had enough.
        let _closed = connection.read_to_end(&mut said);
        said
    });
    let silent = asked(&host);
    assert_eq!(silent.code, 0, "{silent:?}");
    assert!(silent.out.contains("did not answer within"), "{silent:?}");
    let question = String::from_utf8(dumb.join().unwrap()).unwrap();
    assert!(
        question.starts_with("GET "),
        "nothing is changed: {question}"
    );
}

#[test]
fn thirty_steps_are_laid_out_at_once() {
    let folder = Folder::new();
    let (before, after) = SMALL.split_once("  - { name: lose-one").unwrap();
    let after = after.split_once('\n').unwrap().1;
    let mut text = before.replace("for: 6s", "for: 600s");
    for n in 0..30 {
        let at = 10 + n * 15;
        let _ = writeln!(
            text,
            "  - {{ name: lose-{n}, at: {at}s, kill: {{ target: backend }}, hold: 5s }}"
        );
    }
    folder.write("thirty.yaml", &(text + after));
    let begun = Instant::now();
    let plan = as_json(&folder, "thirty.yaml");
    let took = begun.elapsed();
    assert_eq!(plan["steps"].as_array().unwrap().len(), 30);
    assert!(took < SOON, "{took:?}");
}
