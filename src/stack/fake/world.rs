//! What the fake stack is made of: replicas behind an edge that takes a while to notice a loss.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::model::{ComponentId, FakeSpec, RunState, StackEvent, StackEventKind, When};
use crate::stack::Unheard;

/// The one network of a fake stack.
pub(super) const NETWORK: &str = "fake";
/// What every replica runs before an update.
const FIRST_VERSION: &str = "v1";
/// How soon a replica answers.
const LATENCY: Duration = Duration::from_millis(2);

/// A handle on a fake world; its clones share it. Every change takes place at an exact instant of tokio's clock.
#[derive(Clone)]
pub struct FakeWorld(Arc<Mutex<World>>);

/// How the platform deceives whoever uses it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lies {
    /// Faults are acknowledged and do nothing.
    pub inert_faults: bool,
    /// So many undos fail before one works.
    pub failing_undos: u32,
    /// Faults land, and the call says that it failed.
    pub error_after_landing: bool,
    /// This version never becomes ready.
    pub broken_version: Option<String>,
    /// So long after its death a replica whose restart policy is in force runs again; never if `None`.
    pub revives_after: Option<Duration>,
}

/// What a caller of the fake edge gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeAnswer {
    /// How long it takes.
    pub after: Duration,
    /// What comes.
    pub reply: FakeReply,
    /// Who answered, by its component's name; `None` where no replica did.
    pub instance: Option<String>,
    /// The version that answered.
    pub version: Option<String>,
}

/// How a fake call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FakeReply {
    /// With a status code.
    Status(u16),
    /// The connection is refused.
    Refused,
    /// Never: the caller's patience decides.
    Hang,
}

/// Decides by the request's number and its time since the world began; `None` leaves it to the replicas.
type Script = Box<dyn Fn(u64, Duration) -> Option<FakeReply> + Send>;

pub(super) struct World {
    pub(super) spec: FakeSpec,
    pub(super) replicas: BTreeMap<ComponentId, FakeReplica>,
    pub(super) lies: Lies,
    /// Labels of components.
    pub(super) labels: Vec<(ComponentId, String)>,
    /// Components that firedrill is said to run in.
    pub(super) inhabited: Vec<ComponentId>,
    began: Instant,
    pending: Vec<(Instant, ComponentId, Change)>,
    watchers: Vec<mpsc::UnboundedSender<StackEvent>>,
    deaf: Vec<mpsc::UnboundedSender<Unheard>>,
    script: Script,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FakeReplica {
    pub(super) state: RunState,
    pub(super) cut_off: bool,
    pub(super) version: String,
    /// Starts so far; part of its handle.
    pub(super) starts: u32,
    /// Whether the edge has it in its list.
    listed: bool,
    /// Since when it does not answer. The edge notices `failover_after` later.
    lost: Option<Instant>,
}

/// What can happen to a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// It dies; `restarts` if its restart policy is to start it again.
    Die {
        restarts: bool,
    },
    /// It runs, made anew if it was not there.
    Start,
    Freeze,
    Thaw,
    CutOff,
    Reconnect,
    /// The edge takes it out, and it ends without a caller noticing.
    Retire,
    /// It is gone for good.
    Remove,
    /// From its next start on it runs this.
    Become {
        version: String,
    },
}

impl FakeWorld {
    /// A world with nothing running in it yet.
    #[must_use]
    pub fn new(spec: FakeSpec) -> Self {
        Self(Arc::new(Mutex::new(World {
            spec,
            replicas: BTreeMap::new(),
            lies: Lies::default(),
            labels: Vec::new(),
            inhabited: Vec::new(),
            began: Instant::now(),
            pending: Vec::new(),
            watchers: Vec::new(),
            deaf: Vec::new(),
            script: Box::new(|_, _| None),
        })))
    }

    /// Claims that its events could not be followed for so long up to now.
    pub fn unheard(&self, length: Duration) {
        let to = Instant::now();
        let gap = Unheard {
            from: to - length,
            to,
            over: true,
            why: "the engine was started anew".to_owned(),
        };
        self.lock().deaf.retain(|w| w.send(gap.clone()).is_ok());
    }

    /// Makes the platform deceive from here on.
    pub fn lie(&self, lies: Lies) {
        self.lock().lies = lies;
    }

    /// Gives a component a label, `key=value`.
    pub fn label(&self, id: ComponentId, label: &str) {
        self.lock().labels.push((id, label.to_owned()));
    }

    /// Claims that firedrill itself runs in a component.
    pub fn inhabit(&self, id: ComponentId) {
        self.lock().inhabited.push(id);
    }

    /// Lets a script decide on calls before the replicas do: by the call's number and its time since the world began.
    pub fn script(&self, script: impl Fn(u64, Duration) -> Option<FakeReply> + Send + 'static) {
        self.lock().script = Box::new(script);
    }

    /// What call number `n` of the edge gets at this instant. The replicas of the first service take turns.
    #[must_use]
    pub fn answer(&self, n: u64) -> FakeAnswer {
        let now = Instant::now();
        let world = self.settled(now);
        if let Some(reply) = (world.script)(n, now - world.began) {
            return FakeAnswer {
                after: LATENCY,
                reply,
                instance: None,
                version: None,
            };
        }
        let rotation = world.rotation(now);
        let turn = usize::try_from(n)
            .unwrap_or(usize::MAX)
            .checked_rem(rotation.len());
        let Some((id, replica)) = turn.and_then(|at| rotation.get(at)) else {
            let reply = FakeReply::Status(503);
            return FakeAnswer {
                after: LATENCY,
                reply,
                instance: None,
                version: None,
            };
        };
        let reply = match replica.state {
            _ if replica.cut_off => FakeReply::Hang,
            RunState::Running => FakeReply::Status(200),
            RunState::Paused => FakeReply::Hang,
            RunState::Restarting | RunState::Exited => FakeReply::Refused,
        };
        let served = matches!(reply, FakeReply::Status(_));
        FakeAnswer {
            after: LATENCY,
            reply,
            instance: served.then(|| id.to_string()),
            version: served.then(|| replica.version.clone()),
        }
    }

    /// Everything due by `now` has taken place.
    pub(super) fn settled(&self, now: Instant) -> MutexGuard<'_, World> {
        let mut world = self.lock();
        world.settle(now);
        world
    }

    /// Lets a change take place at an instant, whether or not anybody looks.
    pub(super) fn schedule(&self, at: Instant, id: &ComponentId, change: Change) {
        self.lock().pending.push((at, id.clone(), change));
        let world = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep_until(at).await;
            drop(world.settled(at));
        });
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    /// A fresh replica that does not run yet.
    pub(super) fn make(&mut self, id: &ComponentId) {
        let replica = FakeReplica {
            state: RunState::Exited,
            cut_off: false,
            version: FIRST_VERSION.to_owned(),
            starts: 0,
            listed: false,
            lost: None,
        };
        self.replicas.entry(id.clone()).or_insert(replica);
    }

    /// The replicas of a service.
    pub(super) fn indexes(&self, service: &str) -> Vec<u32> {
        self.replicas
            .keys()
            .filter(|id| id.service == service)
            .map(|id| id.index)
            .collect()
    }

    pub(super) fn watch(
        &mut self,
        events: mpsc::UnboundedSender<StackEvent>,
        unheard: mpsc::UnboundedSender<Unheard>,
    ) {
        self.watchers.push(events);
        self.deaf.push(unheard);
    }

    /// Nothing runs, and nothing is left to happen.
    pub(super) fn clear(&mut self) {
        self.replicas.clear();
        self.pending.clear();
    }

    /// The replicas that the edge sends calls to: those that answer, and those whose loss it has not noticed.
    fn rotation(&self, now: Instant) -> Vec<(&ComponentId, &FakeReplica)> {
        let first = self.spec.services.keys().next();
        let patience = self.spec.failover_after;
        let of = self
            .replicas
            .iter()
            .filter(|(id, _)| Some(&id.service) == first);
        of.filter(|(_, r)| r.listed && r.lost.is_none_or(|since| now < since + patience))
            .collect()
    }

    /// Whether this version becomes ready.
    pub(super) fn works(&self, version: &str) -> bool {
        self.lies.broken_version.as_deref() != Some(version)
    }

    fn settle(&mut self, now: Instant) {
        // Stable: what was scheduled first for an instant takes place first.
        self.pending.sort_by_key(|(at, ..)| *at);
        let due = self.pending.partition_point(|(at, ..)| *at <= now);
        let due: Vec<_> = self.pending.drain(..due).collect();
        for (at, id, change) in due {
            if let Some((handle, kind)) = self.take_place(at, &id, change) {
                let event = StackEvent {
                    when: When::Here(at),
                    component: id,
                    handle,
                    kind,
                };
                self.watchers.retain(|w| w.send(event.clone()).is_ok());
            }
        }
    }

    /// Makes one change; its event unless there was nothing to change.
    fn take_place(
        &mut self,
        at: Instant,
        id: &ComponentId,
        change: Change,
    ) -> Option<(String, StackEventKind)> {
        let broken = self
            .replicas
            .get(id)
            .is_some_and(|r| !self.works(&r.version));
        let replica = self.replicas.get_mut(id)?;
        let running = replica.state == RunState::Running;
        let alive = running || replica.state == RunState::Paused;
        let before = replica.handle(id);
        let kind = match change {
            Change::Die { restarts } => {
                replica.state = if restarts {
                    RunState::Restarting
                } else {
                    RunState::Exited
                };
                replica.lost.get_or_insert(at);
                alive.then_some(StackEventKind::Died { code: 137 })
            }
            Change::Retire => {
                replica.state = RunState::Exited;
                replica.listed = false;
                alive.then_some(StackEventKind::Died { code: 0 })
            }
            Change::Start if !alive => {
                replica.state = RunState::Running;
                replica.starts += 1;
                replica.listed = !broken && !replica.cut_off;
                replica.lost = None;
                return Some((replica.handle(id), StackEventKind::Started));
            }
            Change::Start => None,
            Change::Freeze => {
                if running {
                    replica.state = RunState::Paused;
                    replica.lost.get_or_insert(at);
                }
                running.then_some(StackEventKind::Paused)
            }
            Change::Thaw => {
                let frozen = replica.state == RunState::Paused;
                if frozen {
                    replica.state = RunState::Running;
                    replica.lost = replica.lost.filter(|_| replica.cut_off);
                }
                frozen.then_some(StackEventKind::Unpaused)
            }
            Change::CutOff => {
                replica.cut_off = true;
                replica.lost.get_or_insert(at);
                Some(StackEventKind::Disconnected {
                    network: NETWORK.to_owned(),
                })
            }
            Change::Reconnect => {
                replica.cut_off = false;
                replica.listed = running;
                replica.lost = replica.lost.filter(|_| !running);
                Some(StackEventKind::Connected {
                    network: NETWORK.to_owned(),
                })
            }
            Change::Become { version } => {
                replica.version = version;
                None
            }
            Change::Remove => {
                self.replicas.remove(id);
                Some(StackEventKind::Destroyed)
            }
        };
        Some((before, kind?))
    }
}

impl FakeReplica {
    /// Another after each start, as a container's or process's is.
    pub(super) fn handle(&self, id: &ComponentId) -> String {
        format!("fake-{}-{}-{}", id.service, id.index, self.starts)
    }
}
