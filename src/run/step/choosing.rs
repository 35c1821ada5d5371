//! Whom a step takes.

use super::begin::Undone;
use crate::fault::{self, Shield, choose};
use crate::model::{Action, Component, ComponentId, RunState};
use crate::run::bench::Bench;
use crate::scenario::plan::StepPlan;
use crate::timeline::event::{Event, Level};

/// Chooses the step's targets and takes them, one step at a time. From here on its fault counts as open.
pub(super) async fn chosen(bench: &Bench, step: &StepPlan) -> Result<Vec<ComponentId>, Undone> {
    let _one_at_a_time = bench.taken.choosing.lock().await;
    not_too_many(bench)?;
    let components = bench.stack.components().await.map_err(|e| Undone {
        code: "failed",
        why: e.to_string(),
    })?;
    bench.recorder.record(Event::Components(components.clone()));
    let (free, guards) = (bench.taken.leave(&components), &bench.plan.guards);
    let shield = match step.action.target() {
        Some(_) => Shield::raise(&*bench.stack, &components, guards)
            .await
            .map_err(|unshielded| Undone {
                code: "guard",
                why: unshielded.to_string(),
            })?,
        None => Shield::default(),
    };
    let selected = match (&step.action, step.action.target(), step.action.take()) {
        (_, Some(target), Some(take)) => {
            let seed = bench.plan.seed;
            choose(&step.name, target, take, &free, seed, guards, &shield)
        }
        (Action::Scale { target, replicas }, ..) => fault::may_change(target, &shield)
            .and_then(|()| fault::may_scale(target, *replicas, &components, &free, guards))
            .map(|()| vec![]),
        (_, Some(target), None) => fault::may_change(target, &shield)
            .and_then(|()| fault::may_replace(target, &free, guards))
            .map(|()| vec![]),
        (_, None, _) => Ok(vec![]),
    };
    let targets = selected.map_err(|refused| {
        let code = match refused {
            fault::Refused::Empty { .. } | fault::Refused::TooFew { .. } => "empty_selection",
            fault::Refused::KeepHealthy { .. }
            | fault::Refused::Protected { .. }
            | fault::Refused::Changed { .. } => "guard",
        };
        let note = step.action.target().map(|target| bench.taken.note(target));
        Undone {
            code,
            why: format!("{refused}{}", note.unwrap_or_default()),
        }
    })?;
    say_what_narrowed(bench, step, &free, &shield);
    bench.taken.take(&step.name, &targets);
    bench.victims.take(&step.name, &targets, &components);
    Ok(targets)
}

/// As many faults may be open as the guard says.
fn not_too_many(bench: &Bench) -> Result<(), Undone> {
    let Some(most) = bench.plan.guards.max_concurrent else {
        return Ok(());
    };
    let open = bench.taken.open();
    if open.len() < usize::try_from(most).unwrap_or(usize::MAX) {
        return Ok(());
    }
    Err(Undone {
        code: "guard",
        why: format!(
            "guards.max_concurrent allows {most} open at once, and not healed yet: {}",
            open.join(", ")
        ),
    })
}

/// Leaves in the recording that not everything that runs could be chosen.
fn say_what_narrowed(bench: &Bench, step: &StepPlan, free: &[Component], shield: &Shield) {
    let (Some(target), Some(_)) = (step.action.target(), step.action.take()) else {
        return;
    };
    let running: Vec<&Component> = free
        .iter()
        .filter(|c| c.id.service == target && c.state == RunState::Running)
        .collect();
    let left = running.iter().filter(|c| !shield.covers(&c.id)).count();
    if let Some(protected) = shield.of(target).filter(|_| left < running.len()) {
        let text = format!(
            "step {}: chosen among {left} of {} running replicas of {target}; never touched: {protected}",
            step.name,
            running.len()
        );
        bench.recorder.record(Event::Note {
            level: Level::Info,
            text,
        });
    }
}
