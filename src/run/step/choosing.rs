//! Whom a step takes.

use super::begin::Undone;
use crate::fault::{self, Shield};
use crate::model::{Action, Component, ComponentId, UpdateChange};
use crate::run::bench::Bench;
use crate::scenario::plan::StepPlan;
use crate::timeline::event::{Event, Level};

/// Whom a step takes.
pub(super) struct Choice {
    pub(super) targets: Vec<ComponentId>,
    /// What runs on those of them that are nodes.
    pub(super) carried: Vec<ComponentId>,
}

/// Chooses the step's targets and takes them, one step at a time. From here on its fault counts as open.
pub(super) async fn chosen(bench: &Bench, step: &StepPlan) -> Result<Choice, Undone> {
    let _one_at_a_time = bench.taken.choosing.lock().await;
    not_too_many(bench)?;
    not_entangled(bench, step)?;
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
    let by_seed = fault::chosen(step, &free, bench.plan.seed, guards, &shield);
    let selected = match (&step.action, step.action.target(), by_seed) {
        (_, _, Some(chosen)) => chosen,
        (Action::Scale { target, replicas }, ..) => fault::may_change(target, &shield)
            .and_then(|()| fault::may_scale(target, *replicas, &components, &free, guards))
            .map(|()| vec![]),
        (_, Some(target), None) => fault::may_change(target, &shield)
            .and_then(|()| fault::may_replace(target, &free, guards))
            .map(|()| vec![]),
        (_, None, None) => Ok(vec![]),
    };
    let targets = selected.map_err(|refused| {
        let code = match refused {
            fault::Refused::Empty { .. }
            | fault::Refused::TooFew { .. }
            | fault::Refused::NoNode { .. }
            | fault::Refused::TooFewNodes { .. } => "empty_selection",
            fault::Refused::KeepHealthy { .. }
            | fault::Refused::Protected { .. }
            | fault::Refused::Changed { .. }
            | fault::Refused::ProtectedNodes { .. }
            | fault::Refused::LastNodes { .. }
            | fault::Refused::KeepHealthyOnNodes { .. } => "guard",
        };
        let note = step.action.target().map(|target| bench.taken.note(target));
        Undone {
            code,
            why: format!("{refused}{}", note.unwrap_or_default()),
        }
    })?;
    say_what_narrowed(bench, step, &free, &shield);
    bench.taken.take(&step.name, &targets);
    bench.victims.take(step, &targets, &components);
    let carried = components.iter().filter(|c| c.is_carried_by(&targets));
    Ok(Choice {
        carried: carried.map(|c| c.id.clone()).collect(),
        targets,
    })
}

/// What puts a service back puts back what it found, and must not have found what another step had changed.
fn not_entangled(bench: &Bench, step: &StepPlan) -> Result<(), Undone> {
    let open = bench.taken.open();
    let mut others = bench.plan.steps.iter().filter(|s| open.contains(&s.name));
    match others.find(|other| contend(&other.action, &step.action)) {
        None => Ok(()),
        Some(other) => Err(Undone {
            code: "guard",
            why: format!(
                "{} has changed the same service and is not healed yet: what puts either back would bring the other's change again. \
                 Let it begin `after: {{ {}: settled }}`, or keep the first (`keep: true`)",
                other.name, other.name
            ),
        }),
    }
}

/// Whether two steps change the same thing of a service: its definition, or how many replicas it has.
fn contend(one: &Action, other: &Action) -> bool {
    let whole = |action: &Action| {
        let files = |change: &UpdateChange| matches!(change, UpdateChange::Files(_));
        matches!(action, Action::Update { change, .. } if files(change))
    };
    match (one, other) {
        (Action::Update { target: a, .. }, Action::Update { target: b, .. })
        | (Action::Scale { target: a, .. }, Action::Scale { target: b, .. }) => {
            a == b || whole(one) || whole(other)
        }
        (Action::Update { .. }, Action::Scale { .. })
        | (Action::Scale { .. }, Action::Update { .. }) => whole(one) || whole(other),
        _ => false,
    }
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
    let (left, protected) = fault::candidates(step, free, shield);
    if !protected.is_empty() {
        let text = format!(
            "step {}: chosen among {} of {} running replicas of {target}; never touched: {}",
            step.name,
            left.len(),
            left.len() + protected.len(),
            protected.join(", ")
        );
        bench.recorder.record(Event::Note {
            level: Level::Info,
            text,
        });
    }
}
