//! How far each step got.

use crate::judge::number;
use crate::model::{Act, Action, Pauses, Prediction};
use crate::scenario::plan::{Milestone, StepPlan, Trigger};
use crate::timeline::Entry;
use crate::timeline::event::Event;

/// How far a step got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its time has not come.
    Waiting,
    /// Dispatched, and not mended yet.
    On,
    /// Its undo is going on.
    Healing,
    /// Mended, and seen to be.
    Over,
    /// Never dispatched.
    Never,
}

/// A step.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) plan: StepPlan,
    pub(crate) stage: Stage,
    pub(crate) targets: Vec<String>,
    pub(crate) dispatched_us: Option<i64>,
    pub(crate) effect_us: Option<i64>,
    pub(crate) healed_us: Option<i64>,
    pub(crate) over_us: Option<i64>,
    /// By how much the operator had it kept longer, µs.
    pub(crate) extended_us: i64,
    /// What somebody expects of it.
    pub(crate) prediction: Option<Prediction>,
    /// Numbers of its undos that are not done.
    owed: Vec<u64>,
}

impl Step {
    pub(super) fn new(plan: &StepPlan) -> Self {
        Self {
            plan: plan.clone(),
            stage: Stage::Waiting,
            targets: Vec::new(),
            dispatched_us: None,
            effect_us: None,
            healed_us: None,
            over_us: None,
            extended_us: 0,
            prediction: None,
            owed: Vec::new(),
        }
    }

    /// Whether what it broke is broken now.
    pub(crate) fn is_on(&self) -> bool {
        matches!(self.stage, Stage::On | Stage::Healing)
    }

    /// When it is mended by itself, where that is known.
    pub(crate) fn mends_us(&self) -> Option<i64> {
        let hold = number::micros(self.plan.hold?);
        Some(self.effect_us.or(self.dispatched_us)? + hold + self.extended_us)
    }
}

/// Takes in an event.
pub(super) fn entry(steps: &mut [Step], entry: &Entry) {
    let at_us = entry.at_us;
    if let Event::Mended { id, .. } = entry.event {
        for step in steps.iter_mut().filter(|s| s.owed.contains(&id)) {
            step.owed.retain(|owed| *owed != id);
            // Whoever mended it: a guardian tells of each undo, and of no step.
            if step.owed.is_empty() && step.is_on() {
                step.stage = Stage::Over;
                step.over_us = Some(at_us);
            }
        }
        return;
    }
    let name = match &entry.event {
        Event::Owed {
            step: Some(step), ..
        } => step,
        Event::Dispatched { step, .. }
        | Event::Effect { step, .. }
        | Event::HealBegins { step }
        | Event::Healed { step }
        | Event::Verified { step }
        | Event::Converged { step, .. }
        | Event::NotDispatched { step, .. }
        | Event::LeftOut { step, .. }
        | Event::Operated(Act::Extend { step, .. } | Act::Predict { step, .. }) => step,
        _ => return,
    };
    let Some(step) = steps.iter_mut().find(|s| s.plan.name == *name) else {
        return;
    };
    match &entry.event {
        Event::Owed { id, .. } => step.owed.push(*id),
        Event::Dispatched { targets, .. } => {
            step.stage = Stage::On;
            step.dispatched_us = Some(at_us);
            step.targets = targets.iter().map(ToString::to_string).collect();
        }
        Event::Effect { effect_us, .. } => step.effect_us = step.effect_us.max(Some(*effect_us)),
        Event::HealBegins { .. } => step.stage = Stage::Healing,
        Event::Healed { .. } => step.healed_us = Some(at_us),
        // What is kept is mended by nobody; any other update is broken until it is undone.
        Event::Converged { complete, .. } if !complete || !kept(&step.plan.action) => {}
        Event::Verified { .. } | Event::Converged { .. } => {
            step.stage = Stage::Over;
            step.over_us = Some(at_us);
        }
        Event::NotDispatched { .. } | Event::LeftOut { .. } => step.stage = Stage::Never,
        Event::Operated(Act::Extend { by_us, .. }) => step.extended_us += by_us,
        Event::Operated(Act::Predict { prediction, .. }) => {
            step.prediction = Some(prediction.clone());
        }
        _ => {}
    }
}

fn kept(action: &Action) -> bool {
    matches!(action, Action::Update { keep: true, .. })
}

/// When a step that waits is due, where that is known by now.
pub(super) fn due_us(step: &Step, steps: &[Step], zero_us: i64, pauses: &Pauses) -> Option<i64> {
    match &step.plan.when {
        Trigger::At(at) => pauses.due_us(zero_us, number::micros(*at)),
        Trigger::After {
            step: other,
            milestone,
            wait,
            ..
        } => {
            let other = steps.iter().find(|s| s.plan.name == *other)?;
            let reached = match milestone {
                Milestone::Dispatched => other.dispatched_us,
                Milestone::Healed => other.healed_us,
                // Only the run's own watch tells when it settles.
                Milestone::Settled => None,
            };
            pauses.due_us(reached?, number::micros(*wait))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::testing::plan_with;

    /// An update that is through.
    fn through(keep: bool) -> Step {
        let steps = format!(
            "steps:\n  - {{ name: deploy, at: 20s, update: {{ target: backend, env: {{ A: b }}, keep: {keep} }} }}\n"
        );
        let mut steps: Vec<Step> = plan_with(&steps, "").steps.iter().map(Step::new).collect();
        let step = || "deploy".to_owned();
        let dispatched = Event::Dispatched {
            step: step(),
            targets: Vec::new(),
            injections: Vec::new(),
            carried: Vec::new(),
        };
        let converged = Event::Converged {
            step: step(),
            call_failed: false,
            complete: true,
            note: None,
        };
        for (at_us, event) in [(1, dispatched), (2, converged)] {
            let seq = 1;
            entry(&mut steps, &Entry { seq, at_us, event });
        }
        steps.remove(0)
    }

    #[test]
    fn an_update_that_is_to_be_undone_is_on_until_then() {
        assert!(through(false).is_on());
        assert!(!through(true).is_on());
    }
}
