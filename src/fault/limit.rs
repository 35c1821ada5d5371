//! How long a fault can last, and who ends it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::{Action, NodeFault, StackSpec, UpdateChange};
use crate::scenario::evidence;
use crate::scenario::plan::{Plan, StepPlan};

/// How long a fault can last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Limit {
    /// µs from its effect that it is kept at most, if the steps before it take no longer than planned; `null` where
    /// nothing of firedrill's ends it.
    pub at_most_us: Option<u64>,
    /// The same in words.
    pub text: String,
    /// Who ends it when firedrill is killed.
    pub if_killed: String,
}

/// The time limit of a step's fault.
#[must_use]
pub(super) fn limit(step: &StepPlan, plan: &Plan) -> Limit {
    let left = left_of_load(step, plan);
    let at_most = match (step.hold, left) {
        (Some(hold), Some(left)) => Some(hold.min(left)),
        (None, left) => left.filter(|_| !owes_nothing(&step.action)),
        (Some(hold), None) => Some(hold),
    };
    Limit {
        at_most_us: at_most.map(micros),
        text: text(step, left),
        if_killed: if_killed(step, &plan.stack),
    }
}

/// How much of the load is left when the step is dispatched as planned.
fn left_of_load(step: &StepPlan, plan: &Plan) -> Option<Duration> {
    let length = plan.traffic()?.length();
    let dispatch = evidence::watch(plan, &step.name)?.dispatch;
    Some(length.saturating_sub(dispatch))
}

fn text(step: &StepPlan, left: Option<Duration>) -> String {
    let at_end = left.map_or_else(
        || "when the run ends".to_owned(),
        |left| format!("when the load ends, {} after its planned time", time(left)),
    );
    match (step.hold, &step.action) {
        (Some(hold), _) if left.is_some_and(|left| left < hold) => {
            format!("{} from its effect, cut short {at_end}", time(hold))
        }
        (Some(hold), _) => format!("{} from its effect", time(hold)),
        (None, action) if owes_nothing(action) => {
            "none of firedrill's: nothing is to be undone".to_owned()
        }
        (None, Action::Kill { .. } | Action::Restart { .. }) => {
            format!("until it is back, at the latest {at_end}")
        }
        (None, _) => format!("until it is undone {at_end}"),
    }
}

fn if_killed(step: &StepPlan, stack: &StackSpec) -> String {
    match (stack, &step.action) {
        (StackSpec::Fake(_), _) => "nobody needs to: it is gone with firedrill".to_owned(),
        (_, action) if owes_nothing(action) => "nobody: its undo is none".to_owned(),
        (_, Action::Kill { .. }) if step.hold.is_none() => {
            "the restart policy, or else the guardian; `firedrill recover` where both were killed"
                .to_owned()
        }
        (
            _,
            Action::Partition { .. }
            | Action::Node {
                fault: NodeFault::Partition,
                ..
            },
        ) => {
            "the guardian, at once; its own time limit, 5 s after the hold, where that was killed, too"
                .to_owned()
        }
        (_, _) => "the guardian, at once; `firedrill recover` where both were killed".to_owned(),
    }
}

/// Whether the user said that nothing is to be undone.
fn owes_nothing(action: &Action) -> bool {
    match action {
        Action::Http { undo, .. } => undo.is_none(),
        Action::Command { undo, .. }
        | Action::Exec { undo, .. }
        | Action::Update {
            change: UpdateChange::By { undo, .. },
            ..
        } => undo.is_none(),
        Action::Kill { .. }
        | Action::Stop { .. }
        | Action::Pause { .. }
        | Action::Restart { .. }
        | Action::Disconnect { .. }
        | Action::Partition { .. }
        | Action::Scale { .. }
        | Action::Node { .. }
        | Action::Update { .. } => false,
    }
}

fn time(length: Duration) -> String {
    humantime::format_duration(length).to_string()
}

fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}
