//! `load`: what the load did and saw.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Aftermath;

/// What the load did and saw; each of several loads by its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum LoadResults {
    /// The load of a scenario that has just one.
    One(Box<LoadResult>),
    /// Each of several by name.
    Several(BTreeMap<String, LoadResult>),
}

impl LoadResults {
    /// Each load, by name where it has one.
    pub fn each(&self) -> impl Iterator<Item = (Option<&str>, &LoadResult)> {
        let (one, several) = match self {
            Self::One(one) => (Some(&**one), None),
            Self::Several(several) => (None, Some(several)),
        };
        let several = several.into_iter().flatten();
        let several = several.map(|(name, load)| (Some(name.as_str()), load));
        one.map(|load| (None, load)).into_iter().chain(several)
    }

    /// The load of this name; without one, the only load of a scenario.
    #[must_use]
    pub fn named(&self, name: Option<&str>) -> Option<&LoadResult> {
        let mut each = self.each();
        each.find(|(of, _)| *of == name).map(|(_, load)| load)
    }
}

/// What a load did and saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoadResult {
    /// Due time of slot 0.
    pub started_us: i64,
    /// End of warm-up: the steps' zero.
    pub steps_zero_us: i64,
    /// Slots that became due.
    pub arrivals: u64,
    /// Requests that became due: the sum of `by_outcome` over `warmup` and `run`.
    pub asked: u64,
    /// Requests of which a first byte left: of the last try, where there were several.
    pub sent: u64,
    /// Requests never reached because their journey stopped; `null` where the load did not end in order.
    pub not_reached: Option<u64>,
    /// Requests sent per second of load.
    pub achieved_rate: f64,
    /// How late the pacer let requests go, 99th percentile.
    pub send_lag_p99_us: Option<i64>,
    /// Requests never sent because the generator was late.
    pub dropped: u64,
    /// When the generator let nothing go that fell due.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pauses: Vec<Pause>,
    /// Stretches in which the generator or the test bed was in trouble, or a component ill of that.
    pub suspect_slices: Vec<SuspectSlice>,
    /// `warmup`, `baseline`, one for each step, `recovered`, `run`.
    pub windows: Vec<WindowResult>,
}

/// A stretch in which the generator let nothing go that fell due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pause {
    /// Due time of the first request that it then let go over 10 ms late, or when it last let one go.
    pub from_us: i64,
    /// When it let requests go again, be it late ones.
    pub to_us: i64,
}

/// A stretch whose requests are in doubt: whole seconds, and what came of starved ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SuspectSlice {
    /// Its begin.
    pub from_us: i64,
    /// Its end.
    pub to_us: i64,
    /// Requests due in it.
    pub due: u64,
    /// Those that left within 10 ms of their time.
    pub on_time: u64,
    /// The test bed was starved of CPU in a second of it.
    pub starved: bool,
    /// Who was ill in it because the test bed had been starved of CPU shortly before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aftermaths: Vec<Aftermath>,
}

/// One window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WindowResult {
    /// Its name.
    pub name: String,
    /// Its begin.
    pub from_us: i64,
    /// Its end.
    pub to_us: i64,
    /// Of all its requests.
    #[serde(flatten)]
    pub all: WindowFigures,
    /// Of each journey.
    pub journeys: BTreeMap<String, WindowFigures>,
}

/// Figures of the requests due in a window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WindowFigures {
    /// Good and bad ones.
    pub requests: u64,
    /// Good ones.
    pub good: u64,
    /// Bad ones.
    pub bad: u64,
    /// All that became due, by outcome; only what occurred.
    pub by_outcome: BTreeMap<String, u64>,
    /// Of each outcome but `ok`: how many had a status, by status. With one, a `timeout`, `reset` or `eof` came after the
    /// head of an answer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub by_status: BTreeMap<String, BTreeMap<String, u64>>,
    /// Latency of all but `shed`, `dropped` and `cut`.
    pub latency_us: Percentiles,
    /// Time from sending, of the same.
    pub service_time_us: Percentiles,
    /// Of first tries alone, where the load tries again: what callers would have got without. No objective is judged by it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub raw: Option<RawFigures>,
}

/// Figures of the first tries of the requests due in a window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RawFigures {
    /// Good ones.
    pub good: u64,
    /// Bad ones.
    pub bad: u64,
    /// Requests by the outcome of their first try; only what occurred.
    pub by_outcome: BTreeMap<String, u64>,
    /// From when a request was due to the end of its first try, of all but `shed`, `dropped` and `cut`.
    pub latency_us: Percentiles,
    /// Tries in all, the first ones included.
    pub tries: u64,
}

/// Percentiles in µs, 3 significant digits; `null` without a sample.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Percentiles {
    pub p50: Option<i64>,
    pub p90: Option<i64>,
    pub p99: Option<i64>,
    pub p999: Option<i64>,
    pub max: Option<i64>,
}

impl LoadResult {
    /// The window of this name.
    #[must_use]
    pub fn window(&self, name: &str) -> Option<&WindowResult> {
        self.windows.iter().find(|w| w.name == name)
    }
}
