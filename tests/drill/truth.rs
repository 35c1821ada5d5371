//! What firedrill reports, held to what the server under test wrote down itself: its own log of its outages and requests.
//! Figures are compared, and verdicts only where a busy machine cannot change them.
#![expect(
    clippy::unwrap_used,
    reason = "what a test needs and does not get fails it"
)]

use std::fs;

use firedrill::timeline::Recording;
use rustix::process::Signal;
use serde_json::Value;

use crate::binary::{Folder, until};

/// Arrivals a second.
const RATE: f64 = 500.0;

/// A drill of one demo backend that logs the truth, with outages on request.
fn scenario(length: &str, flags: &str, rest: &str) -> String {
    format!(
        "version: 1
name: truth
seed: 1
stack:
  process:
    services:
      server:
        command: [\"${{firedrill}}\", demo, backend, --listen, \"${{listen}}\", --truth, \"${{scenario_dir}}/truth\"{flags}]
        ready: {{ http: \"http://${{listen}}/health\", within: 60s }}
load:
  base_url: http://${{addr:server}}
  warmup: 1s
  stages: [ {{ rate: 500/s, for: {length} }} ]
  timeout: 2s
  request: {{ get: /items }}
recovery: {{ settle: 1s }}
{rest}
"
    )
}

/// A step that asks the server for an outage.
fn outage(name: &str, at: &str, hold: &str, query: &str) -> String {
    format!(
        "  - {{ name: {name}, at: {at}, http: {{ post: \"http://${{addr:server}}/_outage?{query}\", undo: none }}, hold: {hold} }}\n"
    )
}

/// A line of the server's log, with its time in seconds since the run's zero.
struct Logged {
    at: f64,
    event: String,
    did: String,
}

/// What both sides say of a run.
struct Told {
    result: Value,
    log: Vec<Logged>,
    /// How late the machine let anything happen, seconds: no comparison of times can be closer.
    noise: f64,
}

impl Told {
    fn of(folder: &Folder) -> Self {
        let recording = Recording::read(&folder.latest("truth")).unwrap();
        assert!(recording.complete, "{:?}", recording.damage);
        let zero = recording.opened.started_ns;
        let log = fs::read_to_string(folder.path().join("truth")).unwrap();
        let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let late = recording
            .requests
            .iter()
            .filter_map(|r| Some(r.left_us? - r.due_us));
        Self {
            result: folder.result("truth"),
            log: log
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap())
                .filter(|line| line["ev"] != "req" || line["path"] == "/items")
                .map(|line| Logged {
                    at: (line["t"].as_i64().unwrap() - zero) as f64 / 1e9,
                    event: text(&line, "ev"),
                    did: text(&line, "did"),
                })
                .collect(),
            noise: late.max().unwrap() as f64 / 1e6,
        }
    }

    /// The step's place in time and its figures.
    fn step(&self, name: &str) -> Step<'_> {
        let steps = self.result["steps"].as_array().unwrap();
        let step = steps.iter().find(|s| s["name"] == name).unwrap();
        assert_eq!(step["shared"], false, "{name}");
        Step {
            dispatched: step["dispatched_us"].as_f64().unwrap() / 1e6,
            watch_end: step["watch_end_us"].as_f64().unwrap() / 1e6,
            figures: &step["failover"],
        }
    }

    /// Begins and ends of the outages in the step's watch.
    fn outages(&self, step: &Step<'_>) -> Vec<(f64, f64)> {
        let at = |event: &str| {
            let these = self.log.iter().filter(|l| l.event == event);
            these
                .map(|l| l.at)
                .filter(|t| step.holds(*t))
                .collect::<Vec<f64>>()
        };
        let (begins, ends) = (at("begin"), at("end"));
        assert_eq!(begins.len(), ends.len());
        begins.into_iter().zip(ends).collect()
    }

    /// Times of the requests in the step's watch with which the server did that.
    fn did(&self, step: &Step<'_>, did: &str) -> Vec<f64> {
        let these = self.log.iter().filter(|l| l.did == did);
        these.map(|l| l.at).filter(|t| step.holds(*t)).collect()
    }

    /// Within what the machine allows: 40 ms, and twice what it was late itself.
    fn near(&self, what: &str, reported: f64, truth: f64) {
        let allowed = 0.040 + 2.0 * self.noise;
        #[expect(
            clippy::print_stdout,
            reason = "the figures are worth reading when it passes, too"
        )]
        {
            println!(
                "{what}: reported {reported:.4} s, truth {truth:.4} s, off by {:+.1} ms of {:.0} ms",
                (reported - truth) * 1e3,
                allowed * 1e3
            );
        }
        assert!((reported - truth).abs() <= allowed, "{what}");
    }
}

struct Step<'a> {
    dispatched: f64,
    watch_end: f64,
    figures: &'a Value,
}

impl Step<'_> {
    fn holds(&self, at: f64) -> bool {
        (self.dispatched..self.watch_end).contains(&at)
    }

    /// A figure in µs, in seconds.
    fn seconds(&self, figure: &str) -> f64 {
        let figures = self.figures;
        figures[figure]
            .as_f64()
            .unwrap_or_else(|| panic!("{figure} in {figures}"))
            / 1e6
    }

    /// Seconds since the run's zero of a time that counts from the dispatch.
    fn at(&self, figure: &str) -> f64 {
        self.dispatched + self.seconds(figure)
    }

    fn count(&self, figure: &str) -> u64 {
        self.figures[figure].as_u64().unwrap()
    }

    fn outcome(&self, outcome: &str) -> u64 {
        self.figures["by_outcome"][outcome].as_u64().unwrap_or(0)
    }
}

#[test]
fn outages_are_reported_as_the_server_made_them() {
    let steps = [
        outage("refused", "6s", "2s", "mode=refuse&for=2s"),
        outage("third", "10s", "1500ms", "mode=5xx&share=0.33&for=1500ms"),
        outage(
            "brown-out",
            "13500ms",
            "2500ms",
            "mode=5xx&share=0.05&for=2500ms",
        ),
        outage(
            "flaps",
            "18s",
            "4500ms",
            "mode=5xx&for=300ms&times=3&every=1600ms",
        ),
        outage("delayed", "24500ms", "9s", "mode=reset&for=500ms&delay=8s"),
    ];
    let rest = format!(
        "steps:\n{}objectives: {{ availability: {{ at_least: 1% }} }}",
        steps.concat()
    );
    let folder = Folder::new();
    folder.write("truth.yaml", &scenario("36s", "", &rest));
    let said = folder.firedrill(&["run", "truth.yaml"]);
    assert!([0, 3].contains(&said.code), "{said:?}");
    let told = Told::of(&folder);
    println!("the machine was up to {:.1} ms late", told.noise * 1e3);

    let refused = told.step("refused");
    let (begin, end) = told.outages(&refused)[0];
    told.near(
        "refused: first impact",
        refused.at("first_impact_us"),
        begin,
    );
    told.near("refused: outage", refused.seconds("outage_us"), end - begin);
    told.near("refused: recovered", refused.at("failover_us"), end);
    told.near("refused: lost", refused.seconds("lost_us"), end - begin);
    let kinds = refused.outcome("refused") + refused.outcome("reset") + refused.outcome("eof");
    assert_eq!(refused.count("bad"), kinds);
    assert_eq!(refused.figures["resolution_us"], 2_000);
    assert_eq!(refused.count("episodes"), 1);

    for name in ["third", "brown-out"] {
        let step = told.step(name);
        let truth = told.did(&step, "5xx");
        assert_eq!(step.outcome("http_5xx"), truth.len() as u64, "{name}");
        assert_eq!(step.count("bad"), truth.len() as u64, "{name}");
        assert_eq!(step.count("episodes"), 1, "{name}");
        let (first, last) = (truth[0], truth[truth.len() - 1]);
        told.near(
            &format!("{name}: first impact"),
            step.at("first_impact_us"),
            first,
        );
        told.near(
            &format!("{name}: outage"),
            step.seconds("outage_us"),
            last - first,
        );
        let lost = truth.len() as f64 / RATE;
        assert!((step.seconds("lost_us") - lost).abs() < 0.001, "{name}");
    }

    let flaps = told.step("flaps");
    let outages = told.outages(&flaps);
    assert_eq!(outages.len(), 3);
    assert_eq!(flaps.count("episodes"), 3);
    assert_eq!(
        flaps.outcome("http_5xx"),
        told.did(&flaps, "5xx").len() as u64
    );
    let impaired: f64 = outages.iter().map(|(begin, end)| end - begin).sum();
    told.near(
        "flaps: impaired",
        flaps.seconds("impaired_us") / 3.0,
        impaired / 3.0,
    );
    told.near("flaps: recovered", flaps.at("failover_us"), outages[2].1);

    let delayed = told.step("delayed");
    let (begin, end) = told.outages(&delayed)[0];
    assert!(begin - delayed.dispatched >= 8.0);
    told.near(
        "delayed: first impact",
        delayed.at("first_impact_us"),
        begin,
    );
    told.near("delayed: recovered", delayed.at("failover_us"), end);
    assert_eq!(
        delayed.outcome("reset"),
        told.did(&delayed, "reset").len() as u64
    );
}

#[test]
fn background_errors_are_counted_and_make_no_episode() {
    let rest =
        "steps: [ { name: nothing, at: 8s, command: { run: [\"true\"], undo: none }, hold: 1s } ]
objectives: { availability: { at_least: 1% } }";
    let flags = ", --outage, \"at=0s for=10m mode=cut share=0.02%\", --seed, \"3\"";
    let folder = Folder::new();
    folder.write("truth.yaml", &scenario("13s", flags, rest));
    let said = folder.firedrill(&["run", "truth.yaml"]);
    assert!([0, 3].contains(&said.code), "{said:?}");
    let told = Told::of(&folder);
    let windows = told.result["load"]["windows"].as_array().unwrap();
    let cut: u64 = windows
        .iter()
        .filter(|w| w["name"] == "warmup" || w["name"] == "run")
        .map(|w| w["by_outcome"]["eof"].as_u64().unwrap_or(0))
        .sum();
    let truth = told.log.iter().filter(|l| l.did == "cut").count() as u64;
    assert!(truth > 0, "the server spoilt some");
    assert_eq!(cut, truth);
    let step = told.step("nothing");
    let bad = told.did(&step, "cut").len() as u64;
    assert_eq!((step.count("bad"), step.count("episodes")), (bad, 0));
    assert_eq!(step.figures["masked"], bad == 0);
    assert_eq!(
        (step.seconds("failover_us"), step.seconds("impaired_us")),
        (0.0, 0.0)
    );
}

#[test]
fn a_generator_that_was_stopped_is_seen() {
    let rest = "objectives: { availability: { at_least: 99% } }";
    let folder = Folder::new();
    folder.write("truth.yaml", &scenario("8s", "", rest));
    let drill = folder.start(&["run", "truth.yaml"]);
    let log = folder.path().join("truth");
    until("a second of load", || {
        fs::read_to_string(&log).is_ok_and(|l| l.matches("/items").count() > 1_000)
    });
    drill.signal(Signal::STOP);
    std::thread::sleep(std::time::Duration::from_secs(1));
    drill.signal(Signal::CONT);
    let said = drill.end();
    assert_eq!(said.code, 3, "{said:?}");
    let result = folder.result("truth");
    assert_eq!(result["verdict"], "inconclusive");
    let slices = result["load"]["suspect_slices"].as_array().unwrap();
    let late: u64 = slices
        .iter()
        .map(|s| s["due"].as_u64().unwrap() - s["on_time"].as_u64().unwrap())
        .sum();
    assert!(late >= 400, "{slices:?}");
    assert!(said.out.contains("in doubt"), "{}", said.out);
}

/// Runs a drill of one outage with an alert that nobody can see. The outage lasts longer than its step says.
fn unseen(rest: &str) -> (i32, Value) {
    let rest = format!(
        "observe: {{ prometheus: \"http://127.0.0.1:9\" }}
steps:
{}objectives: {{ alerts: {{ expect: {{ alert: Down, after: outage, fires: 1s }} }} }}
{rest}",
        outage("outage", "1s", "1s", "mode=5xx&for=60s"),
    );
    let folder = Folder::new();
    folder.write("truth.yaml", &scenario("3s", "", &rest));
    let said = folder.firedrill(&["run", "truth.yaml"]);
    (said.code, folder.result("truth"))
}

#[test]
fn an_unreachable_prometheus_proves_nothing_and_hides_no_miss() {
    let (code, result) = unseen("");
    assert_eq!(
        (code, result["verdict"].as_str()),
        (3, Some("inconclusive"))
    );
    // A miss that no busy machine can put in doubt.
    let steady = "steady_state: { http: { get: \"http://${addr:server}/items\", status: 200 } }";
    let (code, result) = unseen(steady);
    let reasons = &result["reasons"];
    assert_eq!(
        (code, result["verdict"].as_str()),
        (1, Some("fail")),
        "{reasons}"
    );
}

#[test]
fn a_run_that_promised_nothing_proves_nothing() {
    let folder = Folder::new();
    folder.write("truth.yaml", &scenario("1s", "", ""));
    let said = folder.firedrill(&["run", "truth.yaml"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert_eq!(
        folder.result("truth")["reasons"][0]["code"],
        "no_objectives"
    );
}
