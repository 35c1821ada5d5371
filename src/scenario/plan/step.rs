//! One step: when it begins, what it does, and for how long.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Action;

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepPlan {
    /// Its name, also its watch's.
    pub name: String,
    /// When it begins.
    pub when: Trigger,
    /// What it does. Targets are services by now.
    pub action: Action,
    /// How long the fault is kept, from its effect.
    pub hold: Option<Duration>,
}

impl StepPlan {
    /// A fault that an operator makes at once, kept for `hold_us` µs from its effect.
    #[must_use]
    pub fn ad_hoc(name: &str, action: &Action, hold_us: i64) -> Self {
        let hold = match action {
            // It mends itself.
            Action::Restart { .. } => None,
            _ => Some(Duration::from_micros(u64::try_from(hold_us).unwrap_or(0))),
        };
        Self {
            name: name.to_owned(),
            // Which is past.
            when: Trigger::At(Duration::ZERO),
            action: action.clone(),
            hold,
        }
    }
}

/// When a step begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// So long after the end of warm-up.
    At(Duration),
    /// After another step got so far.
    After {
        /// That step.
        step: String,
        /// How far.
        milestone: Milestone,
        /// A wait after that.
        wait: Duration,
        /// How long to wait for it at most, from the end of warm-up; then the step is not dispatched.
        within: Option<Duration>,
    },
}

/// How far a step got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Milestone {
    /// Its call was made.
    Dispatched,
    /// Its undo is verified.
    Healed,
    /// Its watch is over.
    Settled,
}
