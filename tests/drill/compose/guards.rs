//! What is never hit on a real engine: what the run did not make, what firedrill itself runs in; and who bears a label.

use std::process::Command;

use firedrill::model::{ComponentId, Injection};
use firedrill::stack::Stack;

use super::engine::{Bench, Flavour, IMAGE, docker};
use super::{asked, heal, inject, web};
use crate::binary::{Folder, said};

const FILE: &str = "
services:
  web: { image: 'firedrill-test/http:1', init: true, scale: 2, ports: [ '80' ], labels: { tier: front } }
  store: { image: 'firedrill-test/http:1', init: true, labels: [ tier=db ] }
";

#[tokio::test(flavor = "multi_thread")]
async fn what_another_made_with_the_projects_labels_is_none_of_its() {
    let Some(bench) = Bench::new(Flavour::One, "foreign", FILE) else {
        return;
    };
    let stack = bench.stack();
    stack.up().await.unwrap();
    let before = stack.components().await.unwrap();
    assert_eq!(before.len(), 3);
    // It claims to be a replica that there is, and one that there is not.
    let project = format!("com.docker.compose.project={}", bench.project());
    let mut foreign = Vec::new();
    for number in ["1", "7"] {
        let number = format!("com.docker.compose.container-number={number}");
        let labels = [
            "--label",
            &project,
            "--label",
            "com.docker.compose.service=web",
            "--label",
            &number,
        ];
        let run = [&["run", "-d"], labels.as_slice(), &[IMAGE]].concat();
        foreign.push(docker(&run).unwrap());
    }
    let handles = |all: &[firedrill::model::Component]| -> Vec<String> {
        all.iter().map(|c| c.handle.clone()).collect()
    };
    let after = stack.components().await.unwrap();
    assert_eq!(handles(&before), handles(&after));
    let pause = Injection::Pause { component: web(1) };
    let undo = inject(&stack, &pause).await;
    for id in &foreign {
        let state = docker(&["inspect", "--format", "{{.State.Status}}", id]).unwrap();
        assert_eq!(state, "running");
    }
    heal(&bench, &stack, &undo).await;
    stack.down().await.unwrap();
    assert_eq!(bench.left(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_are_those_of_the_file() {
    let Some(bench) = Bench::new(Flavour::One, "labels", FILE) else {
        return;
    };
    let stack = bench.stack();
    stack.up().await.unwrap();
    let store = ComponentId::new("store", 1);
    for (label, borne_by) in [
        ("tier=db", vec![store.clone()]),
        ("tier", vec![store, web(1), web(2)]),
        ("tier=none", vec![]),
    ] {
        let borne = stack.labelled(&label.parse().unwrap()).await.unwrap();
        assert_eq!(borne, borne_by, "{label}");
    }
    stack.down().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_container_that_firedrill_runs_in_is_never_hit() {
    let Some(bench) = Bench::new(Flavour::One, "inside", FILE) else {
        return;
    };
    bench.stack().up().await.unwrap();
    let store = ComponentId::new("store", 1);
    let folder = Folder::new();
    let text = format!(
        "version: 1
name: theirs
stack: {{ external: {{ compose_project: {} }} }}
load: {{ base_url: 'http://127.0.0.1:1', warmup: 100ms, stages: [ {{ rate: 10/s, for: 2s }} ], request: {{ get: / }} }}
steps: [ {{ name: lose-it, at: 500ms, kill: {{ target: store }}, hold: 500ms }} ]
objectives: {{ availability: {{ at_least: 1% }} }}
guards: {{ allow_external: true }}
",
        bench.project()
    );
    folder.write("theirs.yaml", &text);
    // A host's name that begins a container's id is what firedrill sees inside of it.
    let host = asked(&bench, &store, "{{.Config.Hostname}}");
    let mut inside = Command::new("unshare");
    inside
        .args(["--uts", "sh", "-c", "hostname $0 && exec \"$@\"", &host])
        .arg(env!("CARGO_BIN_EXE_firedrill"))
        .args(["run", "theirs.yaml", "--yes"])
        .current_dir(folder.path());
    let said = said(inside);
    assert_eq!(said.code, 3, "{said:?}");
    for words in ["lose-it can hit nothing", "firedrill itself runs in it"] {
        assert!(said.err.contains(words), "{said:?}");
    }
    let started = asked(&bench, &store, "{{.State.Status}} {{.RestartCount}}");
    assert_eq!(started, "running 0");
    bench.stack().down().await.unwrap();
    assert_eq!(bench.left(), "");
}
