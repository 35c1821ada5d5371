//! Reports of runs that never happened.

use super::{
    Style, export, github, hlog, junit, markdown, text, timeline_csv, verdict_line, write_all,
};
use crate::judge::testing::{S, Script, ZERO, backend, plan, plan_with, swarm_with};
use crate::judge::{Judgement, judge};
use crate::model::{Health, Outcome, StackEventKind};
use crate::scenario::Plan;
use crate::timeline::event::Event;
use crate::timeline::{Recording, RunDir};

const OBJECTIVES: &str = "availability: [ { at_least: 99% }, { at_least: 98.5%, of: write } ]
latency: [ { p99: 250ms }, { p99: 800ms, during: lose-one } ]
failover: { lose-one: 2s }
lost: { lose-one: 500ms }
alerts:
  expect:
    - { alert: BackendDown, match: { instance: \"${victim.address}:8002\" }, after: lose-one, fires: 30s, notifies: 45s, resolves: 60s }
  others: forbid";

struct Run {
    plan: Plan,
    judgement: Judgement,
    recording: Recording,
}

fn run(plan: Plan, script: Script) -> Run {
    let recording = script.recording();
    Run {
        judgement: judge(&plan, &recording),
        plan,
        recording,
    }
}

fn passed() -> Run {
    let plan = plan(OBJECTIVES);
    let script = Script::drill(&plan, 100).alert();
    run(plan, script)
}

/// The victim is never taken out of rotation, and the alert never delivered.
fn failed() -> Run {
    let plan = plan(OBJECTIVES);
    let script = Script::drill(&plan, 100_000)
        .alert()
        .without(|e| matches!(e, Event::Notified { .. }));
    run(plan, script)
}

/// The generator stood still for a second.
fn inconclusive() -> Run {
    let plan = plan(OBJECTIVES);
    let script = Script::drill(&plan, 100)
        .alert()
        .between(ZERO + 50 * S, ZERO + 51 * S, |r| {
            r.left_us = Some(ZERO + 51 * S)
        });
    run(plan, script)
}

/// The test bed starves for a second, and a component that no step took falls ill of it.
fn starved() -> Run {
    let plan = plan(OBJECTIVES);
    let (begin, ill) = (ZERO + 42 * S, ZERO + 48 * S + S / 5);
    let said = |engine_us, health| Event::Engine {
        component: backend(1),
        handle: "4001".to_owned(),
        engine_us,
        what: StackEventKind::Health { health },
    };
    let script = Script::drill(&plan, 100)
        .alert()
        .and(
            begin,
            Event::Starved {
                from_us: begin,
                stalled_us: 990_000,
                load: None,
            },
        )
        .and(ill, said(ill, Health::Unhealthy))
        .and(ill + 3 * S, said(ill + 3 * S, Health::Healthy))
        .between(ill, ill + 3 * S, |r| {
            (r.outcome, r.good, r.status) = (Outcome::Http5xx, false, 503);
        });
    run(plan, script)
}

fn updated() -> Run {
    let steps = "steps:\n  - { name: deploy-v2, at: 20s, update: { target: backend, env: { V: \"2\" } } }\n";
    let plan = plan_with(
        steps,
        "update: { deploy-v2: { within: 30s, lost: 0, min_healthy: 2 } }",
    );
    let script = Script::update(&plan, true, 2);
    run(plan, script)
}

fn plain(run: &Run) -> String {
    text(&run.plan, &run.judgement, &run.recording, Style::default())
}

#[test]
fn a_passed_drill_reads_well() {
    insta::assert_snapshot!(plain(&passed()));
}

#[test]
fn a_failed_drill_reads_well() {
    insta::assert_snapshot!(plain(&failed()));
}

#[test]
fn an_inconclusive_drill_reads_well() {
    insta::assert_snapshot!(plain(&inconclusive()));
}

#[test]
fn the_aftermath_of_starvation_reads_well() {
    insta::assert_snapshot!(plain(&starved()));
}

#[test]
fn an_update_reads_well() {
    insta::assert_snapshot!(plain(&updated()));
}

#[test]
fn the_loss_of_a_node_reads_well() {
    let steps = "steps:\n  - { name: lose-one, at: 20s, node_kill: { target: backend, zone: a }, hold: 20s }\n";
    let plan = swarm_with(
        steps,
        "availability: { at_least: 99% }\nfailover: { lose-one: 2s }",
    );
    let script = Script::node_drill(&plan);
    insta::assert_snapshot!(plain(&run(plan, script)));
}

#[test]
fn a_run_that_broke_something_says_so_first() {
    let plan = plan("availability: { at_least: 99% }");
    let script = Script::drill(&plan, 0).and(
        ZERO + 75 * S,
        Event::LeftBroken {
            id: 2,
            why: "no such container".to_owned(),
        },
    );
    insta::assert_snapshot!(plain(&run(plan, script)));
}

#[test]
fn a_summary_and_annotations_say_the_same() {
    let run = failed();
    insta::assert_snapshot!(
        "failed.md",
        markdown(&run.plan, &run.judgement, &run.recording)
    );
    insta::assert_snapshot!("failed.github", github(&run.judgement));
}

#[test]
fn lines_fit_the_terminal() {
    for run in [passed(), failed(), inconclusive(), updated()] {
        for line in plain(&run).lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

#[test]
fn the_last_line_is_the_verdict() {
    for (run, line) in [
        (passed(), "exit 0  PASS backend-kill"),
        (failed(), "exit 1  FAIL backend-kill: 7 missed"),
    ] {
        assert_eq!(verdict_line(&run.judgement), line);
        assert_eq!(plain(&run).lines().last(), Some(line));
    }
}

#[test]
fn colour_is_only_where_asked_for() {
    let run = failed();
    assert!(!plain(&run).contains('\u{1b}'));
    let colour = Style {
        colour: true,
        ..Style::default()
    };
    let colourful = text(&run.plan, &run.judgement, &run.recording, colour);
    assert!(colourful.starts_with("\u{1b}[1;31mFAIL\u{1b}[0m"));
}

#[test]
fn junit_is_red_where_an_objective_is() {
    let xml = junit(&failed().judgement).unwrap();
    let failures = failed().judgement.count(crate::judge::Verdict::Fail) + 1;
    assert_eq!(xml.matches("<failure").count(), failures, "{xml}");
    let xml = junit(&inconclusive().judgement).unwrap();
    assert!(xml.contains("<error") && !xml.contains("<failure"), "{xml}");
    let xml = junit(&passed().judgement).unwrap();
    assert!(
        !xml.contains("<error") && !xml.contains("<failure"),
        "{xml}"
    );
}

#[test]
fn every_request_is_exported() {
    let plan = plan("availability: { at_least: 99% }");
    let script = Script::drill(&plan, 0).between(ZERO, ZERO + 1, |r| {
        (r.outcome, r.good, r.left_us, r.sent_us) = (Outcome::Dropped, false, None, None);
    });
    let run = run(plan, script);
    let mut out = Vec::new();
    export(&run.recording, &run.plan, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let mut lines = text.lines();
    assert_eq!(
        lines.next(),
        Some(
            "n,journey,request,user,due_us,sent_us,done_us,outcome,good,status,instance,version,tries,first_outcome,first_done_us"
        )
    );
    assert_eq!(
        lines.next(),
        Some("0,write,0,0,2000000,2000100,2005000,ok,true,200,backend/1,,1,ok,2005000")
    );
    let dropped = lines.find(|l| l.contains("dropped")).unwrap();
    assert_eq!(
        dropped,
        "5000,write,0,0,12000000,,12005000,dropped,false,200,backend/3,,0,dropped,12005000"
    );
    assert_eq!(text.lines().count(), 35_001);
}

#[test]
fn seconds_add_up_to_the_load() {
    let run = passed();
    let mut out = Vec::new();
    timeline_csv(&run.recording, &mut out).unwrap();
    let mut csv = csv::Reader::from_reader(out.as_slice());
    let column =
        |name: &str, headers: &csv::StringRecord| headers.iter().position(|h| h == name).unwrap();
    let headers = csv.headers().unwrap().clone();
    let (due, bad) = (column("due", &headers), column("bad", &headers));
    let p50 = column("p50_us", &headers);
    let (mut total, mut lost) = (0, 0);
    for line in csv.records().map(Result::unwrap) {
        let median: u64 = line[p50].parse().unwrap();
        assert!(
            median.abs_diff(5_000) <= 5,
            "every answer took 5 ms: {median}"
        );
        total += line[due].parse::<u64>().unwrap();
        lost += line[bad].parse::<u64>().unwrap();
    }
    assert_eq!((total, lost), (35_000, 100));
}

#[test]
fn histograms_are_tagged_by_window() {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
    let run = passed();
    let mut out = Vec::new();
    hlog(&run.plan, &run.judgement, &run.recording, &mut out).unwrap();
    let mut deserializer = hdrhistogram::serialization::Deserializer::new();
    let mut tags = Vec::new();
    for entry in IntervalLogIterator::new(&out).map(Result::unwrap) {
        let LogEntry::Interval(interval) = entry else {
            continue;
        };
        tags.push(interval.tag().unwrap().as_str().to_owned());
        let bytes = BASE64_STANDARD
            .decode(interval.encoded_histogram())
            .unwrap();
        let times = deserializer.deserialize::<u64, _>(&mut bytes.as_slice());
        let median = times.unwrap().value_at_quantile(0.5);
        assert!(
            median.abs_diff(5_000) <= 5,
            "every answer took 5 ms: {median}"
        );
    }
    assert_eq!(tags, ["warmup", "baseline", "lose-one", "recovered", "run"]);
}

#[test]
fn a_runs_directory_gets_every_report() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = RunDir::create(tmp.path(), "backend-kill", 0, "test").unwrap();
    let run = failed();
    write_all(&dir, &run.plan, &run.judgement, &run.recording).unwrap();
    let read = std::fs::read_to_string(dir.result()).unwrap();
    let back: Judgement = serde_json::from_str(&read).unwrap();
    assert_eq!(back, run.judgement);
    for file in [dir.summary(), dir.junit(), dir.latency(), dir.timeline()] {
        assert!(
            std::fs::metadata(&file).unwrap().len() > 0,
            "{}",
            file.display()
        );
    }
    let parts = std::fs::read_dir(dir.path()).unwrap();
    assert!(
        parts
            .into_iter()
            .all(|e| !e.unwrap().path().ends_with("part"))
    );
}
