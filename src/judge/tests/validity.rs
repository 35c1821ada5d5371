//! What makes a run prove less than it should.

use super::super::result::Figure;
use super::super::testing::{HEALED, KILLED, S, STARTED, STEP, Script, ZERO, plan, plan_with};
use super::super::{Verdict, judge};
use super::{codes, only, refuse, verdict};
use crate::model::{Outcome, RequestRecord, Undo};
use crate::timeline::event::{Event, Moment};

#[test]
fn too_little_evidence_is_no_pass_but_a_miss_all_the_same() {
    let j = verdict("availability: { at_least: 99.999% }", |plan| {
        Script::drill(plan, 0)
    });
    assert_eq!((only(&j).verdict, j.exit_code), (Verdict::Inconclusive, 3));
    let j = verdict("availability: { at_least: 99.999% }", |plan| {
        Script::drill(plan, 9)
    });
    assert_eq!(only(&j).verdict, Verdict::Fail);
    let j = verdict("latency: { p99.99: 1s }", |plan| Script::drill(plan, 0));
    assert_eq!(only(&j).verdict, Verdict::Inconclusive);
    let j = verdict("availability: { at_least: 100% }", |plan| {
        Script::drill(plan, 0)
    });
    assert_eq!(only(&j).verdict, Verdict::Inconclusive);
}

#[test]
fn latency_has_nothing_to_come_back_to_without_a_baseline() {
    let steps = format!("{STEP}recovery: {{ latency_back: 10s }}\n");
    let plan = plan_with(&steps, "");
    let judged = |script: Script| judge(&plan, &script.recording());
    let j = judged(Script::drill(&plan, 0));
    assert_eq!(only(&j).verdict, Verdict::Pass, "{:#?}", only(&j));
    let slow = |r: &mut RequestRecord| r.done_us = r.due_us + S;
    let j = judged(Script::drill(&plan, 0).between(KILLED, ZERO + 60 * S, slow));
    assert_eq!(only(&j).verdict, Verdict::Fail, "{:#?}", only(&j));
    for nothing in [refuse as fn(&mut RequestRecord), |r| {
        (r.outcome, r.good) = (Outcome::Dropped, false)
    }] {
        let script = Script::drill(&plan, 0).between(ZERO, KILLED, nothing);
        let j = judged(script.between(KILLED, ZERO + 60 * S, slow));
        assert_eq!(only(&j).verdict, Verdict::Inconclusive, "{:#?}", only(&j));
        assert!(only(&j).evidence.join(" ").contains("no p99"));
    }
}

#[test]
fn a_late_generator_is_judged_both_ways() {
    let stalled = |plan: &crate::scenario::Plan, bad: bool| {
        Script::drill(plan, 0).between(ZERO + 50 * S, ZERO + 51 * S, move |r| {
            r.left_us = Some(ZERO + 51 * S);
            if bad {
                refuse(r);
            }
        })
    };
    // 500 of 30,000: between 98.3 % and all.
    let j = verdict("availability: { at_least: 99% }", |plan| {
        stalled(plan, false)
    });
    assert_eq!((only(&j).verdict, j.exit_code), (Verdict::Inconclusive, 3));
    let doubt = only(&j).doubt.as_ref().unwrap();
    assert_eq!(
        (doubt.suspect, doubt.if_good),
        (500, Some(Figure::Share(1.0)))
    );
    assert!(!j.reasons.is_empty());
    // Whatever became of them, 98 % was met.
    let j = verdict("availability: { at_least: 98% }", |plan| {
        stalled(plan, true)
    });
    assert_eq!(j.verdict, Verdict::Pass, "{:#?}", j.reasons);
    assert!(only(&j).doubt.is_some());
    // A miss that does not rest on them stays one.
    let j = verdict("availability: { at_least: 99% }", |plan| {
        stalled(plan, false).between(KILLED, KILLED + S, refuse)
    });
    assert_eq!(j.verdict, Verdict::Fail);
    // So it is where the test bed was starved.
    let j = verdict("availability: { at_least: 99.9% }", |plan| {
        Script::drill(plan, 0).and(
            ZERO,
            Event::Starved {
                from_us: ZERO + S,
                stalled_us: 950_000,
                load: None,
            },
        )
    });
    assert_eq!(j.verdict, Verdict::Inconclusive);
    let load = j.load.unwrap();
    assert!(load.named(None).unwrap().suspect_slices[0].starved);
}

#[test]
fn over_one_percent_dropped_is_at_best_inconclusive() {
    let drop = |r: &mut RequestRecord| {
        (r.outcome, r.good, r.left_us, r.sent_us) = (Outcome::Dropped, false, None, None);
    };
    let j = verdict("availability: { at_least: 90% }", |plan| {
        Script::drill(plan, 0).between(ZERO, ZERO + S, drop)
    });
    assert_eq!(only(&j).verdict, Verdict::Pass);
    assert_eq!(j.verdict, Verdict::Inconclusive);
    assert_eq!(codes(&j), ["generator_late"]);
}

#[test]
fn what_was_not_done_or_not_seen_is_no_pass() {
    let objective = "availability: { at_least: 99% }\nfailover: { lose-one: 2s }";
    let effect = |e: &Event| matches!(e, Event::Effect { .. });
    let j = verdict(objective, |plan| Script::drill(plan, 0).without(effect));
    assert_eq!(
        (j.verdict, codes(&j)[0]),
        (Verdict::Inconclusive, "no_effect")
    );
    assert_eq!(j.objectives[1].verdict, Verdict::Inconclusive);

    let nothing_taken = Event::NotDispatched {
        step: "lose-one".to_owned(),
        code: "empty_selection".to_owned(),
        why: "no backend was healthy".to_owned(),
    };
    let j = verdict(objective, |plan| {
        Script::load(plan).and(KILLED, nothing_taken.clone())
    });
    assert_eq!(
        (j.verdict, codes(&j)[0]),
        (Verdict::Inconclusive, "empty_selection")
    );
    assert_eq!(j.steps[0].dispatched_us, None);
    let j = verdict(objective, Script::load);
    assert_eq!(
        (j.verdict, codes(&j)[0]),
        (Verdict::Inconclusive, "not_dispatched")
    );

    let j = verdict("", |plan| Script::drill(plan, 0));
    assert_eq!((j.exit_code, codes(&j)), (3, vec!["no_objectives"]));
}

#[test]
fn a_victim_without_traffic_masks_nothing() {
    let objective = "failover: { lose-one: 2s }\nlost: { lose-one: 0 }";
    let j = verdict(objective, |plan| {
        Script::drill(plan, 0).between(KILLED - 11 * S, KILLED, |r| r.instance = 1)
    });
    assert_eq!(j.verdict, Verdict::Inconclusive);
    assert!(codes(&j).contains(&"not_exposed"));
    assert!(
        j.objectives
            .iter()
            .all(|o| o.verdict == Verdict::Inconclusive)
    );
    // One bad request of whatever origin does not make it exposed.
    let j = verdict("failover: { lose-one: 2s }", |plan| {
        Script::drill(plan, 0)
            .between(KILLED - 11 * S, KILLED, |r| r.instance = 1)
            .between(KILLED + S, KILLED + S + 5_000, refuse)
    });
    assert_eq!(j.verdict, Verdict::Inconclusive, "{:#?}", j.objectives);
    // Where no answer names anyone, nobody knows: that is said, and no doubt.
    let j = verdict(objective, |plan| {
        Script::drill(plan, 0)
            .between(0, i64::MAX, |r| r.instance = 0)
            .without(|e| matches!(e, Event::Name { .. }))
    });
    assert_eq!(j.verdict, Verdict::Pass, "{:#?}", j.reasons);
    assert_eq!(j.steps[0].failover.as_ref().unwrap().all.exposed, None);
}

#[test]
fn a_baseline_that_breaks_a_limit_is_a_miss_and_blinds_failover() {
    let objective = "availability: { at_least: 99%, during: lose-one }\nfailover: { lose-one: 2s }";
    let j = verdict(objective, |plan| {
        Script::drill(plan, 0).between(ZERO + S, ZERO + 2 * S, refuse)
    });
    let verdicts: Vec<Verdict> = j.objectives.iter().map(|o| o.verdict).collect();
    assert_eq!(verdicts, [Verdict::Fail, Verdict::Inconclusive]);
}

#[test]
fn the_steady_state_must_hold_before_and_after() {
    let steps = format!(
        "{}steady_state: {{ http: {{ get: \"http://127.0.0.1:1/ready\", status: 200 }} }}\n",
        STEP
    );
    let plan = plan_with(&steps, "availability: { at_least: 99% }");
    let with = |broken| {
        judge(
            &plan,
            &Script::drill(&plan, 0).steady(1, broken).recording(),
        )
    };
    let j = with(None);
    assert_eq!(j.verdict, Verdict::Pass, "{:#?}", j.reasons);
    assert_eq!(j.objectives.len(), 3);
    assert_eq!(with(Some(Moment::Before)).verdict, Verdict::Inconclusive);
    assert_eq!(with(Some(Moment::After)).verdict, Verdict::Fail);
    let never = judge(&plan, &Script::drill(&plan, 0).recording());
    assert_eq!(never.verdict, Verdict::Inconclusive);
}

#[test]
fn what_is_left_broken_goes_before_all() {
    let objective = "availability: { at_least: 99% }";
    let j = verdict(objective, |plan| {
        Script::drill(plan, 0).and(
            ZERO + 75 * S,
            Event::LeftBroken {
                id: 2,
                why: "no such container".to_owned(),
            },
        )
    });
    assert_eq!((j.verdict, j.exit_code), (Verdict::LeftBroken, 4));
    assert!(!j.recovery.clean);
    assert_eq!(codes(&j), ["left_broken"]);
    // Owed, and nobody says that it was mended.
    let mended = |e: &Event| matches!(e, Event::Mended { id: 2, .. });
    let j = verdict(objective, |plan| Script::drill(plan, 0).without(mended));
    assert_eq!(j.exit_code, 4);
    // A stack that is to stay.
    let plan = plan(objective);
    let down = |e: &Event| matches!(e, Event::Mended { id: 1, .. });
    let mut kept = Script::drill(&plan, 0).without(down).recording();
    assert_eq!(judge(&plan, &kept).exit_code, 4);
    kept.opened.takes_down = false;
    assert_eq!(judge(&plan, &kept).exit_code, 0);
    // Nor is it missed where its engine is gone at the end.
    let gone = Event::LeftBroken {
        id: 1,
        why: "no engine".to_owned(),
    };
    let mut kept = Script::drill(&plan, 0)
        .without(down)
        .and(ZERO + 75 * S, gone)
        .recording();
    kept.opened.takes_down = false;
    assert_eq!(judge(&plan, &kept).exit_code, 0);
    // A fault of the user's own without an undo owes nothing.
    let nothing = Event::Owed {
        id: 9,
        step: Some("lose-one".to_owned()),
        undo: Undo::Nothing,
    };
    let free = Script::drill(&plan, 0).and(KILLED, nothing).recording();
    assert_eq!(judge(&plan, &free).exit_code, 0);
}

#[test]
fn an_aborted_run_is_inconclusive_unless_a_miss_was_proven() {
    let abort = || Event::Aborted {
        by: "SIGINT".to_owned(),
    };
    let objective = "availability: { at_least: 99% }";
    let j = verdict(objective, |plan| {
        Script::drill(plan, 0).and(HEALED, abort())
    });
    assert_eq!((j.verdict, j.exit_code), (Verdict::Inconclusive, 130));
    let j = verdict(objective, |plan| {
        Script::drill(plan, 0)
            .between(KILLED, KILLED + S, refuse)
            .and(HEALED, abort())
    });
    assert_eq!((j.verdict, j.exit_code), (Verdict::Fail, 130));
}

#[test]
fn steps_left_out_are_named_and_not_judged() {
    let skip = || Event::LeftOut {
        step: "lose-one".to_owned(),
        flag: "--no-faults".to_owned(),
    };
    let j = verdict(
        "availability: { at_least: 99% }\nfailover: { lose-one: 2s }",
        |plan| Script::load(plan).and(S, skip()),
    );
    assert_eq!(j.verdict, Verdict::Pass, "{:#?}", j.reasons);
    assert_eq!((j.objectives.len(), codes(&j)), (1, vec!["left_out"]));
    assert!(j.reasons[0].message.contains("failover"));
    let j = verdict("failover: { lose-one: 2s }", |plan| {
        Script::load(plan).and(S, skip())
    });
    assert_eq!(j.exit_code, 3);
    assert_eq!(codes(&j)[0], "no_objectives");
}

#[test]
fn a_load_that_failed_or_lost_requests_is_no_pass() {
    let objective = "availability: { at_least: 99% }";
    let started = |e: &Event| matches!(e, Event::LoadStarted { .. } | Event::LoadEnded { .. });
    let failed = || Event::LoadFailed {
        why: "no file descriptors".to_owned(),
    };
    let j = verdict(objective, |plan| {
        Script::drill(plan, 0)
            .without(started)
            .and(STARTED, failed())
    });
    assert_eq!(
        (j.verdict, codes(&j)[0]),
        (Verdict::Inconclusive, "load_failed")
    );
    let j = verdict(objective, |plan| {
        let mut script = Script::drill(plan, 0);
        script.requests.truncate(34_000);
        script
    });
    assert_eq!(
        (j.verdict, codes(&j)[0]),
        (Verdict::Inconclusive, "requests_missing")
    );
}

#[test]
fn a_load_that_ended_before_its_plan_is_no_pass() {
    let j = verdict("availability: { at_least: 99% }", |plan| {
        let mut script = Script::load(plan).without(|e| matches!(e, Event::LoadEnded { .. }));
        script.requests.truncate(30_000);
        let ended = Event::LoadEnded {
            arrivals: 30_000,
            asked: 30_000,
            not_reached: 0,
            aborted: false,
        };
        script.and(ZERO + 60 * S, ended)
    });
    assert_eq!(
        (j.verdict, codes(&j)[0]),
        (Verdict::Inconclusive, "requests_missing")
    );
}
