//! An alert over time, as Prometheus has it.

use serde::{Deserialize, Serialize};

/// A stretch of one alert in one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertSpan {
    /// Pending or firing.
    pub state: AlertState,
    /// Evaluation that first showed it.
    pub from_us: i64,
    /// First evaluation that no longer showed it; `None` if it was still so when last looked.
    pub to_us: Option<i64>,
}

/// State of an alert; firing is more than pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// Its condition holds, its `for` is not over.
    Pending,
    /// It fires.
    Firing,
}
