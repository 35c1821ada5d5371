//! Replicas that a step adds, and who of them serves.

use super::super::testing::{HEALED, KILLED, S, Script, ZERO, backend, component, plan_with};
use super::super::{Verdict, judge};
use super::codes;
use crate::model::{Health, Injection, RunState, StackEventKind, Undo};
use crate::scenario::Plan;
use crate::timeline::event::{Event, NameTable};

const GROW: &str =
    "steps:\n  - { name: grow, at: 20s, scale: { target: backend, replicas: 5 }, hold: 20s }\n";

/// `backend` from 3 to 5, up 2 s later; from 3 s on every fifth request is answered by each.
fn grown(plan: &Plan) -> Script {
    let step = || "grow".to_owned();
    let described = |health| {
        let mut all: Vec<_> = (1..=5).map(component).collect();
        all[3..].iter_mut().for_each(|c| c.health = health);
        Event::Components(all)
    };
    let name = |id: u16, index: u32| Event::Name {
        table: NameTable::Instance,
        id,
        name: backend(index).to_string(),
    };
    let undo = Undo::Replicas {
        service: "backend".to_owned(),
        indexes: vec![1, 2, 3],
    };
    let injection = Injection::Scale {
        service: "backend".to_owned(),
        replicas: 5,
    };
    let events = [
        (
            KILLED - 1,
            Event::Owed {
                id: 2,
                step: Some(step()),
                undo,
            },
        ),
        (
            KILLED,
            Event::Dispatched {
                step: step(),
                targets: vec![],
                injections: vec![injection],
                carried: vec![],
            },
        ),
        (
            KILLED + S / 5,
            Event::Acknowledged {
                step: step(),
                error: None,
            },
        ),
        (
            KILLED + S / 5,
            Event::Effect {
                step: step(),
                component: None,
                effect_us: KILLED + S / 10,
            },
        ),
        (KILLED + S, described(Health::Starting)),
        (KILLED + 2 * S, described(Health::Healthy)),
        (KILLED + 3 * S, name(4, 4)),
        (KILLED + 3 * S, name(5, 5)),
        (HEALED - S / 10, Event::HealBegins { step: step() }),
        (HEALED, Event::Healed { step: step() }),
        (HEALED + S / 10, Event::Verified { step: step() }),
        (HEALED + S / 10, Event::Mended { id: 2, attempts: 1 }),
    ];
    let mut n = 0;
    let mut script = Script::load(plan);
    for r in &mut script.requests {
        if (KILLED + 3 * S..HEALED - S).contains(&r.due_us) {
            n += 1;
            r.instance = n % 5 + 1;
        }
    }
    events
        .into_iter()
        .fold(script, |script, (at, event)| script.and(at, event))
}

/// The same on a platform whose undo of a scale is a number, and names nobody.
fn by_number(script: Script) -> Script {
    script.map_events(|e| {
        if let Event::Owed {
            step: Some(_),
            undo,
            ..
        } = e
        {
            *undo = Undo::Count {
                service: "backend".to_owned(),
                replicas: 3,
            };
        }
    })
}

fn judged(steps: &str, change: impl Fn(Script) -> Script) -> (Verdict, Vec<String>) {
    let plan = plan_with(steps, "availability: { at_least: 99% }");
    let j = judge(&plan, &change(grown(&plan)).recording());
    let codes = codes(&j).into_iter().map(str::to_owned).collect();
    (j.verdict, codes)
}

fn not_serving() -> (Verdict, Vec<String>) {
    (Verdict::Inconclusive, vec!["not_serving".to_owned()])
}

#[test]
fn each_new_replica_must_have_answered() {
    assert_eq!(judged(GROW, |s| s), (Verdict::Pass, vec![]));
    let silent = |index: u16| {
        judged(GROW, move |s| {
            s.between(ZERO, i64::MAX, |r| {
                if r.instance == index {
                    r.instance = 1;
                }
            })
        })
    };
    assert_eq!(silent(5), not_serving());
    assert_eq!(silent(3), (Verdict::Pass, vec![]), "one that was there");
    // An answer that is none is none.
    let refused = judged(GROW, |s| {
        s.between(KILLED, HEALED, |r| {
            if r.instance == 5 {
                r.good = false;
            }
        })
    });
    assert!(refused.1.contains(&"not_serving".to_owned()), "{refused:?}");
}

#[test]
fn each_new_replica_must_have_come_up() {
    let ill = |c: &mut crate::model::Component| {
        if c.id == backend(5) {
            (c.state, c.health) = (RunState::Running, Health::Starting);
        }
    };
    assert_eq!(judged(GROW, |s| s.map_components(ill)), not_serving());
    // The engine's own word of it is as good.
    let said = |s: Script| {
        let what = StackEventKind::Health {
            health: Health::Healthy,
        };
        s.map_components(ill).and(
            KILLED + 2 * S,
            Event::Engine {
                component: backend(5),
                handle: "4005".to_owned(),
                engine_us: KILLED + 2 * S,
                what,
            },
        )
    };
    assert_eq!(judged(GROW, said), (Verdict::Pass, vec![]));
}

#[test]
fn nothing_is_asked_of_one_that_was_not_to_stay_or_not_to_come() {
    let nobody = |s: Script| {
        s.between(ZERO, i64::MAX, |r| {
            if r.instance > 3 {
                r.instance = 1;
            }
        })
    };
    let short = |s: Script| {
        nobody(s).map_events(|e| {
            if let Event::HealBegins { step } = e {
                let step = std::mem::take(step);
                *e = Event::Healed { step };
            }
        })
    };
    let brief = |s: Script| {
        short(s).and(
            KILLED + 4 * S,
            Event::HealBegins {
                step: "grow".to_owned(),
            },
        )
    };
    let (_, codes) = judged(GROW, brief);
    assert!(!codes.contains(&"not_serving".to_owned()), "{codes:?}");
    let fewer = GROW.replace("replicas: 5", "replicas: 2");
    let (_, codes) = judged(&fewer, nobody);
    assert!(!codes.contains(&"not_serving".to_owned()), "{codes:?}");
}

#[test]
fn who_was_there_is_no_newcomer_whatever_its_number() {
    // A cluster that chose who goes left 4 and 5 of five, and starts 2 and 3 anew.
    let renumbered = |s: Script, serves: bool| {
        let before: Vec<_> = [1, 4, 5].map(component).into();
        let s = by_number(s).map_events(|e| match e {
            Event::Components(all) if all.len() == 3 => all.clone_from(&before),
            Event::Components(all) => {
                for c in all {
                    c.health = Health::Healthy;
                }
            }
            _ => {}
        });
        s.between(ZERO, i64::MAX, move |r| {
            if !serves && matches!(r.instance, 2 | 3) {
                r.instance = 1;
            }
        })
    };
    assert_eq!(
        judged(GROW, |s| renumbered(s, true)),
        (Verdict::Pass, vec![])
    );
    assert_eq!(judged(GROW, |s| renumbered(s, false)), not_serving());
}

#[test]
fn who_was_frozen_or_out_of_sight_before_does_not_stand_in_for_a_newcomer() {
    let ill = |c: &mut crate::model::Component| {
        if c.id == backend(5) {
            (c.state, c.health) = (RunState::Running, Health::Starting);
        }
    };
    // Frozen when the step began, and back while it lasted: 2 and 4 are up, 5 is not.
    let frozen = |s: Script| {
        s.map_components(ill).map_events(|e| match e {
            Event::Components(all) if all.len() == 3 => all[1].state = RunState::Paused,
            _ => {}
        })
    };
    assert_eq!(judged(GROW, frozen), not_serving());
    // On a machine that was silent when the step began.
    let counted = |s: Script| {
        by_number(s.map_components(ill)).map_events(|e| match e {
            Event::Components(all) if all.len() == 3 => drop(all.remove(1)),
            _ => {}
        })
    };
    assert_eq!(judged(GROW, counted), not_serving());
}

#[test]
fn who_was_lost_just_before_and_stays_away_leaves_no_more_to_come() {
    // The machine of 2 died before the step, and nothing takes its place while the step lasts.
    let lost = |s: Script| {
        let without = by_number(s).map_events(|e| match e {
            Event::Components(all) if all.len() > 3 => all.retain(|c| c.id != backend(2)),
            _ => {}
        });
        let left: Vec<_> = [1, 3].map(component).into();
        let without = without.and(KILLED - S, Event::Components(left));
        without.between(ZERO, i64::MAX, |r| {
            if r.instance == 2 {
                r.instance = 1;
            }
        })
    };
    assert_eq!(judged(GROW, lost), (Verdict::Pass, vec![]));
    // One of the two that came serves nobody.
    let silent = |s: Script| {
        lost(s).between(ZERO, i64::MAX, |r| {
            if r.instance == 5 {
                r.instance = 1;
            }
        })
    };
    assert_eq!(judged(GROW, silent), not_serving());
}
