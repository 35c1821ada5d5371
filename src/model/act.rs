//! What an operator does to a drill that is under way, as the recording keeps it.

use serde::{Deserialize, Serialize};

use super::Action;

/// What an operator does to a drill that is under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Dispatch a step now that still waits for its time.
    Fire {
        /// The step.
        step: String,
    },
    /// Never dispatch a step that still waits for its time.
    Skip {
        /// The step.
        step: String,
    },
    /// Mend a fault now that is kept for its hold.
    Heal {
        /// Its step.
        step: String,
    },
    /// Keep a fault longer.
    Extend {
        /// Its step.
        step: String,
        /// By how long, µs.
        by_us: i64,
    },
    /// No step is dispatched by its time, and the load stays at its rate; what is broken is mended at its time.
    Pause,
    /// The schedule goes on where it stood.
    Resume,
    /// So many times the planned arrival rate from now on.
    Rate {
        /// 1.0 is as planned.
        factor: f64,
    },
    /// Something worth remembering.
    Note {
        /// What.
        text: String,
    },
    /// Somebody has noticed what is broken.
    Acknowledge,
    /// What somebody expects of a step that still waits for its time.
    Predict {
        /// The step.
        step: String,
        /// What.
        prediction: Prediction,
    },
    /// A fault that the scenario does not have.
    Break {
        /// The name of the step that it becomes.
        step: String,
        /// What is done.
        action: Box<Action>,
        /// How long it is kept from its effect, µs.
        hold_us: i64,
    },
}

/// What somebody expects of a step. What is `None` was not said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prediction {
    /// Failover latency of the journey that is hurt most, µs; 0: masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failover_us: Option<i64>,
    /// Bad requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
    /// The alerts that will fire; none at all where it is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerts: Option<Vec<String>>,
}

impl Act {
    /// The step that it is about, where it is about one.
    #[must_use]
    pub fn step(&self) -> Option<&str> {
        match self {
            Self::Fire { step }
            | Self::Skip { step }
            | Self::Heal { step }
            | Self::Extend { step, .. }
            | Self::Predict { step, .. }
            | Self::Break { step, .. } => Some(step),
            Self::Pause
            | Self::Resume
            | Self::Rate { .. }
            | Self::Note { .. }
            | Self::Acknowledge => None,
        }
    }

    /// What it is called in `result.json`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Fire { .. } => "fire",
            Self::Skip { .. } => "skip",
            Self::Heal { .. } => "heal",
            Self::Extend { .. } => "extend",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Rate { .. } => "rate",
            Self::Note { .. } => "note",
            Self::Acknowledge => "acknowledge",
            Self::Predict { .. } => "predict",
            Self::Break { .. } => "break",
        }
    }
}
