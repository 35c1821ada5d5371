//! Every fault of the Compose stack, on a project that is there before the run and after it.

use std::time::Duration;

use firedrill::stack::Stack;
use serde_json::Value;

use super::{kill_and_compare, rounds};
use crate::binary::Folder;
use crate::compose::engine::{Bench, Flavour, docker};

const PROJECT: &str = r#"
services:
  web:
    image: firedrill-test/http:1
    init: true
    scale: 2
    restart: unless-stopped
    ports: [ "80" ]
    stop_grace_period: 1s
    networks: { front: { aliases: [ shop ] }, back: {} }
networks: { front: {}, back: {} }
"#;

const DRILL: &str = r#"version: 1
name: broken
stack:
  external: { compose_project: PROJECT }
load:
  base_url: http://${addr:web:80}
  warmup: 500ms
  stages: [ { rate: 20/s, for: 300s } ]
  request: { get: / }
steps:
  - { name: break, at: 0s, ACTION }
guards: { allow_external: true }
"#;

/// The project as the engine has it, without what differs from one container to the next that replaces it.
fn state(project: &str) -> Vec<Value> {
    let filter = format!("label=com.docker.compose.project={project}");
    let ids = docker(&["ps", "-aq", "--filter", &filter]).unwrap();
    let ids: Vec<&str> = ids.lines().collect();
    if ids.is_empty() {
        return Vec::new();
    }
    // One may go between the two calls: then it is another state, and looked at again.
    let inspected = docker(&[&["inspect"], ids.as_slice()].concat()).unwrap_or_default();
    let containers: Vec<Value> = serde_json::from_str(&inspected).unwrap_or_default();
    let mut states: Vec<Value> = containers
        .iter()
        .map(|c| {
            let id = c["Id"].as_str().unwrap();
            let networks = c["NetworkSettings"]["Networks"].as_object().unwrap();
            let networks: Vec<Value> = networks
                .iter()
                .map(|(name, endpoint)| {
                    let aliases = endpoint["Aliases"].as_array().cloned().unwrap_or_default();
                    let mut aliases: Vec<String> = aliases
                        .iter()
                        .filter_map(|a| Some(a.as_str()?.to_owned()))
                        .filter(|a| !id.starts_with(a.as_str()))
                        .collect();
                    aliases.sort();
                    serde_json::json!([name, aliases])
                })
                .collect();
            serde_json::json!({
                "replica": c["Config"]["Labels"]["com.docker.compose.container-number"],
                "name": c["Name"],
                "image": c["Config"]["Image"],
                "env": c["Config"]["Env"],
                "state": c["State"]["Status"],
                "restart": c["HostConfig"]["RestartPolicy"]["Name"],
                "memory": c["HostConfig"]["Memory"],
                "networks": networks,
            })
        })
        .collect();
    states.sort_by_key(ToString::to_string);
    states
}

async fn killed(name: &str, action: &str) {
    let Some(bench) = Bench::new(Flavour::One, name, PROJECT) else {
        return;
    };
    bench.stack().up().await.unwrap();
    let project = bench.project();
    for _ in 0..rounds() {
        let folder = Folder::new();
        let text = DRILL.replace("PROJECT", &project).replace("ACTION", action);
        folder.write("broken.yaml", &text);
        let drill = folder.start(&["run", "broken.yaml", "--yes"]);
        let within = Duration::from_millis(1500);
        kill_and_compare(&folder, drill, "broken", within, || state(&project));
    }
    bench.stack().down().await.unwrap();
    assert_eq!(bench.left(), "");
}

macro_rules! killed_in {
    ($($name:ident: $action:literal;)+) => { $(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            killed(stringify!($name), $action).await;
        }
    )+ };
}

killed_in! {
    in_a_kill: "kill: { target: web, take: 2 }, hold: 200s";
    in_a_stop: "stop: { target: web }, hold: 200s";
    in_a_pause: "pause: { target: web, take: 2 }, hold: 200s";
    in_a_restart: "restart: { target: web }";
    in_a_disconnection: "disconnect: { target: web, network: front }, hold: 200s";
    in_a_scaling_down: "scale: { target: web, replicas: 1 }, hold: 200s";
    in_a_scaling_up: "scale: { target: web, replicas: 4 }, hold: 200s";
    in_an_update: "update: { target: web, image: 'firedrill-test/http:2' }";
    in_a_command_inside: "exec: { target: web, run: [touch, /tmp/full], undo: [rm, -f, /tmp/full] }, hold: 200s";
}
