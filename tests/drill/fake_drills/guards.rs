//! Guards at the moment of injection: what a plan could not know, or what has changed since.

use std::time::Duration;

use firedrill::judge::Verdict;
use firedrill::model::{ComponentId, Selector};
use firedrill::restore::Owed;
use firedrill::run::RunError;
use firedrill::stack::Lies;
use firedrill::timeline::event::{Event, Level};

use super::bench::{Drilled, FakeDrill, LOSE_ONE};

fn backend(index: u32) -> ComponentId {
    ComponentId::new("backend", index)
}

pub(super) fn dispatched(drilled: &Drilled) -> Vec<String> {
    drilled.events(|e| match e {
        Event::Dispatched { step, .. } => Some(step.clone()),
        _ => None,
    })
}

/// Only these steps were made, the others were refused by a guard with these words; nothing is owed, and nothing passes.
pub(super) fn refused(drilled: &Drilled, made: &[&str], words: &[&str]) {
    let reasons = &drilled.judgement.reasons;
    assert_eq!(dispatched(drilled), made, "{reasons:?}");
    assert_eq!(
        drilled.judgement.verdict,
        Verdict::Inconclusive,
        "{reasons:?}"
    );
    assert_eq!(drilled.judgement.exit_code, 3);
    let reason = reasons.iter().find(|r| r.code == "guard");
    let reason = &reason.unwrap_or_else(|| panic!("{reasons:?}")).message;
    for word in words {
        assert!(reason.contains(word), "no `{word}` in {reason}");
    }
    let owing = drilled.events(|e| match e {
        Event::Owed {
            step: Some(step), ..
        } => Some(step.clone()),
        _ => None,
    });
    assert!(
        owing.iter().all(|step| made.contains(&step.as_str())),
        "{owing:?}"
    );
    assert!(Owed::left_by(&drilled.recording.entries).is_empty());
}

const CHAIN: &str = "
steps:
  - { name: first, at: 4s, pause: { target: backend }, hold: 4s }
  - { name: second, after: { first: healed }, kill: { target: backend }, hold: 4s }
objectives: { availability: { at_least: 1% } }
guards: { max_concurrent: 1 }
";

#[tokio::test(start_paused = true)]
async fn what_follows_a_heal_is_not_at_once_with_it() {
    let drilled = FakeDrill::new(CHAIN).run().await;
    assert_eq!(dispatched(&drilled), ["first", "second"]);
    assert_eq!(drilled.judgement.verdict, Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_is_open_longer_than_planned_counts() {
    // The update takes its time, which no plan knows.
    let method = "
steps:
  - { name: roll, at: 4s, update: { target: backend, image: v2, keep: true } }
  - { name: lose, at: 4050ms, kill: { target: backend }, hold: 1s }
  - { name: later, at: 9s, kill: { target: backend }, hold: 1s }
objectives: { availability: { at_least: 1% } }
guards: { max_concurrent: 1 }
";
    let drilled = FakeDrill::new(method).run().await;
    let words = [
        "lose was never dispatched",
        "max_concurrent allows 1",
        "roll",
    ];
    refused(&drilled, &["roll", "later"], &words);
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_could_not_be_mended_stays_open() {
    let drill = FakeDrill::new(
        CHAIN
            .replace("healed }", "dispatched, wait: 10s }")
            .as_str(),
    );
    let lies = Lies {
        failing_undos: 20,
        ..Lies::default()
    };
    drill.world.lie(lies);
    let drilled = drill.run().await;
    assert_eq!(dispatched(&drilled), ["first"]);
    assert!(
        drilled.codes().contains(&"guard"),
        "{:?}",
        drilled.judgement.reasons
    );
}

#[tokio::test(start_paused = true)]
async fn what_bears_a_label_is_never_taken_and_the_record_says_so() {
    for seed in 0..8 {
        let mut drill = FakeDrill::new(LOSE_ONE);
        drill.plan.seed = seed;
        drill.world.label(backend(1), "tier=db");
        drill.world.label(backend(3), "tier=db");
        drill.plan.guards.never_touch = vec![Selector::Label("tier=db".parse().unwrap())];
        let drilled = drill.run().await;
        assert_eq!(drilled.judgement.verdict, Verdict::Pass);
        assert_eq!(drilled.judgement.steps[0].targets, ["backend/2"]);
        let notes = drilled.events(|e| match e {
            Event::Note {
                level: Level::Info,
                text,
            } => Some(text.clone()),
            _ => None,
        });
        let narrowed = notes
            .iter()
            .find(|n| n.contains("chosen among 1 of 3"))
            .unwrap();
        assert!(
            narrowed.contains("backend/1 (guards.never_touch names label tier=db)"),
            "{narrowed}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_is_not_made_smaller_by_what_is_protected() {
    for (action, words) in [
        ("pause: { target: backend, take: 2 }", "taking 2 of 3"),
        ("pause: { target: backend, take: all }", "taking 3 of 3"),
        (
            "scale: { target: backend, replicas: 2 }",
            "changing `backend`",
        ),
        (
            "update: { target: backend, image: v2 }",
            "changing `backend`",
        ),
        (
            "exec: { target: backend, take: 2, run: [date], undo: none }",
            "taking 2 of 3",
        ),
    ] {
        let method = format!(
            "steps: [ {{ name: wide, at: 4s, {action} }} ]\nobjectives: {{ availability: {{ at_least: 1% }} }}\n"
        );
        let mut drill = FakeDrill::new(&method);
        drill.world.label(backend(1), "tier=db");
        drill.world.label(backend(2), "tier=db");
        drill.plan.guards.never_touch = vec![Selector::Label("tier".parse().unwrap())];
        refused(&drill.run().await, &[], &[words, "backend/1", "backend/2"]);
    }
}

/// The run ended before any load with these words, and nothing was broken.
pub(super) fn not_begun(drilled: &Drilled, words: &[&str]) {
    let ended = drilled.ended.as_ref().unwrap_err();
    for word in words {
        assert!(
            matches!(ended, RunError::Guarded(why) if why.contains(word)),
            "no `{word}` in {ended}"
        );
    }
    let loaded = drilled.events(|e| matches!(e, Event::LoadStarted { .. }).then_some(()));
    assert!(loaded.is_empty() && dispatched(drilled).is_empty());
    assert_eq!(drilled.judgement.exit_code, 3);
}

#[tokio::test(start_paused = true)]
async fn what_protects_nothing_keeps_the_run_from_its_load() {
    for selector in [
        Selector::Service("postgrs".to_owned()),
        Selector::Component(backend(9)),
        Selector::Label("tier=db".parse().unwrap()),
    ] {
        let mut drill = FakeDrill::new(LOSE_ONE);
        let name = selector.to_string();
        drill.plan.guards.never_touch = vec![selector];
        not_begun(&drill.run().await, &[&name, "protects nothing"]);
    }
}

#[tokio::test(start_paused = true)]
async fn where_all_of_a_target_is_protected_no_load_is_put_on_it() {
    let mut drill = FakeDrill::new(LOSE_ONE);
    for index in 1..=3 {
        drill.world.label(backend(index), "tier=db");
    }
    drill.plan.guards.never_touch = vec![Selector::Label("tier".parse().unwrap())];
    let words = ["lose-one can hit nothing", "backend/3"];
    not_begun(&drill.run().await, &words);
    // A control run breaks nothing.
    let mut drill = FakeDrill::new(LOSE_ONE);
    drill.plan.guards.never_touch = vec![Selector::Component(backend(9))];
    drill.selection.no_faults = true;
    assert!(drill.run().await.ended.is_ok());
}

const WIDE: [&str; 2] = [
    "kill: { target: backend, take: 2 }",
    "scale: { target: backend, replicas: 1 }",
];

fn wide(action: &str) -> FakeDrill {
    FakeDrill::new(&format!(
        "steps: [ {{ name: wide, at: 10s, {action}, hold: 1s }} ]\nobjectives: {{ availability: {{ at_least: 1% }} }}\n"
    ))
}

#[tokio::test(start_paused = true)]
async fn what_comes_to_be_protected_after_the_beginning_is_spared() {
    for action in WIDE {
        let mut drill = wide(action);
        drill.world.label(backend(1), "tier=db");
        drill.plan.guards.never_touch = vec![Selector::Label("tier=db".parse().unwrap())];
        let world = drill.world.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(5)).await;
            world.label(backend(2), "tier=db");
        });
        let words = [
            "must not be touched",
            "backend/2 (guards.never_touch names label tier=db)",
        ];
        refused(&drill.run().await, &[], &words);
    }
}

#[tokio::test(start_paused = true)]
async fn what_firedrill_runs_in_is_out_of_bounds_without_any_guard() {
    let drill = FakeDrill::new(LOSE_ONE);
    drill.world.inhabit(backend(1));
    drill.world.inhabit(backend(2));
    let drilled = drill.run().await;
    assert_eq!(drilled.judgement.steps[0].targets, ["backend/3"]);
    for action in WIDE {
        let drill = wide(action);
        drill.world.inhabit(backend(1));
        drill.world.inhabit(backend(2));
        refused(&drill.run().await, &[], &["firedrill itself runs in it"]);
    }
    let drill = FakeDrill::new(LOSE_ONE);
    (1..=3).for_each(|index| drill.world.inhabit(backend(index)));
    not_begun(&drill.run().await, &["firedrill itself runs in it"]);
}

/// 2026-11-20, a Friday, so many seconds before 16:00 in Berlin.
fn before_four(seconds: i64) -> Option<i64> {
    let four: jiff::Timestamp = "2026-11-20T15:00:00Z".parse().unwrap();
    Some(i64::try_from(four.as_nanosecond()).unwrap() - seconds * 1_000_000_000)
}

#[tokio::test(start_paused = true)]
async fn a_run_that_drifts_out_of_its_window_makes_no_more_faults() {
    let method = "
steps:
  - { name: first, at: 4s, pause: { target: backend }, hold: 10s }
  - { name: second, at: 20s, pause: { target: backend }, hold: 1s }
objectives: { availability: { at_least: 1% } }
guards: { only: 'Mon-Fri 09:00-16:00 Europe/Berlin' }
";
    let run = |wall_ns| {
        let drill = FakeDrill::new(method);
        FakeDrill { wall_ns, ..drill }.run()
    };
    let drilled = run(before_four(3_600)).await;
    assert_eq!(drilled.judgement.verdict, Verdict::Pass);
    // It ends 12 s into the run: the first fault is made, kept for its hold, and mended outside.
    let drilled = run(before_four(12)).await;
    let words = [
        "second was never dispatched",
        "it is Fri 2026-11-20 16:00 CET",
        "Mon 2026-11-23 09:00 CET",
    ];
    refused(&drilled, &["first"], &words);
    assert!(drilled.judgement.steps[0].verified_us.is_some());
}
