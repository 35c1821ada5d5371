//! Prometheus' HTTP API (<https://prometheus.io/docs/prometheus/latest/querying/api/>).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::value::{Labels, QueryResult, Series};
use crate::observe::error::AskError;
use crate::observe::server::{Effort, Server};
use crate::observe::wall;

/// Prometheus' own default, for servers that do not tell.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);
/// What intervals can be, in ns; whatever a server says.
const INTERVALS_NS: std::ops::RangeInclusive<i64> = 1_000_000..=86_400_000_000_000;

/// A stretch of time by Prometheus' clock, in ns since 1970, and the spacing of the points asked for in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) from_ns: i64,
    pub(super) to_ns: i64,
    pub(super) step_ns: i64,
}

/// One Prometheus.
#[derive(Debug, Clone)]
pub(in crate::observe) struct Api {
    pub(super) server: Server,
}

impl Api {
    pub(in crate::observe) fn new(server: Server) -> Self {
        Self { server }
    }

    /// An instant query, evaluated now.
    pub(in crate::observe) async fn query(&self, promql: &str) -> Result<QueryResult, AskError> {
        self.data("/api/v1/query", &[("query", promql)], Effort::Poll)
            .await
    }

    /// Prometheus' clock, ns since 1970.
    pub(in crate::observe) async fn time(&self) -> Result<i64, AskError> {
        match self.query("time()").await? {
            QueryResult::Scalar(now) => Ok(now.at_ns),
            other => Err(self.unlike("a scalar", &other)),
        }
    }

    /// The samples that a selector's series hold in a stretch, as they were written.
    pub(super) async fn samples(
        &self,
        selector: &str,
        within: Grid,
    ) -> Result<Vec<Series>, AskError> {
        let ms = (within.to_ns - within.from_ns) / 1_000_000;
        let query = [
            ("query", format!("{selector}[{}ms]", ms.max(1))),
            ("time", wall::seconds(within.to_ns)),
        ];
        self.matrix("/api/v1/query", &query).await
    }

    /// What a query comes to at each point of a grid.
    pub(super) async fn points(&self, promql: &str, at: Grid) -> Result<Vec<Series>, AskError> {
        let query = [
            ("query", promql.to_owned()),
            ("start", wall::seconds(at.from_ns)),
            ("end", wall::seconds(at.to_ns)),
            ("step", wall::seconds(at.step_ns)),
        ];
        self.matrix("/api/v1/query_range", &query).await
    }

    async fn matrix(&self, path: &str, query: &[(&str, String)]) -> Result<Vec<Series>, AskError> {
        let query: Vec<_> = query.iter().map(|(k, v)| (*k, v.as_str())).collect();
        match self.data(path, &query, Effort::Evidence).await? {
            QueryResult::Matrix(series) => Ok(series),
            other => Err(self.unlike("a matrix", &other)),
        }
    }

    /// The alerting rules that are loaded.
    pub(in crate::observe) async fn rules(&self, effort: Effort) -> Result<Rules, AskError> {
        let data: RulesData = self
            .data("/api/v1/rules", &[("type", "alert")], effort)
            .await?;
        Ok(Rules::from(data))
    }

    /// The alerts that are pending or firing.
    pub(in crate::observe) async fn alerts(&self) -> Result<Vec<ActiveAlert>, AskError> {
        let data: AlertsData = self.data("/api/v1/alerts", &[], Effort::Poll).await?;
        Ok(data.alerts)
    }

    /// The shortest interval at which a target is scraped, in ns; `None` if there is no target.
    pub(super) async fn scrape_interval_ns(&self) -> Result<Option<i64>, AskError> {
        let query = [("state", "active")];
        let data: TargetsData = self
            .data("/api/v1/targets", &query, Effort::Evidence)
            .await?;
        let intervals = data.targets.iter().map(|target| {
            let told = target.interval.as_deref();
            let told = told.and_then(|text| humantime::parse_duration(text).ok());
            bounded_ns(told.unwrap_or(DEFAULT_INTERVAL).as_nanos())
        });
        Ok(intervals.min())
    }

    async fn data<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        effort: Effort,
    ) -> Result<T, AskError> {
        let answer = self.server.get(path, query, effort).await?;
        let envelope: Envelope<T> = answer.json()?;
        Ok(envelope.data)
    }

    fn unlike(&self, wanted: &str, got: &QueryResult) -> AskError {
        let kind = match got {
            QueryResult::Matrix(_) => "a matrix",
            QueryResult::Vector(_) => "a vector",
            QueryResult::Scalar(_) => "a scalar",
            QueryResult::String(_) => "a string",
        };
        AskError::Unreadable {
            url: self.server.name(),
            why: format!("{kind} in place of {wanted}"),
        }
    }
}

fn bounded_ns(interval_ns: u128) -> i64 {
    let interval_ns = i64::try_from(interval_ns).unwrap_or(i64::MAX);
    interval_ns.clamp(*INTERVALS_NS.start(), *INTERVALS_NS.end())
}

#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

/// An alert that is pending or firing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(in crate::observe) struct ActiveAlert {
    pub(in crate::observe) labels: Labels,
    pub(in crate::observe) state: String,
    /// Begin of pending.
    #[serde(rename = "activeAt")]
    pub(in crate::observe) active_at: String,
}

#[derive(Deserialize)]
struct AlertsData {
    alerts: Vec<ActiveAlert>,
}

#[derive(Deserialize)]
struct TargetsData {
    #[serde(rename = "activeTargets")]
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    #[serde(rename = "scrapeInterval")]
    interval: Option<String>,
}

#[derive(Deserialize)]
struct RulesData {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    /// Seconds.
    interval: f64,
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    #[serde(default)]
    labels: Labels,
    #[serde(rename = "lastError")]
    last_error: Option<String>,
}

/// The alerting rules that are loaded.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::observe) struct Rules {
    /// `alertname` → `severity`, empty where it has none.
    pub(in crate::observe) severities: BTreeMap<String, String>,
    /// `alertname` → evaluation interval in ns; the shortest where several rules have the name.
    intervals: BTreeMap<String, i64>,
    /// Rules that cannot be evaluated, and why.
    pub(in crate::observe) failing: Vec<(String, String)>,
}

impl Rules {
    /// Evaluation interval of an alert, in ns; that of the fastest rule for one whose rule is gone.
    pub(super) fn interval_ns(&self, alert: &str) -> i64 {
        let known = self.intervals.get(alert).copied();
        known.unwrap_or_else(|| self.shortest_ns())
    }

    /// The shortest evaluation interval, in ns.
    pub(super) fn shortest_ns(&self) -> i64 {
        let shortest = self.intervals.values().copied().min();
        shortest.unwrap_or_else(|| bounded_ns(DEFAULT_INTERVAL.as_nanos()))
    }
}

impl From<RulesData> for Rules {
    fn from(data: RulesData) -> Self {
        let mut rules = Self::default();
        for group in data.groups {
            let interval_ns = bounded_ns((group.interval * 1e9) as u128);
            for rule in group.rules.into_iter().filter(|r| r.kind == "alerting") {
                let interval = rules
                    .intervals
                    .entry(rule.name.clone())
                    .or_insert(interval_ns);
                *interval = interval_ns.min(*interval);
                if let Some(error) = rule.last_error.filter(|e| !e.is_empty()) {
                    rules.failing.push((rule.name.clone(), error));
                }
                let severity = rule.labels.get("severity").cloned().unwrap_or_default();
                rules.severities.insert(rule.name, severity);
            }
        }
        rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Prometheus 2.53 answers, shortened.
    const RULES: &str = r#"{"status":"success","data":{"groups":[
        {"name":"critical","file":"rules.yml","interval":1,"limit":0,"rules":[
            {"state":"firing","name":"BackendDown","query":"up == 0","duration":3,"keepFiringFor":0,
             "labels":{"severity":"critical"},"annotations":{},"alerts":[],"health":"ok","type":"alerting"},
            {"name":"job:up:sum","query":"sum by (job) (up)","health":"ok","type":"recording"}]},
        {"name":"slow","file":"rules.yml","interval":2.5,"rules":[
            {"state":"inactive","name":"BackendDown","query":"absent(up)","labels":{},"health":"ok","type":"alerting"},
            {"state":"unknown","name":"Broken","query":"a / on(x) b","health":"err",
             "lastError":"many-to-many matching","type":"alerting"}]}]}}"#;

    #[test]
    fn rules_are_read_by_name() {
        let envelope: Envelope<RulesData> = serde_json::from_str(RULES).unwrap();
        let rules = Rules::from(envelope.data);
        let severities: Vec<_> = rules.severities.iter().collect();
        assert_eq!(
            severities.len(),
            2,
            "recording rules are none: {severities:?}"
        );
        assert_eq!(rules.interval_ns("BackendDown"), 1_000_000_000);
        assert_eq!(rules.interval_ns("Broken"), 2_500_000_000);
        assert_eq!(rules.interval_ns("Gone"), 1_000_000_000);
        assert_eq!(
            rules.failing,
            [("Broken".to_owned(), "many-to-many matching".to_owned())]
        );
        assert_eq!(Rules::default().interval_ns("Any"), 60_000_000_000);
    }
}
