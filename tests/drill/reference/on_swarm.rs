//! The bundled drills on a cluster: five machines that are kept between them. What they report is held against what the engine
//! under the machines, the edge and the managers wrote down themselves.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::{Drill, EngineLog, docker, engine};

/// The Compose project of the machines.
const CLUSTER: &str = "fd-cluster-drill";
/// How far an engine's own time of a death may be from the recorded effect, ns.
const CLOSE_NS: i64 = 20_000_000;
/// Requests of the last half second: the edge writes its log every 100 ms, and it is read right after the load.
const UNWRITTEN: u64 = 40;

/// Every machine as its engine knows it: name and state.
fn machines() -> Vec<(String, String)> {
    let filter = format!("label=com.docker.compose.project={CLUSTER}");
    let all = docker(&[
        "ps",
        "-a",
        "--filter",
        &filter,
        "--format",
        "{{.Names}} {{.State}}",
    ]);
    let pairs = all.lines().filter_map(|l| l.split_once(' '));
    pairs.map(|(n, s)| (n.to_owned(), s.to_owned())).collect()
}

/// The container of a machine, by either generation's naming.
fn container(machine: &str) -> String {
    let project = format!("label=com.docker.compose.project={CLUSTER}");
    let service = format!("label=com.docker.compose.service={machine}");
    let found = docker(&["ps", "-aq", "--filter", &project, "--filter", &service]);
    found.trim().to_owned()
}

/// What the managers say of every node, asked on a machine that runs: host name and state.
fn nodes() -> Vec<(String, String)> {
    let asked = ["m1", "m2", "m3"].iter().find_map(|machine| {
        let machine = &container(machine);
        let format = "{{.Hostname}} {{.Status}}";
        let asked = Command::new("docker")
            .args(["exec", machine, "docker", "node", "ls", "--format", format])
            .output()
            .unwrap();
        asked.status.success().then_some(asked.stdout)
    });
    let text = String::from_utf8(asked.unwrap_or_default()).unwrap();
    let pairs = text.lines().filter_map(|l| l.split_once(' '));
    pairs.map(|(n, s)| (n.to_owned(), s.to_owned())).collect()
}

fn until(what: &str, within: Duration, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + within;
    while !holds() {
        assert!(
            Instant::now() < deadline,
            "{what}: {:?} {:?}",
            machines(),
            nodes()
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn whole() -> bool {
    let (machines, nodes) = (machines(), nodes());
    machines.len() == 5
        && machines.iter().all(|(_, state)| state == "running")
        && nodes.len() == 5
        && nodes.iter().all(|(_, state)| state == "Ready")
}

#[test]
fn swarm_zone_outage() {
    if !engine("swarm_zone_outage") {
        return;
    }
    let log = EngineLog::start();
    let drill = Drill::run("swarm-zone-outage");
    drill.passed();
    let step = drill.step("lose-zone");
    let effect = drill.zero_ns() + step["effect_us"].as_i64().unwrap() * 1000;
    // The effect is the first of the two; the engine knows of both, and of those of a run before this one.
    let deaths: Vec<i64> = ["m3", "w2"]
        .iter()
        .flat_map(|m| log.times("die", m))
        .filter(|at| *at > drill.zero_ns())
        .collect();
    assert_eq!(deaths.len(), 2, "both machines of the zone died, once");
    let first = deaths.iter().min().unwrap();
    assert!(
        (first - effect).abs() < CLOSE_NS,
        "effect {effect}, the engine's deaths {deaths:?}"
    );
    let cluster = &step["cluster"];
    let times = ["node_down_us", "replaced_us", "node_ready_us"];
    let [down, replaced, ready] = times.map(|name| cluster[name].as_i64());
    // A new leader gives every node its whole grace again, and the zone is back before that is over.
    if cluster["leader_us"].is_null() {
        assert!(ready.is_some(), "{cluster}");
        assert!(down.is_some() && down < replaced, "{cluster}");
    }
    assert!(whole(), "{:?} {:?}", machines(), nodes());

    // Without retries TenantErrorRate would have fired, which is what makes the drill a test of them.
    let control = step["failover"]["journeys"]["plain"]["bad"].as_f64();
    let enough = 0.02 * 30.0 * 20.0;
    assert!(control.is_some_and(|bad| bad > enough), "{step}");

    // What the edge answered at the listener that callers use is what they saw, request by request.
    let mut edge = drill.edge_log();
    // The gates log as the edge does, but for the machine that it went on to.
    edge.retain(|l| l["node_status"].is_string());
    let answered = |status: &str| {
        let of = edge
            .iter()
            .filter(|l| l["port"] == "80" && l["status"] == status);
        // Checks of the steady state go through it, too.
        of.filter(|l| !l["uri"].as_str().unwrap_or_default().ends_with("/ready"))
            .count()
    };
    let given_up = ["499", "500", "502", "503", "504"].map(answered);
    let lost: usize = given_up.iter().sum();
    // Starved machines may take longer than callers wait.
    let suspect = drill.result["load"]["suspect_slices"].as_array().unwrap();
    let starved = suspect.iter().any(|slice| slice["starved"] == true);
    assert!(
        starved || lost <= 3,
        "more than was in flight: {given_up:?}"
    );
    let windows = drill.result["load"]["windows"].as_array().unwrap();
    let journey = |window: &str, journey: &str, what: &str| {
        let window = windows.iter().find(|w| w["name"] == window).unwrap();
        window["journeys"][journey]["by_outcome"][what]
            .as_u64()
            .unwrap_or(0)
    };
    let told: u64 = ["a", "b"]
        .iter()
        .flat_map(|j| ["warmup", "run"].map(|w| journey(w, j, "ok")))
        .sum();
    // And who gives up may just have been answered.
    let written = answered("200") as u64;
    assert!(
        (written.saturating_sub(2)..=written + UNWRITTEN).contains(&told),
        "by the edge {written}, by the callers {told}"
    );
}

#[test]
fn swarm_update_silent() {
    if !engine("swarm_update_silent") {
        return;
    }
    let drill = Drill::run("swarm-update-silent");
    assert_eq!(drill.output.status.code(), Some(1), "{}", drill.text());
    assert_eq!(drill.result["verdict"], "fail");
    let step = drill.step("deploy-silent");
    assert!(
        step["update"]["converged_us"].is_i64(),
        "the cluster's word: {step}"
    );
    // What other drills forbid can fire.
    let alert = &step["alerts"][0];
    assert_eq!(alert["alert"], "TenantErrorRate");
    assert!(alert["firing_us"].is_i64(), "{alert}");
    assert_eq!(drill.result["recovery"]["clean"], true);
    drill.left_nothing();
}

/// The runner dies in the middle of a zone's outage: the machines are started again, the managers take them back, and what
/// the run had deployed is gone.
#[test]
fn a_runner_killed_in_a_zone_outage_leaves_a_whole_cluster() {
    if !engine("a_runner_killed_in_a_zone_outage") {
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let mut runner = Command::new(env!("CARGO_BIN_EXE_firedrill"))
        .args([
            "run",
            "scenarios/swarm-zone-outage.yaml",
            "--ui",
            "plain",
            "--yes",
            "--out",
        ])
        .arg(out.path())
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let dead = || {
        machines()
            .iter()
            .filter(|(_, state)| state == "exited")
            .count()
    };
    until("the outage", Duration::from_secs(240), || dead() == 2);
    runner.kill().unwrap();
    runner.wait().unwrap();
    until("the cluster is whole", Duration::from_secs(120), whole);
    let journal = out.path().join("swarm-zone-outage/latest/journal.ndjson");
    let text = std::fs::read_to_string(journal).unwrap();
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let run = first["event"]["opened"]["run"].as_str().unwrap().to_owned();
    let label = format!("label=firedrill.run={run}");
    until("nothing is left", Duration::from_secs(180), || {
        let left = docker(&["ps", "-aq", "--filter", &label]);
        let marks = docker(&["volume", "ls", "-q", "--filter", &label]);
        let m1 = container("m1");
        // The claim of the cluster is a config, and the last to go. What the machines have besides stays with them.
        let deployed = ["service", "network", "secret", "config"].map(|kind| {
            let own = "label=com.docker.stack.namespace";
            let names = ["--format", "{{.Name}}", "--filter", own];
            docker(&[&["exec", &m1, "docker", kind, "ls"], names.as_slice()].concat())
        });
        let base = |name: &str| name.starts_with("fd-base_") || name == "firedrill-base";
        let of_runs = deployed.iter().flat_map(|s| s.lines()).find(|s| !base(s));
        of_runs.is_none() && [left, marks].iter().all(|s| s.trim().is_empty())
    });
}
