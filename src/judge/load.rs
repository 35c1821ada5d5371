//! `load`: what the generator did and what callers saw, by window.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::model::{Outcome, RequestRecord};
use crate::scenario::plan::Placed;
use crate::timeline::tally::{Counts, Percentiles as Times, WindowTally};

use super::aftermath::Aftermath;
use super::case::Case;
use super::evidence::Evidence;
use super::promise::micros;
use super::result::{
    LoadResult, LoadResults, Pause, Percentiles, RawFigures, SuspectSlice, WindowFigures,
    WindowResult,
};

/// A request left on time if no later than this, µs.
const ON_TIME_US: i64 = 10_000;

/// The load of a run, or each of its loads; `None` where it never started.
pub(super) fn load(recorded: &Evidence<'_>) -> Option<LoadResults> {
    recorded.case.facts.load_started?;
    let loads = recorded.case.loads();
    match loads {
        [] => None,
        [one] if one.name.is_none() => Some(LoadResults::One(Box::new(of(recorded, one, None)))),
        several => {
            let each = several.iter().enumerate().map(|(index, load)| {
                let name = load.name.unwrap_or_default().to_owned();
                (name, of(recorded, load, Some(index)))
            });
            Some(LoadResults::Several(each.collect()))
        }
    }
}

/// One load; `index` is its place among several.
fn of(recorded: &Evidence<'_>, load: &Placed<'_>, index: Option<usize>) -> LoadResult {
    let case = recorded.case;
    let start = case.facts.load_started;
    let (begin, steps_zero_us) = start.map_or((0, 0), |s| (s.started_us, s.steps_zero_us));
    let started_us = begin + micros(load.delay);
    let end_us = case
        .load_end_us
        .min(started_us + micros(load.schedule.length()));
    let seconds = (end_us - started_us).max(1) as f64 / 1e6;
    let numbers = load.numbers();
    let own = || {
        let requests = case.recording.requests.iter();
        requests.filter(|r| numbers.contains(r.journey))
    };
    let sent = own().filter(|r| r.sent_us.is_some()).count() as u64;
    let slots = || own().filter(|r| r.request == 0);
    LoadResult {
        started_us,
        steps_zero_us,
        arrivals: slots().count() as u64,
        asked: own().count() as u64,
        sent,
        not_reached: case.facts.load_ended.map(|end| match index {
            None => end.not_reached,
            Some(_) => not_reached(load, own()),
        }),
        achieved_rate: (sent as f64 / seconds * 1e3).round() / 1e3,
        send_lag_p99_us: send_lag(own()),
        dropped: slots().filter(|r| r.outcome == Outcome::Dropped).count() as u64,
        pauses: pauses(&case.doubt.pauses),
        suspect_slices: case
            .doubt
            .slices
            .iter()
            .map(|slice| suspect(case, own(), *slice))
            .collect(),
        windows: windows(recorded, load, index, (started_us, end_us)),
    }
}

/// Requests of a load that its arrivals had before them and that are not recorded: their journeys stopped.
fn not_reached<'r>(load: &Placed<'_>, own: impl Iterator<Item = &'r RequestRecord>) -> u64 {
    let (mut ahead, mut asked) = (0, 0);
    for r in own {
        asked += 1;
        if r.request == 0 {
            let mut journeys = load.journeys();
            let taken = journeys.find(|(number, _)| *number == usize::from(r.journey));
            ahead += taken.map_or(0, |(_, journey)| journey.requests().count() as u64);
        }
    }
    ahead.saturating_sub(asked)
}

/// How late the pacer let requests go, 99th percentile in µs.
fn send_lag<'r>(requests: impl Iterator<Item = &'r RequestRecord>) -> Option<i64> {
    let mut lags = Histogram::<u64>::new(3).expect("3 significant digits are supported");
    for r in requests {
        if let Some(left) = r.left_us {
            lags.record(u64::try_from(left - r.due_us).unwrap_or(0))
                .expect("a histogram without bounds grows to take any value");
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

fn suspect<'r>(
    case: &Case<'_>,
    own: impl Iterator<Item = &'r RequestRecord>,
    (from_us, to_us): (i64, i64),
) -> SuspectSlice {
    let (mut due, mut on_time) = (0, 0);
    for r in own.filter(|r| (from_us..to_us).contains(&r.due_us)) {
        due += 1;
        on_time += u64::from(r.left_us.is_some_and(|left| left - r.due_us <= ON_TIME_US));
    }
    SuspectSlice {
        from_us,
        to_us,
        due,
        on_time,
        starved: case
            .facts
            .starved_us
            .iter()
            .any(|at| (from_us..to_us).contains(at)),
        aftermaths: {
            let aftermaths = case.aftermaths.iter();
            let within = aftermaths.filter(|a| a.at_us < to_us && a.to_us > from_us);
            within.map(Aftermath::result).collect()
        },
    }
}

/// The windows of a load that lasts from the first to the second of these moments.
fn windows(
    recorded: &Evidence<'_>,
    load: &Placed<'_>,
    index: Option<usize>,
    (begin, end): (i64, i64),
) -> Vec<WindowResult> {
    let retries = load.plan.retry.is_some();
    let of = |counted: &WindowTally| {
        let from_us = counted.span.from_us.max(begin);
        let all = index.and_then(|index| counted.loads.get(index));
        let journeys = load.journeys().filter_map(|(number, journey)| {
            let counts = counted.journeys.get(number)?;
            Some((journey.name.clone(), figures(counts, retries)))
        });
        WindowResult {
            name: counted.span.name.clone(),
            from_us,
            to_us: counted.span.to_us.min(end).max(from_us),
            all: figures(all.unwrap_or(&counted.all), retries),
            journeys: journeys.collect(),
        }
    };
    recorded.windows().iter().map(of).collect()
}

/// The figures of a window, with those of first tries where the load `retries`.
pub(super) fn figures(counts: &Counts, retries: bool) -> WindowFigures {
    let mut by_status: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for ((outcome, status), n) in &counts.by_status {
        let of = by_status.entry(outcome.name().to_owned()).or_default();
        of.insert(status.to_string(), *n);
    }
    WindowFigures {
        requests: counts.requests(),
        good: counts.good,
        bad: counts.bad,
        by_outcome: named(&counts.by_outcome),
        by_status,
        latency_us: percentiles(&counts.latency),
        service_time_us: percentiles(&counts.service_time),
        raw: retries.then(|| {
            let raw = counts.first_tries();
            RawFigures {
                good: raw.good,
                bad: raw.bad,
                by_outcome: named(&raw.by_outcome),
                latency_us: percentiles(&raw.latency),
                tries: counts.tries,
            }
        }),
    }
}

fn named(by_outcome: &BTreeMap<Outcome, u64>) -> BTreeMap<String, u64> {
    let each = by_outcome.iter();
    each.map(|(outcome, n)| (outcome.name().to_owned(), *n))
        .collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::testing::{Script, plan};

    #[test]
    fn how_late_requests_are_let_go_has_no_bound() {
        let mut requests = Script::load(&plan("")).requests;
        for r in &mut requests {
            r.left_us = Some(r.due_us + 70_000);
        }
        let lag = send_lag(requests.iter()).unwrap();
        assert!((lag - 70_000).abs() < 100, "{lag}");
    }
}
