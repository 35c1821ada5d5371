//! What the guards say of the stack as it stands, before any load is put on it.

use super::conductor::{Order, RunError};
use super::step::no_incident;
use crate::fault::Shield;
use crate::model::{Component, StackSpec};
use crate::observe::Observers;
use crate::scenario::plan::StepPlan;

/// Refuses what the guards are certain to refuse later.
///
/// # Errors
/// [`RunError::Guarded`]. Nothing was broken.
pub(super) async fn guards_hold(
    order: &Order,
    components: &[Component],
    observers: &Observers,
) -> Result<(), RunError> {
    let left_in = |step: &&StepPlan| order.selection.leaves_out(&step.name).is_none();
    let steps: Vec<&StepPlan> = order.plan.steps.iter().filter(left_in).collect();
    if steps.is_empty() {
        return Ok(());
    }
    spares_the_protected(order, components, &steps).await?;
    // A stack that firedrill did start may still be coming up.
    match (&order.plan.guards.not_while_firing, &order.plan.stack) {
        (Some(guard), StackSpec::External(_)) => no_incident(&observers.alerts(), guard, &[])
            .await
            .map_err(RunError::Guarded),
        (Some(_) | None, _) => Ok(()),
    }
}

/// What protects nothing now protects nothing later, and a service of which all is protected will not do.
async fn spares_the_protected(
    order: &Order,
    components: &[Component],
    steps: &[&StepPlan],
) -> Result<(), RunError> {
    let aimed = steps
        .iter()
        .filter_map(|step| Some((step, step.action.target()?)));
    let aimed: Vec<_> = aimed.collect();
    if aimed.is_empty() {
        return Ok(());
    }
    let shield = Shield::raise(&*order.stack, components, &order.plan.guards).await;
    let shield = shield.map_err(|unshielded| RunError::Guarded(unshielded.to_string()))?;
    for (step, target) in aimed {
        let of = || components.iter().filter(|c| c.id.service == target);
        if of().next().is_some()
            && of().all(|c| shield.covers(&c.id))
            && let Some(protected) = shield.of(target)
        {
            return Err(RunError::Guarded(format!(
                "step {} can hit nothing but what must not be touched: {protected}",
                step.name
            )));
        }
    }
    Ok(())
}
