//! What an operator makes of the rate while the load runs.

use super::super::testing::{KILLED, S, STARTED, STEP, Script, ZERO, plan_with};
use super::super::{Judgement, Verdict, as_run, judge};
use super::{codes, refuse};
use crate::model::{PaceChange, RequestRecord};
use crate::scenario::Plan;
use crate::timeline::event::Event;

const OBJECTIVES: &str = "availability: { at_least: 99% }\nfailover: { lose-one: 2s }";

fn change(at_us: i64, factor: f64, held: bool) -> PaceChange {
    PaceChange {
        at_us,
        factor,
        held,
    }
}

/// The usual drill as callers came with these changes, which the recording tells of.
fn drilled(changes: &[PaceChange]) -> (Plan, Script) {
    drilled_by(plan_with(STEP, OBJECTIVES), changes)
}

fn drilled_by(plan: Plan, changes: &[PaceChange]) -> (Plan, Script) {
    let paced = Plan {
        pace: changes
            .iter()
            .copied()
            .collect::<crate::model::Pace>()
            .counted_from(STARTED),
        ..plan.clone()
    };
    let script = Script::drill(&paced, 0);
    let with = |script: Script, change: &PaceChange| {
        script.and(change.at_us - S / 3, Event::Repaced(*change))
    };
    (plan, changes.iter().fold(script, with))
}

fn judged(changes: &[PaceChange]) -> Judgement {
    let (plan, script) = drilled(changes);
    judge(&plan, &script.recording())
}

const MID: i64 = ZERO + 10 * S;

#[test]
fn what_was_as_planned_again_before_anything_counts_is_no_doubt() {
    let j = judged(&[change(STARTED, 0.1, false), change(ZERO, 1.0, false)]);
    let nothing: Vec<&str> = vec![];
    assert_eq!(
        (j.verdict, codes(&j)),
        (Verdict::Pass, nothing),
        "{:#?}",
        j.reasons
    );
}

#[test]
fn figures_go_by_the_rate_that_was_asked() {
    let j = judged(&[change(MID, 2.0, false)]);
    let load = j.load.as_ref().unwrap().named(None).unwrap();
    assert_eq!(load.arrivals, 5_000 + 5_000 + 50_000);
    let slot_us = |j: &Judgement| j.steps[0].failover.as_ref().unwrap().all.slot_us;
    assert_eq!((slot_us(&judged(&[])), slot_us(&j)), (2_000, 1_000));
}

#[test]
fn a_rate_changed_by_hand_is_at_best_inconclusive_and_a_miss_stays_one() {
    let lowered = [change(MID, 0.5, false)];
    let j = judged(&lowered);
    assert_eq!(
        (j.verdict, codes(&j)),
        (Verdict::Inconclusive, vec!["pace_changed"])
    );
    assert_eq!(
        j.reasons[0].message,
        "the load was at 50 % of its rate, by hand, from +10.0 s on: what was promised was not asked of the system"
    );
    let (plan, script) = drilled(&lowered);
    let missed = script.between(KILLED, KILLED + 10 * S, refuse).recording();
    assert_eq!(judge(&plan, &missed).verdict, Verdict::Fail);
    // Each stretch is told; one that began in the warm-up, from its end.
    let j = judged(&[
        change(STARTED, 0.25, false),
        change(MID, 0.25, true),
        change(MID + S, 3.0, false),
        change(MID + 2 * S, 0.0, false),
        change(MID + 3 * S, 1.0, false),
    ]);
    let told: Vec<_> = j.reasons.iter().map(|r| r.message.as_str()).collect();
    assert_eq!(codes(&j), ["pace_changed"; 4]);
    for (told, wanted) in told.iter().zip([
        "at 25 % of its rate, by hand, from +0.0 s to +10.0 s:",
        "at 25 % of its rate, its schedule held, by hand, from +10.0 s to +11.0 s:",
        "at 300 % of its rate, by hand, from +11.0 s to +12.0 s:",
        "at 0 % of its rate, by hand, from +12.0 s to +13.0 s:",
    ]) {
        assert!(told.contains(wanted), "{told}");
    }
}

#[test]
fn a_change_that_is_not_told_never_makes_a_run_greener() {
    let even = [
        // As many arrivals as planned.
        change(MID, 0.5, false),
        change(MID + 10 * S, 1.5, false),
        change(MID + 20 * S, 1.0, false),
    ];
    for changes in [&even[..], &even[..1], &[change(MID, 2.0, false)]] {
        for random in [false, true] {
            let mut plan = plan_with(STEP, OBJECTIVES);
            if random {
                plan.load.as_mut().unwrap().arrivals = crate::scenario::plan::Arrivals::Poisson;
            }
            let (plan, script) = drilled_by(plan, changes);
            let whole = judge(&plan, &script.clone().recording());
            assert!(
                !codes(&whole).contains(&"requests_missing"),
                "{:#?}",
                whole.reasons
            );
            for gone in changes {
                let is = |e: &Event| matches!(e, Event::Repaced(c) if c == gone);
                let j = judge(&plan, &script.clone().without(is).recording());
                assert!(j.verdict >= Verdict::Inconclusive, "{gone:?}");
                assert!(codes(&j).contains(&"requests_missing"), "{:#?}", j.reasons);
            }
            let all = |e: &Event| matches!(e, Event::Repaced(_));
            let j = judge(&plan, &script.without(all).recording());
            assert_eq!(j.verdict, Verdict::Inconclusive);
            assert_eq!(codes(&j), ["requests_missing"], "{:#?}", j.reasons);
        }
    }
}

#[test]
fn later_requests_of_a_journey_and_late_ones_are_not_taken_for_moved() {
    let (plan, mut script) = drilled(&[change(MID, 2.0, false)]);
    let more: Vec<RequestRecord> = script.requests.iter().step_by(100).cloned().collect();
    for mut r in more {
        r.request = 1;
        r.due_us += 7_777;
        script.requests.push(r);
    }
    script.requests.sort_by_key(|r| r.due_us);
    let j = judge(&plan, &script.recording());
    let told: Vec<_> = j.reasons.iter().map(|r| r.message.as_str()).collect();
    assert!(!told.iter().any(|t| t.contains("other times")), "{told:?}");
}

#[test]
fn the_recording_alone_says_what_was_changed() {
    let (plan, script) = drilled(&[change(MID, 2.0, false)]);
    let recording = script.clone().recording();
    let as_it_ran = as_run(&plan, &recording).into_owned();
    assert_eq!(as_it_ran.pace.last(), change(MID - STARTED, 2.0, false));
    assert_eq!(*as_run(&as_it_ran, &recording), as_it_ran);
    let without = script
        .without(|e| matches!(e, Event::Repaced(_)))
        .recording();
    assert_eq!(*as_run(&as_it_ran, &without), plan);
    let written = serde_json::to_string(&plan).unwrap();
    assert!(!written.contains("\"pace\""), "plan.json stays as it was");
}
