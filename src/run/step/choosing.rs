//! Whom a step takes.

use super::begin::Undone;
use crate::fault::{self, choose};
use crate::model::{Action, ComponentId};
use crate::run::bench::Bench;
use crate::scenario::plan::StepPlan;
use crate::timeline::event::Event;

/// Chooses the step's targets and takes them, one step at a time.
pub(super) async fn chosen(bench: &Bench, step: &StepPlan) -> Result<Vec<ComponentId>, Undone> {
    let _one_at_a_time = bench.taken.choosing.lock().await;
    let components = bench.stack.components().await.map_err(|e| Undone {
        code: "failed",
        why: e.to_string(),
    })?;
    bench.recorder.record(Event::Components(components.clone()));
    let (free, guards) = (bench.taken.leave(&components), &bench.plan.guards);
    let selected = match (&step.action, step.action.target(), step.action.take()) {
        (_, Some(target), Some(take)) => {
            choose(&step.name, target, take, &free, bench.plan.seed, guards)
        }
        (Action::Scale { target, replicas }, ..) => {
            fault::may_scale(target, *replicas, &components, &free, guards).map(|()| vec![])
        }
        _ => Ok(vec![]),
    };
    let targets = selected.map_err(|refused| {
        let code = match refused {
            fault::Refused::Empty { .. } | fault::Refused::TooFew { .. } => "empty_selection",
            fault::Refused::KeepHealthy { .. } => "guard",
        };
        let note = step.action.target().map(|target| bench.taken.note(target));
        Undone {
            code,
            why: format!("{refused}{}", note.unwrap_or_default()),
        }
    })?;
    bench.taken.take(&step.name, &targets);
    bench.victims.take(&step.name, &targets, &components);
    Ok(targets)
}
