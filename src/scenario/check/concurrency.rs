//! Faults that are certain to be open at once, and too many for the guard.

use std::time::Duration;

use super::Checker;
use crate::model::Action;
use crate::scenario::error::Problem;
use crate::scenario::guards::Guards;
use crate::scenario::plan::{Milestone, StepPlan, Traffic, Trigger};
use crate::scenario::tree::Span;

/// When a fault is certain to be open, from the end of warm-up, both ends included: a hold counts from the effect, which
/// comes after the dispatch.
struct Open<'s> {
    step: &'s str,
    at: Span,
    from: Duration,
    to: Duration,
}

impl Checker<'_> {
    /// Notes each step that begins when as many faults as the guard allows are open already.
    pub(super) fn not_too_many_at_once(
        &mut self,
        steps: &[StepPlan],
        places: &[Span],
        traffic: Option<&Traffic<'_>>,
        guards: &Guards,
    ) {
        let Some(most) = guards.max_concurrent.filter(|most| *most > 0) else {
            return;
        };
        let end = traffic.map(Traffic::length);
        let certain = steps.iter().zip(places).filter_map(|(step, at)| {
            let from = dispatched(steps, step, steps.len())?;
            Some(Open {
                step: &step.name,
                at: *at,
                from,
                to: open_until(step, from, end),
            })
        });
        let mut open: Vec<Open<'_>> = certain.collect();
        // Of those that begin at the same moment, the last in the file is one too many.
        open.sort_by_key(|o| o.from);
        for (index, step) in open.iter().enumerate() {
            let before: Vec<&str> = open[..index]
                .iter()
                .filter(|other| other.to >= step.from)
                .map(|other| other.step)
                .collect();
            if before.len() >= usize::try_from(most).unwrap_or(usize::MAX) {
                let message = format!(
                    "`{}` begins while {} {} open, and `guards: {{ max_concurrent: {most} }}` forbids it",
                    step.step,
                    before.join(", "),
                    if before.len() == 1 { "is" } else { "are" }
                );
                let help = "begin it later, best by `after: { STEP: healed }`, or raise the guard";
                self.problems
                    .push(Problem::invalid(step.at, message).help(help));
            }
        }
    }
}

/// When a step is dispatched, where that hangs on no fault's effect. `left` bounds the chain of steps that follow one
/// another.
fn dispatched(steps: &[StepPlan], step: &StepPlan, left: usize) -> Option<Duration> {
    match &step.when {
        Trigger::At(at) => Some(*at),
        Trigger::After {
            step: name,
            milestone: Milestone::Dispatched,
            wait,
            ..
        } => {
            let before = steps.iter().find(|step| step.name == *name)?;
            Some(dispatched(steps, before, left.checked_sub(1)?)? + *wait)
        }
        Trigger::After {
            milestone: Milestone::Healed | Milestone::Settled,
            ..
        } => None,
    }
}

fn open_until(step: &StepPlan, from: Duration, load_end: Option<Duration>) -> Duration {
    match (step.hold, &step.action) {
        (Some(hold), _) => from + hold,
        // Over as soon as it can be.
        (
            None,
            Action::Kill { .. }
            | Action::Restart { .. }
            | Action::Http { undo: None, .. }
            | Action::Command { undo: None, .. }
            | Action::Exec { undo: None, .. }
            | Action::Update { keep: true, .. },
        ) => from,
        (
            None,
            Action::Stop { .. }
            | Action::Pause { .. }
            | Action::Disconnect { .. }
            | Action::Partition { .. }
            | Action::Scale { .. }
            | Action::Exec { .. }
            | Action::Http { .. }
            | Action::Command { .. }
            | Action::Node { .. }
            | Action::Update { .. },
        ) => load_end.map_or(from, |end| end.max(from)),
    }
}
