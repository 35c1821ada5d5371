//! Stop conditions: met at the right time, acted upon at once, and a miss.

use std::time::Duration;

use firedrill::judge::Verdict;
use firedrill::model::Undo;
use firedrill::stack::FakeReply;
use firedrill::timeline::event::{Event, Level};

use super::bench::{Drilled, FakeDrill};
use super::moody::Mood;

const SECOND: i64 = 1_000_000;
/// Two faults, kept to the end of the load.
const BROKEN: &str = "
steps:
  - { name: first, at: 4s, pause: { target: backend }, hold: 24s }
  - { name: second, at: 6s, disconnect: { target: backend }, hold: 24s }
objectives: { availability: { at_least: 1% } }
";

fn drill(stop_when: &str) -> FakeDrill {
    FakeDrill::new(&format!("{BROKEN}stop_when: {stop_when}\n"))
}

/// From +10 s on every call is answered so.
fn from_ten(drill: FakeDrill, reply: FakeReply) -> FakeDrill {
    // The load's zero is 0.3 s after the run's, its warm-up takes 2 s.
    let from = Duration::from_millis(12_300);
    drill
        .world
        .script(move |_, since| (since >= from).then_some(reply));
    drill
}

/// When the run was stopped, µs after +10 s; it is mended, and a miss.
fn stopped(drilled: &Drilled, what: &str) -> i64 {
    let told = format!("{:#?}", drilled.judgement.reasons);
    drilled.ended.as_ref().unwrap();
    assert_eq!(drilled.codes()[0], "stopped", "{told}");
    assert_eq!(
        (drilled.judgement.verdict, drilled.judgement.exit_code),
        (Verdict::Fail, 1),
        "{told}"
    );
    assert!(!drilled.codes().contains(&"aborted"), "{told}");
    assert!(drilled.recording.complete && drilled.left.is_empty());
    let stop = drilled.judgement.stopped.as_ref().unwrap();
    assert_eq!(stop.condition, what);
    assert!(stop.undone_us.unwrap() < SECOND, "{stop:?}");
    let healed = drilled.events(|e| match e {
        Event::HealBegins { step } => Some(step.clone()),
        _ => None,
    });
    assert_eq!(healed, ["second", "first"], "the newest first");
    let load = drilled.load();
    stop.at_us - load.steps_zero_us - 10 * SECOND
}

#[tokio::test(start_paused = true)]
async fn a_share_of_bad_requests_stops_the_run() {
    let drill = from_ten(drill("{ bad_share: 80%, for: 5s }"), FakeReply::Status(500));
    let at = stopped(&drill.run().await, "bad_share");
    // Two of three replicas are lost for a second each before, so some of the stretch was bad already.
    assert!((3 * SECOND..4 * SECOND + 200_000).contains(&at), "{at}");
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_does_not_work_keeps_no_other_fault_in_place() {
    // Its hold ends before the breach, and its undo hangs until long after it.
    let method = BROKEN.replace(
        "hold: 24s }\n  - { name: second",
        "hold: 5s }\n  - { name: second",
    );
    let drill = FakeDrill::new(&format!("{method}stop_when: {{ wall_clock: 14s }}\n"));
    let drilled = drill
        .moody(|call| match (call.name, call.undo) {
            ("undo", Some(Undo::Unpaused { .. })) => Mood::Hangs,
            _ => Mood::Fine,
        })
        .run()
        .await;
    assert_eq!(drilled.judgement.exit_code, 4, "{:?}", drilled.codes());
    assert_eq!(drilled.codes()[1], "stopped", "{:?}", drilled.codes());
    let stop = drilled.judgement.stopped.as_ref().unwrap();
    let second = drilled.judgement.steps.iter().find(|s| s.name == "second");
    let healed = second.unwrap().verified_us.unwrap() - stop.at_us;
    assert!((0..SECOND).contains(&healed), "{healed}");
}

#[tokio::test(start_paused = true)]
async fn a_hang_is_a_gap_before_any_request_has_timed_out() {
    let mut drill = from_ten(drill("[ { longest_gap: 3s } ]"), FakeReply::Hang);
    drill.plan.load.as_mut().unwrap().timeout = Duration::from_secs(9);
    let at = stopped(&drill.run().await, "longest_gap");
    assert!(
        (3 * SECOND - 50_000..3 * SECOND + 150_000).contains(&at),
        "{at}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_percentile_stops_the_run_and_bad_is_slower_than_any() {
    let drill = drill("{ p60: 900ms, for: 2s }");
    let from = Duration::from_millis(12_300);
    drill
        .world
        .script(move |n, since| (since >= from && n.is_multiple_of(2)).then_some(FakeReply::Hang));
    // Each waits for its timeout of 1 s.
    let at = stopped(&drill.run().await, "p60");
    assert!((SECOND..3 * SECOND + 200_000).contains(&at), "{at}");
}

#[tokio::test(start_paused = true)]
async fn the_time_is_up() {
    let at = stopped(&drill("{ wall_clock: 12s }").run().await, "wall_clock");
    assert!((-SECOND..0).contains(&at), "{at}");
}

#[tokio::test(start_paused = true)]
async fn conditions_that_are_not_met_were_looked_at_all_the_time() {
    let harmless =
        "[ { bad_share: 80% }, { longest_gap: 4s }, { p50: 900ms }, { wall_clock: 10m } ]";
    let drilled = drill(harmless).run().await;
    assert_eq!(drilled.codes(), [] as [&str; 0]);
    assert_eq!(drilled.judgement.verdict, Verdict::Pass);
    let watched = drilled.events(|e| match e {
        Event::StopWatched {
            looks,
            longest_pause_us,
            unanswered,
            ..
        } => Some((*looks, *longest_pause_us, unanswered.len())),
        _ => None,
    });
    let [(looks, pause, 0)] = watched[..] else {
        panic!("{watched:?}");
    };
    assert!(looks >= 32 * 5 && pause <= 200_000, "{looks} {pause}");
}

#[tokio::test(start_paused = true)]
async fn few_bad_requests_at_the_start_stop_nothing() {
    let drill = drill("{ bad_share: 1%, for: 30s }");
    let script = |n: u64, _| (n < 4).then_some(FakeReply::Status(500));
    drill.world.script(script);
    let drilled = FakeDrill {
        selection: firedrill::run::Selection {
            no_faults: true,
            ..Default::default()
        },
        ..drill
    };
    let drilled = drilled.run().await;
    assert!(drilled.judgement.stopped.is_none());
    let warned = drilled.events(|e| match e {
        Event::Note {
            level: Level::Warning | Level::Error,
            text,
        } => Some(text.clone()),
        _ => None,
    });
    assert_eq!(warned, [] as [String; 0]);
}
