//! What an operator does to a drill that is under way, and what the verdict makes of it.

use std::time::Duration;

use firedrill::judge::Verdict;
use firedrill::model::{Act, Action, Prediction, Signal, Take};
use firedrill::stack::Lies;
use firedrill::timeline::event::{Event, Level};

use super::bench::{Drilled, FakeDrill, LOSE_ONE};
use super::moody::Mood;

const SECOND: i64 = 1_000_000;

/// So long after the run's zero. The warm-up ends at 2.34 s, `lose-one` is dispatched at 12.34 s and healed at 18.38 s.
fn after(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn step() -> String {
    "lose-one".to_owned()
}

fn dispatched(drilled: &Drilled) -> f64 {
    drilled.judgement.steps[0].dispatched_us.unwrap() as f64 / 1e6
}

fn healed(drilled: &Drilled) -> f64 {
    drilled.judgement.steps[0].healed_us.unwrap() as f64 / 1e6
}

/// What the run said about what it did not do.
fn warnings(drilled: &Drilled) -> Vec<String> {
    drilled.events(|e| match e {
        Event::Note {
            level: Level::Warning,
            text,
        } => Some(text.clone()),
        _ => None,
    })
}

fn whole(drilled: &Drilled) {
    assert!(drilled.left.is_empty() && drilled.judgement.recovery.clean);
    let load = drilled.load();
    let recorded = drilled.recording.requests.len() as u64;
    assert_eq!(load.asked, recorded, "every request is accounted for");
}

fn passed(drilled: &Drilled) {
    let verdict = drilled.judgement.verdict;
    assert_eq!(verdict, Verdict::Pass, "{:?}", drilled.judgement.reasons);
    whole(drilled);
}

fn kill(take: Take) -> Act {
    Act::Break {
        step: String::new(),
        action: Box::new(Action::Kill {
            target: "backend".to_owned(),
            take,
            signal: Signal::SigKill,
        }),
        hold_us: 4 * SECOND,
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_is_fired_before_its_time() {
    let fire = Act::Fire { step: step() };
    let drilled = FakeDrill::new(LOSE_ONE).with(after(6.0), fire).run().await;
    assert!((dispatched(&drilled) - 6.0).abs() < 0.01);
    passed(&drilled);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_fired_under_another_load_than_at_its_time_proves_nothing() {
    let mut drill = FakeDrill::new(LOSE_ONE).with(after(6.0), Act::Fire { step: step() });
    let load = drill.plan.load.as_mut().unwrap();
    let mut later = load.stages[0];
    load.stages[0].length = Duration::from_secs(9);
    load.stages[0].from = "20/s".parse().unwrap();
    later.length = Duration::from_secs(21);
    load.stages.push(later);
    let drilled = drill.run().await;
    let codes = drilled.codes();
    assert!(codes.contains(&"fired_early"), "{codes:?}");
    assert_eq!(drilled.judgement.verdict, Verdict::Inconclusive);
    whole(&drilled);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_was_to_meet_another_and_is_fired_before_it_proves_nothing() {
    let both = LOSE_ONE.replace(
        "objectives:",
        "  - { name: hang, at: 12s, pause: { target: backend }, hold: 2s }\nobjectives:",
    );
    let fire = Act::Fire {
        step: "hang".to_owned(),
    };
    let drilled = FakeDrill::new(&both).with(after(6.0), fire).run().await;
    let codes = drilled.codes();
    assert!(codes.contains(&"fired_early"), "{codes:?}");
    assert_eq!(drilled.judgement.verdict, Verdict::Inconclusive);
    whole(&drilled);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_skipped_proves_nothing() {
    let skip = Act::Skip { step: step() };
    let drilled = FakeDrill::new(LOSE_ONE).with(after(6.0), skip).run().await;
    assert_eq!(drilled.judgement.verdict, Verdict::Inconclusive);
    assert!(
        drilled.codes().contains(&"skipped"),
        "{:?}",
        drilled.codes()
    );
    whole(&drilled);
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_is_healed_early_proves_nothing_more() {
    let heal = Act::Heal { step: step() };
    let drilled = FakeDrill::new(LOSE_ONE).with(after(14.0), heal).run().await;
    assert!(
        (healed(&drilled) - 14.04).abs() < 0.1,
        "{}",
        healed(&drilled)
    );
    assert_eq!(drilled.judgement.verdict, Verdict::Inconclusive);
    assert!(
        drilled.codes().contains(&"healed_early"),
        "{:?}",
        drilled.codes()
    );
    whole(&drilled);
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_is_kept_longer_is_another_one() {
    let extend = || Act::Extend {
        step: step(),
        by_us: 3 * SECOND,
    };
    let drilled = FakeDrill::new(LOSE_ONE)
        .with(after(14.0), extend())
        .with(after(15.0), extend())
        .run()
        .await;
    assert!(
        (healed(&drilled) - 24.42).abs() < 0.1,
        "{}",
        healed(&drilled)
    );
    assert_eq!(
        drilled.judgement.verdict,
        Verdict::Inconclusive,
        "{:?}",
        drilled.codes()
    );
    whole(&drilled);
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_stands_still_goes_on_where_it_stood() {
    let drilled = FakeDrill::new(LOSE_ONE)
        .with(after(7.0), Act::Pause)
        .with(after(14.0), Act::Pause)
        .with(after(15.0), Act::Resume)
        .run()
        .await;
    assert_eq!(warnings(&drilled), ["the schedule stands still already"]);
    assert!((dispatched(&drilled) - 20.34).abs() < 0.01);
    assert_eq!(
        drilled.judgement.verdict,
        Verdict::Inconclusive,
        "{:?}",
        drilled.judgement.reasons
    );
    // 32 s of 100/s, and the 8 s for which it stood still.
    assert_eq!(drilled.load().arrivals, 4_000);
    whole(&drilled);
}

#[tokio::test(start_paused = true)]
async fn another_rate_proves_nothing() {
    for (factor, arrivals) in [(2.0, 4_200..4_250), (0.5, 2_680..2_710)] {
        let drilled = FakeDrill::new(LOSE_ONE)
            .with(after(22.0), Act::Rate { factor })
            .run()
            .await;
        assert_eq!(drilled.codes(), ["pace_changed"]);
        assert_eq!(drilled.judgement.verdict, Verdict::Inconclusive);
        let seen = drilled.load().arrivals;
        assert!(arrivals.contains(&seen), "{seen}");
        whole(&drilled);
    }
}

#[tokio::test(start_paused = true)]
async fn what_ends_at_its_own_limit_is_not_kept_longer() {
    let cut = Act::Break {
        step: String::new(),
        action: Box::new(Action::Partition {
            target: "backend".to_owned(),
            take: Take::Count(1),
            from: None,
        }),
        hold_us: 4 * SECOND,
    };
    let extend = |step: &str| Act::Extend {
        step: step.to_owned(),
        by_us: 3 * SECOND,
    };
    let restart = LOSE_ONE.replace(
        "kill: { target: backend }, hold: 6s",
        "restart: { target: backend }",
    );
    let drilled = FakeDrill::new(&restart)
        .with(after(14.0), extend("lose-one"))
        .with(after(24.0), cut)
        .with(after(25.0), extend("adhoc-1"))
        .run()
        .await;
    let warned = warnings(&drilled);
    assert!(warned[0].contains("lose-one has no hold"), "{warned:?}");
    assert!(
        warned[1].contains("carries its own time limit"),
        "{warned:?}"
    );
    let adhoc = &drilled.judgement.steps[1];
    let held = adhoc.healed_us.unwrap() - adhoc.dispatched_us.unwrap();
    assert!((held - 4 * SECOND).abs() < SECOND / 5, "{held}");
    whole(&drilled);
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_the_scenario_does_not_have_is_a_step_like_any_other() {
    let drilled = FakeDrill::new(LOSE_ONE)
        .with(after(24.0), kill(Take::Count(1)))
        .run()
        .await;
    let adhoc = &drilled.judgement.steps[1];
    assert_eq!(
        (adhoc.name.as_str(), adhoc.action.as_str()),
        ("adhoc-1", "kill")
    );
    let (dispatched, healed) = (adhoc.dispatched_us.unwrap(), adhoc.healed_us.unwrap());
    assert!((dispatched - 24 * SECOND).abs() < SECOND / 100);
    assert!((healed - dispatched - 4 * SECOND).abs() < SECOND / 5);
    assert!(adhoc.verified_us.is_some() && adhoc.failover.as_ref().unwrap().all.bad > 0);
    let owed = drilled.events(|e| match e {
        Event::Owed { step, .. } => step.clone(),
        _ => None,
    });
    assert_eq!(owed, ["lose-one", "adhoc-1"]);
    // It may as well have mended what the drill's own fault had broken.
    assert_eq!(drilled.codes(), ["fault_added"]);
    assert_eq!(drilled.judgement.verdict, Verdict::Inconclusive);
    whole(&drilled);
}

#[tokio::test(start_paused = true)]
async fn guards_hold_for_it_as_for_any_other() {
    let guarded = format!("guards: {{ keep_healthy: 1 }}\n{LOSE_ONE}");
    let drilled = FakeDrill::new(&guarded)
        .with(after(24.0), kill(Take::All))
        .run()
        .await;
    let refused = drilled.events(|e| match e {
        Event::NotDispatched { step, code, .. } => Some((step.clone(), code.clone())),
        _ => None,
    });
    assert_eq!(refused, [("adhoc-1".to_owned(), "guard".to_owned())]);
    whole(&drilled);
}

#[tokio::test(start_paused = true)]
async fn one_that_the_load_ends_before_its_time_is_healed_then() {
    let drilled = FakeDrill::new(LOSE_ONE)
        .with(after(31.0), kill(Take::Count(1)))
        .run()
        .await;
    let adhoc = &drilled.judgement.steps[1];
    assert!(adhoc.verified_us.unwrap() < 34 * SECOND);
    whole(&drilled);
}

#[tokio::test(start_paused = true)]
async fn what_people_expected_and_said_is_held_against_the_facts() {
    let prediction = |failover_us, lost| Prediction {
        failover_us: Some(failover_us),
        lost: Some(lost),
        alerts: Some(vec!["BackendDown".to_owned()]),
    };
    let predict = |failover_us, lost| Act::Predict {
        step: step(),
        prediction: prediction(failover_us, lost),
    };
    let note = |text: &str| Act::Note {
        text: text.to_owned(),
    };
    let drilled = FakeDrill::new(LOSE_ONE)
        .with(after(1.0), predict(9 * SECOND, 0))
        .with(after(5.0), predict(2 * SECOND, 7))
        .with(after(14.34), note("nginx still\u{1b}[31m sends to .2?"))
        .with(after(16.0), Act::Acknowledge)
        // What is known is no prediction.
        .with(after(17.0), predict(SECOND, 34))
        .with(after(18.0), note("   "))
        .run()
        .await;
    assert_eq!(
        drilled.judgement.verdict,
        Verdict::Pass,
        "{:?}",
        drilled.codes()
    );
    let said = drilled.judgement.after_action.as_ref().unwrap();
    let [prediction] = said.predictions.as_slice() else {
        panic!("{:?}", said.predictions);
    };
    let parts: Vec<_> = prediction
        .parts
        .iter()
        .map(|p| (p.what.as_str(), p.held))
        .collect();
    // 34 were lost; and no Prometheus was asked what fired.
    assert_eq!(
        parts,
        [
            ("failover", Some(true)),
            ("lost", Some(false)),
            ("alerts", None)
        ]
    );
    assert_eq!(said.notes.len(), 1);
    assert_eq!(said.notes[0].text, "nginx still [31m sends to .2?");
    let [noticed] = said.noticed.as_slice() else {
        panic!("{:?}", said.noticed);
    };
    assert_eq!(noticed.by.as_deref(), Some("note"));
    assert!((noticed.after_us.unwrap() - 2 * SECOND).abs() < SECOND / 100);
    let warned = warnings(&drilled);
    assert_eq!(warned.len(), 2, "{warned:?}");
    assert!(warned[0].contains("too late to predict"), "{warned:?}");
    whole(&drilled);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_done_is_said_and_changes_nothing() {
    let fire = |step: &str| Act::Fire {
        step: step.to_owned(),
    };
    let drilled = FakeDrill::new(LOSE_ONE)
        .with(after(1.0), fire("lose-one"))
        .with(after(5.0), fire("lose-two"))
        .with(after(5.5), Act::Heal { step: step() })
        .with(after(13.0), fire("lose-one"))
        .with(after(13.5), Act::Skip { step: step() })
        .with(after(26.0), Act::Heal { step: step() })
        .with(after(27.0), Act::Rate { factor: 0.0 })
        .with(after(28.0), Act::Resume)
        .run()
        .await;
    let warned = warnings(&drilled);
    let wanted = [
        "fire lose-one was not done: no drill is under way",
        "there is no step lose-two",
        "lose-one: its fault is not on yet",
        "lose-one: its time has come already",
        "lose-one: its time has come already",
        "lose-one: its fault is not on any more",
        "the rate can be from 0.01 to 100 times",
        "the schedule goes on already",
    ];
    assert_eq!(warned.len(), wanted.len(), "{warned:#?}");
    for (warned, wanted) in warned.iter().zip(wanted) {
        assert!(warned.contains(wanted), "{warned}");
    }
    assert!((dispatched(&drilled) - 12.34).abs() < 0.01);
    passed(&drilled);
}

#[tokio::test(start_paused = true)]
async fn a_fault_without_a_hold_is_healed_by_hand() {
    let stays = LOSE_ONE.replace(
        "kill: { target: backend }, hold: 6s",
        "stop: { target: backend }",
    );
    let heal = Act::Heal { step: step() };
    let drilled = FakeDrill::new(&stays).with(after(14.0), heal).run().await;
    assert!(
        (healed(&drilled) - 14.0).abs() < 0.2,
        "{}",
        healed(&drilled)
    );
    assert!(
        drilled.codes().contains(&"healed_early"),
        "{:?}",
        drilled.codes()
    );
    assert_eq!(drilled.judgement.verdict, Verdict::Inconclusive);
    whole(&drilled);
}

#[tokio::test(start_paused = true)]
async fn a_fault_whose_effect_nobody_reports_is_healed_by_hand_at_once() {
    let drill = FakeDrill::new(LOSE_ONE).with(after(13.0), Act::Heal { step: step() });
    drill.world.lie(Lies {
        inert_faults: true,
        ..Lies::default()
    });
    let drilled = drill.run().await;
    assert!(
        (healed(&drilled) - 13.0).abs() < 0.2,
        "{}",
        healed(&drilled)
    );
    whole(&drilled);
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_once_the_load_is_over_is_not_done_and_not_said_to_be() {
    let drilled = FakeDrill::new(LOSE_ONE)
        .moody(|call| match call.name {
            "undo" => Mood::Late(Duration::from_secs(20)),
            _ => Mood::Fine,
        })
        .with(after(33.5), kill(Take::Count(1)))
        .with(after(33.5), Act::Rate { factor: 2.0 })
        .run()
        .await;
    assert_eq!(
        drilled.events(|e| matches!(e, Event::Operated(_)).then_some(())),
        []
    );
    assert_eq!(
        warnings(&drilled)
            .iter()
            .filter(|w| w.contains("no drill is under way"))
            .count(),
        2
    );
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_nobody_can_let_go_on_goes_on() {
    let mut drill = FakeDrill::new(LOSE_ONE).with(after(7.0), Act::Pause);
    drill.deserted = true;
    let drilled = drill.run().await;
    assert!(
        (dispatched(&drilled) - 12.34).abs() < 0.01,
        "{}",
        dispatched(&drilled)
    );
    whole(&drilled);
}
