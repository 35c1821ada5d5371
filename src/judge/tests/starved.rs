//! A starved test bed is not a failed system: what starvation makes ill later proves nothing, and what it does not explain
//! stays a miss.

mod updates;

use std::collections::BTreeMap;

use super::super::result::{Illness, Judgement};
use super::super::testing::{
    HEALED, KILLED, S, STARTED, Script, ZERO, backend, node, plan, plan_with, rules, swarm_with,
};
use super::super::{Verdict, judge};
use super::{only, refuse, verdict};
use crate::model::{ComponentId, Health, NodeSaid, Rate, StackEventKind};
use crate::scenario::Plan;
use crate::timeline::event::{AlertSpan, AlertState, Event, Phase};

const UPDATE: &str =
    "steps:\n  - { name: deploy-v2, at: 20s, update: { target: backend, env: { V: \"2\" } } }\n";
const AVAILABLE: &str = "availability: { at_least: 99% }";

fn starved(from_us: i64) -> Event {
    Event::Starved {
        from_us,
        stalled_us: 950_000,
        load: None,
    }
}

fn said(component: ComponentId, handle: &str, engine_us: i64, what: StackEventKind) -> Event {
    Event::Engine {
        component,
        handle: handle.to_owned(),
        engine_us,
        what,
    }
}

const ILL: StackEventKind = StackEventKind::Health {
    health: Health::Unhealthy,
};
const WELL: StackEventKind = StackEventKind::Health {
    health: Health::Healthy,
};

fn ready(ready: bool) -> StackEventKind {
    let (active, leads) = (true, false);
    StackEventKind::Node {
        said: NodeSaid {
            ready,
            active,
            leads,
        },
    }
}

impl Script {
    fn says(self, index: u32, at_us: i64, what: StackEventKind) -> Self {
        let handle = format!("{}", 4000 + index);
        self.and(at_us, said(backend(index), &handle, at_us, what))
    }
}

/// Of a run in which the test bed is starved, `backend/1` falls ill 8 s later, is well 6 s after that, and every request
/// is lost meanwhile. The usual victim is `backend/2`.
const STARVED: i64 = ZERO + 45 * S;
const FELL_ILL: i64 = STARVED + 8 * S;

fn ill(index: u32) -> impl Fn(&Plan) -> Script {
    move |plan| {
        Script::drill(plan, 0)
            .says(index, FELL_ILL, ILL)
            .says(index, FELL_ILL + 6 * S, WELL)
            .between(FELL_ILL, FELL_ILL + 6 * S, refuse)
    }
}

fn evidence(j: &Judgement) -> String {
    only(j).evidence.join(" ")
}

#[test]
fn what_starvation_made_ill_proves_nothing() {
    let j = verdict(AVAILABLE, |plan| {
        ill(1)(plan).and(STARVED, starved(STARVED))
    });
    assert_eq!((j.verdict, j.exit_code), (Verdict::Inconclusive, 3));
    let told = "the test bed was starved of CPU at +45.0 s; 8.0 s later backend/1 became unhealthy";
    assert!(evidence(&j).contains(told), "{}", evidence(&j));
    assert!(j.reasons[0].message.contains(told), "{:#?}", j.reasons);
    assert!(!evidence(&j).contains("generator"), "{}", evidence(&j));
    let load = j.load.unwrap();
    let slices = &load.named(None).unwrap().suspect_slices;
    assert_eq!(slices.len(), 2, "{slices:#?}");
    assert!(slices[0].starved && slices[0].aftermaths.is_empty());
    assert!(!slices[1].starved);
    // To 5 s after it was well, but not beyond the load.
    assert_eq!(
        (slices[1].from_us, slices[1].to_us),
        (FELL_ILL, ZERO + 60 * S)
    );
    let aftermath = &slices[1].aftermaths[0];
    assert_eq!(
        (aftermath.component.as_str(), aftermath.what),
        ("backend/1", Illness::Unhealthy)
    );
    assert_eq!(aftermath.well_us, Some(FELL_ILL + 6 * S));
    assert_eq!(aftermath.to_us, FELL_ILL + 11 * S);
    // Without starvation it is a miss; so is one too long after it, or before it.
    let j = verdict(AVAILABLE, ill(1));
    assert_eq!(j.verdict, Verdict::Fail);
    for begin in [FELL_ILL - 31 * S, FELL_ILL + 1] {
        let j = verdict(AVAILABLE, |plan| ill(1)(plan).and(begin, starved(begin)));
        assert_eq!(j.verdict, Verdict::Fail, "{begin}");
    }
}

#[test]
fn what_was_lost_before_or_after_it_stays_a_miss() {
    for from in [FELL_ILL - 10 * S, FELL_ILL - 5 * S] {
        let j = verdict(AVAILABLE, |plan| {
            ill(1)(plan)
                .and(STARVED, starved(STARVED))
                .between(from, from + S, refuse)
        });
        assert_eq!(j.verdict, Verdict::Fail);
    }
    let early = ZERO + 5 * S;
    let j = verdict(AVAILABLE, |plan| {
        Script::drill(plan, 0)
            .and(early, starved(early))
            .says(1, early + 2 * S, ILL)
            .says(1, early + 3 * S, WELL)
            // The settle time is over then.
            .between(early + 8 * S, early + 9 * S, refuse)
    });
    assert_eq!(j.verdict, Verdict::Fail);
}

#[test]
fn a_steps_own_doing_is_no_aftermath() {
    let within = |index: u32, script: &dyn Fn(Script) -> Script| {
        let at = KILLED + 3 * S;
        let j = verdict(AVAILABLE, |plan| {
            script(
                Script::drill(plan, 0)
                    .and(KILLED - 5 * S, starved(KILLED - 5 * S))
                    .between(at, at + 6 * S, refuse),
            )
            .says(index, at, ILL)
            .says(index, at + 6 * S, WELL)
        });
        j.verdict
    };
    assert_eq!(within(2, &|s| s), Verdict::Fail, "the victim");
    assert_eq!(within(1, &|s| s), Verdict::Inconclusive, "another");
    // Nobody knows what a call of the user's own hits.
    let steps = "steps:\n  - { name: lose-one, at: 20s, http: { post: \"http://127.0.0.1:1/off\", undo: { post: \"http://127.0.0.1:1/on\" } }, hold: 20s }\n";
    let plan = plan_with(steps, AVAILABLE);
    let script = Script::drill(&plan, 0)
        .and(KILLED - 5 * S, starved(KILLED - 5 * S))
        .between(KILLED + S, KILLED + 6 * S, refuse)
        .says(1, KILLED + S, ILL);
    assert_eq!(judge(&plan, &script.recording()).verdict, Verdict::Fail);
    // After its watch a victim is like any other.
    let late = HEALED + 10 * S;
    let j = verdict(AVAILABLE, |plan| {
        Script::drill(plan, 0)
            .and(late - S, starved(late - S))
            .says(2, late, ILL)
            .between(late, late + 3 * S, refuse)
    });
    assert_eq!(j.verdict, Verdict::Inconclusive);
}

#[test]
fn what_is_put_back_or_taken_down_is_no_aftermath() {
    let deploy = plan_with(UPDATE, "alerts: { others: forbid }");
    let judged = |at: i64, begin: i64, by: &dyn Fn(Script) -> Script| {
        let history = Event::AlertHistory {
            alert: "HighLatency".to_owned(),
            labels: BTreeMap::from([("severity".to_owned(), "warning".to_owned())]),
            spans: vec![AlertSpan {
                state: AlertState::Firing,
                from_us: at + S,
                to_us: None,
            }],
        };
        let script = Script::update(&deploy, true, 3)
            .without(|e| matches!(e, Event::Phase(Phase::Collecting)))
            .and(begin, starved(begin))
            .says(1, at, StackEventKind::Died { code: 143 })
            .and(ZERO + 75 * S, Event::Phase(Phase::Collecting))
            .and(ZERO + 75 * S, rules())
            .and(ZERO + 75 * S, history);
        only(&judge(&deploy, &by(script).recording())).verdict
    };
    let undone = ZERO + 72 * S;
    assert_eq!(judged(undone, undone - 2 * S, &|s| s), Verdict::Fail);
    let idle = ZERO + 65 * S;
    assert_eq!(judged(idle, idle - 2 * S, &|s| s), Verdict::Inconclusive);
    let down = |s: Script| s.and(idle, Event::Phase(Phase::TakingDown));
    assert_eq!(judged(idle, idle - 2 * S, &down), Verdict::Fail);
}

#[test]
fn who_dies_unasked_is_ill_until_something_is_in_its_place() {
    let died = |code| StackEventKind::Died { code };
    let at = ZERO + 5 * S;
    let until = |script: &dyn Fn(Script) -> Script| {
        let j = verdict(AVAILABLE, |plan| {
            script(Script::drill(plan, 0).and(at - 2 * S, starved(at - 2 * S)))
        });
        let load = j.load.unwrap();
        let slices = load.named(None).unwrap().suspect_slices.clone();
        let aftermaths = slices.into_iter().flat_map(|s| s.aftermaths);
        aftermaths.map(|a| (a.what, a.well_us)).collect::<Vec<_>>()
    };
    let ill = |well_us| vec![(Illness::Died, well_us)];
    let dead = |s: Script| s.says(1, at, died(137));
    assert_eq!(until(&dead), ill(None));
    // Its health is checked, so to run is not enough.
    let up = |s: Script| dead(s).says(1, at + S, StackEventKind::Started);
    assert_eq!(until(&up), ill(None));
    let well = |s: Script| up(s).says(1, at + 2 * S, WELL);
    assert_eq!(until(&well), ill(Some(at + 2 * S)));
    let unchecked = |s: Script| up(s).map_components(|c| c.health = Health::Unchecked);
    assert_eq!(until(&unchecked), ill(Some(at + S)));
    // Another that was there before is not in its place; a new one is.
    let other = |s: Script| dead(s).says(3, at + S, WELL);
    assert_eq!(until(&other), ill(None));
    let new = |s: Script| dead(s).and(at + S, said(backend(4), "new", at + S, WELL));
    assert_eq!(until(&new), ill(Some(at + S)));
    // What its platform does to one that is ill is part of that.
    let replaced = |s: Script| {
        s.says(1, at - S, ILL)
            .says(1, at, died(137))
            .and(at + S, said(backend(1), "new", at + S, WELL))
    };
    assert_eq!(until(&replaced), [(Illness::Unhealthy, Some(at + S))]);
    // Nor does starvation explain what becomes of one that was ill before it.
    let before = |s: Script| s.says(1, at - 3 * S, ILL).says(1, at, died(137));
    assert_eq!(until(&before), []);
    // Done, and killed for want of memory.
    assert_eq!(until(&|s| s.says(1, at, died(0))), []);
    let of_memory = |s: Script| dead(s.says(1, at - 1, StackEventKind::OutOfMemory));
    assert_eq!(until(&of_memory), []);
}

#[test]
fn a_node_that_is_given_up_takes_what_it_ran_with_it() {
    let steps = "steps:\n  - { name: lose-one, at: 20s, node_kill: { role: worker }, hold: 20s }\n";
    let plan = swarm_with(steps, AVAILABLE);
    let judged = |index: u32, at: i64| {
        let handle = format!("machine-{index}");
        let script = Script::node_drill(&plan)
            .and(at - 29 * S, starved(at - 29 * S))
            .and(at, said(node(index), &handle, at, ready(false)))
            // Of what ran there, and later than the starvation reaches.
            .and(
                at + 3 * S,
                said(
                    ComponentId::new("gate", index),
                    &format!("gate-{index}"),
                    at + 3 * S,
                    StackEventKind::Died { code: -1 },
                ),
            )
            .and(
                at + 5 * S,
                said(node(index), &handle, at + 5 * S, ready(true)),
            )
            .between(at, at + 2 * S, refuse);
        judge(&plan, &script.recording())
    };
    let j = judged(5, ZERO + 18 * S);
    assert_eq!(j.verdict, Verdict::Inconclusive, "{:#?}", j.reasons);
    let told = "29.0 s later node/5 was said not to be ready";
    assert!(evidence(&j).contains(told), "{}", evidence(&j));
    assert!(
        evidence(&j).contains("later gate/5 died"),
        "{}",
        evidence(&j)
    );
    // The victim of the step, and what it ran.
    let j = judged(4, KILLED + 5 * S);
    assert_eq!(j.verdict, Verdict::Fail, "{:#?}", j.reasons);
}

#[test]
fn what_never_is_well_again_does_not_excuse_the_rest() {
    let refused = |from_us: i64, to_us: i64, last: Option<StackEventKind>| {
        let j = verdict(AVAILABLE, |plan| {
            let script = Script::drill(plan, 0)
                .says(1, ZERO + 2 * S, ILL)
                .between(from_us, to_us, refuse)
                .and(ZERO + S, starved(ZERO + S));
            match &last {
                Some(what) => script.says(1, ZERO + 3 * S, what.clone()),
                None => script,
            }
        });
        only(&j).verdict
    };
    let soon = (ZERO + 10 * S, ZERO + 14 * S);
    assert_eq!(refused(soon.0, soon.1, None), Verdict::Inconclusive);
    // Taken away: nobody is ill any more.
    let gone = Some(StackEventKind::Destroyed);
    assert_eq!(refused(soon.0, soon.1, gone), Verdict::Fail);
    let late = (ZERO + 45 * S, ZERO + 49 * S);
    assert_eq!(refused(late.0, late.1, None), Verdict::Fail);
}

#[test]
fn a_doubt_before_the_fault_hides_no_outage() {
    let missed = |starved_us: Option<i64>| {
        let objectives = "availability: { at_least: 50% }\nfailover: { lose-one: 2s }";
        let plan = plan(objectives);
        let script = Script::drill(&plan, 0).between(KILLED, HEALED, refuse);
        let script = match starved_us {
            Some(begin) => script.and(begin, starved(begin)),
            None => script,
        };
        let j = judge(&plan, &script.recording());
        j.objectives.iter().map(|o| o.verdict).collect::<Vec<_>>()
    };
    assert_eq!(missed(None)[1], Verdict::Fail);
    assert_eq!(missed(Some(ZERO + S))[1], Verdict::Fail);
    // Nor does it break a limit that the whole keeps with all of it counted as bad.
    let one = |plan: &Plan| Script::drill(plan, 0).and(ZERO + S, starved(ZERO + S));
    let j = verdict("availability: { at_least: 97% }", one);
    assert_eq!(only(&j).verdict, Verdict::Pass, "{:#?}", only(&j));
}

#[test]
fn an_alert_of_what_starvation_made_ill_is_no_miss() {
    let fired = |at: &[i64], begin: Option<i64>| {
        let span = |from_us: &i64| AlertSpan {
            state: AlertState::Firing,
            from_us: *from_us,
            to_us: None,
        };
        let history = Event::AlertHistory {
            alert: "HighLatency".to_owned(),
            labels: BTreeMap::from([("severity".to_owned(), "warning".to_owned())]),
            spans: at.iter().map(span).collect(),
        };
        let j = verdict("alerts: { others: forbid }", |plan| {
            let script = Script::drill(plan, 0)
                .and(ZERO + 71 * S, rules())
                .and(ZERO + 71 * S, history.clone())
                .says(1, FELL_ILL, ILL);
            match begin {
                Some(begin) => script.and(begin, starved(begin)),
                None => script,
            }
        });
        (only(&j).verdict, evidence(&j))
    };
    let (verdict, why) = fired(&[FELL_ILL + 10 * S], Some(STARVED));
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(why.contains("backend/1 became unhealthy"), "{why}");
    assert!(why.contains("HighLatency fired"), "{why}");
    // One that nothing explains is enough.
    let both = [FELL_ILL - S, FELL_ILL + 10 * S];
    assert_eq!(fired(&both, Some(STARVED)).0, Verdict::Fail);
    assert_eq!(fired(&[FELL_ILL + 10 * S], None).0, Verdict::Fail);
    assert_eq!(fired(&[], Some(STARVED)).0, Verdict::Pass);
}

/// A tenth of the usual rate: these runs are judged many times.
fn slow(mut plan: Plan) -> Plan {
    for stage in &mut plan.load.as_mut().unwrap().stages {
        stage.from = Rate::per_second(50.0).unwrap();
        stage.to = stage.from;
    }
    plan
}

#[test]
fn starvation_never_makes_anything_greener() {
    let objectives = "availability: { at_least: 99% }\nlatency: { p99: 250ms }\nfailover: { lose-one: 2s }\nlost: { lose-one: 500ms }\nalerts: { others: forbid }";
    let kill = slow(plan(objectives));
    let deploy = slow(plan_with(
        UPDATE,
        "update: { deploy-v2: { within: 10s, lost: 0, min_healthy: 2 } }\navailability: { at_least: 99% }",
    ));
    let stalled = |from: i64, to: i64| {
        move |script: Script| {
            script.between(from, to, |r: &mut crate::model::RequestRecord| {
                r.done_us = r.due_us + S;
            })
        }
    };
    let runs: Vec<(&Plan, Script)> = vec![
        (&kill, Script::drill(&kill, 0)),
        (&kill, Script::drill(&kill, 0).and(ZERO + 71 * S, rules())),
        (&kill, Script::drill(&kill, 1_000).alert()),
        (&kill, Script::load(&kill)),
        (&kill, Script::drill(&kill, 0).between(ZERO, KILLED, refuse)),
        (&kill, stalled(KILLED, HEALED)(Script::drill(&kill, 5))),
        (&deploy, Script::update(&deploy, true, 3)),
        (&deploy, Script::update(&deploy, true, 1)),
        (
            &deploy,
            Script::update(&deploy, false, 1).between(KILLED + 5 * S, KILLED + 9 * S, refuse),
        ),
    ];
    let illnesses = [ILL, StackEventKind::Died { code: 137 }, ready(false)];
    let ill = |index| illnesses.iter().map(move |what| Some((index, what)));
    let falls_ill: Vec<_> = [None].into_iter().chain(ill(1)).chain(ill(2)).collect();
    for (plan, script) in runs {
        let before = judge(plan, &script.clone().recording());
        for begin in [STARTED + S, KILLED - S, KILLED + S, HEALED + S] {
            for ill in &falls_ill {
                let at = begin + 5 * S;
                let starved = script.clone().and(begin, starved(begin));
                let script = match ill {
                    Some((index, what)) => {
                        starved
                            .says(*index, at, (*what).clone())
                            .says(*index, at + 4 * S, WELL)
                    }
                    None => starved,
                };
                let after = judge(plan, &script.recording());
                assert!(before.verdict == Verdict::Pass || after.verdict > Verdict::Pass);
                for (was, is) in before.objectives.iter().zip(&after.objectives) {
                    assert!(
                        is.verdict == was.verdict || is.verdict == Verdict::Inconclusive,
                        "{}: {:?} became {:?}, starved at {begin}, {ill:?}",
                        was.objective,
                        was.verdict,
                        is.verdict
                    );
                }
            }
        }
    }
}
