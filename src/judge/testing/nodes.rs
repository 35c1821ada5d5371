//! Drills on a cluster: `backend/2` and a gate run on `node/4`, which dies and comes back.

use super::{HEALED, KILLED, S, STARTED, Script, backend, component};
use crate::model::{
    Component, ComponentId, Health, Injection, KillMode, NODE, NodeRole, NodeSaid, Place, Signal,
    StackEventKind, Undo,
};
use crate::scenario::Plan;
use crate::timeline::event::{Event, NameTable};

/// When the managers say that the node is down, when another `backend/2` is healthy elsewhere, and when the node is ready
/// again.
pub(crate) const DOWN: i64 = KILLED + 5 * S;
pub(crate) const REPLACED: i64 = KILLED + 9 * S;
pub(crate) const BACK: i64 = HEALED + 2 * S;

pub(crate) fn node(index: u32) -> ComponentId {
    ComponentId::new(NODE, index)
}

/// A machine: 1 leads, 2 and 3 vote, the others work.
fn machine(index: u32) -> Component {
    let role = match index {
        1 => NodeRole::Leader,
        2 | 3 => NodeRole::Manager,
        _ => NodeRole::Worker,
    };
    Component {
        id: node(index),
        host: format!("machine-{index}"),
        handle: format!("machine-{index}"),
        name: format!("machine-{index}"),
        health: Health::Unchecked,
        place: Place {
            node: None,
            zone: Some("a".to_owned()),
            role: Some(role),
        },
        ..component(index)
    }
}

/// A task of this making on a node.
pub(crate) fn task(id: ComponentId, handle: &str, on: u32) -> Component {
    Component {
        host: handle.to_owned(),
        handle: handle.to_owned(),
        name: format!("{id}.{handle}"),
        addresses: vec![],
        place: Place {
            node: Some(node(on)),
            zone: Some("a".to_owned()),
            role: None,
        },
        id,
        ..component(1)
    }
}

/// The cluster with `backend/2` of this making on a node, `backend/1` and `/3` on node 5, a gate on each.
fn cluster(second: (&str, u32)) -> Vec<Component> {
    let gate = |on| task(ComponentId::new("gate", on), &format!("gate-{on}"), on);
    let tasks = [
        task(backend(1), "first-1", 5),
        task(backend(2), second.0, second.1),
        task(backend(3), "first-3", 5),
        gate(4),
        gate(5),
    ];
    (1..=5).map(machine).chain(tasks).collect()
}

impl Script {
    /// `node/4` dies with what it runs, and is mended like `lose-one` in [`Script::drill`]. Answers name the handles of the
    /// tasks: number 2 that of the first `backend/2`, number 4 that of the one in its place, which serves from when it is
    /// healthy on.
    pub(crate) fn node_drill(plan: &Plan) -> Self {
        let mut script =
            Self::load(plan).without(|e| matches!(e, Event::Components(_) | Event::Name { .. }));
        for r in &mut script.requests {
            if r.instance == 2 && r.due_us >= KILLED {
                r.instance = if r.due_us >= REPLACED { 4 } else { 3 };
            }
        }
        for (id, name) in (1..).zip(["first-1", "first-2", "first-3", "second-2"]) {
            let (table, name) = (NameTable::Instance, name.to_owned());
            script.push(STARTED, Event::Name { table, id, name });
        }
        let step = || "lose-one".to_owned();
        let said = |ready| StackEventKind::Node {
            said: NodeSaid {
                ready,
                active: true,
                leads: false,
            },
        };
        let engine = |component, handle: &str, engine_us, what| Event::Engine {
            component,
            handle: handle.to_owned(),
            engine_us,
            what,
        };
        let healthy = StackEventKind::Health {
            health: Health::Healthy,
        };
        for (at, event) in [
            (STARTED - 1, Event::Components(cluster(("first-2", 4)))),
            (KILLED - 2, Event::Components(cluster(("first-2", 4)))),
            (
                KILLED - 1,
                Event::Owed {
                    id: 2,
                    step: Some(step()),
                    undo: Undo::Running {
                        component: node(4),
                        since_ns: None,
                    },
                },
            ),
            (
                KILLED,
                Event::Dispatched {
                    step: step(),
                    targets: vec![node(4)],
                    injections: vec![Injection::Kill {
                        component: node(4),
                        signal: Signal::SigKill,
                        mode: KillMode::Held,
                    }],
                    carried: vec![backend(2), ComponentId::new("gate", 4)],
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
                    component: Some(node(4)),
                    effect_us: KILLED + S / 10,
                },
            ),
            (DOWN, engine(node(4), "machine-4", DOWN, said(false))),
            (
                REPLACED - S,
                engine(
                    backend(2),
                    "second-2",
                    REPLACED - S,
                    StackEventKind::Started,
                ),
            ),
            (REPLACED - S, Event::Components(cluster(("second-2", 5)))),
            (REPLACED, engine(backend(2), "second-2", REPLACED, healthy)),
            (HEALED - S / 10, Event::HealBegins { step: step() }),
            (HEALED, Event::Healed { step: step() }),
            (BACK, engine(node(4), "machine-4", BACK, said(true))),
            (BACK + S / 10, Event::Verified { step: step() }),
            (BACK + S / 10, Event::Mended { id: 2, attempts: 1 }),
        ] {
            script.push(at, event);
        }
        script
    }
}
