//! What callers saw against each limit.

use super::super::result::{Figure, Judgement};
use super::super::testing::{
    HEALED, KILLED, S, STARTED, Script, ZERO, backend, component, plan_with,
};
use super::super::{Verdict, judge};
use super::{only, refuse, verdict};
use crate::model::{ComponentId, Outcome};
use crate::timeline::event::{Event, NameTable};

#[test]
fn a_drill_that_nobody_noticed_for_long_passes() {
    let all = "availability: [ { at_least: 99% }, { at_least: 99%, of: write } ]
latency: { p99: 250ms }
failover: { lose-one: 2s }
lost: { lose-one: 500ms }";
    let j = verdict(all, |plan| Script::drill(plan, 100));
    assert_eq!(
        (j.verdict, j.exit_code),
        (Verdict::Pass, 0),
        "{:#?}",
        j.reasons
    );
    assert_eq!(j.reasons, []);
    assert_eq!(j.started_at, "2023-11-14T22:13:20.123456789Z");
    let step = &j.steps[0];
    assert_eq!(step.dispatched_us, Some(KILLED));
    assert_eq!(step.effect_us, Some(KILLED + S / 10));
    assert_eq!(
        (step.healed_us, step.verified_us),
        (Some(HEALED), Some(HEALED + S / 10))
    );
    // Served again a second after the heal, and watched for another 10 s: 100 requests of `write`, at 20 ms each, are
    // fewer than the 5 s of `settle`.
    assert!((HEALED + 6 * S..HEALED + 6 * S + S / 10).contains(&step.watch_end_us.unwrap()));
    let f = step.failover.as_ref().unwrap();
    assert_eq!(
        (f.all.bad, f.all.masked, f.all.exposed),
        (100, false, Some(true))
    );
    assert_eq!(f.all.slot_us, 2_000);
    assert_eq!(f.journeys["read"].slot_us, 2_222);
    assert_eq!(f.all.by_outcome["http_5xx"], 100);
    let failover = &j.objectives[3];
    assert!(failover.worst.is_some());
    assert!(
        matches!(failover.observed, Some(Figure::Whole(us)) if (500_000..700_000).contains(&us))
    );
    let victim = &step.victims[0];
    assert!((victim.share_before.unwrap() - 1.0 / 3.0).abs() < 0.01);
    assert!((S..S + S / 10).contains(&step.readmitted_us.unwrap()));
    assert_eq!(step.readmitted_us, victim.readmitted_us);
}

#[test]
fn load_is_conserved_and_windows_are_those_of_the_plan() {
    let j = verdict("availability: { at_least: 99% }", |plan| {
        Script::drill(plan, 100).between(ZERO + S, ZERO + S + 20_000, |r| {
            (r.outcome, r.good, r.left_us, r.sent_us) = (Outcome::Dropped, false, None, None);
        })
    });
    let load = j.load.as_ref().unwrap().named(None).unwrap();
    let total: u64 = ["warmup", "run"]
        .iter()
        .flat_map(|w| load.window(w).unwrap().all.by_outcome.values())
        .sum();
    assert_eq!((load.asked, total, load.arrivals), (35_000, 35_000, 35_000));
    assert_eq!(
        (load.started_us, load.steps_zero_us, load.dropped),
        (STARTED, ZERO, 10)
    );
    assert_eq!(load.sent, 35_000 - 10);
    let names: Vec<&str> = load.windows.iter().map(|w| w.name.as_str()).collect();
    assert_eq!(
        names,
        ["warmup", "baseline", "lose-one", "recovered", "run"]
    );
    let run = &load.window("run").unwrap().all;
    assert_eq!((run.requests, run.bad), (30_000 - 10, 100));
    assert_eq!(run.latency_us.p99, Some(5_003));
}

#[test]
fn an_objective_takes_the_worst_journey() {
    let j = verdict("failover: { lose-one: 2s }", |plan| {
        Script::drill(plan, 0).between(KILLED, KILLED + 3 * S, |r| {
            if r.journey == 1 {
                refuse(r);
            }
        })
    });
    let o = only(&j);
    assert_eq!(
        (o.verdict, o.worst.as_deref()),
        (Verdict::Fail, Some("write"))
    );
    assert_eq!(j.exit_code, 1);
    let j = verdict("failover: { lose-one: { within: 2s, of: read } }", |plan| {
        Script::drill(plan, 0).between(KILLED, KILLED + 3 * S, |r| {
            if r.journey == 1 {
                refuse(r);
            }
        })
    });
    assert_eq!(only(&j).verdict, Verdict::Pass);
}

#[test]
fn the_return_after_the_heal_is_bound_by_the_same_limit() {
    let j = verdict("failover: { lose-one: 2s }", |plan| {
        Script::drill(plan, 0).between(HEALED + 2 * S, HEALED + 5 * S, refuse)
    });
    assert_eq!(only(&j).verdict, Verdict::Fail);
    assert_eq!(
        j.steps[0].failover.as_ref().unwrap().all.failover_us,
        Some(0)
    );
    assert_eq!(
        j.steps[0].failover.as_ref().unwrap().all.return_us,
        Some(5 * S)
    );
}

#[test]
fn still_impaired_is_a_miss_only_past_the_limit() {
    let down = |plan: &crate::scenario::Plan| {
        Script::drill(plan, 0).between(ZERO + 58 * S, ZERO + 60 * S, refuse)
    };
    // Open when the load ended, 18 s after the heal at most.
    let j = verdict("failover: { lose-one: 30s }", |plan| {
        Script::drill(plan, 0).between(KILLED, ZERO + 60 * S, |r| {
            if r.instance == 3 {
                refuse(r);
            }
        })
    });
    let f = &j.steps[0].failover.as_ref().unwrap().all;
    assert_eq!(f.failover_us, None);
    // The last bad request of its watch lies 26 s after the kill: not past the limit.
    assert_eq!(only(&j).verdict, Verdict::Inconclusive);
    let j = verdict("failover: { lose-one: 20s }", |plan| {
        Script::drill(plan, 0).between(KILLED, ZERO + 60 * S, |r| {
            if r.instance == 3 {
                refuse(r);
            }
        })
    });
    assert_eq!((only(&j).verdict, only(&j).observed), (Verdict::Fail, None));
    // What begins after its watch is none of its business.
    let j = verdict("failover: { lose-one: 2s }", down);
    assert_eq!(only(&j).verdict, Verdict::Pass);
}

#[test]
fn lost_counts_all_callers_and_times_the_worst_journey() {
    let script = |plan: &crate::scenario::Plan| {
        Script::drill(plan, 0).between(KILLED, KILLED + S, |r| {
            if r.journey == 1 {
                refuse(r);
            }
        })
    };
    let j = verdict("lost: { lose-one: 50 }", script);
    assert_eq!(
        (only(&j).verdict, only(&j).observed),
        (Verdict::Pass, Some(Figure::Whole(50)))
    );
    let j = verdict("lost: { lose-one: 49 }", script);
    assert_eq!(only(&j).verdict, Verdict::Fail);
    let j = verdict("lost: { lose-one: 900ms }", script);
    assert_eq!(only(&j).observed, Some(Figure::Whole(S)));
    assert_eq!(
        (only(&j).verdict, only(&j).worst.as_deref()),
        (Verdict::Fail, Some("write"))
    );
}

#[test]
fn bad_requests_are_slower_than_any_limit() {
    let j = verdict("latency: { p99: 250ms, during: lose-one }", |plan| {
        Script::drill(plan, 0).between(KILLED, KILLED + S, |r| {
            refuse(r);
            r.done_us = r.due_us + 1;
        })
    });
    let o = only(&j);
    assert_eq!(
        (o.objective.as_str(), o.verdict, o.observed),
        ("latency.p99", Verdict::Fail, None)
    );
}

#[test]
fn a_watch_cut_short_can_miss_but_not_meet() {
    let steps = "steps:\n  - { name: lose-one, at: 20s, kill: { target: backend }, hold: 38s }\n";
    let plan = plan_with(steps, "failover: { lose-one: 2s }");
    let late = |bad| {
        let healed = |e: &Event| {
            matches!(
                e,
                Event::HealBegins { .. } | Event::Healed { .. } | Event::Verified { .. }
            )
        };
        let step = || "lose-one".to_owned();
        Script::drill(&plan, bad)
            .without(healed)
            .and(ZERO + 58 * S, Event::Healed { step: step() })
            .and(ZERO + 58 * S + 1, Event::Verified { step: step() })
            .recording()
    };
    let j = judge(&plan, &late(0));
    assert_eq!((j.verdict, j.steps[0].cut), (Verdict::Inconclusive, true));
    assert_eq!(judge(&plan, &late(700)).verdict, Verdict::Fail);
}

#[test]
fn overlapping_steps_prove_only_what_came_before_the_second() {
    let steps = "steps:
  - { name: lose-one, at: 20s, kill: { target: backend }, hold: 20s }
  - { name: lose-two, at: 30s, kill: { target: backend }, hold: 5s }
";
    let plan = plan_with(steps, "failover: { lose-one: 9s }");
    let second = || {
        let step = || "lose-two".to_owned();
        vec![
            (
                KILLED + 10 * S,
                Event::Dispatched {
                    step: step(),
                    targets: vec![backend(1)],
                    injections: Vec::new(),
                    carried: Vec::new(),
                },
            ),
            (
                KILLED + 10 * S + 1,
                Event::Effect {
                    step: step(),
                    component: Some(backend(1)),
                    effect_us: KILLED + 10 * S + 1,
                },
            ),
            (KILLED + 15 * S, Event::Healed { step: step() }),
            (KILLED + 15 * S, Event::Verified { step: step() }),
        ]
    };
    let with = |bad, from, to| {
        let script = Script::drill(&plan, bad).between(KILLED + from, KILLED + to, refuse);
        let script = second().into_iter().fold(script, |s, (at, e)| s.and(at, e));
        judge(&plan, &script.recording())
    };
    let first = |j: &Judgement| only(j).verdict;
    let j = with(100, 0, 0);
    assert!(j.steps[0].shared && !j.steps[1].shared);
    assert_eq!(first(&j), Verdict::Pass, "{:#?}", j.reasons);
    assert_eq!(first(&with(0, 0, 9 * S + S / 2)), Verdict::Fail);
    // Both the second's doing and the first's: nobody can tell.
    assert_eq!(first(&with(100, 10 * S, 13 * S)), Verdict::Inconclusive);
    assert_eq!(first(&with(0, 6 * S, 7 * S)), Verdict::Inconclusive);
}

/// Two steps: the usual one, and `lose-two`, dispatched and over at these offsets from the first.
fn with_second(
    objective: &str,
    (dispatch, over): (i64, i64),
    script: impl Fn(Script) -> Script,
) -> Judgement {
    let steps = "steps:
  - { name: lose-one, at: 20s, kill: { target: backend }, hold: 20s }
  - { name: lose-two, at: 50s, kill: { target: backend }, hold: 1s }
";
    let plan = plan_with(steps, objective);
    let step = || "lose-two".to_owned();
    let script = [
        (
            KILLED + dispatch,
            Event::Dispatched {
                step: step(),
                targets: vec![backend(1)],
                injections: Vec::new(),
                carried: Vec::new(),
            },
        ),
        (
            KILLED + dispatch + 1,
            Event::Effect {
                step: step(),
                component: Some(backend(1)),
                effect_us: KILLED + dispatch + 1,
            },
        ),
        (KILLED + over, Event::Healed { step: step() }),
        (KILLED + over, Event::Verified { step: step() }),
    ]
    .into_iter()
    .fold(script(Script::drill(&plan, 0)), |s, (at, e)| s.and(at, e));
    judge(&plan, &script.recording())
}

#[test]
fn a_step_that_begins_right_after_the_heal_hides_the_return() {
    let returned_badly = |s: Script| s.between(HEALED + S / 2, HEALED + 3 * S + S / 2, refuse);
    let begun = (HEALED - KILLED + S / 10, HEALED - KILLED + S);
    let j = with_second("failover: { lose-one: 2s }", begun, returned_badly);
    assert_eq!(only(&j).verdict, Verdict::Inconclusive, "{:#?}", only(&j));
}

#[test]
fn a_step_that_begins_before_the_victim_is_taken_back_hides_what_it_does_then() {
    // Healed for longer than settle, and the heal not verified yet: the watch goes on.
    let heal = HEALED - KILLED;
    let judged = |script: &dyn Fn(Script) -> Script| {
        let verified_late = |s: Script| {
            let verified = |e: &Event| matches!(e, Event::Verified { step } if step == "lose-one");
            let step = "lose-one".to_owned();
            script(
                s.without(verified)
                    .and(HEALED + 12 * S, Event::Verified { step }),
            )
        };
        let begun = (heal + 6 * S, heal + 7 * S);
        only(&with_second(
            "failover: { lose-one: 2s }",
            begun,
            verified_late,
        ))
        .verdict
    };
    assert_eq!(judged(&|s| s), Verdict::Pass);
    let badly = |s: Script| s.between(HEALED + 8 * S, HEALED + 11 * S, refuse);
    assert_eq!(judged(&badly), Verdict::Inconclusive);
}

#[test]
fn a_window_holds_all_that_was_due_in_it_whosever_doing_it_was() {
    // Its limit is on what callers saw in that time: a miss is one, and says that two steps may have made it.
    let objective = "availability: { at_least: 99%, during: lose-one }";
    let early = (10 * S, 11 * S);
    let later = |s: Script| s.between(KILLED + 12 * S, KILLED + 14 * S, refuse);
    let missed = with_second(objective, early, later);
    assert_eq!(only(&missed).verdict, Verdict::Fail, "{:#?}", only(&missed));
    let said = only(&missed).evidence.join(" ");
    assert!(said.contains("another step began within it"), "{said}");
    let met = with_second(objective, early, |s| s);
    assert_eq!(only(&met).verdict, Verdict::Pass, "{:#?}", only(&met));
    let said = only(&met).evidence.join(" ");
    assert!(!said.contains("another step"), "{said}");
}

#[test]
fn a_step_that_begins_after_the_watch_ends_the_stretch_that_would_close_an_episode() {
    // The watch ends settle after the heal; callers suffer in its last second, and the next step comes before they
    // were well for as long as settle.
    let late = |s: Script| s.between(HEALED + 4 * S, HEALED + 4 * S + S / 2, refuse);
    let end = HEALED - KILLED + 5 * S + S / 5;
    let closed = with_second(
        "failover: { lose-one: 30s }",
        (end + 6 * S, end + 7 * S),
        late,
    );
    assert_eq!(only(&closed).verdict, Verdict::Pass, "{:#?}", only(&closed));
    let open = with_second("failover: { lose-one: 30s }", (end + S, end + 2 * S), late);
    assert_eq!(
        only(&open).verdict,
        Verdict::Inconclusive,
        "{:#?}",
        only(&open)
    );
}

#[test]
fn another_service_may_go_on_with_a_version_of_the_same_name() {
    let steps = "steps:\n  - { name: deploy-v2, at: 20s, update: { target: backend, env: { V: \"2\" } } }\n";
    let plan = plan_with(steps, "update: { deploy-v2: { within: 30s } }");
    let mut other = component(1);
    other.id = ComponentId::new("other", 1);
    let name = Event::Name {
        table: NameTable::Instance,
        id: 4,
        name: "other/1".to_owned(),
    };
    let script = Script::update(&plan, true, 2)
        .and(STARTED, Event::Components(vec![other]))
        .and(STARTED, name)
        .between(STARTED, i64::MAX, |r| {
            if r.n.is_multiple_of(10) {
                (r.instance, r.version) = (4, 1);
            }
        });
    let judged = judge(&plan, &script.recording());
    let step = &judged.steps[0];
    assert_eq!(step.watch_end_us, Some(KILLED + 25 * S));
    let versions = &step.update.as_ref().unwrap().versions;
    let v1 = versions.iter().find(|v| v.version == "v1").unwrap();
    assert!(v1.last_us < 16 * S, "{v1:?}");
}

#[test]
fn updates_must_be_through_in_time_with_enough_replicas() {
    use Verdict::{Fail, Inconclusive, Pass};
    let steps = "steps:\n  - { name: deploy-v2, at: 20s, update: { target: backend, env: { V: \"2\" } } }\n";
    let plan = plan_with(
        steps,
        "update: { deploy-v2: { within: 30s, lost: 0, min_healthy: 2 } }",
    );
    let judged = |script: Script| judge(&plan, &script.recording());
    let verdicts = |script: Script| -> Vec<Verdict> {
        judged(script)
            .objectives
            .iter()
            .map(|o| o.verdict)
            .collect()
    };
    let good = judged(Script::update(&plan, true, 2));
    assert_eq!(good.verdict, Pass, "{:#?}", good.reasons);
    let update = good.steps[0].update.as_ref().unwrap();
    assert_eq!(
        (update.converged_us, update.min_healthy, update.wanted),
        (Some(20 * S), Some(2), Some(3))
    );
    let seen: Vec<&str> = update.versions.iter().map(|v| v.version.as_str()).collect();
    assert_eq!(seen, ["v1", "v2"]);
    // Watched until settle after it was through; the last old answer came before.
    assert_eq!(good.steps[0].watch_end_us, Some(KILLED + 25 * S));
    assert_eq!(
        verdicts(Script::update(&plan, false, 1)),
        [Fail, Inconclusive, Fail],
        "its rollback was still under way when the load ended"
    );
    let by = || "SIGTERM".to_owned();
    let ended = |at| Script::update(&plan, false, 3).and(at, Event::Aborted { by: by() });
    assert_eq!(verdicts(ended(KILLED + 19 * S))[0], Inconclusive);
    assert_eq!(
        verdicts(ended(KILLED + 21 * S))[0],
        Fail,
        "given up before that"
    );
    // Nobody found the new version wanting: it was not rolled out.
    let mut failed = Script::update(&plan, false, 3);
    failed = failed.map_events(|e| match e {
        Event::Acknowledged { error, .. } => {
            *error = Some("update on backend: no answer".to_owned())
        }
        Event::Converged { call_failed, .. } => *call_failed = true,
        _ => {}
    });
    let failed = judged(failed);
    assert!(
        failed.reasons.iter().any(|r| r.code == "call_failed"),
        "{:#?}",
        failed.reasons
    );
    let one_bad = Script::update(&plan, true, 2).between(KILLED + S, KILLED + S + 1_000, refuse);
    assert_eq!(verdicts(one_bad), [Pass, Fail, Pass]);
    let uncounted = Script::update(&plan, true, 2).without(|e| matches!(e, Event::Replicas { .. }));
    assert_eq!(verdicts(uncounted), [Pass, Pass, Inconclusive]);
}
