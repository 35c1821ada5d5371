//! Which alerts fire right now, asked of everyone who knows: what decides whether a fault may be made.

use std::collections::BTreeMap;

use super::alertmanager::held;
use super::error::AskError;
use super::prometheus::{Api, RuleClock};
use super::server::{Effort, Server};
use super::wall;
use crate::timeline::clock::Clock;

/// Whom to ask.
#[derive(Clone)]
pub struct Alerts {
    pub(super) prometheus: Option<Api>,
    pub(super) alertmanager: Option<Server>,
    pub(super) rule_clock: RuleClock,
    pub(super) clock: Clock,
}

/// An alert that fires; silenced and inhibited ones do, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiringAlert {
    /// `alertname`.
    pub alert: String,
    /// All its other labels.
    pub labels: BTreeMap<String, String>,
    /// When it began, µs since the run's zero: to be pending by Prometheus, to fire by Alertmanager.
    pub since_us: i64,
}

/// Why it is not known which alerts fire. That is no reason to take it that none does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// No source is named.
    #[error(
        "there is no monitoring to ask: neither observe.prometheus nor observe.alertmanager is set"
    )]
    Nobody,
    /// A source did not say.
    #[error("{0}")]
    Asked(String),
    /// Nothing that matters can fire there: its rules are missing, or the words that name them are a slip.
    #[error(
        "no alerting rule that Prometheus has loaded is among those that matter, so that none fires says nothing"
    )]
    NoRules,
    /// A rule whose alert is not known to fire or not.
    #[error("Prometheus cannot evaluate the rule of {alert}: {why}")]
    Failing {
        /// Its alert.
        alert: String,
        /// What Prometheus says.
        why: String,
    },
}

impl From<AskError> for Unanswered {
    fn from(error: AskError) -> Self {
        Self::Asked(error.to_string())
    }
}

impl Alerts {
    /// The alerts that fire now. Prometheus and Alertmanager are both asked where both are named, for an Alertmanager may
    /// hear of incidents from elsewhere. `matters` tells by name and severity which alerts the caller cares for.
    ///
    /// # Errors
    /// [`Unanswered`]: one of them does not say, or cannot know.
    pub async fn firing(
        &self,
        matters: impl Fn(&str, &str) -> bool,
    ) -> Result<Vec<FiringAlert>, Unanswered> {
        if self.prometheus.is_none() && self.alertmanager.is_none() {
            return Err(Unanswered::Nobody);
        }
        let mut firing = Vec::new();
        if let Some(api) = &self.prometheus {
            let (rules, alerts) = tokio::join!(api.rules(Effort::Poll), api.alerts());
            let rules = rules?;
            let known = rules.severities.iter().any(|(a, s)| matters(a, s));
            if !known && self.alertmanager.is_none() {
                return Err(Unanswered::NoRules);
            }
            let severity = |alert: &String| rules.severities.get(alert).map_or("", String::as_str);
            let failing = rules.failing.iter();
            if let Some((alert, why)) = failing.clone().find(|(a, _)| matters(a, severity(a))) {
                return Err(Unanswered::Failing {
                    alert: alert.clone(),
                    why: why.clone(),
                });
            }
            let alerts = alerts?.into_iter().filter(|a| a.state == "firing");
            firing.extend(alerts.map(|a| self.alert(a.labels, wall::of_rfc3339(&a.active_at))));
        }
        if let Some(server) = &self.alertmanager {
            let (_, held) = held(server).await?;
            let starts = |text: &str| wall::of_rfc3339(text);
            firing.extend(held.into_iter().map(|a| {
                let began = starts(&a.starts_at);
                self.alert(a.labels, began)
            }));
        }
        firing.retain(|a| matters(&a.alert, a.severity()));
        Ok(firing)
    }

    /// An alert that began nobody knows when began before everything: no step can have caused it.
    fn alert(&self, mut labels: BTreeMap<String, String>, began_ns: Option<i64>) -> FiringAlert {
        let skew_ns = self.rule_clock.skew_ns();
        FiringAlert {
            alert: labels.remove("alertname").unwrap_or_default(),
            labels,
            since_us: began_ns.map_or(i64::MIN, |ns| self.clock.wall_us(ns, skew_ns)),
        }
    }
}

impl FiringAlert {
    /// Its severity, empty where it has none.
    #[must_use]
    pub fn severity(&self) -> &str {
        self.labels.get("severity").map_or("", String::as_str)
    }
}
