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
    /// Whether its requests are tried again.
    pub retries: bool,
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
        all: figures(counts, span.retries),
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
            // Nothing is known here of what answers.
            aftermaths: Vec::new(),
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadDoubts {
    /// The generator or its machine may have made the figures what they are: nothing is proven by them, either way.
    pub generator: Vec<String>,
    /// Nobody answered: no latency was measured. A promise that is broken by that is broken all the same.
    pub nobody: Option<String>,
}

impl LoadDoubts {
    /// Of a load that broke off for this reason, if it did.
    #[must_use]
    pub fn of(load: &LoadResult, broke_off: Option<&str>) -> Self {
        let at = |us: i64| number::moment(us - load.started_us);
        let broke_off = broke_off.map(|why| format!("the load broke off: {why}"));
        let slices = load.suspect_slices.iter().map(|slice| {
            let why = if slice.starved {
                "this machine had no CPU time left".to_owned()
            } else {
                format!(
                    "the generator let only {} of {} requests go within 10 ms of their time",
                    number::count(slice.on_time),
                    number::count(slice.due)
                )
            };
            format!("{} to {}: {why}", at(slice.from_us), at(slice.to_us))
        });
        // Pauses go with the seconds that they made doubtful; one that made none so spoilt too little to matter.
        let pauses = load.pauses.iter().filter(|pause| {
            let touches = |s: &SuspectSlice| pause.from_us < s.to_us && pause.to_us > s.from_us;
            load.suspect_slices.iter().any(touches)
        });
        let pauses = pauses.map(|pause| {
            format!(
                "{:+.3} s: the generator paused for {:.3} s",
                (pause.from_us - load.started_us) as f64 / 1e6,
                (pause.to_us - pause.from_us) as f64 / 1e6
            )
        });
        let good: u64 = load.windows.iter().map(|w| w.all.good).sum();
        Self {
            generator: broke_off.into_iter().chain(slices).chain(pauses).collect(),
            nobody: (good == 0)
                .then(|| "not one request was answered well: nothing was measured".to_owned()),
        }
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<String> {
        self.generator.iter().chain(&self.nobody).cloned().collect()
    }
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

    /// What became of it. Where the generator was in trouble, nothing is proven either way.
    #[must_use]
    pub fn judge(&self, tally: &LoadTally, doubts: &LoadDoubts) -> Vec<ObjectiveResult> {
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
        let open = |finding: Finding| match doubts.generator.first() {
            None => finding,
            Some(why) => finding.open(why.clone()),
        };
        good.into_iter()
            .chain(latency)
            .map(|(heading, finding)| super::result_of(heading, open(finding), None))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Outcome, RequestRecord};

    const S: i64 = 1_000_000;

    /// 100/s for 2 s, of which this many µs of the second second let nothing go.
    fn load(paused_us: i64, outcome: Outcome) -> (LoadTally, LoadResult) {
        let mut tally = LoadTally::new(0, 0);
        for n in 0..200 {
            let due_us = n * 10_000;
            let held_up = (S..S + paused_us).contains(&due_us);
            let left_us = if held_up { S + paused_us } else { due_us };
            tally.add(&RequestRecord {
                n: n.unsigned_abs(),
                journey: 0,
                request: 0,
                user: 0,
                due_us,
                left_us: Some(left_us),
                sent_us: Some(left_us),
                done_us: left_us + 500,
                outcome,
                good: outcome == Outcome::Ok,
                status: 200,
                instance: 0,
                version: 0,
                retried: None,
            });
        }
        let span = LoadSpan {
            started_us: 0,
            steps_zero_us: 0,
            end_us: 2 * S,
            arrivals: 200,
            not_reached: 0,
            retries: false,
        };
        let result = load_alone(&tally, span, &[]);
        (tally, result)
    }

    fn promised() -> LoadLimits {
        LoadLimits {
            good: Ratio::new(0.99),
            latency: Vec::new(),
        }
    }

    #[test]
    fn a_pause_of_the_generator_is_said_and_proves_nothing() {
        let (tally, result) = load(505_000, Outcome::Ok);
        let doubts = LoadDoubts::of(&result, None);
        assert_eq!(
            doubts.all(),
            [
                "+1.0 s to +2.0 s: the generator let only 50 of 100 requests go within 10 ms of their time",
                "+1.000 s: the generator paused for 0.505 s"
            ]
        );
        let judged = promised().judge(&tally, &doubts);
        assert_eq!(judged[0].verdict, super::super::Verdict::Inconclusive);
        let (_, calm) = load(0, Outcome::Ok);
        assert_eq!(LoadDoubts::of(&calm, None), LoadDoubts::default());
    }

    #[test]
    fn nobody_who_answers_breaks_a_promise() {
        let (tally, result) = load(0, Outcome::Refused);
        let doubts = LoadDoubts::of(&result, None);
        assert!(doubts.nobody.is_some() && doubts.generator.is_empty());
        let judged = promised().judge(&tally, &doubts);
        assert_eq!(judged[0].verdict, super::super::Verdict::Fail);
    }
}
