//! Steps: what they wait for, what leaves them out, what forbids them, and what ends them early.

use std::time::Duration;

use firedrill::judge::Verdict;
use firedrill::run::{RunError, Selection};
use firedrill::timeline::event::Event;

use super::bench::{Drilled, FakeDrill, LOSE_ONE};

const CHAIN: &str = "
steps:
  - { name: first, at: 4s, kill: { target: backend }, hold: 3s }
  - { name: second, after: { first: settled, wait: 1s }, pause: { target: backend }, hold: 2s }
objectives:
  availability: { at_least: 90% }
  failover: { first: 3s, second: 3s }
";

fn selected(method: &str, selection: Selection) -> FakeDrill {
    FakeDrill {
        selection,
        ..FakeDrill::new(method)
    }
}

fn passes(drilled: &Drilled) {
    let reasons = &drilled.judgement.reasons;
    assert_eq!(drilled.judgement.verdict, Verdict::Pass, "{reasons:?}");
}

#[tokio::test(start_paused = true)]
async fn a_step_waits_until_another_has_settled() {
    let drilled = FakeDrill::new(CHAIN).run().await;
    passes(&drilled);
    let [first, second] = &drilled.judgement.steps[..] else {
        panic!("{:?}", drilled.judgement.steps)
    };
    let waited = second.dispatched_us.unwrap() - first.watch_end_us.unwrap();
    // Looked for every 50 ms, and by a timer of 1 ms.
    assert!((1_000_000..1_060_000).contains(&waited), "{waited}");
    assert!(!first.shared && !second.shared);
}

#[tokio::test(start_paused = true)]
async fn watches_that_overlap_are_shared_and_counted_once() {
    let method = "
steps:
  - { name: first, at: 4s, kill: { target: backend }, hold: 6s }
  - { name: second, at: 7s, kill: { target: backend }, hold: 6s }
objectives: { availability: { at_least: 90% }, failover: { second: 3s } }
";
    let drilled = FakeDrill::new(method).run().await;
    passes(&drilled);
    let [first, second] = &drilled.judgement.steps[..] else {
        panic!("{:?}", drilled.judgement.steps)
    };
    assert!(first.shared && !second.shared);
    assert_ne!(
        first.targets, second.targets,
        "the dead are not taken again"
    );
    let bad = |step: &firedrill::judge::result::StepResult| step.failover.as_ref().unwrap().all.bad;
    assert!(bad(first) > bad(second) && bad(second) > 0);
    let load = drilled.load();
    let run = load.window("run").unwrap();
    assert_eq!(run.all.bad, bad(first), "the second's stand in both");
}

#[tokio::test(start_paused = true)]
async fn steps_left_out_are_named_and_not_judged() {
    let only = Selection {
        only: vec!["first".into()],
        ..Selection::default()
    };
    let drilled = selected(CHAIN, only).run().await;
    passes(&drilled);
    let names: Vec<&str> = drilled
        .judgement
        .objectives
        .iter()
        .filter_map(|o| o.step.as_deref())
        .collect();
    assert_eq!(names, ["first"]);
    let left_out = &drilled.judgement.reasons[0];
    assert_eq!(left_out.code, "left_out");
    assert!(
        left_out.message.contains("second was left out by --only"),
        "{left_out:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_step_whose_trigger_was_left_out_never_comes() {
    let skip = Selection {
        skip: vec!["first".into()],
        ..Selection::default()
    };
    let drilled = selected(CHAIN, skip).run().await;
    assert_eq!(drilled.judgement.verdict, Verdict::Inconclusive);
    assert!(
        drilled.codes().contains(&"never_triggered"),
        "{:?}",
        drilled.judgement.reasons
    );
}

#[tokio::test(start_paused = true)]
async fn a_control_run_judges_what_needs_no_fault() {
    let control = || Selection {
        no_faults: true,
        ..Selection::default()
    };
    let drilled = selected(CHAIN, control()).run().await;
    passes(&drilled);
    let dispatched = drilled.events(|e| matches!(e, Event::Dispatched { .. }).then_some(()));
    assert!(dispatched.is_empty());
    assert_eq!(drilled.judgement.objectives.len(), 1);
    let nothing_left = "
steps: [ { name: lose-one, at: 10s, kill: { target: backend }, hold: 6s } ]
objectives: { failover: { lose-one: 2s } }
";
    let drilled = selected(nothing_left, control()).run().await;
    assert_eq!(drilled.judgement.exit_code, 3);
}

#[tokio::test(start_paused = true)]
async fn a_guard_keeps_the_last_healthy_replica() {
    let method = "
steps:
  - { name: lose-one, at: 6s, kill: { target: backend }, hold: 6s }
  - { name: lose-rest, at: 8s, kill: { target: backend, take: 2 }, hold: 2s }
objectives: { availability: { at_least: 1% } }
guards: { keep_healthy: 1 }
";
    let drilled = FakeDrill::new(method).run().await;
    assert_eq!(drilled.judgement.verdict, Verdict::Inconclusive);
    assert!(
        drilled.codes().contains(&"guard"),
        "{:?}",
        drilled.judgement.reasons
    );
    assert_eq!(drilled.judgement.steps[1].dispatched_us, None);
}

#[tokio::test(start_paused = true)]
async fn a_guard_keeps_replicas_from_being_scaled_away() {
    let scaled = |replicas: u32| {
        FakeDrill::new(&format!(
            "
steps:
  - {{ name: hang-one, at: 6s, pause: {{ target: backend }}, hold: 6s }}
  - {{ name: fewer, at: 8s, scale: {{ target: backend, replicas: {replicas} }}, hold: 2s }}
objectives: {{ availability: {{ at_least: 1% }} }}
guards: {{ keep_healthy: 1 }}
"
        ))
        .run()
    };
    // Of three one hangs: when one more goes, one is left.
    let drilled = scaled(2).await;
    assert!(drilled.judgement.steps[1].dispatched_us.is_some());
    // When two more go, it may be the two that serve.
    let drilled = scaled(1).await;
    assert_eq!(drilled.judgement.verdict, Verdict::Inconclusive);
    assert!(
        drilled.codes().contains(&"guard"),
        "{:?}",
        drilled.judgement.reasons
    );
    assert_eq!(drilled.judgement.steps[1].dispatched_us, None);
}

#[tokio::test(start_paused = true)]
async fn replicas_are_counted_to_the_end_of_an_updates_watch() {
    for hold in ["", ", hold: 4s"] {
        let method = format!(
            "
steps:
  - {{ name: new, at: 6s, update: {{ target: backend, image: v2 }}{hold} }}
  - {{ name: lose-all, at: 7500ms, kill: {{ target: backend, take: all }}, hold: 500ms }}
objectives: {{ update: {{ new: {{ min_healthy: 2 }} }} }}
"
        );
        let drilled = FakeDrill::new(&method).run().await;
        let (new, lost) = (&drilled.judgement.steps[0], &drilled.judgement.steps[1]);
        let at = lost.dispatched_us.unwrap();
        assert!(new.acknowledged_us.unwrap() < at, "its call had returned");
        assert!(at < new.watch_end_us.unwrap(), "its watch was open");
        assert_eq!(new.update.as_ref().unwrap().min_healthy, Some(0), "{hold}");
        assert_eq!(drilled.judgement.verdict, Verdict::Fail);
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_has_settled_when_its_watch_is_over_though_it_is_kept() {
    for hold in ["", ", hold: 15s"] {
        let method = format!(
            "
steps:
  - {{ name: new, at: 6s, update: {{ target: backend, image: v2 }}{hold} }}
  - {{ name: hang, after: {{ new: settled }}, pause: {{ target: backend }}, hold: 1s }}
objectives: {{ update: {{ new: {{ within: 5s }} }} }}
"
        );
        let drilled = FakeDrill::new(&method).run().await;
        let (new, hang) = (&drilled.judgement.steps[0], &drilled.judgement.steps[1]);
        let (over, next) = (new.watch_end_us.unwrap(), hang.dispatched_us.unwrap());
        assert!(!new.shared, "{hold}");
        assert!((over..over + 100_000).contains(&next), "{over} {next}");
    }
}

/// Three steps due at the same moment, each for one of the three replicas.
const AT_ONCE: &str = "
steps:
  - { name: first, at: 6s, pause: { target: backend, take: 1 }, hold: 4s }
  - { name: second, at: 6s, pause: { target: backend, take: 1 }, hold: 4s }
  - { name: third, at: 6s, kill: { target: backend, take: 1 }, hold: 4s }
  - { name: later, after: { first: healed }, stop: { target: backend, take: all }, hold: 1s }
objectives: { availability: { at_least: 1% } }
";

#[tokio::test(start_paused = true)]
async fn steps_due_at_the_same_moment_take_no_replica_twice() {
    for seed in 0..4 {
        let mut drill = FakeDrill::new(AT_ONCE);
        drill.plan.seed = seed;
        let drilled = drill.run().await;
        let steps = &drilled.judgement.steps;
        let mut taken: Vec<_> = steps[..3].iter().flat_map(|s| &s.targets).collect();
        taken.sort();
        taken.dedup();
        assert_eq!(taken.len(), 3, "{steps:?}");
        assert!(steps.iter().all(|s| s.effect_us.is_some()), "{steps:?}");
        assert!(
            steps[3].targets.contains(&steps[0].targets[0]),
            "what was healed may be taken again: {steps:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_guard_counts_what_other_steps_have_just_taken() {
    let mut drill = FakeDrill::new(AT_ONCE);
    drill.plan.guards.keep_healthy = 2;
    let drilled = drill.run().await;
    let dispatched = drilled.events(|e| match e {
        Event::Dispatched { step, .. } => Some(step.clone()),
        _ => None,
    });
    assert_eq!(dispatched.len(), 1, "{dispatched:?}");
    let refused = drilled.events(|e| match e {
        Event::NotDispatched { code, why, .. } if code == "guard" => Some(why.clone()),
        _ => None,
    });
    assert!(refused.len() >= 2, "{refused:?}");
    assert!(
        refused[0].contains("taken by other steps: backend/"),
        "{refused:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_fault_without_a_hold_lasts_as_long_as_the_load() {
    let method = "
steps: [ { name: hang, at: 10s, pause: { target: backend } } ]
objectives: { failover: { hang: 3s } }
";
    let drilled = FakeDrill::new(method).run().await;
    passes(&drilled);
    let load_end = drilled.load().started_us + 32_000_000;
    assert!(drilled.judgement.steps[0].healed_us.unwrap() >= load_end);
}

#[tokio::test(start_paused = true)]
async fn an_abort_at_any_moment_mends_what_was_broken() {
    // Before, at and after the fault (+12.3 s on the run's clock), during the hold, while it is mended, at the end.
    for at_ms in [
        1, 50, 500, 3_000, 12_300, 12_320, 12_341, 13_000, 18_340, 18_360, 20_000, 32_299,
    ] {
        let mut drill = FakeDrill::new(LOSE_ONE).aborted_after(Duration::from_millis(at_ms));
        drill.keep_stack = at_ms % 1_000 != 0;
        let kept = drill.keep_stack;
        let drilled = drill.run().await;
        let told = format!("aborted at {at_ms} ms: {:?}", drilled.judgement.reasons);
        assert!(matches!(drilled.ended, Err(RunError::Aborted)), "{told}");
        assert_eq!(drilled.judgement.verdict, Verdict::Inconclusive, "{told}");
        assert!(drilled.judgement.recovery.clean, "{told}");
        assert!(drilled.recording.complete, "{told}");
        assert!(kept || drilled.left.is_empty(), "{told}");
        let owed = firedrill::restore::Owed::left_by(&drilled.recording.entries);
        assert!(owed.is_empty(), "{told}: {owed:?}");
    }
}
