//! `after_action`: what people did, expected and noticed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What people did, expected and noticed while the drill was on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AfterAction {
    /// What was done to the drill, in order.
    pub acts: Vec<ActResult>,
    /// What was noted, in order.
    pub notes: Vec<NoteResult>,
    /// What was expected of steps, held against the facts.
    pub predictions: Vec<PredictionResult>,
    /// When somebody first said something of each fault.
    pub noticed: Vec<NoticedResult>,
}

/// What somebody did to the drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActResult {
    /// When, µs since the run's zero.
    pub at_us: i64,
    /// `fire`, `skip`, `heal`, `extend`, `pause`, `resume`, `rate`, `break`, `acknowledge`.
    pub act: String,
    /// The step, where it was about one.
    pub step: Option<String>,
    /// In words.
    pub text: String,
}

/// A note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoteResult {
    /// When, µs since the run's zero.
    pub at_us: i64,
    /// As it was typed.
    pub text: String,
}

/// What was expected of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PredictionResult {
    /// The step.
    pub step: String,
    /// When it was said, µs since the run's zero.
    pub at_us: i64,
    /// Part by part.
    pub parts: Vec<PredictedResult>,
}

/// A part of a prediction and the fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PredictedResult {
    /// `failover` (of the journey hurt most), `lost`, `alerts`.
    pub what: String,
    /// In words.
    pub predicted: String,
    /// The fact, in words; `null` where it is not known.
    pub observed: Option<String>,
    /// Whether it was no worse than predicted, for `alerts` whether exactly these fired; `null` likewise.
    pub held: Option<bool>,
}

/// When somebody first said something of a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoticedResult {
    /// Its step.
    pub step: String,
    /// µs from its dispatch to the first note or acknowledgement before the next step's; `null` where nobody said anything.
    pub after_us: Option<i64>,
    /// `note` or `acknowledge`; `null` likewise.
    pub by: Option<String>,
}
