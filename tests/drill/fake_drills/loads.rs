//! Several loads in one drill: under way together, told apart in every figure.

use std::time::Duration;

use firedrill::judge::Verdict;
use firedrill::judge::result::LoadResults;
use firedrill::model::Rate;

use super::bench::{Drilled, FakeDrill};

/// `readers` come 100 a second for 30 s after 2 s of warm-up; `writers` 10 a second for 20 s after 1 s.
fn drill(method: &str) -> FakeDrill {
    let mut drill = FakeDrill::new(method);
    let mut readers = drill.plan.load.take().expect("the bench has a load");
    "read".clone_into(&mut readers.journeys[0].name);
    let mut writers = readers.clone();
    "write".clone_into(&mut writers.journeys[0].name);
    writers.warmup = Duration::from_secs(1);
    let stage = &mut writers.stages[0];
    let slow = Rate::per_second(10.0).unwrap();
    (stage.from, stage.to) = (slow, slow);
    stage.length = Duration::from_secs(20);
    drill.plan.loads = vec![("readers".into(), readers), ("writers".into(), writers)];
    drill
}

fn of<'d>(drilled: &'d Drilled, load: &str) -> &'d firedrill::judge::result::LoadResult {
    let loads = drilled.judgement.load.as_ref().expect("loads");
    loads.named(Some(load)).expect("a load of this name")
}

#[tokio::test(start_paused = true)]
async fn warm_ups_end_together_and_every_request_is_told_apart() {
    let drilled = drill("objectives: { availability: { at_least: 99% } }")
        .run()
        .await;
    assert_eq!(
        drilled.judgement.verdict,
        Verdict::Pass,
        "{:#?}",
        drilled.judgement.reasons
    );
    assert!(matches!(
        drilled.judgement.load,
        Some(LoadResults::Several(_))
    ));
    let (readers, writers) = (of(&drilled, "readers"), of(&drilled, "writers"));
    assert_eq!(readers.steps_zero_us, writers.steps_zero_us);
    assert_eq!(readers.steps_zero_us - readers.started_us, 2_000_000);
    assert_eq!(writers.steps_zero_us - writers.started_us, 1_000_000);
    assert_eq!((readers.arrivals, writers.arrivals), (3_200, 210));
    assert_eq!((readers.asked, writers.asked), (3_200, 210));
    assert_eq!(
        (readers.not_reached, writers.not_reached),
        (Some(0), Some(0))
    );
    assert_eq!(
        (readers.achieved_rate, writers.achieved_rate),
        (100.0, 10.0)
    );
    let run = |load: &firedrill::judge::result::LoadResult| {
        let run = load.window("run").expect("a run");
        (run.all.requests, run.journeys.keys().cloned().collect())
    };
    assert_eq!(run(readers), (3_000, vec!["read".to_owned()]));
    assert_eq!(run(writers), (200, vec!["write".to_owned()]));
    let writers_end = writers.window("run").unwrap().to_us;
    assert_eq!(writers_end - writers.steps_zero_us, 20_000_000);
    // The judgement reads back as it was written.
    let written = serde_json::to_value(&drilled.judgement).unwrap();
    assert!(written["load"]["readers"]["windows"].is_array());
    let read = serde_json::from_value(written).unwrap();
    assert_eq!(drilled.judgement, read);
}

#[tokio::test(start_paused = true)]
async fn an_objective_may_be_about_one_load() {
    // The writers are gone when the backend dies.
    let mut drill = drill(
        "
steps:
  - { name: lose-one, at: 22s, kill: { target: backend }, hold: 3s }
objectives:
  availability: [ { at_least: 100% } ]
  lost: { lose-one: 0 }
  failover: { lose-one: 3s }
",
    );
    for objective in &mut drill.plan.objectives {
        use firedrill::scenario::plan::{Objective, Of};
        match objective {
            Objective::Availability { of, .. } => *of = Of::Load("writers".into()),
            Objective::Lost { of, .. } => *of = Of::Load("readers".into()),
            Objective::Failover { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    let drilled = drill.run().await;
    let [writers, failover, readers] = &drilled.judgement.objectives[..] else {
        panic!("{:?}", drilled.judgement.objectives)
    };
    assert_eq!(writers.of.as_deref(), Some("writers"));
    assert_eq!(
        (writers.samples, writers.observed),
        (200, Some(firedrill::judge::result::Figure::Share(1.0)))
    );
    assert_eq!(readers.verdict, Verdict::Fail, "{readers:?}");
    // Nobody was to come of the writers any more: they have nothing to tell.
    assert_eq!(
        (failover.verdict, failover.worst.as_deref()),
        (Verdict::Pass, Some("read"))
    );
    let bad = of(&drilled, "readers").window("lose-one").unwrap().all.bad;
    assert!(bad > 0);
    assert_eq!(of(&drilled, "writers").window("run").unwrap().all.bad, 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_load_that_is_over_had_unanswered_at_the_fault_counts() {
    // The fault comes 10 ms after the writers' last request fell due, which is still unanswered then, and ends badly.
    let mut drilled = drill(
        "
steps:
  - { name: lose-one, at: 20s, kill: { target: backend }, hold: 3s }
objectives:
  failover: { lose-one: 3s }
",
    )
    .run()
    .await;
    let dispatched = drilled.judgement.steps[0]
        .dispatched_us
        .expect("a dispatch");
    let mut requests = drilled.recording.requests.iter_mut();
    let last = requests.rfind(|r| r.journey == 1);
    let last = last.expect("writers");
    assert!(last.due_us < dispatched);
    (last.outcome, last.good) = (firedrill::model::Outcome::Timeout, false);
    last.done_us = dispatched + 5_000_000;
    let judged = firedrill::judge::judge(&drilled.plan, &drilled.recording);
    let failover = &judged.objectives[0];
    assert_ne!(failover.verdict, Verdict::Pass, "{failover:?}");
    assert_eq!(failover.worst.as_deref(), Some("write"));
}

#[tokio::test(start_paused = true)]
async fn a_load_that_was_not_all_asked_proves_nothing() {
    let mut drilled = drill("objectives: { availability: { at_least: 99% } }")
        .run()
        .await;
    // A reader's arrival in a writer's place: the sum is right, each load is not.
    let writer = drilled
        .recording
        .requests
        .iter_mut()
        .find(|r| r.journey == 1);
    writer.expect("writers").journey = 0;
    let judged = firedrill::judge::judge(&drilled.plan, &drilled.recording);
    assert_eq!(judged.verdict, Verdict::Inconclusive);
    let reasons: Vec<_> = judged.reasons.iter().map(|r| r.message.as_str()).collect();
    assert!(
        reasons.contains(&"210 arrivals of writers were planned, 209 became due"),
        "{reasons:?}"
    );
}
