//! What an operator asks of a drill that is under way: each act is checked against how far its step is, recorded, and
//! handed to whoever does it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, watch};

use crate::fault;
use crate::model::{Act, Action, NodeFault, Pauses};
use crate::scenario::plan::{Plan, StepPlan};
use crate::timeline::Recorder;
use crate::timeline::event::{Event, Level};

/// The longest note, in characters.
const LONGEST_NOTE: usize = 500;
/// The rates that can be asked for, in parts of the planned one.
const FACTORS: std::ops::RangeInclusive<f64> = 0.01..=100.0;

/// How far a step is, and what an operator asked of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Desk {
    stage: Stage,
    /// Its time is now.
    pub(super) fired: bool,
    /// Its time never comes.
    pub(super) skipped: bool,
    /// Its hold is over.
    pub(super) healed: bool,
    /// Its hold lasts so much longer, µs.
    pub(super) extended_us: i64,
}

/// How far a step is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits for its time.
    #[default]
    Waiting,
    /// Its fault is being made.
    Making,
    /// Its fault was made, and is kept.
    On,
    /// It is being mended, or is over.
    Over,
}

/// What others do for the operator.
#[derive(Debug)]
pub(super) enum Wanted {
    /// A step that the plan does not have.
    Step(Box<StepPlan>),
    /// Another pace of the load: [`Act::Rate`], [`Act::Pause`] or [`Act::Resume`].
    Pace(Act),
}

/// The operator of one run.
pub(super) struct Operator {
    recorder: Recorder,
    plan: Plan,
    desks: Mutex<BTreeMap<String, watch::Sender<Desk>>>,
    pauses: watch::Sender<Pauses>,
    /// Whether it was asked last to stand still, done or not.
    stands: AtomicBool,
    /// Whether faults may be asked for that the plan does not have.
    may_break: bool,
    /// The warm-up is over and the load is not.
    drilling: AtomicBool,
    /// The faults that were asked for and that the plan does not have.
    ad_hoc: Mutex<Vec<StepPlan>>,
    wanted: mpsc::UnboundedSender<Wanted>,
}

impl Operator {
    /// Nobody has asked for anything yet. What others are to do comes out of the receiver.
    pub(super) fn new(
        recorder: Recorder,
        plan: Plan,
        may_break: bool,
    ) -> (Self, mpsc::UnboundedReceiver<Wanted>) {
        let (wanted, receiver) = mpsc::unbounded_channel();
        let desks = plan.steps.iter();
        let desks = desks.map(|s| (s.name.clone(), watch::Sender::new(Desk::default())));
        let operator = Self {
            recorder,
            desks: Mutex::new(desks.collect()),
            plan,
            may_break,
            pauses: watch::Sender::new(Pauses::default()),
            stands: AtomicBool::new(false),
            drilling: AtomicBool::new(false),
            ad_hoc: Mutex::default(),
            wanted,
        };
        (operator, receiver)
    }

    /// Does what is asked, as long as anybody can ask.
    pub(super) async fn serve(&self, acts: Option<mpsc::UnboundedReceiver<Act>>) -> Infallible {
        if let Some(mut acts) = acts {
            while let Some(act) = acts.recv().await {
                if let Err(why) = self.act(act) {
                    self.recorder.record(Event::Note {
                        level: Level::Warning,
                        text: why,
                    });
                }
            }
            // Whoever could have let the schedule go on has left. Of a drill that is over nobody wants to know.
            if self.stands.load(Ordering::Relaxed) {
                drop(self.want(Wanted::Pace(Act::Resume)));
            }
        }
        std::future::pending().await
    }

    /// From here on, or until here, faults may be asked for.
    pub(super) fn drilling(&self, drilling: bool) {
        self.drilling.store(drilling, Ordering::Relaxed);
    }

    /// When the schedule stood still.
    pub(super) fn pauses(&self) -> watch::Receiver<Pauses> {
        self.pauses.subscribe()
    }

    /// What is asked of a step.
    pub(super) fn desk(&self, step: &str) -> watch::Receiver<Desk> {
        self.desks().entry(step.to_owned()).or_default().subscribe()
    }

    /// The step is as far as that now. False where it was to begin and the operator had it skipped.
    pub(super) fn enter(&self, step: &str, stage: Stage) -> bool {
        let mut allowed = true;
        self.desks()
            .entry(step.to_owned())
            .or_default()
            .send_modify(|desk| {
                allowed = !(stage == Stage::Making && desk.skipped);
                if allowed {
                    desk.stage = stage;
                }
            });
        allowed
    }

    fn desks(&self) -> MutexGuard<'_, BTreeMap<String, watch::Sender<Desk>>> {
        self.desks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn act(&self, act: Act) -> Result<(), String> {
        match act {
            Act::Note { text } => self.note(&text),
            Act::Acknowledge => {
                self.recorder.record(Event::Operated(Act::Acknowledge));
                Ok(())
            }
            Act::Predict { .. } => self.of_step(act, |desk| match desk.stage {
                Stage::Waiting if !desk.skipped => Ok(()),
                _ => Err("it is too late to predict that"),
            }),
            act if !self.drilling.load(Ordering::Relaxed) => Err(format!(
                "{} was not done: no drill is under way (it begins after the warm-up and ends with the load)",
                name(&act)
            )),
            Act::Fire { .. } => self.of_step(act, |desk| {
                waits(desk)?;
                desk.fired = true;
                Ok(())
            }),
            Act::Skip { .. } => self.of_step(act, |desk| {
                waits(desk)?;
                desk.skipped = true;
                Ok(())
            }),
            Act::Heal { ref step } => {
                if matches!(
                    self.planned(step),
                    Some(StepPlan {
                        action: Action::Update { keep: true, .. },
                        ..
                    })
                ) {
                    return Err(format!("{step} is kept: there is nothing to heal"));
                }
                self.of_step(act, |desk| {
                    on(desk)?;
                    desk.healed = true;
                    Ok(())
                })
            }
            Act::Extend { ref step, by_us } => {
                let planned = self.planned(step);
                if planned.as_ref().is_some_and(|p| p.hold.is_none()) {
                    return Err(format!("{step} has no hold that could be longer"));
                }
                // Whoever holds it goes by the limit that it was given.
                let limited = |action: &Action| {
                    matches!(
                        action,
                        Action::Partition { .. }
                            | Action::Node {
                                fault: NodeFault::Partition,
                                ..
                            }
                    )
                };
                if planned.is_some_and(|p| limited(&p.action)) {
                    return Err(format!(
                        "{step}: a partition carries its own time limit, and ends at it"
                    ));
                }
                self.of_step(act, |desk| {
                    on(desk)?;
                    desk.extended_us = desk.extended_us.saturating_add(by_us.max(0));
                    Ok(())
                })
            }
            Act::Pause | Act::Resume => self.pause(act),
            Act::Rate { factor } => self.rate(factor),
            Act::Break {
                action, hold_us, ..
            } => self.ad_hoc(action, hold_us),
        }
    }

    fn note(&self, text: &str) -> Result<(), String> {
        let text = text.replace(char::is_control, " ");
        let text: String = text.trim().chars().take(LONGEST_NOTE).collect();
        if text.is_empty() {
            return Err("an empty note says nothing".to_owned());
        }
        self.recorder.record(Event::Operated(Act::Note { text }));
        Ok(())
    }

    /// Records the act, if the step is at a stage for it. Nothing of the step can come between the two.
    fn of_step(
        &self,
        act: Act,
        change: impl FnOnce(&mut Desk) -> Result<(), &'static str>,
    ) -> Result<(), String> {
        let step = act.step().unwrap_or_default().to_owned();
        let desks = self.desks();
        let Some(desk) = desks.get(&step) else {
            return Err(format!("there is no step {step}"));
        };
        let mut done = Ok(());
        desk.send_if_modified(|desk| {
            let before = *desk;
            match change(desk) {
                Ok(()) => self.recorder.record(Event::Operated(act)),
                Err(why) => done = Err(format!("{step}: {why}")),
            }
            *desk != before
        });
        done
    }

    /// A step of the plan, or one that was asked for.
    fn planned(&self, step: &str) -> Option<StepPlan> {
        let ad_hoc = self.ad_hoc.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = self.plan.steps.iter().chain(&*ad_hoc);
        all.find(|s| s.name == step).cloned()
    }

    fn pause(&self, act: Act) -> Result<(), String> {
        let stand = act == Act::Pause;
        if self.stands.swap(stand, Ordering::Relaxed) == stand {
            let does = if stand { "stands still" } else { "goes on" };
            return Err(format!("the schedule {does} already"));
        }
        self.want(Wanted::Pace(act))
    }

    /// What was asked of the pace could not be done.
    pub(super) fn unpaced(&self, why: String) {
        let stands = self.pauses.borrow().since_us().is_some();
        self.stands.store(stands, Ordering::Relaxed);
        self.recorder.record(Event::Note {
            level: Level::Warning,
            text: why,
        });
    }

    fn rate(&self, factor: f64) -> Result<(), String> {
        if !FACTORS.contains(&factor) {
            return Err(format!(
                "the rate can be from {} to {} times the planned one, not {factor}",
                FACTORS.start(),
                FACTORS.end()
            ));
        }
        self.want(Wanted::Pace(Act::Rate { factor }))
    }

    /// The load has another pace: what was asked for is done.
    pub(super) fn paced(&self, act: Act) {
        let now_us = self.recorder.clock().now_us();
        let mut done = true;
        self.pauses.send_if_modified(|pauses| {
            match act {
                Act::Pause => done = pauses.begin(now_us),
                Act::Resume => done = pauses.end(now_us),
                _ => return false,
            }
            done
        });
        if done {
            self.recorder.record(Event::Operated(act));
        }
    }

    fn ad_hoc(&self, action: Box<Action>, hold_us: i64) -> Result<(), String> {
        if !self.may_break {
            return Err("a control run is one without faults".to_owned());
        }
        fault::may_offer(&self.plan, &action)
            .map_err(|why| format!("{} was not done: {why}", action.name()))?;
        let planned = {
            let mut asked = self.ad_hoc.lock().unwrap_or_else(PoisonError::into_inner);
            let planned = StepPlan::ad_hoc(&self.free_name(asked.len()), &action, hold_us);
            asked.push(planned.clone());
            planned
        };
        drop(self.desk(&planned.name));
        self.recorder.record(Event::Operated(Act::Break {
            step: planned.name.clone(),
            action,
            hold_us,
        }));
        self.want(Wanted::Step(Box::new(planned)))
    }

    /// A name for one more than so many, which no step of the plan has.
    fn free_name(&self, so_many: usize) -> String {
        let mut name = format!("adhoc-{}", so_many + 1);
        while self.plan.steps.iter().any(|s| s.name == name) {
            name.push('x');
        }
        name
    }

    fn want(&self, wanted: Wanted) -> Result<(), String> {
        self.wanted
            .send(wanted)
            .map_err(|_| "the drill is over".to_owned())
    }
}

fn waits(desk: &Desk) -> Result<(), &'static str> {
    match desk.stage {
        Stage::Waiting if desk.skipped => Err("it is skipped already"),
        Stage::Waiting => Ok(()),
        Stage::Making | Stage::On | Stage::Over => Err("its time has come already"),
    }
}

fn on(desk: &Desk) -> Result<(), &'static str> {
    match desk.stage {
        Stage::On => Ok(()),
        Stage::Making => Err("its fault is still being made; an abort heals it, too"),
        Stage::Waiting => Err("its fault is not on yet"),
        Stage::Over => Err("its fault is not on any more"),
    }
}

/// What was asked, for a person.
fn name(act: &Act) -> String {
    match (act, act.step()) {
        (Act::Break { action, .. }, _) => format!("{} ad hoc", action.name()),
        (_, Some(step)) => format!("{} {step}", act.name()),
        (_, None) => act.name().to_owned(),
    }
}
