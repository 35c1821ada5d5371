//! What a step's guards come to, in words, before anything is touched.

use crate::model::{Action, Selector, StackSpec};
use crate::scenario::plan::{Guards, Plan, StepPlan};

/// The guards that bear on a step, each as a phrase; empty where none does.
#[must_use]
pub fn guarded(step: &StepPlan, plan: &Plan) -> Vec<String> {
    let guards = &plan.guards;
    let mut words = Vec::new();
    if let Some(target) = step.action.target() {
        if guards.keep_healthy > 0 {
            let keep = guards.keep_healthy;
            words.push(format!("leaves {keep} healthy of {target}"));
        }
        words.extend(never_touched(&step.action, target, guards));
    } else if !guards.never_touch.is_empty() {
        words
            .push("never_touch does not reach what the user's own call or command does".to_owned());
    }
    if let Some(most) = guards.max_concurrent {
        words.push(format!("not while {most} open"));
    }
    if let Some(firing) = &guards.not_while_firing {
        let which = match &firing.forbid {
            Some(forbid) => forbid.join(" or "),
            None => "any alert".to_owned(),
        };
        let but = if firing.allow.is_empty() {
            String::new()
        } else {
            format!(", {} apart", firing.allow.join(" and "))
        };
        words.push(format!("not while {which} fires{but}"));
    }
    if matches!(plan.stack, StackSpec::External(_)) {
        words.push(if guards.allow_external {
            "allow_external: firedrill did not start this stack and may break it".to_owned()
        } else {
            "allow_external is not set: no container of this stack is touched".to_owned()
        });
    }
    if !guards.only.is_empty() {
        let windows: Vec<String> = guards.only.iter().map(ToString::to_string).collect();
        words.push(format!("only {}", windows.join(", or ")));
    }
    words
}

/// What of the target is out of reach.
fn never_touched(action: &Action, target: &str, guards: &Guards) -> Option<String> {
    let of = guards.never_touch.iter().filter(|selector| match selector {
        Selector::Service(service) => service == target,
        Selector::Component(component) => component.service == target,
        // Only the running stack knows who bears it.
        Selector::Label(_) => true,
    });
    let names: Vec<String> = of.map(ToString::to_string).collect();
    let chosen = if action.take().is_some() {
        ", chosen among the others"
    } else {
        ""
    };
    (!names.is_empty()).then(|| format!("never {}{chosen}", names.join(", ")))
}
