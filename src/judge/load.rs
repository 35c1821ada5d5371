//! `load`: what the generator did and what callers saw, by window.

use hdrhistogram::Histogram;

use crate::model::RequestRecord;
use crate::timeline::tally::{Counts, Percentiles as Times, WindowTally};

use super::case::Case;
use super::evidence::Evidence;
use super::result::{LoadResult, Pause, Percentiles, SuspectSlice, WindowFigures, WindowResult};

/// A request left on time if no later than this, µs.
const ON_TIME_US: i64 = 10_000;

/// The load of a run; `None` where it never started.
pub(super) fn load(recorded: &Evidence<'_>) -> Option<LoadResult> {
    let case = recorded.case;
    let start = case.facts.load_started?;
    let requests = &case.recording.requests;
    let sent = requests.iter().filter(|r| r.sent_us.is_some()).count() as u64;
    let seconds = (case.load_end_us - start.started_us).max(1) as f64 / 1e6;
    Some(LoadResult {
        started_us: start.started_us,
        steps_zero_us: start.steps_zero_us,
        arrivals: case.doubt.slots,
        asked: requests.len() as u64,
        sent,
        not_reached: case.facts.load_ended.map(|e| e.not_reached),
        achieved_rate: (sent as f64 / seconds * 1e3).round() / 1e3,
        send_lag_p99_us: send_lag(requests),
        dropped: case.doubt.dropped,
        pauses: pauses(&case.doubt.pauses),
        suspect_slices: case
            .doubt
            .slices
            .iter()
            .map(|slice| suspect(case, *slice))
            .collect(),
        windows: windows(recorded),
    })
}

/// How late the pacer let requests go, 99th percentile in µs.
fn send_lag(requests: &[RequestRecord]) -> Option<i64> {
    let mut lags = Histogram::<u64>::new(3).expect("3 significant digits are supported");
    for r in requests {
        if let Some(left) = r.left_us {
            lags.saturating_record(u64::try_from(left - r.due_us).unwrap_or(0));
        }
    }
    (!lags.is_empty()).then(|| whole(lags.value_at_quantile(0.99)))
}

pub(super) fn pauses(found: &[(i64, i64)]) -> Vec<Pause> {
    let found = found.iter();
    found
        .map(|&(from_us, to_us)| Pause { from_us, to_us })
        .collect()
}

fn suspect(case: &Case<'_>, (from_us, to_us): (i64, i64)) -> SuspectSlice {
    let due = || {
        let requests = case.recording.requests.iter();
        requests.filter(|r| (from_us..to_us).contains(&r.due_us))
    };
    let on_time = |r: &&RequestRecord| r.left_us.is_some_and(|left| left - r.due_us <= ON_TIME_US);
    SuspectSlice {
        from_us,
        to_us,
        due: due().count() as u64,
        on_time: due().filter(on_time).count() as u64,
        starved: case
            .facts
            .starved_us
            .iter()
            .any(|at| (from_us..to_us).contains(at)),
    }
}

fn windows(recorded: &Evidence<'_>) -> Vec<WindowResult> {
    let case = recorded.case;
    let begin = case.facts.load_started.map_or(0, |l| l.started_us);
    let of = |counted: &WindowTally| {
        let from_us = counted.span.from_us.max(begin);
        let journeys = case.journeys().iter().zip(&counted.journeys);
        WindowResult {
            name: counted.span.name.clone(),
            from_us,
            to_us: counted.span.to_us.min(case.load_end_us).max(from_us),
            all: figures(&counted.all),
            journeys: journeys
                .map(|(j, c)| (j.name.clone(), figures(c)))
                .collect(),
        }
    };
    recorded.windows().iter().map(of).collect()
}

pub(super) fn figures(counts: &Counts) -> WindowFigures {
    WindowFigures {
        requests: counts.requests(),
        good: counts.good,
        bad: counts.bad,
        by_outcome: counts
            .by_outcome
            .iter()
            .map(|(outcome, n)| (outcome.name().to_owned(), *n))
            .collect(),
        latency_us: percentiles(&counts.latency),
        service_time_us: percentiles(&counts.service_time),
    }
}

fn percentiles(times: &Histogram<u64>) -> Percentiles {
    Times::of(times).map_or_else(Percentiles::default, |t| Percentiles {
        p50: Some(whole(t.p50)),
        p90: Some(whole(t.p90)),
        p99: Some(whole(t.p99)),
        p999: Some(whole(t.p999)),
        max: Some(whole(t.max)),
    })
}

pub(super) fn whole(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX)
}
