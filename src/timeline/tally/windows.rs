//! Requests counted by window and journey.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::model::{Journeys, Outcome, RequestRecord};

use super::first_tries::FirstTries;
use super::{Reading, Standing, View};

/// A window of the run by due time, `[from_us, to_us)` in µs since the run's zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowSpan {
    /// `warmup`, `baseline`, a step's name, `recovered` or `run`.
    pub name: String,
    /// Begin; `i64::MIN` for the first.
    pub from_us: i64,
    /// End; `i64::MAX` where nothing follows.
    pub to_us: i64,
}

/// The windows of a run: `warmup`, `baseline`, one for each watch, `recovered` (after the last watch, if there is one)
/// and `run`. `watches` are the steps' `(name, dispatched, end of watch)`; the baseline ends with the first dispatch.
#[must_use]
pub fn spans(steps_zero_us: i64, watches: &[(String, i64, i64)]) -> Vec<WindowSpan> {
    let span = |name: &str, from_us, to_us| WindowSpan {
        name: name.to_owned(),
        from_us,
        to_us,
    };
    let first = watches.iter().map(|w| w.1).min().unwrap_or(i64::MAX);
    let mut spans = vec![
        span("warmup", i64::MIN, steps_zero_us),
        span("baseline", steps_zero_us, first),
    ];
    spans.extend(
        watches
            .iter()
            .map(|(name, from, to)| span(name, *from, *to)),
    );
    let last = watches.iter().map(|w| w.2).max();
    spans.extend(last.map(|last| span("recovered", last, i64::MAX)));
    spans.push(span("run", steps_zero_us, i64::MAX));
    spans
}

/// Counts of one window.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowTally {
    /// The window.
    pub span: WindowSpan,
    /// All its requests.
    pub all: Counts,
    /// Its requests by journey, in the plan's order.
    pub journeys: Vec<Counts>,
    /// Its requests by load, of those asked for.
    pub loads: Vec<Counts>,
}

/// Counts the requests due in a window. `requests` are those of the run by due time, `journeys` is how many the plan has,
/// `loads` are those of several loads.
#[must_use]
pub fn tally(
    requests: &[RequestRecord],
    span: WindowSpan,
    journeys: usize,
    loads: &[Journeys],
    view: View<'_>,
) -> WindowTally {
    let below = |t: i64| requests.partition_point(|r| r.due_us < t);
    let due = &requests[below(span.from_us)..below(span.to_us)];
    let mut all = Counts::default();
    let mut by_journey = vec![Counts::default(); journeys];
    let mut by_load = vec![Counts::default(); loads.len()];
    for r in due {
        all.add(r, view);
        if let Some(counts) = by_journey.get_mut(usize::from(r.journey)) {
            counts.add(r, view);
        }
        let load = loads.iter().position(|load| load.contains(r.journey));
        if let Some(counts) = load.and_then(|load| by_load.get_mut(load)) {
            counts.add(r, view);
        }
    }
    WindowTally {
        span,
        all,
        journeys: by_journey,
        loads: by_load,
    }
}

/// Requests counted. Times in µs, with three significant digits.
#[derive(Debug, Clone, PartialEq)]
pub struct Counts {
    /// All that became due.
    pub asked: u64,
    /// Good ones.
    pub good: u64,
    /// Bad ones.
    pub bad: u64,
    /// Each outcome that occurred; they add up to `asked`.
    pub by_outcome: BTreeMap<Outcome, u64>,
    /// Those not ok of which a status is known: with it a timeout or a break came after the head of an answer.
    pub by_status: BTreeMap<(Outcome, u16), u64>,
    /// Latency of all but `shed`, `dropped` and `cut`.
    pub latency: Histogram<u64>,
    /// Time since each was really sent, of the same.
    pub service_time: Histogram<u64>,
    /// Latency of the good ones alone, for limits that no bad request may meet.
    good_latency: Histogram<u64>,
    /// How often they were tried.
    pub tries: u64,
    /// Their first tries, from the first request on that was tried again; until then they are the requests.
    raw: Option<Box<FirstTries>>,
}

impl Default for Counts {
    fn default() -> Self {
        let empty = Histogram::new(3).expect("three significant digits are within 0 to 5");
        Self {
            asked: 0,
            good: 0,
            bad: 0,
            by_outcome: BTreeMap::new(),
            by_status: BTreeMap::new(),
            latency: empty.clone(),
            service_time: empty.clone(),
            good_latency: empty,
            tries: 0,
            raw: None,
        }
    }
}

/// Percentiles of a histogram in µs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Percentiles {
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p999: u64,
    pub max: u64,
}

impl Percentiles {
    /// The percentiles of a histogram; `None` if it is empty.
    #[must_use]
    pub fn of(times: &Histogram<u64>) -> Option<Self> {
        let at = |q| times.value_at_quantile(q).min(times.max());
        (!times.is_empty()).then(|| Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: times.max(),
        })
    }
}

impl Counts {
    pub(super) fn add(&mut self, r: &RequestRecord, view: View<'_>) {
        if r.retried.is_some() && self.raw.is_none() {
            self.raw = Some(Box::new(self.first_tries()));
        }
        if let Some(raw) = &mut self.raw {
            raw.add(r, view.of(r));
        }
        self.tries += r.tries();
        self.asked += 1;
        *self.by_outcome.entry(r.outcome).or_default() += 1;
        if r.outcome != Outcome::Ok && r.status != 0 {
            *self.by_status.entry((r.outcome, r.status)).or_default() += 1;
        }
        let latency = r.latency_us();
        match view.of(r) {
            Standing::Good => {
                self.good += 1;
                // A suspect that is taken as good meets every limit.
                let given = view.reading != Reading::AsRecorded && view.doubt.suspects(r);
                record(&mut self.good_latency, if given { 0 } else { latency });
            }
            Standing::Bad => self.bad += 1,
            Standing::Neither => {}
        }
        if r.outcome.timed() {
            record(&mut self.latency, latency);
            if let Some(sent) = r.sent_us {
                record(&mut self.service_time, r.done_us - sent);
            }
        }
    }

    /// Takes in what was counted elsewhere.
    pub(super) fn merge(&mut self, other: &Self) {
        if self.raw.is_some() || other.raw.is_some() {
            let mut raw = self.first_tries();
            raw.merge(&other.first_tries());
            self.raw = Some(Box::new(raw));
        }
        self.tries += other.tries;
        self.asked += other.asked;
        self.good += other.good;
        self.bad += other.bad;
        for (outcome, n) in &other.by_outcome {
            *self.by_outcome.entry(*outcome).or_default() += n;
        }
        for (key, n) in &other.by_status {
            *self.by_status.entry(*key).or_default() += n;
        }
        for (ours, theirs) in [
            (&mut self.latency, &other.latency),
            (&mut self.service_time, &other.service_time),
            (&mut self.good_latency, &other.good_latency),
        ] {
            ours.add(theirs)
                .expect("a histogram without bounds grows to take any value");
        }
    }

    /// What came of their first tries.
    #[must_use]
    pub fn first_tries(&self) -> FirstTries {
        match &self.raw {
            Some(raw) => (**raw).clone(),
            None => FirstTries {
                good: self.good,
                bad: self.bad,
                by_outcome: self.by_outcome.clone(),
                latency: self.latency.clone(),
            },
        }
    }

    /// Good and bad ones.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.good + self.bad
    }

    /// Share of good ones; `None` without any request.
    #[must_use]
    pub fn availability(&self) -> Option<f64> {
        (self.requests() > 0).then(|| self.good as f64 / self.requests() as f64)
    }

    /// Latency in µs at quantile `q`, where a bad request is slower than any limit.
    ///
    /// # Errors
    /// [`NoLatency`].
    pub fn latency_at(&self, q: f64) -> Result<u64, NoLatency> {
        let n = self.requests();
        if n == 0 {
            return Err(NoLatency::NoRequests);
        }
        let rank = ((q * n as f64).ceil() as u64).clamp(1, n);
        if rank > self.good {
            return Err(NoLatency::Bad);
        }
        // Half a rank below, so that rounding cannot reach the next one.
        let share = (rank as f64 - 0.5) / self.good as f64;
        Ok(self
            .good_latency
            .value_at_quantile(share)
            .min(self.good_latency.max()))
    }
}

/// Why a percentile of latency has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoLatency {
    /// No request was due.
    NoRequests,
    /// The request of that rank was bad.
    Bad,
}

pub(super) fn record(times: &mut Histogram<u64>, us: i64) {
    times
        .record(u64::try_from(us).unwrap_or(0))
        .expect("a histogram without bounds grows to take any value");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Retried;
    use crate::timeline::tally::Doubt;
    use crate::timeline::tally::dossier::testing::request;

    const SECOND: i64 = 1_000_000;

    fn view(doubt: &Doubt, reading: Reading) -> View<'_> {
        View { doubt, reading }
    }

    #[test]
    fn warmup_and_run_hold_every_request_once() {
        let requests: Vec<_> = (-3..100)
            .map(|i| {
                request(
                    i * SECOND,
                    5,
                    if i % 7 == 0 {
                        Outcome::Dropped
                    } else {
                        Outcome::Ok
                    },
                )
            })
            .collect();
        let watches = [
            ("kill".to_owned(), 20 * SECOND, 40 * SECOND),
            ("stop".to_owned(), 50 * SECOND, 60 * SECOND),
        ];
        let doubt = Doubt::default();
        let asked: BTreeMap<_, _> = spans(10 * SECOND, &watches)
            .into_iter()
            .map(|s| {
                (
                    s.name.clone(),
                    tally(&requests, s, 1, &[], view(&doubt, Reading::AsRecorded))
                        .all
                        .asked,
                )
            })
            .collect();
        assert_eq!(asked["warmup"] + asked["run"], 103);
        assert_eq!(
            (
                asked["baseline"],
                asked["kill"],
                asked["stop"],
                asked["recovered"]
            ),
            (10, 20, 10, 40)
        );
        assert!(!spans(0, &[]).iter().any(|s| s.name == "recovered"));
    }

    #[test]
    fn a_bad_request_is_slower_than_any_limit() {
        let mut requests: Vec<_> = (0..100).map(|i| request(i, 10 * i, Outcome::Ok)).collect();
        requests[3] = request(3, 1, Outcome::Http5xx);
        let doubt = Doubt::default();
        let span = || spans(0, &[]).pop().unwrap();
        let counts = tally(&requests, span(), 1, &[], view(&doubt, Reading::AsRecorded)).all;
        assert_eq!(
            (counts.good, counts.bad, counts.availability()),
            (99, 1, Some(0.99))
        );
        assert_eq!(counts.latency_at(0.99), Ok(990));
        assert_eq!(counts.latency_at(0.999), Err(NoLatency::Bad));
        assert_eq!(
            Counts::default().latency_at(0.5),
            Err(NoLatency::NoRequests)
        );
        assert_eq!(Percentiles::of(&counts.latency).unwrap().max, 990);
        assert_eq!(counts.latency.len(), 100);

        let doubt = Doubt {
            slices: vec![(0, 100)],
            ..Doubt::default()
        };
        let kind = tally(
            &requests,
            span(),
            1,
            &[],
            view(&doubt, Reading::SuspectsGood),
        )
        .all;
        assert_eq!((kind.bad, kind.latency_at(1.0)), (0, Ok(0)));
        let harsh = tally(
            &requests,
            span(),
            1,
            &[],
            view(&doubt, Reading::SuspectsBad),
        )
        .all;
        assert_eq!(
            (harsh.bad, harsh.latency_at(0.01)),
            (100, Err(NoLatency::Bad))
        );
    }

    #[test]
    fn only_what_was_on_the_wire_has_times() {
        let mut shed = request(0, 0, Outcome::Shed);
        shed.sent_us = None;
        let queued = RequestRecord {
            sent_us: Some(400),
            ..request(0, 1_000, Outcome::Ok)
        };
        let doubt = Doubt::default();
        let span = spans(0, &[]).pop().unwrap();
        let counts = tally(
            &[shed, queued],
            span,
            1,
            &[],
            view(&doubt, Reading::AsRecorded),
        )
        .all;
        assert_eq!(
            (counts.bad, counts.latency.len(), counts.service_time.max()),
            (1, 1, 600)
        );
    }

    #[test]
    fn first_tries_are_counted_beside_what_came_of_the_requests() {
        let retried = |due_us: i64, outcome| RequestRecord {
            retried: Some(Retried {
                times: 2,
                outcome: Outcome::Http5xx,
                done_us: due_us + 7,
            }),
            ..request(due_us, 900, outcome)
        };
        let requests = [
            request(0, 10, Outcome::Ok),
            retried(1, Outcome::Ok),
            request(2, 10, Outcome::Shed),
            retried(3, Outcome::Timeout),
            request(4, 10, Outcome::Ok),
        ];
        let doubt = Doubt::default();
        let of = |requests: &[RequestRecord]| {
            let span = spans(0, &[]).pop().unwrap();
            tally(requests, span, 1, &[], view(&doubt, Reading::AsRecorded)).all
        };
        let counts = of(&requests);
        let raw = counts.first_tries();
        assert_eq!((counts.good, counts.bad, counts.tries), (3, 2, 8));
        assert_eq!((raw.good, raw.bad), (2, 3));
        assert_eq!(
            raw.by_outcome,
            [(Outcome::Ok, 2), (Outcome::Http5xx, 2), (Outcome::Shed, 1)].into()
        );
        assert_eq!((raw.latency.max(), counts.latency.max()), (10, 900));
        assert_eq!(raw.latency.len(), 4);
        // Counted in parts, whichever of them has seen a retry, they are the same.
        for at in 0..=requests.len() {
            let mut parts = of(&requests[..at]);
            parts.merge(&of(&requests[at..]));
            assert_eq!(parts, counts, "{at}");
        }
    }
}
