//! Whom a step takes.

use super::begin::Undone;
use crate::fault::{self, choose};
use crate::model::ComponentId;
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
    let targets = match (step.action.target(), step.action.take()) {
        (Some(target), Some(take)) => choose(
            &step.name,
            target,
            take,
            &bench.taken.leave(&components),
            bench.plan.seed,
            &bench.plan.guards,
        )
        .map_err(|refused| {
            let code = match refused {
                fault::Refused::Empty { .. } | fault::Refused::TooFew { .. } => "empty_selection",
                fault::Refused::KeepHealthy { .. } => "guard",
            };
            Undone {
                code,
                why: format!("{refused}{}", bench.taken.note(target)),
            }
        })?,
        _ => vec![],
    };
    bench.taken.take(&step.name, &targets);
    bench.victims.take(&step.name, &targets, &components);
    Ok(targets)
}
