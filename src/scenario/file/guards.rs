//! `guards:` as written.

use schemars::{JsonSchema, Schema};
use serde::Deserialize;

use super::{Later, exactly_one};
use crate::scenario::shape::{At, OneOrMany};

/// Limits on the blast radius.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct Guards {
    /// Never take the last so many healthy members of a service.
    pub(in crate::scenario) keep_healthy: Option<u32>,
    /// Faults on a stack that firedrill did not start.
    pub(in crate::scenario) allow_external: Option<bool>,
    /// At most so many faults open at once, each from its dispatch until it is healed.
    #[schemars(extend("minimum" = 1))]
    pub(in crate::scenario) max_concurrent: Option<At<u32>>,
    /// What no step may hit: a service, a component (`service/2`), or what bears a label.
    pub(in crate::scenario) never_touch: Option<OneOrMany<Protected>>,
    /// No fault is added to an incident: `true`, or severities and names of alerts, or `{ forbid: […], allow: [Watchdog] }`.
    /// Alerts expected of an earlier step do not count.
    pub(in crate::scenario) not_while_firing: Option<At<Firing>>,
    /// When faults may be made: `Mon-Fri 09:00-16:00 Europe/Berlin`, or several such windows.
    pub(in crate::scenario) only: Option<OneOrMany<At<String>>>,
    #[schemars(skip)]
    pub(in crate::scenario) account: Option<Later>,
}

/// What no step may hit.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename = "(by kind)")]
#[schemars(untagged, inline)]
pub(in crate::scenario) enum Protected {
    /// A service or a component.
    #[serde(rename = "scalar")]
    Named(At<String>),
    /// With what it is said.
    #[serde(rename = "map")]
    By(At<ProtectedBy>),
}

/// One of a service, a component and a label.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = one_selector)]
pub(in crate::scenario) struct ProtectedBy {
    /// A name of `targets`, else a service: all of its components.
    pub(in crate::scenario) service: Option<At<String>>,
    /// One replica: `service/2`.
    pub(in crate::scenario) component: Option<At<String>>,
    /// A label of the platform's, `key` or `key=value`: whatever bears it.
    pub(in crate::scenario) label: Option<At<String>>,
}

/// Which alerts keep a fault from being made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "(by kind)")]
#[schemars(untagged, inline)]
pub(in crate::scenario) enum Firing {
    /// Every one, or none.
    #[serde(rename = "scalar")]
    Any(bool),
    /// Those of these severities and names.
    #[serde(rename = "list")]
    These(Vec<String>),
    /// In full.
    #[serde(rename = "map")]
    But(FiringBut),
}

/// Alerts that keep a fault from being made, and alerts that do not.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct FiringBut {
    /// Severities and names of alerts: every alert unless set.
    pub(in crate::scenario) forbid: Option<Vec<String>>,
    /// Names of alerts that may fire, as a watchdog always does.
    pub(in crate::scenario) allow: Option<Vec<String>>,
}

fn one_selector(schema: &mut Schema) {
    exactly_one(schema, &["service", "component", "label"]);
}
