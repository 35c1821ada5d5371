//! What callers saw of a node's loss: they know what it ran, and never heard of the node.

use std::time::Duration;

use super::super::testing::{
    BACK, DOWN, HEALED, KILLED, REPLACED, S, Script, backend, node, swarm_with, task,
};
use super::super::{Judgement, Verdict, judge};
use super::{codes, refuse};
use crate::model::{ComponentId, Health, NodeRole, NodeSaid, StackEventKind};
use crate::scenario::Plan;
use crate::scenario::plan::{DetectionSource, Objective};
use crate::timeline::event::Event;

const OBJECTIVES: &str = "availability: { at_least: 99% }\nfailover: { lose-one: 2s }";

fn plan(action: &str) -> Plan {
    let step = format!("steps:\n  - {{ name: lose-one, at: 20s, {action}, hold: 20s }}\n");
    swarm_with(&step, OBJECTIVES)
}

fn judged(action: &str, change: impl Fn(Script) -> Script) -> Judgement {
    let plan = plan(action);
    judge(&plan, &change(Script::node_drill(&plan)).recording())
}

/// The verdict, and why.
fn told(judgement: &Judgement) -> (Verdict, Vec<&str>) {
    (judgement.verdict, codes(judgement))
}

const KILL: &str = "node_kill: { role: worker }";

#[test]
fn a_node_is_exposed_by_what_it_ran() {
    let j = judged(KILL, |s| s);
    assert_eq!(told(&j), (Verdict::Pass, vec![]), "{:#?}", j.reasons);
    let exposed = |j: &Judgement| j.steps[0].failover.as_ref().unwrap().all.exposed;
    assert_eq!(exposed(&j), Some(true));
    // One that served nobody proves nothing by its death.
    let idle = judged(KILL, |s| {
        s.between(0, KILLED, |r| {
            if r.instance == 2 {
                r.instance = 3;
            }
        })
    });
    assert_eq!(told(&idle).0, Verdict::Inconclusive);
    assert!(codes(&idle).contains(&"not_exposed"));
    assert_eq!(exposed(&idle), Some(false));
    // Nobody is named, so nobody knows.
    let unnamed = judged(KILL, |s| {
        s.without(|e| matches!(e, Event::Name { .. }))
            .between(0, i64::MAX, |r| r.instance = 0)
    });
    assert_eq!(exposed(&unnamed), None);
}

#[test]
fn answers_of_what_a_dead_node_ran_are_no_pass() {
    let from = |action: &str, at: i64, instance| {
        let j = judged(action, |s| {
            s.between(at, at + 10_000, |r| r.instance = instance)
        });
        let codes = codes(&j).into_iter().map(str::to_owned).collect::<Vec<_>>();
        (j.verdict, codes)
    };
    let elsewhere = (
        Verdict::Inconclusive,
        vec!["answered_while_gone".to_owned()],
    );
    let nothing = (Verdict::Pass, vec![]);
    let stop = "node_stop: { grace: 1s }";
    for action in [KILL, stop, "node_pause: {}", "zone_outage: { zone: a }"] {
        assert_eq!(from(action, KILLED + 5 * S, 2), elsewhere, "{action}");
        // The one in its place has another handle, and answers as it should.
        assert_eq!(from(action, KILLED + 12 * S, 4), nothing, "{action}");
    }
    // Too close to the effect to tell, or when the heal had begun.
    assert_eq!(from(KILL, KILLED + S / 10 + S / 5, 2), nothing);
    assert_eq!(from(KILL, HEALED - S / 10, 2), nothing);
    // What is cut off may answer whoever is on its side; what is drained ends in order.
    for action in ["node_disconnect: {}", "node_partition: {}", "drain: {}"] {
        assert_eq!(from(action, KILLED + 5 * S, 2), nothing, "{action}");
    }
}

#[test]
fn a_name_that_outlives_a_task_tells_nothing_of_the_dead() {
    // Both tasks go by one host name.
    let j = judged(KILL, |s| {
        s.map_components(|c| {
            if c.id == backend(2) {
                c.host = "first-2".to_owned();
            }
        })
        .between(KILLED + 12 * S, KILLED + 13 * S, |r| r.instance = 2)
    });
    assert_eq!(told(&j), (Verdict::Pass, vec![]), "{:#?}", j.reasons);
}

#[test]
fn what_was_started_again_early_may_answer() {
    let j = judged(KILL, |s| {
        let at = KILLED + 10 * S;
        s.and(
            at,
            Event::Engine {
                component: node(4),
                handle: "machine-4".to_owned(),
                engine_us: at,
                what: StackEventKind::Started,
            },
        )
        .between(at + S, at + 2 * S, |r| r.instance = 2)
    });
    assert_eq!(told(&j), (Verdict::Pass, vec![]), "{:#?}", j.reasons);
}

#[test]
fn nobody_waits_for_what_a_node_ran_to_return_to_it() {
    // Even where answers name the machine.
    let j = judged(KILL, |s| {
        s.map_events(|e| {
            if let Event::Name { id: 2, name, .. } = e {
                *name = "machine-4".to_owned();
            }
        })
    });
    assert_eq!(j.steps[0].watch_end_us, Some(BACK + S / 10 + 5 * S));
}

#[test]
fn what_a_node_ran_cannot_be_struck_out() {
    let strike = |carried: Vec<ComponentId>| {
        judged(KILL, move |s| {
            s.map_events(|e| {
                if let Event::Dispatched { carried: c, .. } = e {
                    c.clone_from(&carried);
                }
            })
        })
    };
    let damaged = |j: &Judgement| told(j) == (Verdict::Inconclusive, vec!["recording_damaged"]);
    // Whose victim ran nothing is of no consequence to anybody, besides.
    let nothing = strike(vec![]);
    assert_eq!(
        told(&nothing),
        (
            Verdict::Inconclusive,
            vec!["recording_damaged", "not_exposed", "objective_open"]
        )
    );
    assert!(damaged(&strike(vec![ComponentId::new("gate", 4)])));
    let more = strike(vec![backend(1), backend(2), ComponentId::new("gate", 4)]);
    assert!(damaged(&more));
    // Nor what says so.
    let undescribed = judged(KILL, |s| s.without(|e| matches!(e, Event::Components(_))));
    assert!(codes(&undescribed).contains(&"recording_damaged"));
    // Described anew while its fault was in the making.
    let j = judged(KILL, |s| {
        let more = vec![task(backend(2), "first-2", 4)];
        let last = s.last_components(KILLED);
        let moved = last
            .into_iter()
            .filter(|c| c.id != ComponentId::new("gate", 4))
            .chain(more);
        s.and(KILLED - 1, Event::Components(moved.collect()))
    });
    assert_eq!(told(&j), (Verdict::Pass, vec![]), "{:#?}", j.reasons);
}

#[test]
fn no_line_left_out_of_a_node_drill_makes_it_greener() {
    let plan = plan(KILL);
    let script = Script::node_drill(&plan);
    let spoilt = [
        script
            .clone()
            .between(KILLED + 5 * S, KILLED + 6 * S, |r| r.instance = 2),
        script.clone().between(0, KILLED, |r| {
            if r.instance == 2 {
                r.instance = 3;
            }
        }),
        script.between(KILLED, KILLED + 3 * S, refuse),
    ];
    for script in spoilt {
        let whole = script.recording();
        assert!(judge(&plan, &whole).verdict > Verdict::Pass);
        for i in 0..whole.entries.len() {
            let mut torn = whole.clone();
            torn.entries.remove(i);
            let after = judge(&plan, &torn).verdict;
            assert!(after > Verdict::Pass, "{:?}", whole.entries[i].event);
        }
    }
}

/// What the managers say of a node.
fn said(index: u32, at: i64, (ready, leads): (bool, bool)) -> Event {
    let active = true;
    Event::Engine {
        component: node(index),
        handle: format!("machine-{index}"),
        engine_us: at,
        what: StackEventKind::Node {
            said: NodeSaid {
                ready,
                active,
                leads,
            },
        },
    }
}

#[test]
fn a_cluster_has_a_clock_of_its_own() {
    let cluster = |change: &dyn Fn(Script) -> Script| {
        let j = judged(KILL, change);
        j.steps[0].cluster.clone().expect("a step that took a node")
    };
    let usual = cluster(&|s| s);
    assert_eq!(usual.carried, ["backend/2", "gate/4"]);
    assert_eq!(usual.node_down_us, Some(DOWN - KILLED));
    // The gate is lost with its node, and nothing takes its place.
    assert_eq!(usual.replaced_us, Some(REPLACED - KILLED));
    assert_eq!(usual.node_ready_us, Some(BACK - HEALED));
    // It did not lead.
    assert_eq!(usual.leader_us, None);
    let led = |s: Script| {
        let at = KILLED + 3 * S;
        s.map_components(|c| {
            if c.id == node(4) {
                c.place.role = Some(NodeRole::Leader);
            }
        })
        .and(at, said(2, at, (true, true)))
    };
    assert_eq!(cluster(&led).leader_us, Some(3 * S));
    // Ready before the undo's calls returned.
    let early = HEALED - S / 20;
    let early = cluster(&|s| s.and(early, said(4, early, (true, false))));
    assert_eq!(early.node_ready_us, Some(-S / 20));
}

#[test]
fn what_never_came_has_no_time() {
    let never = |gone: fn(&StackEventKind) -> bool| {
        let j = judged(KILL, |s| {
            s.without(|e| matches!(e, Event::Engine { what, .. } if gone(what)))
        });
        j.steps[0].cluster.clone().expect("a step that took a node")
    };
    let unsaid = never(|what| matches!(what, StackEventKind::Node { .. }));
    assert_eq!((unsaid.node_down_us, unsaid.node_ready_us), (None, None));
    assert!(unsaid.replaced_us.is_some());
    // Started, and never healthy.
    let ill = never(|what| {
        *what
            == StackEventKind::Health {
                health: Health::Healthy,
            }
    });
    assert_eq!(ill.replaced_us, None);
    // The same one that came back is none in its place.
    let j = judged(KILL, |s| {
        s.map_events(|e| {
            if let Event::Engine {
                component, handle, ..
            } = e
                && *component == backend(2)
            {
                *handle = "first-2".to_owned();
            }
        })
    });
    assert_eq!(j.steps[0].cluster.clone().unwrap().replaced_us, None);
    let plan = super::super::testing::plan(OBJECTIVES);
    let other = judge(&plan, &Script::drill(&plan, 0).recording());
    assert_eq!(other.steps[0].cluster, None);
}

#[test]
fn a_node_is_lost_when_the_managers_say_so() {
    let detected = |seconds| {
        let mut plan = plan(KILL);
        plan.objectives = vec![Objective::Detection {
            step: "lose-one".to_owned(),
            source: DetectionSource::Health,
            within: Duration::from_secs(seconds),
        }];
        // The machine's own engine knows at once.
        let died = Event::Engine {
            component: node(4),
            handle: "machine-4".to_owned(),
            engine_us: KILLED + S / 10,
            what: StackEventKind::Died { code: 137 },
        };
        let script = Script::node_drill(&plan).and(KILLED + S / 10, died);
        judge(&plan, &script.recording())
    };
    let j = detected(6);
    assert_eq!(j.steps[0].detection_us, Some(DOWN - KILLED));
    assert_eq!(j.verdict, Verdict::Pass, "{:#?}", j.reasons);
    assert_eq!(detected(4).verdict, Verdict::Fail);
}
