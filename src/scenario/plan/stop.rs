//! When a run is stopped: what must not be reached while something may be broken.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Comparison, Of};
use crate::model::{Ratio, Template};

/// Fewest requests of which a share, or a percentile, may stop a run.
pub const STOP_REQUESTS: u64 = 20;
/// Fewest bad (or slow) requests that stop a run, and fewest that must be due in a gap that does.
pub const STOP_HITS: u64 = 5;

/// One stop condition. It is met once its figure has reached the value that it names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "fields are those of the scenario language; `over` and `lasting` are its `for`"
)]
pub enum StopCondition {
    /// Share of bad requests among those that ended in the trailing stretch.
    BadShare {
        at_least: Ratio,
        over: Duration,
        of: Of,
    },
    /// Time without a good request while requests are due.
    LongestGap { at_least: Duration, of: Of },
    /// A percentile of latency among the requests that ended in the trailing stretch. `name` is `p99` as written.
    Latency {
        name: String,
        percentile: f64,
        at_least: Duration,
        over: Duration,
        of: Of,
    },
    /// A sample of an instant query has satisfied the condition for so long.
    Promql {
        query: Template,
        is: Comparison,
        lasting: Duration,
    },
    /// An alert fires.
    Alert {
        alert: String,
        labels: BTreeMap<String, Template>,
    },
    /// So long after the run's start.
    WallClock { at: Duration },
}

impl StopCondition {
    /// What it is about, as the scenario language calls it: `p99`, `bad_share of write`.
    #[must_use]
    pub fn what(&self) -> String {
        let kind = match self {
            Self::BadShare { .. } => "bad_share",
            Self::LongestGap { .. } => "longest_gap",
            Self::Latency { name, .. } => name,
            Self::Promql { .. } => "promql",
            Self::Alert { .. } => "alert",
            Self::WallClock { .. } => "wall_clock",
        };
        match self.of().and_then(Of::name) {
            Some(name) => format!("{kind} of {name}"),
            None => kind.to_owned(),
        }
    }

    /// Whether requests decide it, and of which journeys.
    #[must_use]
    pub fn of(&self) -> Option<&Of> {
        match self {
            Self::BadShare { of, .. } | Self::LongestGap { of, .. } | Self::Latency { of, .. } => {
                Some(of)
            }
            Self::Promql { .. } | Self::Alert { .. } | Self::WallClock { .. } => None,
        }
    }

    /// The value that stops the run, in words.
    #[must_use]
    pub fn limit(&self) -> String {
        let time = |length: &Duration| humantime::format_duration(*length).to_string();
        match self {
            Self::BadShare { at_least, over, .. } => format!("{at_least} for {}", time(over)),
            Self::LongestGap { at_least, .. } => time(at_least),
            Self::Latency { at_least, over, .. } => {
                format!("{} for {}", time(at_least), time(over))
            }
            Self::Promql { query, is, lasting } => {
                let is = match is {
                    Comparison::Equals(x) => format!("= {x}"),
                    Comparison::AtLeast(x) => format!(">= {x}"),
                    Comparison::AtMost(x) => format!("<= {x}"),
                };
                if lasting.is_zero() {
                    format!("{query} {is}")
                } else {
                    format!("{query} {is} for {}", time(lasting))
                }
            }
            Self::Alert { alert, labels } if labels.is_empty() => alert.clone(),
            Self::Alert { alert, labels } => {
                let labels: Vec<String> =
                    labels.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect();
                format!("{alert}{{{}}}", labels.join(","))
            }
            Self::WallClock { at } => time(at),
        }
    }
}

/// `bad_share of write 50% for 10s`.
impl fmt::Display for StopCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what(), self.limit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_in_words() {
        let share = StopCondition::BadShare {
            at_least: Ratio::new(0.5).unwrap(),
            over: Duration::from_secs(10),
            of: Of::Journey("write".to_owned()),
        };
        assert_eq!(share.to_string(), "bad_share of write 50% for 10s");
        let query = |lasting| StopCondition::Promql {
            query: Template::literal("min(up)"),
            is: Comparison::AtMost(0.0),
            lasting: Duration::from_secs(lasting),
        };
        assert_eq!(query(0).to_string(), "promql min(up) <= 0");
        assert_eq!(query(5).to_string(), "promql min(up) <= 0 for 5s");
        let alert = StopCondition::Alert {
            alert: "Down".to_owned(),
            labels: [("job".to_owned(), Template::literal("api"))].into(),
        };
        assert_eq!(alert.to_string(), "alert Down{job=\"api\"}");
    }
}
