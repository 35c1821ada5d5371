//! Every fault of the Compose stack: on a project that is there before the run and after it, or, where firedrill has to make
//! containers, on one that the run stood up and leaves standing.

use std::fs;
use std::process::Command;
use std::time::Duration;

use firedrill::stack::Stack;
use rustix::process::Signal;
use serde_json::Value;

use super::{guardian, kill_and_compare, rounds};
use crate::binary::{Folder, until};
use crate::compose::engine::{Bench, Flavour, docker, remove};

pub(super) const PROJECT: &str = r#"
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
stack: STACK
load:
  base_url: http://${addr:web:80}
  warmup: 500ms
  stages: [ { rate: 20/s, for: 300s } ]
  request: { get: / }
steps:
  - { name: break, at: 0s, ACTION }
"#;

/// The project as the engine has it, without what differs from one container to the next that replaces it.
pub(super) fn state(project: &str) -> Vec<Value> {
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
                "rules": rules(c["State"]["Pid"].as_i64().unwrap_or_default()),
            })
        })
        .collect();
    states.sort_by_key(ToString::to_string);
    states
}

/// The packet rules of a process's network, if it runs.
fn rules(pid: i64) -> String {
    let network = format!("--net=/proc/{pid}/ns/net");
    let listed = Command::new("nsenter")
        .args([&network, "iptables", "-S"])
        .output();
    listed.map_or_else(
        |_| String::new(),
        |o| String::from_utf8_lossy(&o.stdout).into_owned(),
    )
}

pub(super) fn drill(folder: &Folder, stack: &str, action: &str) {
    let text = DRILL.replace("STACK", stack).replace("ACTION", action);
    folder.write("broken.yaml", &text);
}

/// Late enough for any of the engine's calls to be under way, or done.
const WITHIN: Duration = Duration::from_millis(1500);

async fn killed(name: &str, action: &str) {
    let Some(bench) = Bench::new(Flavour::One, name, PROJECT) else {
        return;
    };
    bench.stack().up().await.unwrap();
    let project = bench.project();
    for _ in 0..rounds(2) {
        let folder = Folder::new();
        let stack = format!("{{ external: {{ compose_project: {project} }} }}");
        let allowed = format!("{action} }}\nguards: {{ allow_external: true");
        drill(&folder, &stack, &allowed);
        let drill = folder.start(&["run", "broken.yaml", "--yes"]);
        kill_and_compare(&folder, drill, ("broken", action), WITHIN, || {
            state(&project)
        });
    }
    bench.stack().down().await.unwrap();
    assert_eq!(bench.left(), "");
}

/// A project that a run stood up, gone when this is.
pub(super) struct Standing<'a>(pub(super) &'a Folder);

impl Standing<'_> {
    /// Its name; it has one as soon as the run has a directory.
    pub(super) fn project(&self) -> Option<String> {
        let run = fs::canonicalize(self.0.latest("broken")).ok()?;
        let (_, id) = run.file_name()?.to_str()?.rsplit_once('-')?;
        Some(format!("fd-{id}"))
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        if let Some(project) = self.project() {
            remove(&project);
        }
    }
}

async fn own_killed(name: &str, action: &str) {
    // For the images, and for a word where there is no engine.
    let Some(_bench) = Bench::new(Flavour::One, name, PROJECT) else {
        return;
    };
    for _ in 0..rounds(1) {
        let folder = Folder::new();
        folder.write("docker-compose.yml", PROJECT);
        drill(&folder, "{ compose: { file: docker-compose.yml } }", action);
        let standing = Standing(&folder);
        let drill = folder.start(&["run", "broken.yaml", "--keep-stack"]);
        kill_and_compare(&folder, drill, ("broken", action), WITHIN, || {
            state(&standing.project().unwrap())
        });
    }
}

macro_rules! killed_in {
    ($killed:ident $($name:ident: $action:literal;)+) => { $(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            $killed(stringify!($name), $action).await;
        }
    )+ };
}

killed_in! { killed
    in_a_kill: "kill: { target: web, take: 2 }, hold: 200s";
    in_a_stop: "stop: { target: web }, hold: 200s";
    in_a_pause: "pause: { target: web, take: 2 }, hold: 200s";
    in_a_restart: "restart: { target: web }";
    in_a_disconnection: "disconnect: { target: web, network: front }, hold: 200s";
    in_a_partition: "partition: { target: web }, hold: 200s";
    in_a_command_inside: "exec: { target: web, run: [touch, /tmp/full], undo: [rm, -f, /tmp/full] }, hold: 200s";
}

killed_in! { own_killed
    in_a_scaling_down: "scale: { target: web, replicas: 1 }, hold: 200s";
    in_a_scaling_up: "scale: { target: web, replicas: 4 }, hold: 200s";
    in_an_update: "update: { target: web, image: 'firedrill-test/http:2' }";
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_inside_makes_no_fault_after_its_undo() {
    let Some(bench) = Bench::new(Flavour::One, "inside", PROJECT) else {
        return;
    };
    bench.stack().up().await.unwrap();
    let project = bench.project();
    let folder = Folder::new();
    let action = "exec: { target: web, run: [sh, -c, 'touch /tmp/begun; sleep 77; touch /tmp/full'], undo: [rm, -f, /tmp/full] }";
    drill(
        &folder,
        &format!("{{ external: {{ compose_project: {project} }} }}"),
        &format!("{action}, hold: 200s }}\nguards: {{ allow_external: true"),
    );
    let mut drill = folder.start(&["run", "broken.yaml", "--yes"]);
    let filter = format!("label=com.docker.compose.project={project}");
    let containers = docker(&["ps", "-q", "--filter", &filter]).unwrap();
    let taken = |id: &&str| docker(&["exec", id, "test", "-e", "/tmp/begun"]).is_ok();
    until("the command", || {
        drill.goes_on();
        containers.lines().any(|id| taken(&id))
    });
    let runs = |id: &str| docker(&["top", id, "-eo", "pid,args"]).unwrap();
    let victim = containers.lines().find(taken).unwrap();
    assert!(runs(victim).contains("sleep 77"));
    let watching = guardian(&folder.latest("broken"));
    drill.signal(Signal::KILL);
    let _killed = drill.end();
    until("its leave", || super::gone(watching));
    assert!(!runs(victim).contains("sleep 77"), "{}", runs(victim));
    bench.stack().down().await.unwrap();
    assert_eq!(bench.left(), "");
}
