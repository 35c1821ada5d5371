//! Whether callers came when they were to come: as planned, and as an operator changed that.

use crate::scenario::plan::Placed;

use super::case::Case;
use super::number;
use super::promise::micros;
use super::result::Reason;
use super::validity::reason;

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

/// A stretch of lowered rate.
struct Lowered {
    from_us: i64,
    to_us: i64,
    factor: f64,
}

/// A rate lowered by hand after the warm-up: the drill was easier than what was promised.
pub(super) fn lowered(case: &Case<'_>, reasons: &mut Vec<Reason>) {
    let Some(start) = case.facts.load_started else {
        return;
    };
    let zero_us = start.steps_zero_us - start.started_us;
    let end_us = case.load_end_us - start.started_us;
    let changes = case.plan.pace.changes();
    let ends = changes.iter().skip(1).map(|c| c.at_us).chain([end_us]);
    let mut all: Vec<Lowered> = Vec::new();
    for (change, to_us) in changes.iter().zip(ends) {
        let (from_us, to_us) = (change.at_us.max(zero_us), to_us.min(end_us));
        if change.factor >= 1.0 || from_us >= to_us {
            continue;
        }
        match all.last_mut() {
            Some(last) if last.to_us == from_us && last.factor == change.factor => {
                last.to_us = to_us;
            }
            _ => all.push(Lowered {
                from_us,
                to_us,
                factor: change.factor,
            }),
        }
    }
    for stretch in all {
        let until = if stretch.to_us == end_us {
            "on".to_owned()
        } else {
            format!("to {}", number::moment(stretch.to_us - zero_us))
        };
        reasons.push(reason(
            "rate_lowered",
            format!(
                "the rate was lowered to {} by hand from {} {until}: what was promised was not asked of the system",
                number::share(stretch.factor.max(0.0)),
                number::moment(stretch.from_us - zero_us)
            ),
        ));
    }
}
