//! `result.json`: the published, versioned outcome of a run.
//!
//! Offsets (`*_us` at the top level of steps and load) are µs since the run's zero; what is measured from a step's
//! dispatch or heal says so. A time that never came is `null`, never 0 and never left out.

mod after_action;
mod aftermath;
mod cluster;
mod load;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::verdict::Verdict;

pub use after_action::{
    ActResult, AfterAction, NoteResult, NoticedResult, PredictedResult, PredictionResult,
};
pub use aftermath::{Aftermath, Illness};
pub use cluster::ClusterResult;
pub use load::{
    LoadResult, LoadResults, Pause, Percentiles, RawFigures, SuspectSlice, WindowFigures,
    WindowResult,
};

/// Version of `result.json`.
pub const SCHEMA_VERSION: u32 = 1;

/// The outcome of a run: the verdict, why, and every figure it rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "result")]
pub struct Judgement {
    /// Version of this format: 1.
    pub schema_version: u32,
    /// Name of the scenario.
    pub scenario: String,
    /// Seed in force.
    pub seed: u64,
    /// The run's zero: RFC 3339 in UTC, with nanoseconds.
    pub started_at: String,
    /// The worst of all objectives and of the validity of the run itself.
    pub verdict: Verdict,
    /// What `firedrill run` exits with.
    pub exit_code: u8,
    /// Why it is no pass, and what else matters; the decisive one first.
    pub reasons: Vec<Reason>,
    /// Every objective that was judged.
    pub objectives: Vec<ObjectiveResult>,
    /// Every step of the plan, those left out by flag excepted.
    pub steps: Vec<StepResult>,
    /// What the load did and saw; `null` where the scenario has none or it never started.
    pub load: Option<LoadResults>,
    /// The stop condition that ended the run, where one did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stopped: Option<StopResult>,
    /// What people did, expected and noticed while it was on; absent where nobody did anything.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after_action: Option<AfterAction>,
    /// Whether everything was put back.
    pub recovery: RecoveryResult,
}

/// A stop condition that was met: a miss, whatever else the run proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StopResult {
    /// What it is about: `bad_share`, `longest_gap of write`, `p99`, `promql`, `alert`, `wall_clock`.
    pub condition: String,
    /// The value that stops the run, in words.
    pub limit: String,
    /// What was observed, in words.
    pub observed: String,
    /// When, µs since the run's zero.
    pub at_us: i64,
    /// From then until the calls that undo the last fault had returned, µs; `null` where none was open, or one could not
    /// be undone.
    pub undone_us: Option<i64>,
    /// From then until the last fault was verified to be undone, µs; `null` likewise.
    pub verified_us: Option<i64>,
}

/// A reason in plain words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// A stable word for machines.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

/// A figure: whole µs or counts, or a share.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Figure {
    /// µs or a count.
    Whole(i64),
    /// A share, 0 to 1.
    Share(f64),
}

impl Figure {
    /// As a number, for comparisons.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "figures are far below 2^53")]
    pub fn value(self) -> f64 {
        match self {
            Self::Whole(n) => n as f64,
            Self::Share(x) => x,
        }
    }
}

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A share from 0 to 1.
    Ratio,
    /// Microseconds.
    Us,
    /// A number of things.
    Count,
}

/// The two ends between which an objective's figure lies, because some requests say more of the generator than of
/// the system under test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Doubt {
    /// Requests in doubt, in the whole run.
    pub suspect: u64,
    /// The figure if each of them had been good; `null` where there is none.
    pub if_good: Option<Figure>,
    /// The figure if each of them had been bad; `null` where there is none.
    pub if_bad: Option<Figure>,
}

/// One objective, judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectiveResult {
    /// `availability`, `latency.p99`, `failover`, `lost`, `detection`, `update.within`, `alerts.fires`, …
    pub objective: String,
    /// The journey it is about, where the scenario names one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub of: Option<String>,
    /// The step it is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub step: Option<String>,
    /// The window it holds in, where it is not `run`; of `steady_state`, `before` or `after`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub during: Option<String>,
    /// The alert it is about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub alert: Option<String>,
    /// The journey that did worst, where the worst one counts.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub worst: Option<String>,
    /// What it came to.
    pub verdict: Verdict,
    /// The figure; `null` where there is none (an event that never came, a percentile among the bad requests).
    pub observed: Option<Figure>,
    /// The limit.
    pub limit: Figure,
    /// What both count.
    pub unit: Unit,
    /// Requests (or events) that the figure rests on.
    pub samples: u64,
    /// How exact the figure is, in µs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resolution_us: Option<i64>,
    /// What the generator's own trouble could have made of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub doubt: Option<Doubt>,
    /// What it rests on, in words; of what is no pass, why.
    pub evidence: Vec<String>,
}

/// One step, on the run's clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepResult {
    /// Its name.
    pub name: String,
    /// Its action: `kill`, `update`, …
    pub action: String,
    /// Components taken.
    pub targets: Vec<String>,
    /// Just before the call that injects.
    pub dispatched_us: Option<i64>,
    /// When the engine reported the effect on the last of its targets.
    pub effect_us: Option<i64>,
    /// When the call returned.
    pub acknowledged_us: Option<i64>,
    /// When the calls of the undo returned.
    pub healed_us: Option<i64>,
    /// When the undo was verified.
    pub verified_us: Option<i64>,
    /// End of its watch.
    pub watch_end_us: Option<i64>,
    /// Its watch contains another step's dispatch.
    pub shared: bool,
    /// The load (or the recording) ended before its watch could.
    pub cut: bool,
    /// Since the dispatch: when the source that its objective names showed the loss.
    pub detection_us: Option<i64>,
    /// Since the heal: the first good answer of the last victim.
    pub readmitted_us: Option<i64>,
    /// What callers saw; `null` where the step was not dispatched or there was no load.
    pub failover: Option<Failover>,
    /// Traffic of each target.
    pub victims: Vec<VictimResult>,
    /// How a rolling update went.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub update: Option<UpdateResult>,
    /// What the cluster made of the loss of nodes, where the step took any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cluster: Option<ClusterResult>,
    /// The alerts that its objectives name.
    pub alerts: Vec<AlertResult>,
}

/// The failover table: of all requests, and of each journey.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failover {
    /// Of all requests.
    #[serde(flatten)]
    pub all: FailoverFigures,
    /// Of each journey.
    pub journeys: BTreeMap<String, FailoverFigures>,
}

/// The failover table of one journey, or of all requests. Times are µs since the dispatch, `return_us` since the heal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FailoverFigures {
    /// Quiet time that closes an episode.
    pub settle_us: i64,
    /// Mean spacing of due requests as planned at the dispatch.
    pub slot_us: i64,
    /// Not one bad request.
    pub masked: bool,
    /// Whether the victims answered in the 10 s before; `null` where that cannot be known.
    pub exposed: Option<bool>,
    /// Due time of the first episode's first bad request.
    pub first_impact_us: Option<i64>,
    /// End of the last episode that began before the heal; 0 without one, `null` if it was still open.
    pub failover_us: Option<i64>,
    /// End of the last episode that began after the heal; 0 without one, `null` if it was still open.
    pub return_us: Option<i64>,
    /// Last less first bad request of the longest episode.
    pub outage_us: Option<i64>,
    /// Sum of the episodes' lengths.
    pub impaired_us: Option<i64>,
    /// Number of episodes; `null` where the baseline was too short to tell.
    pub episodes: Option<u64>,
    /// 95th percentile between bad requests of the last episode, at least one slot; `null` without an episode.
    pub resolution_us: Option<i64>,
    /// Longest time without a good completion.
    pub longest_gap_us: Option<i64>,
    /// Until p99 of every settle-long stretch stays under twice the baseline's and 10 ms.
    pub latency_back_us: Option<i64>,
    /// Requests of the watch that count.
    pub requests: u64,
    /// Bad ones.
    pub bad: u64,
    /// Bad ones that were already on the wire at the dispatch.
    pub in_flight: u64,
    /// Bad requests that a settle-long stretch may hold; `null` where the baseline was too short.
    pub allowance: Option<u64>,
    /// Bad requests in time of full outage.
    pub lost_us: i64,
    /// Bad ones that were answered well, but too late.
    pub slow: u64,
    /// Requests by outcome; only what occurred.
    pub by_outcome: BTreeMap<String, u64>,
}

/// What a target's traffic did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VictimResult {
    /// The component.
    pub target: String,
    /// Its share of answers in the 10 s before the dispatch; `null` where unknown.
    pub share_before: Option<f64>,
    /// Since the dispatch: the last request tried on it before the heal; `null` where none or unknown.
    pub last_tried_us: Option<i64>,
    /// Since the heal: its first good answer.
    pub readmitted_us: Option<i64>,
    /// Its share of answers from then to the watch's end.
    pub share_after: Option<f64>,
}

/// How a rolling update went. Times are µs since the dispatch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UpdateResult {
    /// When it was through; `null` if never.
    pub converged_us: Option<i64>,
    /// What the platform says of it.
    pub note: Option<String>,
    /// Fewest healthy replicas; `null` where not known.
    pub min_healthy: Option<u32>,
    /// Replicas wanted; `null` where not known.
    pub wanted: Option<u32>,
    /// When callers saw each version, in order of first sight.
    pub versions: Vec<VersionSeen>,
}

/// When callers saw a version. Times are µs since the dispatch, negative before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VersionSeen {
    /// The version, as answers name it.
    pub version: String,
    /// Its first answer since the baseline's begin.
    pub first_us: i64,
    /// Its last answer within the watch.
    pub last_us: i64,
}

/// One alert's way. Times are µs since the dispatch; `resolved_us` and `cleared_us` since the heal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertResult {
    /// `alertname`.
    pub alert: String,
    /// The labels asked for.
    pub labels: BTreeMap<String, String>,
    /// Its condition held.
    pub pending_us: Option<i64>,
    /// It fired.
    pub firing_us: Option<i64>,
    /// Alertmanager had it.
    pub received_us: Option<i64>,
    /// It was delivered.
    pub notified_us: Option<i64>,
    /// The rule no longer held.
    pub resolved_us: Option<i64>,
    /// Its end was delivered.
    pub cleared_us: Option<i64>,
    /// Times it fired again after it had resolved.
    pub flaps: u64,
    /// `silenced` or `inhibited`, where Alertmanager held it back.
    pub suppressed: Option<String>,
}

/// Whether everything was put back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecoveryResult {
    /// Nothing is left broken.
    pub clean: bool,
    /// What is, and why.
    pub left: Vec<String>,
}

impl Judgement {
    /// The JSON Schema of `result.json`.
    #[must_use]
    pub fn schema() -> schemars::Schema {
        schemars::schema_for!(Self)
    }

    /// The end of warm-up, µs since the run's zero; 0 without a load.
    #[must_use]
    pub fn steps_zero_us(&self) -> i64 {
        let first = self.load.as_ref().and_then(|loads| loads.each().next());
        first.map_or(0, |(_, load)| load.steps_zero_us)
    }

    /// How many objectives came to `verdict`.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.objectives
            .iter()
            .filter(|o| o.verdict == verdict)
            .count()
    }
}
