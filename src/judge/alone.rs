//! A load that was driven by itself: its figures, and what was promised of it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::Ratio;
use crate::timeline::tally::LoadTally;

use super::availability;
use super::latency;
use super::load::{figures, pauses, whole};
use super::number;
use super::promise::{Finding, Heading};
use super::result::{Figure, LoadResult, ObjectiveResult, SuspectSlice, Unit, WindowResult};

/// When a load that was driven by itself was, in µs since the run's zero, and what it says of itself.
#[derive(Debug, Clone, Copy)]
pub struct LoadSpan {
    /// Due time of slot 0.
    pub started_us: i64,
    /// End of warm-up.
    pub steps_zero_us: i64,
    /// End of the load.
    pub end_us: i64,
    /// Slots that became due.
    pub arrivals: u64,
    /// Requests never reached because their journey stopped.
    pub not_reached: u64,
}

/// The `load` part of a result, of a load that was driven by itself: without steps there are the windows `warmup` and `run`.
/// `starved` are the seconds, by their begin, in which the machine was short of CPU time.
#[must_use]
pub fn load_alone(tally: &LoadTally, span: LoadSpan, starved: &[i64]) -> LoadResult {
    let seconds = (span.end_us - span.started_us).max(1) as f64 / 1e6;
    let window = |name: &str, from_us, to_us: i64, counts| WindowResult {
        name: name.to_owned(),
        from_us,
        to_us: to_us.max(from_us),
        all: figures(counts),
        journeys: BTreeMap::new(),
    };
    let slices = tally.punctuality.suspect(starved);
    let slices = slices.into_iter().map(|(from_us, to_us)| {
        let (due, on_time) = tally.punctuality.within(from_us, to_us);
        SuspectSlice {
            from_us,
            to_us,
            due,
            on_time,
            starved: starved.iter().any(|at| (from_us..to_us).contains(at)),
        }
    });
    let lag = (!tally.send_lag.is_empty()).then(|| whole(tally.send_lag.value_at_quantile(0.99)));
    LoadResult {
        started_us: span.started_us,
        steps_zero_us: span.steps_zero_us,
        arrivals: span.arrivals,
        asked: tally.asked(),
        sent: tally.sent,
        not_reached: Some(span.not_reached),
        achieved_rate: (tally.sent as f64 / seconds * 1e3).round() / 1e3,
        send_lag_p99_us: lag,
        dropped: tally.dropped,
        pauses: pauses(&tally.punctuality.pauses()),
        suspect_slices: slices.collect(),
        windows: vec![
            window(
                "warmup",
                span.started_us,
                span.steps_zero_us.min(span.end_us),
                &tally.warmup,
            ),
            window("run", span.steps_zero_us, span.end_us, &tally.run),
        ],
    }
}

/// What keeps the figures of a load that was driven by itself from being believed, in words; none if nothing does.
#[must_use]
pub fn load_doubts(load: &LoadResult, broke_off: Option<&str>) -> Vec<String> {
    let mut doubts: Vec<String> = broke_off
        .map(|why| format!("the load broke off: {why}"))
        .into_iter()
        .collect();
    let good: u64 = load.windows.iter().map(|w| w.all.good).sum();
    if good == 0 {
        doubts.push("not one request was answered well: nothing was measured".to_owned());
    }
    for slice in &load.suspect_slices {
        let at = |us: i64| number::moment(us - load.started_us);
        let why = if slice.starved {
            "this machine had no CPU time left".to_owned()
        } else {
            format!(
                "the generator let only {} of {} requests go within 10 ms of their time",
                number::count(slice.on_time),
                number::count(slice.due)
            )
        };
        doubts.push(format!(
            "{} to {}: {why}",
            at(slice.from_us),
            at(slice.to_us)
        ));
    }
    doubts
}

/// What is promised of the requests after the warm-up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoadLimits {
    /// Least share of good requests.
    pub good: Option<Ratio>,
    /// `p99` → most that so many of a hundred callers may wait; a bad request waits longer than any limit.
    pub latency: Vec<(&'static str, f64, Duration)>,
}

impl LoadLimits {
    /// Whether nothing is promised.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.good.is_none() && self.latency.is_empty()
    }

    /// What became of it. Where the generator was in trouble (`doubts` of [`load_doubts`]), nothing is proven either way.
    #[must_use]
    pub fn judge(&self, tally: &LoadTally, doubts: &[String]) -> Vec<ObjectiveResult> {
        let good = self.good.map(|at_least| {
            let limit = Figure::Share(at_least.get());
            let heading = Heading::new("availability", limit, Unit::Ratio);
            (heading, availability::share(&tally.run, at_least.get()))
        });
        let latency = self.latency.iter().map(|(name, percentile, within)| {
            let heading = Heading::within(format!("latency.{name}"), *within);
            (
                heading,
                latency::percentile(&tally.run, *percentile, *within),
            )
        });
        let open = |finding: Finding| match doubts.first() {
            None => finding,
            Some(why) => finding.open(why.clone()),
        };
        good.into_iter()
            .chain(latency)
            .map(|(heading, finding)| super::result_of(heading, open(finding), None))
            .collect()
    }
}
