//! The plan: a scenario as checked. What `plan.json` holds, and all that a run and its judge go by.

mod engine;
mod retry;
mod step;
mod stop;
mod traffic;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use super::guards::Guards;
pub use engine::{Arrivals, Driver, EnginePlan, Pacing, ProxyPlan, ReusePlan, TlsPlan, dns_server};
pub use retry::{MOST_ATTEMPTS, RetryMethods, RetryOn, RetryPlan};
pub use step::{Milestone, StepPlan, Trigger};
pub use stop::{STOP_HITS, STOP_REQUESTS, StopCondition};
pub use traffic::{Placed, Traffic};

use crate::model::{HttpCall, Pace, Ratio, Schedule, StackSpec, Stage, Template, Variable};

/// A whole scenario, every reference resolved and every default filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Format version of this structure.
    pub plan_version: u32,
    /// The scenario's name.
    pub name: String,
    /// What it proves.
    pub description: Option<String>,
    /// Words to select it by.
    pub tags: Vec<String>,
    /// Seed of every random choice.
    pub seed: u64,
    /// The scenario file as named on the command line.
    pub file: PathBuf,
    /// The system under test.
    pub stack: StackSpec,
    /// Names of the scenario → services of the stack; also every service that a step names itself.
    pub targets: BTreeMap<String, String>,
    /// Where monitoring is.
    pub observe: Observe,
    /// What must hold before the first fault and after the last watch.
    pub steady_state: Vec<SteadyCheck>,
    /// The load; a scenario without one has nothing to observe callers by.
    pub load: Option<LoadPlan>,
    /// In its place, several by name, under way together: their warm-ups end at the same time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loads: Vec<(String, LoadPlan)>,
    /// What an operator made of the loads' rates while they ran; times count from the begin of the first.
    #[serde(default, skip_serializing_if = "Pace::is_empty")]
    pub pace: Pace,
    /// The steps, in the order of the file.
    pub steps: Vec<StepPlan>,
    /// What is promised.
    pub objectives: Vec<Objective>,
    /// When a recovery counts.
    pub recovery: Recovery,
    /// What ends it early, as a miss.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop_when: Vec<StopCondition>,
    /// Limits on the blast radius.
    pub guards: Guards,
}

/// Where the monitoring is, and the receiver of firedrill's own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observe {
    /// Base URL of Prometheus.
    pub prometheus: Option<Template>,
    /// Base URL of Alertmanager.
    pub alertmanager: Option<Template>,
    /// `host:port` that the webhook receiver listens on.
    pub webhook: Option<Template>,
}

/// A check of the steady state. `within` is patience: how long it may take to hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SteadyCheck {
    /// An HTTP call that must be answered so.
    Http {
        /// The call.
        call: HttpCall,
        /// What the answer must be.
        expect: Expect,
        /// Patience.
        within: Duration,
    },
    /// A PromQL instant query: every sample of its (non-empty) result must satisfy the condition.
    Promql {
        /// The query.
        query: Template,
        /// The condition.
        is: Comparison,
        /// Patience.
        within: Duration,
    },
}

/// A condition on a number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// Equal.
    Equals(f64),
    /// Not below.
    AtLeast(f64),
    /// Not above.
    AtMost(f64),
}

impl Comparison {
    /// Whether `value` satisfies it; NaN satisfies nothing.
    #[must_use]
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::Equals(x) => value == x,
            Self::AtLeast(x) => value >= x,
            Self::AtMost(x) => value <= x,
        }
    }
}

/// Open-loop load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadPlan {
    /// What relative addresses are relative to.
    pub base_url: Option<Template>,
    /// Warm-up at the first stage's rate, before the stages.
    pub warmup: Duration,
    /// The stages.
    pub stages: Vec<Stage>,
    /// Limit from the due time.
    pub timeout: Duration,
    /// Most connections open at once.
    pub connections: u32,
    /// Most requests unanswered at once; peak rate × timeout + connections unless set.
    pub in_flight: u64,
    /// Response headers that say who answered.
    pub served_by: Option<ServedBy>,
    /// Headers of every request.
    pub headers: Vec<(String, Template)>,
    /// Simulated users.
    pub users: Option<Users>,
    /// Rows for `${row.…}`.
    pub data: Option<DataTable>,
    /// What arrivals do; one is chosen for each arrival by weight.
    pub journeys: Vec<JourneyPlan>,
    /// When they come.
    #[serde(default, skip_serializing_if = "engine::is_default")]
    pub arrivals: Arrivals,
    /// How its requests are tried again; never unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryPlan>,
    /// How they are generated.
    #[serde(default, skip_serializing_if = "engine::is_default")]
    pub engine: EnginePlan,
}

impl LoadPlan {
    /// The arrival schedule, warm-up included.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        Schedule::new(self.warmup, &self.stages)
    }

    /// Every request of it: the login's and the journeys'.
    pub fn requests(&self) -> impl Iterator<Item = &RequestPlan> {
        let logins = self.users.iter().flat_map(|users| &users.login);
        logins.chain(self.journeys.iter().flat_map(JourneyPlan::requests))
    }

    /// The share of arrivals that take journey `index`.
    #[must_use]
    pub fn share(&self, index: usize) -> f64 {
        let total: u64 = self.journeys.iter().map(|j| u64::from(j.weight)).sum();
        self.journeys
            .get(index)
            .map_or(0.0, |j| f64::from(j.weight) / total.max(1) as f64)
    }

    /// Requests of journey `index` due per second at an arrival rate of `rate`, as planned.
    #[must_use]
    pub fn request_rate(&self, index: usize, rate: f64) -> f64 {
        self.journeys.get(index).map_or(0.0, |j| {
            rate * self.share(index) * j.requests().count() as f64
        })
    }
}

/// Response headers that name who answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedBy {
    /// Header with the instance.
    pub instance: Option<String>,
    /// Header with the version.
    pub version: Option<String>,
}

/// Simulated users. Arrival *n* draws user *n* mod `count`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Users {
    /// How many.
    pub count: u32,
    /// What each does once before the warm-up, and again on a 401.
    pub login: Vec<RequestPlan>,
    /// Each keeps the cookies that answers set, and sends them.
    #[serde(default, skip_serializing_if = "engine::is_default")]
    pub cookies: bool,
}

/// The rows of a CSV file with a header line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataTable {
    /// The file.
    pub rows: PathBuf,
    /// Its columns.
    pub columns: Vec<String>,
}

/// What one arrival does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JourneyPlan {
    /// Its name.
    pub name: String,
    /// Its share of arrivals, against the other journeys' weights.
    pub weight: u32,
    /// In place of the load's base URL.
    pub base_url: Option<Template>,
    /// Requests and waits, in order.
    pub items: Vec<JourneyItem>,
}

impl JourneyPlan {
    /// Its requests, waits left out.
    pub fn requests(&self) -> impl Iterator<Item = &RequestPlan> {
        self.items.iter().filter_map(|item| match item {
            JourneyItem::Request(request) => Some(request),
            JourneyItem::Think(_) => None,
        })
    }
}

/// A request, or a wait before the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "journeys are few, and most items are requests"
)]
pub enum JourneyItem {
    /// A wait.
    Think(Duration),
    /// A request.
    Request(RequestPlan),
}

/// One request of a journey.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestPlan {
    /// Method, upper case.
    pub method: String,
    /// Absolute, or relative to the base URL.
    pub url: Template,
    /// Its own headers.
    pub headers: Vec<(String, Template)>,
    /// Its body.
    pub body: Body,
    /// What makes its answer `ok`, and good.
    pub expect: Expect,
    /// Name → JSONPath into the answer's JSON body.
    pub extract: Vec<(String, String)>,
}

/// A request body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// None.
    Empty,
    /// JSON; every string in it is a template (in its written form).
    Json(serde_json::Value),
    /// Text.
    Text(Template),
    /// A file, sent byte for byte; relative to the scenario's folder.
    File(PathBuf),
}

/// What an answer must be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Expect {
    /// Exactly this status; without it, 2xx or 304.
    pub status: Option<u16>,
    /// Latency within which it is good.
    pub within: Option<Duration>,
    /// Text in the body.
    pub contains: Option<Template>,
    /// JSONPath → the value it must have.
    pub json: Vec<(String, serde_json::Value)>,
}

/// When a recovery counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recovery {
    /// Quiet time that closes an episode.
    pub settle: Duration,
    /// Bad requests a settle-long stretch may hold; computed from the baseline unless set.
    pub bad: Option<u64>,
    /// Limit on the time until latency is back.
    pub latency_back: Option<Duration>,
}

/// Which journeys an objective is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// All requests; of a failover table the worst journey.
    All,
    /// One journey.
    Journey(String),
    /// One of several loads: all its requests; of a failover table its worst journey.
    Load(String),
}

impl Of {
    /// The name that is meant; `None` for all.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::All => None,
            Self::Journey(name) | Self::Load(name) => Some(name),
        }
    }
}

/// One promise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "fields are those of the scenario language; `during` is a window, `run` unless set"
)]
pub enum Objective {
    /// Share of good requests.
    Availability {
        at_least: Ratio,
        of: Of,
        during: String,
    },
    /// A percentile of latency; `percentile` is 0.99 for `p99`. `name` is `p99` as written.
    Latency {
        name: String,
        percentile: f64,
        within: Duration,
        of: Of,
        during: String,
    },
    /// Failover latency of a step.
    Failover {
        step: String,
        within: Duration,
        of: Of,
    },
    /// Requests lost in a step's watch.
    Lost {
        step: String,
        limit: LostLimit,
        of: Of,
    },
    /// How soon the loss was detected.
    Detection {
        step: String,
        source: DetectionSource,
        within: Duration,
    },
    /// A rolling update is through.
    UpdateWithin { step: String, within: Duration },
    /// Requests lost over the update's watch.
    UpdateLost { step: String, limit: LostLimit },
    /// Lowest count of healthy replicas during the update.
    UpdateMinHealthy { step: String, at_least: u32 },
    /// An alert that must fire (and be notified, and resolve) after a step.
    Alert {
        alert: String,
        labels: BTreeMap<String, Template>,
        after: String,
        fires: Option<Duration>,
        notifies: Option<Duration>,
        resolves: Option<Duration>,
        clears: Option<Duration>,
    },
    /// No alert of these severities that is neither expected nor allowed.
    OtherAlerts {
        severities: Vec<String>,
        allow: Vec<String>,
    },
    /// Every step's latency is back within the limit.
    LatencyBack { step: String, within: Duration },
}

impl Objective {
    /// The step it is about, where it is about one; `during` a step's watch counts.
    #[must_use]
    pub fn step(&self) -> Option<&str> {
        match self {
            Self::Availability { .. } | Self::Latency { .. } | Self::OtherAlerts { .. } => None,
            Self::Failover { step, .. }
            | Self::Lost { step, .. }
            | Self::Detection { step, .. }
            | Self::UpdateWithin { step, .. }
            | Self::UpdateLost { step, .. }
            | Self::UpdateMinHealthy { step, .. }
            | Self::LatencyBack { step, .. } => Some(step),
            Self::Alert { after, .. } => Some(after),
        }
    }
}

/// A limit on what is lost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LostLimit {
    /// Bad requests / rate asked: seconds of full outage.
    Outage(Duration),
    /// Bad requests.
    Count(u64),
}

/// What shows that a loss was detected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DetectionSource {
    /// A PromQL whose result becomes non-empty.
    Promql(Template),
    /// The engine's health state of the victim.
    Health,
    /// The last request that was still tried on the victim (needs `served_by`).
    Traffic,
}

impl Plan {
    /// Every variable that is still in it, each once: what must be drawn, looked up or read before it can run.
    #[must_use]
    pub fn variables(&self) -> Vec<Variable> {
        // Templates lie in every corner of the plan, in JSON bodies too; their written form finds them all.
        let mut found = BTreeMap::new();
        if let Ok(written) = serde_json::to_value(self) {
            collect(&written, &mut found);
        }
        found.into_values().collect()
    }
}

fn collect(value: &serde_json::Value, found: &mut BTreeMap<String, Variable>) {
    match value {
        serde_json::Value::String(text) => {
            let template = Template::parse(text).unwrap_or_default();
            found.extend(template.variables().map(|v| (v.to_string(), v.clone())));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|v| collect(v, found)),
        serde_json::Value::Object(map) => map.values().for_each(|v| collect(v, found)),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}
