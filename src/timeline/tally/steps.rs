//! What became of each step.

use crate::model::ComponentId;
use crate::timeline::Entry;
use crate::timeline::event::Event;

/// How an update ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Convergence {
    /// When, µs since the run's zero.
    pub at_us: i64,
    /// Whether every replica runs the new definition.
    pub complete: bool,
    /// A call of firedrill's own failed, so it was not made as it was meant.
    pub call_failed: bool,
    /// What a person should know.
    pub note: Option<String>,
}

/// An effect that was observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// On which component, where it has one.
    pub component: Option<ComponentId>,
    /// When it took effect, µs since the run's zero.
    pub at_us: i64,
}

/// The course of one step so far, in µs since the run's zero.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepFacts {
    /// Its name.
    pub name: String,
    /// Components taken.
    pub targets: Vec<ComponentId>,
    /// What ran on those of them that are nodes.
    pub carried: Vec<ComponentId>,
    /// Just before the call that injects.
    pub dispatched_us: Option<i64>,
    /// That call's return.
    pub acknowledged_us: Option<i64>,
    /// What failed in it.
    pub error: Option<String>,
    /// Its effects, in the order of their times.
    pub effects: Vec<Effect>,
    /// How an update ended.
    pub converged: Option<Convergence>,
    /// The undo begins.
    pub heal_begins_us: Option<i64>,
    /// The undo's calls returned: the heal.
    pub healed_us: Option<i64>,
    /// The undo was read back.
    pub verified_us: Option<i64>,
    /// Code and reason why it was not dispatched.
    pub not_dispatched: Option<(String, String)>,
    /// The flag that left it out.
    pub left_out: Option<String>,
}

impl StepFacts {
    /// The first effect. Several engines' events need not come in the order of their times.
    #[must_use]
    pub fn effect_us(&self) -> Option<i64> {
        self.effects.iter().map(|e| e.at_us).min()
    }

    /// When the fault was over: an update converged, any other fault, and an update that was given up, was verified to
    /// be gone.
    #[must_use]
    pub fn over_us(&self) -> Option<i64> {
        match &self.converged {
            Some(end) if end.complete => Some(end.at_us),
            Some(_) | None => self.verified_us,
        }
    }

    /// Takes in one entry; whether it was about this step. The first of a kind stands.
    pub fn apply(&mut self, entry: &Entry) -> bool {
        let at_us = entry.at_us;
        match &entry.event {
            Event::Dispatched {
                step,
                targets,
                carried,
                ..
            } if *step == self.name => {
                self.dispatched_us.get_or_insert(at_us);
                self.targets.clone_from(targets);
                self.carried.clone_from(carried);
            }
            Event::Acknowledged { step, error } if *step == self.name => {
                self.acknowledged_us.get_or_insert(at_us);
                self.error.clone_from(error);
            }
            Event::Effect {
                step,
                component,
                effect_us,
            } if *step == self.name => {
                let place = self.effects.partition_point(|e| e.at_us <= *effect_us);
                let effect = Effect {
                    component: component.clone(),
                    at_us: *effect_us,
                };
                self.effects.insert(place, effect);
            }
            Event::Converged {
                step,
                complete,
                call_failed,
                note,
            } if *step == self.name => {
                self.converged.get_or_insert_with(|| Convergence {
                    at_us,
                    complete: *complete,
                    call_failed: *call_failed,
                    note: note.clone(),
                });
            }
            Event::HealBegins { step } if *step == self.name => {
                self.heal_begins_us.get_or_insert(at_us);
            }
            Event::Healed { step } if *step == self.name => {
                self.healed_us.get_or_insert(at_us);
            }
            Event::Verified { step } if *step == self.name => {
                self.verified_us.get_or_insert(at_us);
            }
            Event::NotDispatched { step, code, why } if *step == self.name => {
                let reason = || (code.clone(), why.clone());
                self.not_dispatched.get_or_insert_with(reason);
            }
            Event::LeftOut { step, flag } if *step == self.name => {
                self.left_out.get_or_insert_with(|| flag.clone());
            }
            _ => return false,
        }
        true
    }
}

/// The course of each of these steps, in their order.
#[must_use]
pub fn steps<'a>(names: impl IntoIterator<Item = &'a str>, entries: &[Entry]) -> Vec<StepFacts> {
    names
        .into_iter()
        .map(|name| {
            let mut facts = StepFacts {
                name: name.to_owned(),
                ..StepFacts::default()
            };
            for entry in entries {
                facts.apply(entry);
            }
            facts
        })
        .collect()
}
