//! Whether callers came when they were to come: as planned, and as an operator changed that.

use crate::scenario::plan::Placed;

use super::case::Case;
use super::promise::micros;

/// How far a due time may be from the one computed here, µs: numbers that were written and read again may differ in their
/// last bit.
const SLACK_US: i64 = 5;

/// How many of a load's first requests were not due when their arrivals were to come. What the recording does not say was
/// changed shows here, even where as many came.
pub(super) fn moved(case: &Case<'_>, load: &Placed<'_>) -> u64 {
    let Some(start) = case.facts.load_started else {
        return 0;
    };
    if load.plan.arrivals.are_closed() {
        return 0;
    }
    let started_us = start.started_us + micros(load.delay);
    let (own, random) = (load.numbers(), load.random(case.plan.seed));
    let firsts = case.recording.requests.iter();
    let firsts = firsts.filter(|r| r.request == 0 && own.contains(r.journey));
    let elsewhere = firsts.filter(|r| {
        let due_us = started_us.saturating_add(load.schedule.due_of(r.n, random.as_ref()));
        r.due_us.abs_diff(due_us) > SLACK_US.unsigned_abs()
    });
    elsewhere.count() as u64
}
