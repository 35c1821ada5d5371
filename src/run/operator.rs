//! What an operator asks of a drill that is under way: each act is checked against how far its step is, recorded, and
//! handed to whoever does it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, watch};

use crate::fault;
use crate::model::{Act, Action, Pauses};
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
    /// Its fault is being made, or is kept.
    On,
    /// It is being mended, or is over.
    Over,
}

/// What others do for the operator.
#[derive(Debug)]
pub(super) enum Wanted {
    /// A step that the plan does not have.
    Step(Box<StepPlan>),
    /// Another pace of the load: so many times the planned rate, and whether the schedule stands still.
    Pace {
        /// Unchanged where `None`.
        factor: Option<f64>,
        /// Unchanged where `None`.
        held: Option<bool>,
    },
}

/// The operator of one run.
pub(super) struct Operator {
    recorder: Recorder,
    plan: Plan,
    desks: Mutex<BTreeMap<String, watch::Sender<Desk>>>,
    pauses: watch::Sender<Pauses>,
    /// The warm-up is over and the load is not.
    drilling: AtomicBool,
    /// How many faults were asked for that the plan does not have.
    ad_hoc: AtomicU32,
    wanted: mpsc::UnboundedSender<Wanted>,
}

impl Operator {
    /// Nobody has asked for anything yet. What others are to do comes out of the receiver.
    pub(super) fn new(recorder: Recorder, plan: Plan) -> (Self, mpsc::UnboundedReceiver<Wanted>) {
        let (wanted, receiver) = mpsc::unbounded_channel();
        let desks = plan.steps.iter();
        let desks = desks.map(|s| (s.name.clone(), watch::Sender::new(Desk::default())));
        let operator = Self {
            recorder,
            desks: Mutex::new(desks.collect()),
            plan,
            pauses: watch::Sender::new(Pauses::default()),
            drilling: AtomicBool::new(false),
            ad_hoc: AtomicU32::new(0),
            wanted,
        };
        (operator, receiver)
    }

    /// Does what is asked, as long as anybody can ask. Never returns.
    pub(super) async fn serve(&self, acts: Option<mpsc::UnboundedReceiver<Act>>) {
        if let Some(mut acts) = acts {
            while let Some(act) = acts.recv().await {
                if let Err(why) = self.act(act) {
                    self.recorder.record(Event::Note {
                        level: Level::Warning,
                        text: why,
                    });
                }
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
                allowed = !(stage == Stage::On && desk.skipped);
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
                if self.is_kept(step) {
                    return Err(format!("{step} is kept: there is nothing to heal"));
                }
                self.of_step(act, |desk| {
                    on(desk)?;
                    desk.healed = true;
                    Ok(())
                })
            }
            Act::Extend { ref step, by_us } => {
                if !self.is_held(step) {
                    return Err(format!("{step} has no hold that could be longer"));
                }
                self.of_step(act, |desk| {
                    on(desk)?;
                    desk.extended_us = desk.extended_us.saturating_add(by_us.max(0));
                    Ok(())
                })
            }
            Act::Pause => self.pause(true),
            Act::Resume => self.pause(false),
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

    /// Whether what a step changes stays.
    fn is_kept(&self, step: &str) -> bool {
        let planned = self.plan.steps.iter().find(|s| s.name == step);
        planned.is_some_and(|s| matches!(s.action, Action::Update { keep: true, .. }))
    }

    /// Whether a step's fault ends with its hold.
    fn is_held(&self, step: &str) -> bool {
        let planned = self.plan.steps.iter().find(|s| s.name == step);
        planned.is_none_or(|s| s.hold.is_some())
    }

    fn pause(&self, stands: bool) -> Result<(), String> {
        let now_us = self.recorder.clock().now_us();
        let mut changed = false;
        self.pauses.send_if_modified(|pauses| {
            changed = if stands {
                pauses.begin(now_us)
            } else {
                pauses.end(now_us)
            };
            changed
        });
        if !changed {
            let stands = if stands { "stands still" } else { "goes on" };
            return Err(format!("the schedule {stands} already"));
        }
        let act = if stands { Act::Pause } else { Act::Resume };
        self.recorder.record(Event::Operated(act));
        self.want(Wanted::Pace {
            factor: None,
            held: Some(stands),
        })
    }

    fn rate(&self, factor: f64) -> Result<(), String> {
        if !FACTORS.contains(&factor) {
            return Err(format!(
                "the rate can be from {} to {} times the planned one, not {factor}",
                FACTORS.start(),
                FACTORS.end()
            ));
        }
        self.recorder.record(Event::Operated(Act::Rate { factor }));
        self.want(Wanted::Pace {
            factor: Some(factor),
            held: None,
        })
    }

    fn ad_hoc(&self, action: Box<Action>, hold_us: i64) -> Result<(), String> {
        fault::may_offer(&self.plan, &action)
            .map_err(|why| format!("{} was not done: {why}", action.name()))?;
        let step = self.free_name();
        drop(self.desk(&step));
        let planned = StepPlan::ad_hoc(&step, &action, hold_us);
        self.recorder.record(Event::Operated(Act::Break {
            step,
            action,
            hold_us,
        }));
        self.want(Wanted::Step(Box::new(planned)))
    }

    /// A name that no step of the plan has.
    fn free_name(&self) -> String {
        let taken: BTreeSet<&str> = self.plan.steps.iter().map(|s| s.name.as_str()).collect();
        loop {
            let number = self.ad_hoc.fetch_add(1, Ordering::Relaxed) + 1;
            let name = format!("adhoc-{number}");
            if !taken.contains(name.as_str()) {
                return name;
            }
        }
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
        Stage::On | Stage::Over => Err("its time has come already"),
    }
}

fn on(desk: &Desk) -> Result<(), &'static str> {
    match desk.stage {
        Stage::On => Ok(()),
        Stage::Waiting => Err("its fault is not on yet"),
        Stage::Over => Err("its fault is not on any more"),
    }
}

/// What was asked, for a person.
fn name(act: &Act) -> String {
    let what = match act {
        Act::Fire { .. } => "fire",
        Act::Skip { .. } => "skip",
        Act::Heal { .. } => "heal",
        Act::Extend { .. } => "extend",
        Act::Pause => "pause",
        Act::Resume => "resume",
        Act::Rate { .. } => "the rate",
        Act::Note { .. } => "the note",
        Act::Acknowledge => "acknowledge",
        Act::Predict { .. } => "the prediction",
        Act::Break { action, .. } => return format!("{} ad hoc", action.name()),
    };
    match act.step() {
        Some(step) => format!("{what} {step}"),
        None => what.to_owned(),
    }
}
