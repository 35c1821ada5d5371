//! A platform that deceives is found out: no lie of it is ever green.

use std::time::Duration;

use firedrill::judge::Verdict;
use firedrill::scenario::plan::{DetectionSource, Objective};
use firedrill::stack::{FakeReply, Lies};
use firedrill::timeline::event::Event;

use super::bench::{Drilled, FakeDrill, LOSE_ONE};

async fn deceived(method: &str, lies: Lies) -> Drilled {
    let drill = FakeDrill::new(method);
    drill.world.lie(lies);
    drill.run().await
}

fn expect(drilled: &Drilled, verdict: Verdict, code: &str) {
    let reasons = &drilled.judgement.reasons;
    assert_eq!(drilled.judgement.verdict, verdict, "{reasons:?}");
    assert!(drilled.codes().contains(&code), "{reasons:?}");
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_does_nothing_proves_nothing() {
    let lies = Lies {
        inert_faults: true,
        ..Lies::default()
    };
    let drilled = deceived(LOSE_ONE, lies).await;
    expect(&drilled, Verdict::Inconclusive, "no_effect");
    assert_eq!(drilled.judgement.exit_code, 3);
    assert_eq!(drilled.judgement.steps[0].effect_us, None);
}

#[tokio::test(start_paused = true)]
async fn a_proven_miss_stays_one_beside_a_fault_that_does_nothing() {
    let drill = FakeDrill::new(LOSE_ONE);
    drill.world.lie(Lies {
        inert_faults: true,
        ..Lies::default()
    });
    drill
        .world
        .script(|n, _| (n % 10 == 0).then_some(FakeReply::Status(500)));
    let drilled = drill.run().await;
    expect(&drilled, Verdict::Fail, "no_effect");
    assert_eq!(drilled.judgement.exit_code, 1);
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_fails_a_few_times_is_tried_again() {
    let lies = Lies {
        failing_undos: 3,
        ..Lies::default()
    };
    let drilled = deceived(LOSE_ONE, lies).await;
    let attempts = drilled.events(|e| match e {
        Event::Mended { attempts, .. } => Some(*attempts),
        _ => None,
    });
    // The kill's, and the stack's own.
    assert_eq!(attempts, [4, 1]);
    assert_eq!(
        drilled.judgement.verdict,
        Verdict::Pass,
        "{:?}",
        drilled.judgement.reasons
    );
}

#[tokio::test(start_paused = true)]
async fn an_undo_that_never_works_leaves_the_stack_broken() {
    let lies = Lies {
        failing_undos: u32::MAX,
        ..Lies::default()
    };
    let drilled = deceived(LOSE_ONE, lies).await;
    expect(&drilled, Verdict::LeftBroken, "left_broken");
    assert_eq!(drilled.judgement.exit_code, 4);
    assert!(!drilled.judgement.recovery.clean);
    assert!(drilled.left.is_empty(), "what can be taken down is");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_after_it_landed_is_mended_and_no_pass() {
    let lies = Lies {
        error_after_landing: true,
        ..Lies::default()
    };
    let mut drill = FakeDrill::new(LOSE_ONE);
    drill.keep_stack = true;
    drill.world.lie(lies);
    let drilled = drill.run().await;
    expect(&drilled, Verdict::Inconclusive, "call_failed");
    let step = &drilled.judgement.steps[0];
    assert!(step.effect_us.is_some(), "the engine saw it land");
    assert!(step.verified_us.is_some(), "it was mended all the same");
}

#[tokio::test(start_paused = true)]
async fn an_empty_selection_is_never_a_pass() {
    let method = "
steps:
  - { name: lose-all, at: 6s, kill: { target: backend, take: all }, hold: 8s }
  - { name: lose-more, at: 9s, kill: { target: backend }, hold: 2s }
objectives: { availability: { at_least: 1% } }
";
    let drilled = FakeDrill::new(method).run().await;
    expect(&drilled, Verdict::Inconclusive, "empty_selection");
    assert_eq!(drilled.judgement.steps[1].dispatched_us, None);
}

#[tokio::test(start_paused = true)]
async fn a_version_that_never_works_misses_its_update() {
    let method = "
steps: [ { name: new, at: 6s, update: { target: backend, image: broken } } ]
objectives: { update: { new: { within: 10s, lost: 0 } } }
";
    let lies = Lies {
        broken_version: Some("broken".into()),
        ..Lies::default()
    };
    let drilled = deceived(method, lies).await;
    expect(&drilled, Verdict::Fail, "objective_missed");
    assert!(drilled.judgement.recovery.clean, "the old version is back");
}

#[tokio::test(start_paused = true)]
async fn a_restart_policy_is_seen_to_work_and_seen_to_fail() {
    let drill = |revives_after| {
        let mut drill = FakeDrill::new(LOSE_ONE);
        drill.plan.steps[0].hold = None;
        drill.world.lie(Lies {
            revives_after,
            ..Lies::default()
        });
        drill.run()
    };
    let healed = drill(Some(Duration::from_secs(2))).await;
    let step = &healed.judgement.steps[0];
    assert_eq!(
        healed.judgement.verdict,
        Verdict::Pass,
        "{:?}",
        healed.judgement.reasons
    );
    let alone = step.healed_us.unwrap() - step.effect_us.unwrap();
    assert!((2_000_000..2_200_000).contains(&alone), "{alone}");
    let never = drill(None).await;
    let mended = never.judgement.steps[0].healed_us.unwrap();
    let load_end = never.load().started_us + 32_000_000;
    assert!(mended >= load_end, "nobody but firedrill started it again");
    assert!(never.judgement.recovery.clean);
}

#[tokio::test(start_paused = true)]
async fn what_an_engine_said_while_nobody_could_hear_it_is_missing() {
    let by_health = |unheard: Option<Duration>| async move {
        let mut drill = FakeDrill::new(LOSE_ONE);
        drill.plan.objectives.push(Objective::Detection {
            step: "lose-one".to_owned(),
            source: DetectionSource::Health,
            within: Duration::from_secs(2),
        });
        let world = drill.world.clone();
        if let Some(length) = unheard {
            tokio::spawn(async move {
                // A second after the kill.
                tokio::time::sleep(Duration::from_millis(13_300)).await;
                world.unheard(length);
            });
        }
        drill.run().await
    };
    let heard = by_health(None).await;
    assert_eq!(heard.judgement.verdict, Verdict::Pass);
    let drilled = by_health(Some(Duration::from_millis(1_500))).await;
    assert_eq!(drilled.judgement.verdict, Verdict::Inconclusive);
    let open = drilled.judgement.objectives.iter();
    let open = open.filter(|o| o.verdict == Verdict::Inconclusive);
    let open: Vec<String> = open
        .map(|o| format!("{} {:?}", o.objective, o.evidence))
        .collect();
    assert!(
        open.len() == 1 && open[0].starts_with("detection"),
        "{open:?}"
    );
    assert!(
        open[0].contains("engine did not answer for 1.5 s"),
        "{open:?}"
    );
}
