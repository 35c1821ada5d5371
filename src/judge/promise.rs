//! What an objective is to its judge: a heading with a limit, and a way to a finding.

use std::time::Duration;

use crate::scenario::plan::Of;

use super::evidence::Evidence;
use super::result::{Figure, Unit};
use super::verdict::Verdict;

/// One promise of the scenario, or a part of one that has a limit of its own.
pub(super) trait Promise {
    /// What is promised, and of what.
    fn heading(&self) -> Heading;

    /// Judges it by the evidence alone.
    fn judge(&self, evidence: &Evidence<'_>) -> Finding;
}

/// What is promised, and of what.
#[derive(Debug, Clone)]
pub(super) struct Heading {
    pub(super) objective: String,
    pub(super) of: Option<String>,
    pub(super) step: Option<String>,
    pub(super) during: Option<String>,
    pub(super) alert: Option<String>,
    pub(super) limit: Figure,
    pub(super) unit: Unit,
}

impl Heading {
    pub(super) fn new(objective: impl Into<String>, limit: Figure, unit: Unit) -> Self {
        Self {
            objective: objective.into(),
            of: None,
            step: None,
            during: None,
            alert: None,
            limit,
            unit,
        }
    }

    /// A limit in time.
    pub(super) fn within(objective: impl Into<String>, limit: Duration) -> Self {
        Self::new(objective, Figure::Whole(micros(limit)), Unit::Us)
    }

    pub(super) fn of(mut self, of: &Of) -> Self {
        self.of = of.name().map(str::to_owned);
        self
    }

    pub(super) fn step(mut self, step: &str) -> Self {
        self.step = Some(step.to_owned());
        self
    }

    /// The window, which goes without saying where it is the whole run.
    pub(super) fn during(mut self, during: &str) -> Self {
        self.during = (during != "run").then(|| during.to_owned());
        self
    }

    pub(super) fn alert(mut self, alert: &str) -> Self {
        self.alert = Some(alert.to_owned());
        self
    }
}

/// What the evidence says of a promise.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    pub(super) observed: Option<Figure>,
    pub(super) samples: u64,
    pub(super) resolution_us: Option<i64>,
    pub(super) worst: Option<String>,
    pub(super) notes: Vec<String>,
    /// Fewer samples than a pass takes.
    pub(super) thin: bool,
    /// Quiet time that the figure's journey needs, µs.
    pub(super) settle_us: i64,
}

impl Finding {
    pub(super) fn new(verdict: Verdict, observed: Option<Figure>) -> Self {
        Self {
            verdict,
            observed,
            samples: 0,
            resolution_us: None,
            worst: None,
            notes: Vec::new(),
            thin: false,
            settle_us: 0,
        }
    }

    /// Nothing was seen that could be judged.
    pub(super) fn no_data(why: impl Into<String>) -> Self {
        Self::new(Verdict::Inconclusive, None).note(why)
    }

    /// A time since a dispatch or a heal, against its limit.
    pub(super) fn time(observed_us: i64, limit_us: i64) -> Self {
        Self::new(
            at_most(observed_us, limit_us),
            Some(Figure::Whole(observed_us)),
        )
    }

    /// It was watched for past its limit, and never came.
    pub(super) fn never(why: impl Into<String>) -> Self {
        Self::new(Verdict::Fail, None).note(why)
    }

    /// A count, against its limit.
    pub(super) fn count(observed: u64, limit: u64) -> Self {
        Self::new(at_most(observed, limit), Some(whole(observed)))
    }

    pub(super) fn samples(mut self, samples: u64) -> Self {
        self.samples = samples;
        self
    }

    pub(super) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// It cannot be a pass, for this reason. A miss stays a miss.
    pub(super) fn but(mut self, why: impl Into<String>) -> Self {
        self.verdict = self.verdict.without_evidence();
        self.notes.insert(0, why.into());
        self
    }

    /// Too few samples for a pass.
    pub(super) fn thin(mut self, why: impl Into<String>) -> Self {
        self.thin = true;
        self.but(why)
    }

    /// A miss that does not rest on too few samples.
    pub(super) fn proven_miss(&self) -> bool {
        self.verdict == Verdict::Fail && !self.thin
    }

    /// The figure's size; beyond any where there is none.
    pub(super) fn size(&self) -> f64 {
        self.observed.map_or(f64::INFINITY, Figure::value)
    }

    /// It can be neither, for this reason.
    pub(super) fn open(mut self, why: impl Into<String>) -> Self {
        self.verdict = Verdict::Inconclusive;
        self.notes.insert(0, why.into());
        self
    }
}

/// Pass if not above the limit.
pub(super) fn at_most<T: PartialOrd>(observed: T, limit: T) -> Verdict {
    if observed <= limit {
        Verdict::Pass
    } else {
        Verdict::Fail
    }
}

/// A count as a figure.
pub(super) fn whole(count: u64) -> Figure {
    Figure::Whole(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Whole µs of a [`Duration`].
pub(super) fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}

/// `1.234 s`, for sentences.
pub(super) fn secs(us: i64) -> String {
    let text = format!("{:.3}", us as f64 / 1e6);
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}
