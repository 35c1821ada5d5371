//! The plan as it was carried out: what an operator changed while it ran is in the recording, and only there.

use std::borrow::Cow;

use crate::model::Pace;
use crate::scenario::plan::Plan;
use crate::timeline::Recording;
use crate::timeline::event::Event;

/// The plan with what the recording says was changed of it. It may be asked again of its own answer.
#[must_use]
pub fn as_run<'a>(plan: &'a Plan, recording: &Recording) -> Cow<'a, Plan> {
    let pace = pace(recording);
    if pace == plan.pace {
        return Cow::Borrowed(plan);
    }
    Cow::Owned(Plan {
        pace,
        ..plan.clone()
    })
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
