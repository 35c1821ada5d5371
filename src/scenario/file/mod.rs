//! The scenario file as written. Optional keys are `Option`, so that the reader can tell which are
//! missing; what a key means, and whether it fits the others, is for `check`.

pub(super) mod guards;
pub(super) mod load;
pub(super) mod nodes;
pub(super) mod objectives;
pub(super) mod stack;
pub(super) mod steps;
pub(super) mod stop;
pub(super) mod swarm;

use schemars::{JsonSchema, Schema};
use serde::Deserialize;

use super::shape::{At, Named, OneOrMany, UnderKey};
use super::units::{Period, Text};

/// A part of the language that is read over, and refused with its name.
pub(super) type Later = UnderKey;

/// A firedrill scenario: a stack, load on it, what is done to it, and what is promised.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Version of the language: 1.
    #[schemars(required, extend("const" = 1))]
    pub(super) version: Option<At<u32>>,
    /// The scenario's name; also the name of its folder under `reports/`.
    #[schemars(required)]
    pub(super) name: Option<At<String>>,
    /// What it proves.
    pub(super) description: Option<String>,
    /// Words to select it by.
    pub(super) tags: Option<Vec<String>>,
    /// Seed of every random choice; drawn and printed when left out.
    pub(super) seed: Option<u64>,
    /// Values for `${UPPER_CASE}`; `--var` goes before them, the environment after.
    pub(super) vars: Option<Named<At<Text>>>,
    /// The system under test.
    #[schemars(required)]
    pub(super) stack: Option<At<stack::Stack>>,
    /// What the scenario calls things, and how the platform finds them.
    pub(super) targets: Option<Named<Target>>,
    /// Where the monitoring is.
    pub(super) observe: Option<Observe>,
    /// What must hold before the first fault, and again after the last watch.
    pub(super) steady_state: Option<OneOrMany<At<SteadyCheck>>>,
    /// Open-loop load.
    pub(super) load: Option<At<load::Load>>,
    /// In place of `load`: several by name, each with stages and journeys of its own, under way together. Their warm-ups
    /// end at the same time.
    pub(super) loads: Option<At<Named<At<load::Load>>>>,
    /// What is done to the stack, and when.
    pub(super) steps: Option<Vec<At<steps::Step>>>,
    /// What is promised.
    pub(super) objectives: Option<objectives::Objectives>,
    /// When a recovery counts.
    pub(super) recovery: Option<Recovery>,
    /// What ends the run early, with everything healed at once, as a miss.
    pub(super) stop_when: Option<OneOrMany<At<stop::StopWhen>>>,
    /// Limits on the blast radius.
    pub(super) guards: Option<guards::Guards>,
}

/// How the platform finds a target.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Target {
    /// A service of the stack.
    pub(super) service: At<String>,
}

/// Where the monitoring is, and the webhook receiver of firedrill's own.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Observe {
    /// Base URL of Prometheus.
    pub(super) prometheus: Option<At<String>>,
    /// Base URL of Alertmanager.
    pub(super) alertmanager: Option<At<String>>,
    /// A receiver of firedrill's own, so that delivery is measured.
    pub(super) webhook: Option<Webhook>,
}

/// The webhook receiver.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Webhook {
    /// `host:port` to listen on.
    pub(super) listen: At<String>,
}

/// One check of the steady state: `http` or `promql`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = one_check)]
pub(super) struct SteadyCheck {
    /// A call that must be answered so.
    pub(super) http: Option<At<SteadyHttp>>,
    /// A PromQL whose every sample must satisfy a condition.
    pub(super) promql: Option<At<SteadyPromql>>,
}

/// A call and the answer it must have.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SteadyHttp {
    /// The address.
    pub(super) get: At<String>,
    /// The status it must have; without one, any 2xx.
    pub(super) status: Option<At<u16>>,
    /// Text in the body.
    pub(super) contains: Option<At<String>>,
    /// Headers of the call.
    pub(super) headers: Option<Named<At<Text>>>,
    /// Patience.
    pub(super) within: Option<At<Period>>,
}

/// A query and the condition on its samples.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = one_comparison)]
pub(super) struct SteadyPromql {
    /// The query.
    pub(super) query: At<String>,
    /// Every sample equals it.
    pub(super) equals: Option<At<f64>>,
    /// No sample is below it.
    pub(super) at_least: Option<At<f64>>,
    /// No sample is above it.
    pub(super) at_most: Option<At<f64>>,
    /// Patience.
    pub(super) within: Option<At<Period>>,
}

/// When a recovery counts.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Recovery {
    /// Quiet time that closes an episode: 5s unless set.
    pub(super) settle: Option<At<Period>>,
    /// Bad requests that a settle-long stretch may hold; computed from the baseline unless set.
    pub(super) bad: Option<u64>,
    /// Limit on the time until latency is back; judged where set.
    pub(super) latency_back: Option<At<Period>>,
}

/// The word `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Nothing {
    /// Nothing.
    None,
}

/// Says in the schema that exactly one of these keys is written.
pub(super) fn exactly_one(schema: &mut Schema, keys: &[&str]) {
    let choices = keys
        .iter()
        .map(|key| serde_json::json!({ "required": [key] }))
        .collect();
    schema.insert("oneOf".to_owned(), serde_json::Value::Array(choices));
}

fn one_check(schema: &mut Schema) {
    exactly_one(schema, &["http", "promql"]);
}

fn one_comparison(schema: &mut Schema) {
    exactly_one(schema, &["equals", "at_least", "at_most"]);
}
