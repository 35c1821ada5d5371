//! `objectives:` as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::exactly_one;
use crate::scenario::shape::{At, Named, OneOrMany};
use crate::scenario::units::{Loss, Percentage, Period, Text};

/// What is promised. A run without objectives proves nothing.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Objectives {
    /// Share of good requests.
    pub(in crate::scenario) availability: Option<OneOrMany<At<Availability>>>,
    /// Percentiles of latency: `{ p99: 250ms }`, with `of` and `during` where needed.
    pub(in crate::scenario) latency: Option<OneOrMany<At<Named<At<Text>>>>>,
    /// Failover latency, by step.
    pub(in crate::scenario) failover: Option<Named<Failover>>,
    /// Requests lost, by step.
    pub(in crate::scenario) lost: Option<Named<Lost>>,
    /// How soon a loss is detected, by step.
    pub(in crate::scenario) detection: Option<Named<At<Detection>>>,
    /// Rolling updates, by step.
    pub(in crate::scenario) update: Option<Named<At<UpdateLimits>>>,
    /// Alerts that must fire, and that none else does.
    pub(in crate::scenario) alerts: Option<Alerts>,
}

/// Share of good requests.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Availability {
    /// The least that is enough.
    pub(in crate::scenario) at_least: At<Percentage>,
    /// One journey in place of all.
    pub(in crate::scenario) of: Option<At<String>>,
    /// A window in place of the whole run: a step, `baseline` or `recovered`.
    pub(in crate::scenario) during: Option<At<String>>,
}

/// A limit on failover latency, in short or in full.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "(by kind)")]
#[schemars(untagged, inline)]
pub(in crate::scenario) enum Failover {
    /// The limit, for the worst journey.
    #[serde(rename = "scalar")]
    Within(At<Period>),
    /// The limit, for one journey.
    #[serde(rename = "map")]
    Of(FailoverOf),
}

/// A limit on failover latency of one journey.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct FailoverOf {
    /// The limit.
    pub(in crate::scenario) within: At<Period>,
    /// One journey in place of the worst.
    pub(in crate::scenario) of: Option<At<String>>,
}

/// A limit on what is lost, in short or in full.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "(by kind)")]
#[schemars(untagged, inline)]
pub(in crate::scenario) enum Lost {
    /// The limit, for the worst journey.
    #[serde(rename = "scalar")]
    AtMost(At<Loss>),
    /// The limit, for one journey.
    #[serde(rename = "map")]
    Of(LostOf),
}

/// A limit on what one journey loses.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct LostOf {
    /// The limit.
    pub(in crate::scenario) at_most: At<Loss>,
    /// One journey in place of the worst.
    pub(in crate::scenario) of: Option<At<String>>,
}

/// How soon a loss is detected, and by whom.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = one_source)]
pub(in crate::scenario) struct Detection {
    /// By a PromQL whose result becomes non-empty.
    pub(in crate::scenario) promql: Option<At<String>>,
    /// By the engine's health state of the victim.
    pub(in crate::scenario) by: Option<At<Detector>>,
    /// The limit.
    pub(in crate::scenario) within: At<Period>,
}

/// Who detects, other than a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::scenario) enum Detector {
    /// The engine's health state of the victim.
    Health,
    /// Whoever routes: the last request still tried on the victim. Needs `served_by`.
    Traffic,
}

/// What a rolling update may take and cost.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct UpdateLimits {
    /// Until it is through.
    pub(in crate::scenario) within: Option<At<Period>>,
    /// Requests lost over its watch.
    pub(in crate::scenario) lost: Option<At<Loss>>,
    /// Lowest count of healthy replicas.
    pub(in crate::scenario) min_healthy: Option<At<u32>>,
}

/// Alerts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Alerts {
    /// Alerts that must fire.
    pub(in crate::scenario) expect: Option<OneOrMany<At<ExpectedAlert>>>,
    /// Alerts that must not: `forbid`, or `{ forbid: [critical], allow: [Name] }`.
    pub(in crate::scenario) others: Option<At<Others>>,
}

/// An alert that must fire after a step.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct ExpectedAlert {
    /// The rule's name.
    pub(in crate::scenario) alert: At<String>,
    /// Labels it must carry.
    pub(in crate::scenario) r#match: Option<Named<At<Text>>>,
    /// The step it follows.
    pub(in crate::scenario) after: At<String>,
    /// Limit on firing, from the dispatch.
    pub(in crate::scenario) fires: Option<At<Period>>,
    /// Limit on the delivery to the webhook, from the dispatch.
    pub(in crate::scenario) notifies: Option<At<Period>>,
    /// Limit on the rule's resolving, from the heal.
    pub(in crate::scenario) resolves: Option<At<Period>>,
    /// Limit on the delivery of the resolution, from the heal.
    pub(in crate::scenario) clears: Option<At<Period>>,
}

/// What is forbidden, in short or in full.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "(by kind)")]
#[schemars(untagged, inline)]
pub(in crate::scenario) enum Others {
    /// Critical and warning alerts are forbidden.
    #[serde(rename = "scalar")]
    Forbid(Forbid),
    /// These severities are, but for these alerts.
    #[serde(rename = "map")]
    But(OthersBut),
}

/// The word `forbid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::scenario) enum Forbid {
    /// Forbidden.
    Forbid,
}

/// Severities that are forbidden, and alerts that are not.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct OthersBut {
    /// Severities: critical and warning unless set.
    pub(in crate::scenario) forbid: Option<Vec<String>>,
    /// Alerts that may fire.
    pub(in crate::scenario) allow: Option<Vec<String>>,
}

fn one_source(schema: &mut schemars::Schema) {
    exactly_one(schema, &["promql", "by"]);
}
