//! `load.suspect_slices[].aftermaths`: who fell ill after the test bed was starved of CPU.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a component fell ill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Illness {
    /// Its health check failed.
    Unhealthy,
    /// Its main process ended unasked.
    Died,
    /// The managers of its cluster said that it was not ready.
    NotReady,
}

/// A component that fell ill soon after the test bed was starved of CPU, by no step's doing. Times are µs since the run's
/// zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Aftermath {
    /// Which component.
    pub component: String,
    /// How.
    pub what: Illness,
    /// When.
    pub at_us: i64,
    /// Begin of the starved second that explains it.
    pub starved_us: i64,
    /// When it, or what came in its place, was well again; `null` if never.
    pub well_us: Option<i64>,
    /// Until when callers may have felt it: the settle time later, or the end of the run.
    pub to_us: i64,
}
