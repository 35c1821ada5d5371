//! The bundled scenarios on the reference stack, on a real engine. What they report is held against what the engine, nginx
//! and Prometheus wrote down themselves.
#![expect(
    clippy::unwrap_used,
    reason = "what a test needs and does not get fails it"
)]

mod on_swarm;
mod on_tmux;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::doubt::{is_the_machines, suspect_us};

/// Whether an engine can be reached. Where CI=true one must be.
fn engine(test: &str) -> bool {
    let there = Command::new("docker")
        .arg("version")
        .output()
        .is_ok_and(|o| o.status.success());
    let ci = std::env::var("CI").is_ok_and(|v| v == "true");
    assert!(
        there || !ci,
        "{test}: no Docker engine can be reached, and with CI=true that is a failure"
    );
    if !there {
        print_skipped(test);
    }
    there
}

#[expect(clippy::print_stderr, reason = "a skip must be seen")]
fn print_skipped(test: &str) {
    eprintln!("skipped: {test} needs a Docker engine, and none can be reached");
}

#[expect(clippy::print_stderr, reason = "what the first run said must be seen")]
fn print_again(drill: &Drill) {
    eprintln!("starved of CPU, run again: {}", drill.text());
}

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "docker {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A finished run of a bundled scenario.
struct Drill {
    name: String,
    output: Output,
    folder: PathBuf,
    result: Value,
    _out: tempfile::TempDir,
}

impl Drill {
    /// Runs the scenario; again where it failed and is in doubt by its own word. A stack that got no CPU for a second times
    /// out and takes its own backends out of rotation, which lasts beyond what the run itself doubts where no engine says so.
    fn run(name: &str) -> Self {
        const TRIES: usize = 3;
        for _ in 1..TRIES {
            let drill = Self::once(name);
            if drill.is_judged() || suspect_us(&drill.result) == 0 {
                return drill;
            }
            print_again(&drill);
        }
        Self::once(name)
    }

    /// Whether nothing was missed, and nothing left open but for requests in doubt.
    fn is_judged(&self) -> bool {
        let objectives = self.result["objectives"].as_array();
        let mut objectives = objectives.into_iter().flatten();
        let open = |o: &Value| o["verdict"] == "inconclusive" && !is_the_machines(o);
        self.result["verdict"] != "fail" && !objectives.any(open)
    }

    fn once(name: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let out = tempfile::tempdir().unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_firedrill"))
            .args([
                "run",
                &format!("scenarios/{name}.yaml"),
                "--ui",
                "plain",
                "--yes",
                "--color",
                "never",
                "--out",
            ])
            .arg(out.path())
            .current_dir(root)
            .env_remove("GITHUB_STEP_SUMMARY")
            .output()
            .unwrap();
        let folder = fs::canonicalize(out.path().join(name).join("latest")).unwrap_or_else(|e| {
            panic!(
                "{name} left no run ({e}): {}",
                String::from_utf8_lossy(&output.stderr)
            )
        });
        let result = fs::read_to_string(folder.join("result.json")).unwrap_or_default();
        let result = serde_json::from_str(&result).unwrap_or(Value::Null);
        Self {
            name: name.to_owned(),
            output,
            folder,
            result,
            _out: out,
        }
    }

    fn text(&self) -> String {
        let read = String::from_utf8_lossy;
        format!(
            "{}\n{}",
            read(&self.output.stdout),
            read(&self.output.stderr)
        )
    }

    /// Every objective met as recorded, and nothing left of it on the engine. Where this machine had no CPU to spare, the
    /// run rightly says that requests due then prove nothing; that doubt, and no other, is not the stack's fault.
    fn passed(&self) {
        let met = |o: &Value| o["verdict"] == "pass" || is_the_machines(o);
        let objectives = self.result["objectives"]
            .as_array()
            .unwrap_or_else(|| panic!("{}", self.text()));
        assert!(
            !objectives.is_empty() && objectives.iter().all(met),
            "{}:\n{}",
            self.name,
            self.text()
        );
        let doubted = objectives.iter().any(|o| o["verdict"] == "inconclusive");
        let expected = if doubted {
            (Some(3), "inconclusive")
        } else {
            (Some(0), "pass")
        };
        let got = (
            self.output.status.code(),
            self.result["verdict"].as_str().unwrap_or_default(),
        );
        assert_eq!(got, expected, "{}:\n{}", self.name, self.text());
        assert_eq!(self.result["recovery"]["clean"], true, "{}", self.text());
        self.left_nothing();
    }

    fn left_nothing(&self) {
        let journal = fs::read_to_string(self.folder.join("journal.ndjson")).unwrap();
        let first: Value = serde_json::from_str(journal.lines().next().unwrap()).unwrap();
        let label = format!(
            "label=firedrill.run={}",
            first["event"]["opened"]["run"].as_str().unwrap()
        );
        for kind in [
            &["ps", "-aq"][..],
            &["network", "ls", "-q"],
            &["volume", "ls", "-q"],
        ] {
            let arguments: Vec<&str> = kind.iter().copied().chain(["--filter", &label]).collect();
            assert_eq!(
                docker(&arguments).trim(),
                "",
                "{} left something: docker {arguments:?}",
                self.name
            );
        }
    }

    fn step(&self, name: &str) -> &Value {
        let steps = self.result["steps"].as_array().unwrap();
        steps.iter().find(|s| s["name"] == name).unwrap()
    }

    /// ns of the run's zero since 1970, from the journal's first record.
    fn zero_ns(&self) -> i64 {
        let journal = fs::read_to_string(self.folder.join("journal.ndjson")).unwrap();
        let first: Value = serde_json::from_str(journal.lines().next().unwrap()).unwrap();
        first["event"]["opened"]["started_ns"].as_i64().unwrap()
    }

    /// Every line of nginx's access log that this run's stack wrote.
    fn edge_log(&self) -> Vec<Value> {
        let log = fs::read_to_string(self.folder.join("stack.log")).unwrap();
        let lines = log.lines().filter_map(|l| Some(&l[l.find("{\"time\"")?..]));
        lines.filter_map(|l| serde_json::from_str(l).ok()).collect()
    }
}

/// Writes down what the engine says, from now until it is dropped: its own memory of events is short.
struct EngineLog {
    listener: std::process::Child,
    file: tempfile::NamedTempFile,
}

impl EngineLog {
    fn start() -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        let listener = Command::new("docker")
            .args([
                "events",
                "--filter",
                "type=container",
                "--filter",
                "event=die",
                "--filter",
                "event=start",
            ])
            .args(["--format", "{{json .}}"])
            .stdout(file.reopen().unwrap())
            .spawn()
            .unwrap();
        Self { listener, file }
    }

    /// When the engine did this to a container of the service, in ns since 1970.
    fn times(&self, action: &str, service: &str) -> Vec<i64> {
        let text = fs::read_to_string(self.file.path()).unwrap();
        let events = text
            .lines()
            .filter_map(|l| serde_json::from_str::<Value>(l).ok());
        let of = events.filter(|e| {
            e["Action"] == action
                && e["Actor"]["Attributes"]["com.docker.compose.service"] == service
        });
        of.map(|e| e["timeNano"].as_i64().unwrap()).collect()
    }
}

impl Drop for EngineLog {
    fn drop(&mut self) {
        // It is gone already only if the engine is.
        let _gone = self.listener.kill();
        let _reaped = self.listener.wait();
    }
}

#[test]
fn smoke() {
    if !engine("smoke") {
        return;
    }
    let drill = Drill::run("smoke");
    drill.passed();
    let log = fs::read_to_string(drill.folder.join("stack.log")).unwrap();
    for service in [
        "nginx",
        "backend",
        "postgres",
        "redis",
        "prometheus",
        "alertmanager",
        "mtail",
    ] {
        assert!(log.contains(service), "{service} logged nothing");
    }
    let journal = fs::read_to_string(drill.folder.join("journal.ndjson")).unwrap();
    let watchdog = journal
        .lines()
        .any(|l| l.contains("\"notified\"") && l.contains("Watchdog"));
    assert!(watchdog, "the watchdog never arrived");
}

#[test]
fn backend_kill() {
    if !engine("backend_kill") {
        return;
    }
    let log = EngineLog::start();
    let drill = Drill::run("backend-kill");
    drill.passed();
    let text = drill.text();
    for seen in [
        "kill SIGKILL backend/",
        "BackendDown",
        "of traffic before",
        "again    firedrill run",
    ] {
        assert!(text.contains(seen), "no `{seen}` in\n{text}");
    }

    let (step, zero) = (drill.step("lose-one"), drill.zero_ns());
    let effect = step["effect_us"].as_i64().unwrap();
    let at = zero + effect * 1000;
    let deaths = log.times("die", "backend");
    let nearest = deaths.iter().map(|t| (t - at).abs()).min();
    assert!(
        nearest.is_some_and(|off| off < 20_000_000),
        "effect {at}, the engine's deaths {deaths:?}"
    );

    let alert = &step["alerts"][0];
    for reached in ["pending_us", "firing_us", "notified_us", "resolved_us"] {
        assert!(alert[reached].is_i64(), "{reached} of {alert}");
    }
    let for_us = alert["firing_us"].as_i64().unwrap() - alert["pending_us"].as_i64().unwrap();
    assert!(
        (5_000_000..=20_000_000).contains(&for_us),
        "pending for {for_us} µs of a rule that says 10 s"
    );

    // What callers saw as 5xx, nginx answered as 5xx: as many, no more, no fewer.
    let windows = drill.result["load"]["windows"].as_array().unwrap();
    let of = |w: &str| {
        windows.iter().find(|x| x["name"] == w).unwrap()["by_outcome"]["http_5xx"]
            .as_u64()
            .unwrap_or(0)
    };
    let told = of("run") + of("warmup");
    let status = |l: &Value| {
        l["status"]
            .as_str()
            .and_then(|s| s.parse::<u16>().ok())
            .unwrap_or(0)
    };
    let ours = drill.edge_log().into_iter().filter(|l| {
        l["uri"]
            .as_str()
            .is_some_and(|u| u.starts_with("/api/articles"))
    });
    let written = ours.filter(|l| status(l) >= 500).count();
    assert_eq!(told, written as u64, "5xx reported and 5xx in nginx's log");

    let again = Command::new(env!("CARGO_BIN_EXE_firedrill"))
        .arg("judge")
        .arg(&drill.folder)
        .output()
        .unwrap();
    assert_eq!(
        again.status.code(),
        drill.output.status.code(),
        "judged again: {}",
        String::from_utf8_lossy(&again.stdout)
    );
}

#[test]
fn backend_stop() {
    if !engine("backend_stop") {
        return;
    }
    let drill = Drill::run("backend-stop");
    drill.passed();
    assert!(
        drill.step("stop-one")["readmitted_us"].is_i64(),
        "the stopped backend serves again\n{}",
        drill.text()
    );
}

#[test]
fn self_heal() {
    if !engine("self_heal") {
        return;
    }
    let log = EngineLog::start();
    let drill = Drill::run("self-heal");
    drill.passed();
    let step = drill.step("crash-one");
    let (died, zero) = (step["effect_us"].as_i64().unwrap(), drill.zero_ns());
    let at = zero + died * 1000;
    let starts = log.times("start", "backend");
    assert!(
        starts.iter().any(|t| (at..at + 30_000_000_000).contains(t)),
        "the engine started it again by itself: died {at}, starts {starts:?}"
    );
}

#[test]
fn rolling_update() {
    if !engine("rolling_update") {
        return;
    }
    let drill = Drill::run("rolling-update");
    drill.passed();
    let export = Command::new(env!("CARGO_BIN_EXE_firedrill"))
        .arg("export")
        .arg(&drill.folder)
        .output()
        .unwrap();
    let versions: BTreeSet<String> = csv::Reader::from_reader(&*export.stdout)
        .deserialize::<BTreeMap<String, String>>()
        .map(|request| request.unwrap()["version"].clone())
        .collect();
    assert!(
        versions.contains("v1") && versions.contains("v2"),
        "{versions:?}"
    );
}

/// Scenarios whose own objectives say all there is to say.
fn passes(name: &str) {
    if engine(name) {
        Drill::run(name).passed();
    }
}

#[test]
fn backend_hang() {
    passes("backend-hang");
}

#[test]
fn all_backends_down() {
    passes("all-backends-down");
}

#[test]
fn edge_down() {
    passes("edge-down");
}

#[test]
fn redis_outage() {
    passes("redis-outage");
}

#[test]
fn postgres_outage() {
    passes("postgres-outage");
}

#[test]
fn rolling_update_broken_image() {
    passes("rolling-update-broken-image");
}
