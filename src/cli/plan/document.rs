//! A plan as `plan --format json` prints it: published, versioned, the same bytes for the same seed.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::known::Seen;
use super::words;
use crate::fault::{Outline, outline};
use crate::scenario::Checked;
use crate::scenario::evidence::evidence;
use crate::scenario::plan::{LoadPlan, Milestone, Plan, StepPlan, Trigger};

/// Version of this format.
const SCHEMA_VERSION: u32 = 1;

/// What a run would do. Times are µs; those of steps count from the end of warm-up.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "plan")]
pub(in crate::cli) struct Document {
    /// Version of this format: 1.
    schema_version: u32,
    /// Name of the scenario.
    pub(super) scenario: String,
    /// What it proves.
    pub(super) description: Option<String>,
    /// Seed of every random choice.
    pub(super) seed: u64,
    /// The system under test.
    pub(super) stack: Stack,
    /// The load; `null` where the scenario has none, or several.
    pub(super) load: Option<Load>,
    /// Several loads by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) loads: BTreeMap<String, Load>,
    /// What is done to the stack, in the order of the file.
    pub(super) steps: Vec<Step>,
    /// What ends the run at once and heals everything, in words.
    pub(super) stop_when: Vec<String>,
    /// What is promised, and what it will have to go by.
    pub(super) objectives: Vec<Objective>,
    /// What the run will not be able to prove.
    warnings: Vec<String>,
}

/// The system under test.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct Stack {
    /// `compose`, `swarm`, `process`, `external`.
    kind: String,
    /// The same in words.
    pub(super) text: String,
    /// Where the steps' candidates are from.
    targets_from: Source,
    /// Why an engine that should know them did not say; `null` where none was asked, or where it answered.
    pub(super) engine_error: Option<String>,
}

/// What tells which components there are.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Source {
    /// The engine of a stack that stands already.
    Engine,
    /// The scenario and its files.
    File,
}

/// Open-loop load.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct Load {
    /// Arrivals that become due.
    pub(super) arrivals: u64,
    /// Its length, warm-up included.
    pub(super) length_us: u64,
    /// Length of the warm-up.
    pub(super) warmup_us: u64,
    /// Most arrivals a second.
    pub(super) peak_rate: f64,
    /// Limit of a request from its due time.
    pub(super) timeout_us: u64,
    /// Most connections at once.
    pub(super) connections: u32,
    /// How requests are tried again, in words; left out where they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retry: Option<String>,
    /// What arrivals do.
    pub(super) journeys: Vec<Journey>,
}

/// What arrivals do.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct Journey {
    /// Its name.
    pub(super) name: String,
    /// Its share of arrivals, 0 to 1.
    pub(super) share: f64,
    /// Requests of each.
    pub(super) requests: usize,
}

/// One step.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct Step {
    /// Its name.
    pub(super) name: String,
    /// When it begins.
    pub(super) when: When,
    /// The rest of it.
    #[serde(flatten)]
    pub(super) outline: Outline,
}

/// When a step begins: one of the two is not `null`.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct When {
    /// So long after the end of warm-up.
    at_us: Option<u64>,
    /// After another step got so far.
    after: Option<After>,
}

/// After another step got so far.
#[derive(Debug, Serialize, JsonSchema)]
struct After {
    /// That step.
    step: String,
    /// How far: `dispatched`, `healed`, `settled`.
    milestone: String,
    /// A wait after that.
    wait_us: u64,
    /// How long is waited for it at most, from the end of warm-up; `null` for as long as the load lasts.
    within_us: Option<u64>,
}

/// A promise, and what it will have to go by.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct Objective {
    /// The promise in words.
    pub(super) objective: String,
    /// Requests that will be due in its window; `null` for what is not judged by requests.
    pub(super) samples: Option<u64>,
    /// Requests that a pass takes; `null` where no number is enough, or none is needed.
    pub(super) needed: Option<f64>,
    /// Why it can at best come out inconclusive.
    pub(super) doubts: Vec<String>,
}

impl Document {
    /// The plan of a scenario, its targets as far as they were seen.
    pub(super) fn new(checked: &Checked, seen: &Seen) -> Self {
        let plan = &checked.plan;
        let step = |step: &StepPlan| Step {
            name: step.name.clone(),
            when: when(step),
            outline: outline(step, plan, &seen.known),
        };
        Self {
            schema_version: SCHEMA_VERSION,
            scenario: plan.name.clone(),
            description: plan.description.clone(),
            seed: plan.seed,
            stack: Stack {
                kind: plan.stack.kind().to_owned(),
                text: words::stack(plan),
                targets_from: if seen.by_engine() {
                    Source::Engine
                } else {
                    Source::File
                },
                engine_error: seen.error.clone(),
            },
            load: plan.load.as_ref().map(load),
            loads: {
                let each = plan.loads.iter();
                each.map(|(name, plan)| (name.clone(), load(plan)))
                    .collect()
            },
            steps: plan.steps.iter().map(step).collect(),
            stop_when: plan.stop_when.iter().map(ToString::to_string).collect(),
            objectives: objectives(plan),
            warnings: checked.warnings.iter().map(|w| w.message.clone()).collect(),
        }
    }
}

fn load(load: &LoadPlan) -> Load {
    let schedule = load.schedule();
    let journey = |(index, journey): (usize, &crate::scenario::plan::JourneyPlan)| Journey {
        name: journey.name.clone(),
        share: load.share(index),
        requests: journey.requests().count(),
    };
    Load {
        arrivals: schedule.slots(),
        length_us: micros(schedule.length()),
        warmup_us: micros(load.warmup),
        peak_rate: schedule.peak(),
        timeout_us: micros(load.timeout),
        connections: load.connections,
        retry: load.retry.as_ref().map(ToString::to_string),
        journeys: load.journeys.iter().enumerate().map(journey).collect(),
    }
}

fn when(step: &StepPlan) -> When {
    match &step.when {
        Trigger::At(at) => When {
            at_us: Some(micros(*at)),
            after: None,
        },
        Trigger::After {
            step,
            milestone,
            wait,
            within,
        } => When {
            at_us: None,
            after: Some(After {
                step: step.clone(),
                milestone: reached(*milestone).to_owned(),
                wait_us: micros(*wait),
                within_us: within.map(micros),
            }),
        },
    }
}

fn objectives(plan: &Plan) -> Vec<Objective> {
    let pairs = plan.objectives.iter().zip(evidence(plan));
    pairs
        .map(|(objective, evidence)| Objective {
            objective: words::objective(objective),
            samples: evidence.samples,
            needed: evidence.needed.filter(|n| n.is_finite()),
            doubts: evidence.doubts,
        })
        .collect()
}

pub(super) fn reached(milestone: Milestone) -> &'static str {
    match milestone {
        Milestone::Dispatched => "dispatched",
        Milestone::Healed => "healed",
        Milestone::Settled => "settled",
    }
}

impl When {
    /// `+20s`, or `5s after lose-one is healed`.
    pub(super) fn text(&self) -> String {
        match (&self.after, self.at_us) {
            (Some(after), _) => format!(
                "{} after {} is {}",
                words::time(Duration::from_micros(after.wait_us)),
                after.step,
                after.milestone
            ),
            (None, at) => format!(
                "+{}",
                words::time(Duration::from_micros(at.unwrap_or_default()))
            ),
        }
    }
}

fn micros(length: Duration) -> u64 {
    u64::try_from(length.as_micros()).unwrap_or(u64::MAX)
}
