//! Runs that never happened: recordings built event by event.

mod nodes;
mod plans;

use std::collections::BTreeMap;

use crate::model::{
    Component, ComponentId, Health, Injection, KillMode, Outcome, RequestRecord, RunState, Signal,
    Undo,
};
use crate::scenario::Plan;
use crate::timeline::event::{AlertSpan, AlertState, Event, Moment, NameTable, Opened, Phase};
use crate::timeline::{Entry, Recording};

pub(crate) use nodes::{BACK, DOWN, REPLACED, node, task};
pub(crate) use plans::{STEP, plan, plan_with, swarm_with};

/// µs of a second.
pub(crate) const S: i64 = 1_000_000;
/// When the run's load starts; the warm-up takes 10 s more.
pub(crate) const STARTED: i64 = 2 * S;
/// The steps' zero.
pub(crate) const ZERO: i64 = 12 * S;
/// When `lose-one` is dispatched, and when it is healed.
pub(crate) const KILLED: i64 = ZERO + 20 * S;
pub(crate) const HEALED: i64 = KILLED + 20 * S + S / 10;

/// A recording in the making.
#[derive(Clone)]
pub(crate) struct Script {
    opened: Opened,
    events: Vec<(i64, Event)>,
    pub(crate) requests: Vec<RequestRecord>,
}

pub(crate) fn backend(index: u32) -> ComponentId {
    ComponentId::new("backend", index)
}

pub(crate) fn component(index: u32) -> Component {
    Component {
        id: backend(index),
        host: format!("backend-{index}"),
        handle: format!("{}", 4000 + index),
        name: format!("backend-{index}"),
        addresses: vec![format!("127.0.0.1:800{index}")],
        state: RunState::Running,
        health: Health::Healthy,
        image: "v1".to_owned(),
        started_ns: None,
        place: crate::model::Place::default(),
    }
}

/// Labels of `BackendDown` for the usual victim.
pub(crate) fn labels() -> BTreeMap<String, String> {
    [("instance", "127.0.0.1:8002"), ("severity", "critical")]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into()
}

impl Script {
    /// A run of `plan` under load, without a fault, up to the end of its load. Every third request is answered by each
    /// backend after 5 ms.
    pub(crate) fn load(plan: &Plan) -> Self {
        let opened = opened(plan);
        let traffic = plan.traffic().expect("a load");
        let (load, schedule) = (&traffic.loads()[0], &traffic.loads()[0].schedule);
        let random = load.random(plan.seed);
        let requests: Vec<RequestRecord> = (0..schedule.count(random.as_ref()))
            .map(|n| request(n, STARTED + schedule.due_of(n, random.as_ref())))
            .collect();
        let asked = requests.len() as u64;
        let over = STARTED + i64::try_from(schedule.length().as_micros()).expect("it ends");
        let mut script = Self {
            events: vec![(0, Event::Opened(Box::new(opened.clone())))],
            opened,
            requests,
        };
        let down = Event::Owed {
            id: 1,
            step: None,
            undo: Undo::Down,
        };
        script.push(0, Event::Phase(Phase::StandingUp));
        script.push(1, down);
        script.push(S, Event::Components([1, 2, 3].map(component).into()));
        for source in ["engine", "prometheus", "alertmanager"] {
            let (skew_us, error_us) = (0, 5_000);
            let source = source.to_owned();
            let skew = Event::Skew {
                source,
                skew_us,
                error_us,
            };
            script.push(S, skew);
        }
        for (id, name) in (1..).zip(["backend/1", "backend/2", "backend/3"]) {
            let (table, name) = (NameTable::Instance, name.to_owned());
            script.push(S, Event::Name { table, id, name });
        }
        script.push(
            STARTED,
            Event::LoadStarted {
                started_us: STARTED,
                steps_zero_us: ZERO,
            },
        );
        script.push(
            over,
            Event::LoadEnded {
                arrivals: asked,
                asked,
                not_reached: 0,
                aborted: false,
            },
        );
        script.push(ZERO + 70 * S, Event::Phase(Phase::Collecting));
        script.push(ZERO + 75 * S, Event::Mended { id: 1, attempts: 1 });
        script.push(
            ZERO + 76 * S,
            Event::Closed {
                requests: asked,
                requests_crc: 0,
                lost_records: 0,
                acts: 0,
            },
        );
        script
    }

    /// The usual drill: `backend/2` is killed and started again; `bad` requests due right after the kill, all of the
    /// victim's, are answered with 502.
    pub(crate) fn drill(plan: &Plan, bad: usize) -> Self {
        let mut script = Self::load(plan);
        let after = script.requests.partition_point(|r| r.due_us < KILLED);
        let its = (script.requests.iter_mut().skip(after)).filter(|r| r.instance == 2);
        for (i, r) in its.enumerate().take_while(|(_, r)| r.due_us < HEALED + S) {
            if i < bad {
                (r.outcome, r.good, r.status) = (Outcome::Http5xx, false, 502);
            } else {
                r.instance = 3;
            }
        }
        let step = || "lose-one".to_owned();
        for (at, event) in [
            (
                KILLED - 1,
                Event::Owed {
                    id: 2,
                    step: Some(step()),
                    undo: Undo::Running {
                        component: backend(2),
                        since_ns: None,
                    },
                },
            ),
            (
                KILLED,
                Event::Dispatched {
                    step: step(),
                    targets: vec![backend(2)],
                    injections: vec![Injection::Kill {
                        component: backend(2),
                        signal: Signal::SigKill,
                        mode: KillMode::Held,
                    }],
                    carried: Vec::new(),
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
                    component: Some(backend(2)),
                    effect_us: KILLED + S / 10,
                },
            ),
            (HEALED - S / 10, Event::HealBegins { step: step() }),
            (HEALED, Event::Healed { step: step() }),
            (HEALED + S / 10, Event::Verified { step: step() }),
            (HEALED + S / 10, Event::Mended { id: 2, attempts: 1 }),
        ] {
            script.push(at, event);
        }
        script
    }

    /// The update `deploy-v2` of `backend`, dispatched like `lose-one` and through (or given up) 20 s later, with at
    /// least `healthy` of 3 replicas. Each backend answers as `v2` from 5, 10 and 15 s after the dispatch on.
    pub(crate) fn update(plan: &Plan, complete: bool, healthy: u32) -> Self {
        let mut script = Self::load(plan);
        for r in &mut script.requests {
            let new = r.due_us >= KILLED + i64::from(r.instance) * 5 * S;
            r.version = if new && complete { 2 } else { 1 };
        }
        let step = || "deploy-v2".to_owned();
        let undo = Undo::Definition {
            service: "backend".to_owned(),
            indexes: vec![1, 2, 3],
            image: "v1".to_owned(),
            env: Vec::new(),
            command: None,
        };
        let name = |id, name: &str| Event::Name {
            table: NameTable::Version,
            id,
            name: name.to_owned(),
        };
        for (at, event) in [
            (STARTED, name(1, "v1")),
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
                    targets: [1, 2, 3].map(backend).into(),
                    injections: Vec::new(),
                    carried: Vec::new(),
                },
            ),
            (
                KILLED + S,
                Event::Effect {
                    step: step(),
                    component: Some(backend(1)),
                    effect_us: KILLED + S,
                },
            ),
            (
                KILLED + 2 * S,
                Event::Replicas {
                    service: "backend".to_owned(),
                    healthy,
                    wanted: 3,
                },
            ),
            (KILLED + 5 * S, name(2, "v2")),
            (
                KILLED + 20 * S,
                Event::Acknowledged {
                    step: step(),
                    error: None,
                },
            ),
            (
                KILLED + 20 * S,
                Event::Converged {
                    step: step(),
                    call_failed: false,
                    complete,
                    note: None,
                },
            ),
            (ZERO + 72 * S, Event::HealBegins { step: step() }),
            (ZERO + 72 * S, Event::Healed { step: step() }),
            (ZERO + 72 * S, Event::Verified { step: step() }),
            (ZERO + 72 * S, Event::Mended { id: 2, attempts: 1 }),
        ] {
            script.push(at, event);
        }
        script
    }

    /// `BackendDown` of the victim is pending 5 s after the kill, firing after 15 s, delivered after 20 s; it resolves
    /// 7.5 s after the heal, and its end is delivered after 12 s. Whoever looks on sees each state half a second later.
    pub(crate) fn alert(mut self) -> Self {
        let span = |state, from_us, to_us| AlertSpan {
            state,
            from_us,
            to_us: Some(to_us),
        };
        let ended = HEALED + 7 * S + S / 2;
        let alert = || "BackendDown".to_owned();
        self.push(ZERO + 71 * S, rules());
        self.push(
            ZERO + 71 * S,
            Event::AlertHistory {
                alert: alert(),
                labels: labels(),
                spans: vec![
                    span(AlertState::Pending, KILLED + 5 * S, KILLED + 15 * S),
                    span(AlertState::Firing, KILLED + 15 * S, ended),
                ],
            },
        );
        let (pending, firing) = (Some(AlertState::Pending), Some(AlertState::Firing));
        for (at, was, state) in [
            (KILLED + 5 * S + S / 2, None, pending),
            (KILLED + 15 * S + S / 2, pending, firing),
            (ended + S / 2, firing, None),
        ] {
            let since_us = state.map(|_| KILLED + 5 * S);
            self.push(at, turned("BackendDown", labels(), (was, state), since_us));
        }
        self.push(
            KILLED + 16 * S,
            Event::Received {
                alert: alert(),
                labels: labels(),
                starts_us: KILLED + 15 * S,
                received_us: KILLED + 15 * S + S / 10,
                suppressed: None,
            },
        );
        for (at, resolved) in [(KILLED + 20 * S, false), (HEALED + 12 * S, true)] {
            self.push(
                at,
                Event::Notified {
                    alert: alert(),
                    labels: labels(),
                    resolved,
                    starts_us: KILLED + 15 * S,
                },
            );
        }
        self
    }

    /// One more event.
    pub(crate) fn and(mut self, at_us: i64, event: Event) -> Self {
        self.push(at_us, event);
        self
    }

    /// Checks of the steady state, all of which held unless `broken`.
    pub(crate) fn steady(mut self, checks: usize, broken: Option<Moment>) -> Self {
        for (at, moment) in [(S, Moment::Before), (ZERO + 70 * S, Moment::After)] {
            for check in 0..checks {
                let held = broken != Some(moment);
                let observed = if held { "200" } else { "503" }.to_owned();
                self.push(
                    at,
                    Event::Steady {
                        check,
                        moment,
                        held,
                        observed,
                    },
                );
            }
        }
        self
    }

    /// Leaves out every event of which this holds.
    pub(crate) fn without(mut self, is: impl Fn(&Event) -> bool) -> Self {
        self.events.retain(|(_, event)| !is(event));
        self
    }

    /// Changes the events.
    pub(crate) fn map_events(mut self, change: impl Fn(&mut Event)) -> Self {
        for (_, event) in &mut self.events {
            change(event);
        }
        self
    }

    /// Changes every description of a component.
    pub(crate) fn map_components(self, change: impl Fn(&mut Component)) -> Self {
        self.map_events(|event| {
            if let Event::Components(all) = event {
                all.iter_mut().for_each(&change);
            }
        })
    }

    /// The stack as it was described last before.
    pub(crate) fn last_components(&self, at_us: i64) -> Vec<Component> {
        let before = self.events.iter().rev().filter(|(at, _)| *at < at_us);
        let mut lists = before.filter_map(|(_, event)| match event {
            Event::Components(all) => Some(all.clone()),
            _ => None,
        });
        lists.next().unwrap_or_default()
    }

    /// Changes the requests due in a stretch.
    pub(crate) fn between(
        mut self,
        from_us: i64,
        to_us: i64,
        change: impl Fn(&mut RequestRecord),
    ) -> Self {
        for r in &mut self.requests {
            if (from_us..to_us).contains(&r.due_us) {
                change(r);
            }
        }
        self
    }

    fn push(&mut self, at_us: i64, event: Event) {
        let after = self.events.partition_point(|(at, _)| *at <= at_us);
        self.events.insert(after, (at_us, event));
    }

    /// The recording as it would be read back: numbered without a gap.
    pub(crate) fn recording(self) -> Recording {
        let names = |wanted: NameTable| {
            self.events
                .iter()
                .filter_map(|(_, e)| match e {
                    Event::Name { table, name, .. } if *table == wanted => Some(name.clone()),
                    _ => None,
                })
                .collect()
        };
        let closed = self
            .events
            .iter()
            .any(|(_, e)| matches!(e, Event::Closed { .. }));
        Recording {
            instances: names(NameTable::Instance),
            versions: names(NameTable::Version),
            opened: self.opened,
            entries: (1..)
                .zip(self.events)
                .map(|(seq, (at_us, event))| Entry { seq, at_us, event })
                .collect(),
            requests: self.requests,
            damage: Vec::new(),
            complete: closed,
        }
    }
}

/// A look at Prometheus found an alert in another state.
pub(crate) fn turned(
    alert: &str,
    labels: BTreeMap<String, String>,
    (was, state): (Option<AlertState>, Option<AlertState>),
    since_us: Option<i64>,
) -> Event {
    Event::AlertState {
        alert: alert.to_owned(),
        labels,
        was,
        state,
        since_us,
    }
}

/// What Prometheus has loaded.
pub(crate) fn rules() -> Event {
    Event::Rules {
        alerts: [("BackendDown", "critical"), ("HighLatency", "warning")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into(),
        failing: BTreeMap::new(),
    }
}

fn request(n: u64, due_us: i64) -> RequestRecord {
    RequestRecord {
        n,
        journey: u16::from(n.is_multiple_of(10)),
        request: 0,
        user: 0,
        due_us,
        left_us: Some(due_us + 50),
        sent_us: Some(due_us + 100),
        done_us: due_us + 5_000,
        outcome: Outcome::Ok,
        good: true,
        status: 200,
        instance: u16::try_from(n % 3 + 1).expect("at most 3"),
        version: 0,
        retried: None,
    }
}

fn opened(plan: &Plan) -> Opened {
    Opened {
        firedrill: "0.0.0".to_owned(),
        run: "test".to_owned(),
        scenario: plan.name.clone(),
        seed: plan.seed,
        started_ns: 1_700_000_000_123_456_789,
        pid: 1,
        ..Opened::on(plan.stack.clone())
    }
}
