//! Ended early while something hangs, panics or is still on its way: mended and closed all the same.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use firedrill::judge::Verdict;
use firedrill::model::{Component, Undo};
use firedrill::run::RunError;
use firedrill::stack::{FakeStack, FakeWorld, Stack};
use firedrill::timeline::event::Event;

use super::bench::{Drilled, FakeDrill, LOSE_ONE};
use super::moody::Mood;
use crate::stacks::context;

const SECOND: i64 = 1_000_000;

/// Runs it to its end, which comes.
async fn ended(drill: FakeDrill) -> Drilled {
    let patience = Duration::from_secs(24 * 3600);
    tokio::time::timeout(patience, drill.run())
        .await
        .unwrap_or_else(|_| panic!("it never ends"))
}

/// What stands in the world once all that was on its way has arrived.
async fn at_last(world: FakeWorld) -> Vec<Component> {
    tokio::time::sleep(Duration::from_secs(60)).await;
    let stack = FakeStack::new(world, context(Path::new("/nowhere"), "after"));
    stack.components().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_call_that_lands_after_the_abort_is_undone_all_the_same() {
    for action in [
        "kill: { target: backend }",
        "pause: { target: backend }",
        "disconnect: { target: backend }",
        "stop: { target: backend, grace: 1s }",
    ] {
        let method = LOSE_ONE.replace("kill: { target: backend }", action);
        let mut drill = FakeDrill::new(&method)
            .moody(|call| match call.name {
                "apply" => Mood::Late(Duration::from_secs(2)),
                _ => Mood::Fine,
            })
            // The call is made at 12.34 s.
            .aborted_after(Duration::from_millis(12_500));
        drill.keep_stack = true;
        let world = drill.world.clone();
        let drilled = ended(drill).await;
        assert!(matches!(drilled.ended, Err(RunError::Aborted)), "{action}");
        let mended = drilled.judgement.steps[0].verified_us.unwrap();
        assert!(
            mended < 15 * SECOND,
            "{action}: not longer than the call takes, but {mended}"
        );
        let replicas = at_last(world).await;
        assert_eq!(replicas.len(), 3);
        assert!(
            replicas.iter().all(Component::healthy),
            "{action}: {replicas:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_returns_does_not_hold_up_the_abort() {
    let drill = FakeDrill::new(LOSE_ONE)
        .moody(|call| match call.name {
            "apply" => Mood::Hangs,
            _ => Mood::Fine,
        })
        .aborted_after(Duration::from_secs(13));
    let drilled = ended(drill).await;
    let mended = drilled.judgement.steps[0].verified_us.unwrap();
    assert!(mended < 19 * SECOND, "{mended}");
    assert!(drilled.judgement.recovery.clean && drilled.left.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_abort_waits_for_no_platform_that_does_not_answer() {
    // The call that hangs, how many of its name do not before it, and when the abort comes.
    for (name, nth, at) in [
        ("owned", 0, 1),
        ("up", 0, 1),
        ("components", 0, 1),
        ("skew_ns", 0, 1),
        ("addresses", 0, 1),
        ("watch", 0, 1),
        ("components", 1, 20),
        ("prepare", 0, 20),
        ("verify", 0, 20),
    ] {
        let calls = AtomicU32::new(0);
        let drill = FakeDrill::new(LOSE_ONE)
            .moody(move |call| {
                let hangs = call.name == name && calls.fetch_add(1, Ordering::Relaxed) == nth;
                if hangs { Mood::Hangs } else { Mood::Fine }
            })
            .aborted_after(Duration::from_secs(at));
        let drilled = ended(drill).await;
        let told = format!("{name}: {:?}", drilled.judgement.reasons);
        assert!(matches!(drilled.ended, Err(RunError::Aborted)), "{told}");
        assert_eq!(drilled.judgement.verdict, Verdict::Inconclusive, "{told}");
        assert!(
            drilled.recording.complete && drilled.left.is_empty(),
            "{told}"
        );
    }
}

/// A fault of each kind on a replica of its own, and a fourth step, at whose time firedrill itself fails.
const PANIC: &str = "
steps:
  - { name: kill, at: 4s, kill: { target: backend }, hold: 20s }
  - { name: pause, at: 5s, pause: { target: backend }, hold: 20s }
  - { name: cut, at: 6s, disconnect: { target: backend }, hold: 20s }
  - { name: bug, at: 8s, scale: { target: backend, replicas: 4 }, hold: 1s }
objectives: { availability: { at_least: 1% } }
";

#[tokio::test(start_paused = true)]
async fn after_a_panic_each_fault_is_mended_whatever_the_mending_of_the_others_does() {
    let prepared = AtomicU32::new(0);
    let drill = FakeDrill::new(PANIC).moody(move |call| match (call.name, call.undo) {
        ("prepare", _) if prepared.fetch_add(1, Ordering::Relaxed) == 3 => Mood::Panics,
        ("undo", Some(Undo::Connected { .. })) | ("logs", _) => Mood::Panics,
        ("undo", Some(Undo::Unpaused { .. })) => Mood::Hangs,
        _ => Mood::Fine,
    });
    let drilled = ended(drill).await;
    assert!(
        matches!(drilled.ended, Err(RunError::Panic(_))),
        "{:?}",
        drilled.ended
    );
    assert_eq!(drilled.judgement.exit_code, 4);
    let left = &drilled.judgement.recovery.left;
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.iter().any(|l| l.contains("undo panics")), "{left:?}");
    assert!(
        left.iter().any(|l| l.contains("did not answer")),
        "{left:?}"
    );
    let killed = drilled
        .recording
        .entries
        .iter()
        .find_map(|e| match &e.event {
            Event::Mended { id, .. } if *id == 2 => Some(e.at_us),
            _ => None,
        });
    // The first undo owed is the stack's own, the second the kill's; the bug comes at 10.34 s.
    assert!(killed.unwrap() < 12 * SECOND, "{killed:?}");
    assert!(drilled.left.is_empty(), "the stack is taken down");
    assert!(drilled.recording.complete);
}
