//! The plan as it was carried out: what an operator changed while it ran is in the recording, and only there.

use std::borrow::Cow;

use crate::model::{Act, Pace};
use crate::scenario::plan::{Plan, StepPlan};
use crate::timeline::Recording;
use crate::timeline::event::Event;

/// The plan with what the recording says was changed of it. It may be asked again of its own answer.
#[must_use]
pub fn as_run<'a>(plan: &'a Plan, recording: &Recording) -> Cow<'a, Plan> {
    let (pace, ad_hoc) = (pace(recording), ad_hoc(plan, recording));
    if pace == plan.pace && ad_hoc.is_empty() {
        return Cow::Borrowed(plan);
    }
    let mut as_run = plan.clone();
    as_run.pace = pace;
    as_run.steps.extend(ad_hoc);
    Cow::Owned(as_run)
}

/// The steps that were asked for and that the plan does not have.
fn ad_hoc(plan: &Plan, recording: &Recording) -> Vec<StepPlan> {
    let mut added: Vec<StepPlan> = Vec::new();
    for entry in &recording.entries {
        if let Event::Operated(Act::Break {
            step,
            action,
            hold_us,
        }) = &entry.event
        {
            let known = plan.steps.iter().chain(&added).any(|s| s.name == *step);
            if !known {
                added.push(StepPlan::ad_hoc(step, action, *hold_us));
            }
        }
    }
    added
}

/// What became of the loads' pace, from the begin of the first.
fn pace(recording: &Recording) -> Pace {
    let events = || recording.entries.iter().map(|e| &e.event);
    let started = events().rev().find_map(|event| match event {
        Event::LoadStarted { started_us, .. } => Some(*started_us),
        _ => None,
    });
    let changes = events().filter_map(|event| match event {
        Event::Repaced(change) => Some(*change),
        _ => None,
    });
    let pace: Pace = changes.collect();
    // Of a load that never began nothing is asked.
    started.map_or_else(Pace::default, |started_us| pace.counted_from(started_us))
}
