//! A step's guards in words, before anything is touched.

use crate::model::StackSpec;
use crate::scenario::plan::{Plan, StepPlan};

/// What keeps this step from reaching too far: one sentence for each guard that binds it.
#[must_use]
pub fn guards_of(step: &StepPlan, plan: &Plan) -> Vec<String> {
    let mut guards = Vec::new();
    let keep = plan.guards.keep_healthy;
    if let Some(target) = step.action.target().filter(|_| keep > 0) {
        guards.push(format!(
            "keep_healthy {keep}: not made if it would leave fewer than {keep} healthy of {target}"
        ));
    }
    if matches!(plan.stack, StackSpec::External(_)) {
        guards.push(if plan.guards.allow_external {
            "allow_external: firedrill did not start this stack and may break it".to_owned()
        } else {
            "allow_external is not set: no container of this stack is touched".to_owned()
        });
    }
    guards
}
