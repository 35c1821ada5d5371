//! Whole drills on the stack in memory, exact to the microsecond, whatever the machine does meanwhile.
#![expect(
    clippy::unwrap_used,
    reason = "what a test needs and does not get fails it"
)]

mod acts;
mod bench;
mod deletions;
mod guards;
mod incidents;
mod interruptions;
mod lies;
mod loads;
mod method;
mod monitored_stops;
mod moody;
mod pending_alerts;
mod stops;
mod tools;

use std::fs;

use firedrill::judge::Verdict;
use firedrill::timeline::event::Event;

use bench::{Drilled, FakeDrill, LOSE_ONE};

#[tokio::test(start_paused = true)]
async fn a_backend_is_lost_and_every_figure_is_exact() {
    let drilled = FakeDrill::new(LOSE_ONE).run().await;
    drilled.ended.as_ref().unwrap();
    assert_eq!(
        drilled.judgement.verdict,
        Verdict::Pass,
        "{:?}",
        drilled.judgement.reasons
    );
    assert!(drilled.left.is_empty() && drilled.recording.complete);
    let load = drilled.load();
    // A refused connection takes no byte of a request.
    assert_eq!((load.asked, load.sent, load.dropped), (3_200, 3_166, 0));
    let step = &drilled.judgement.steps[0];
    let dispatched = load.steps_zero_us + 10_000_000;
    assert_eq!(step.dispatched_us, Some(dispatched));
    assert_eq!(step.effect_us, Some(dispatched + 40_000));
    assert_eq!(step.healed_us, Some(dispatched + 6_080_000));
    let figures = &step.failover.as_ref().unwrap().all;
    // The edge goes on sending every third call to the dead backend for the second that it needs to notice.
    assert_eq!((figures.bad, figures.episodes), (34, Some(1)));
    assert_eq!((figures.exposed, figures.masked), (Some(true), false));
    let failover = figures.failover_us.unwrap();
    assert!((1_000_000..1_080_000).contains(&failover), "{failover}");
    assert_eq!(figures.by_outcome["refused"], 34);
}

/// The journal without what no two runs share: the first line, which holds the start time and the run's id.
fn common(drilled: &Drilled) -> (Vec<String>, Vec<u8>) {
    let journal = fs::read_to_string(drilled.dir.journal()).unwrap();
    let lines: Vec<String> = journal.lines().skip(1).map(str::to_owned).collect();
    assert!(lines.len() > 20, "{journal}");
    (lines, fs::read(drilled.dir.requests()).unwrap())
}

/// Most of what a scenario can ask of a fake stack, some of it at the same moment.
const BUSY: &str = "
steps:
  - { name: hang, at: 4s, pause: { target: backend }, hold: 2s }
  - { name: lose-two, after: { hang: settled, wait: 500ms }, kill: { target: backend, take: 2 }, hold: 3s }
  - { name: cut-off, at: 12s, disconnect: { target: backend }, hold: 2s }
  - { name: stop-one, after: { cut-off: healed }, stop: { target: backend }, hold: 1s }
  - { name: new, at: 20s, update: { target: backend, image: v2 } }
objectives:
  availability: { at_least: 50% }
";

#[tokio::test(start_paused = true)]
async fn two_runs_of_one_plan_and_seed_are_recorded_alike() {
    let one = common(&FakeDrill::new(BUSY).run().await);
    for _ in 0..3 {
        let other = common(&FakeDrill::new(BUSY).run().await);
        for (line, other) in one.0.iter().zip(&other.0) {
            assert_eq!(line, other);
        }
        assert_eq!(one.0.len(), other.0.len());
        assert!(one.1 == other.1, "requests.bin differs");
    }
}

#[tokio::test(start_paused = true)]
async fn another_seed_takes_other_victims() {
    let mut taken = std::collections::BTreeSet::new();
    for seed in 0..6 {
        let mut drill = FakeDrill::new(LOSE_ONE);
        drill.plan.seed = seed;
        let drilled = drill.run().await;
        taken.extend(drilled.events(|e| match e {
            Event::Dispatched { targets, .. } => Some(targets[0].index),
            _ => None,
        }));
    }
    assert!(taken.len() > 1, "{taken:?}");
}
