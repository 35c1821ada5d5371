//! Whether everything that was broken or started was put back.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Action, Undo};
use crate::scenario::plan::Plan;
use crate::timeline::Recording;
use crate::timeline::event::Event;

use super::result::RecoveryResult;

/// Every undo that is still owed, and every one that was given up.
pub(super) fn recovery(plan: &Plan, recording: &Recording) -> RecoveryResult {
    let mut owed: BTreeMap<u64, (String, &str)> = BTreeMap::new();
    let mut mended: BTreeSet<u64> = BTreeSet::new();
    let mut stays: BTreeSet<u64> = BTreeSet::new();
    for entry in &recording.entries {
        match &entry.event {
            Event::Owed { id, step, undo } if kept(plan, recording, step.as_deref(), undo) => {
                // A kept update is put back all the same where it failed, and that may fail, too.
                stays.extend((*undo == Undo::Down).then_some(*id));
            }
            Event::Owed { id, step, undo } => {
                let what = describe(step.as_deref(), undo);
                owed.insert(*id, (what, "nothing confirms that it was done"));
            }
            Event::Mended { id, .. } => {
                mended.insert(*id);
            }
            Event::LeftBroken { id, why } if !stays.contains(id) => {
                mended.remove(id);
                let left = owed.entry(*id);
                left.or_insert_with(|| (format!("undo {id}"), "")).1 = why;
            }
            _ => {}
        }
    }
    owed.retain(|id, _| !mended.contains(id));
    RecoveryResult {
        clean: owed.is_empty(),
        left: owed
            .into_values()
            .map(|(what, why)| format!("{what}: {why}"))
            .collect(),
    }
}

/// What is left as it is on purpose: an adopted or kept stack, a kept update, a fault without an undo.
fn kept(plan: &Plan, recording: &Recording, step: Option<&str>, undo: &Undo) -> bool {
    match undo {
        Undo::Down => !recording.opened.takes_down,
        Undo::Nothing => true,
        Undo::Running { .. }
        | Undo::Unpaused { .. }
        | Undo::Connected { .. }
        | Undo::Reachable { .. }
        | Undo::Replicas { .. }
        | Undo::Count { .. }
        | Undo::Definition { .. }
        | Undo::Available { .. }
        | Undo::Exec { .. }
        | Undo::Http { .. }
        | Undo::Command { .. } => plan.steps.iter().any(|s| {
            Some(s.name.as_str()) == step
                && matches!(s.action, Action::Update { keep: true, .. })
                && is_through(recording, &s.name)
        }),
    }
}

/// Whether an update was through: one that was not is put back, kept or not.
fn is_through(recording: &Recording, step: &str) -> bool {
    recording.entries.iter().any(
        |e| matches!(&e.event, Event::Converged { step: of, complete: true, .. } if of == step),
    )
}

/// What is owed, in words.
fn describe(step: Option<&str>, undo: &Undo) -> String {
    match step {
        Some(step) => format!("left broken by {step}: still to {undo}"),
        None => format!("left behind: still to {undo}"),
    }
}
