//! A drill that an operator changed on its way is not the one that was promised: what it proves of that is a miss at most.
//! More callers than promised, or for longer, thin out the bad ones as well as fewer spare the system.

use crate::model::Act;
use crate::scenario::plan::Traffic;
use crate::timeline::event::Event;

use super::case::Case;
use super::number;
use super::result::Reason;
use super::validity::reason;

/// Says so of each change.
pub(super) fn changed(case: &Case<'_>, reasons: &mut Vec<Reason>) {
    pace(case, reasons);
    let level = case.plan.traffic().is_none_or(|t| is_steady(&t));
    // Faults that were to meet, or to follow one another, are another drill in another order.
    let planned = case.facts.steps.iter().filter(|s| s.left_out.is_none());
    let alone = planned.count() == 1;
    for entry in case.facts.entries {
        let Event::Operated(act) = &entry.event else {
            continue;
        };
        let (code, message) = match act {
            Act::Fire { step } if !(level && alone) => {
                let why = if level {
                    "the scenario has other steps, which it was to meet or to follow"
                } else {
                    "callers do not come as often at all times"
                };
                (
                    "fired_early",
                    format!(
                        "{step} was fired by hand, and {why}: what was promised was not asked of the system"
                    ),
                )
            }
            // A restart mends what another step broke, and so may whatever has a platform look again.
            Act::Break { step, .. } => (
                "fault_added",
                format!(
                    "{step} was added by hand: what the system would have done without it was never seen"
                ),
            ),
            // Where a hold was cut short, the times say so themselves.
            Act::Heal { step } if !is_held(case, step) => (
                "healed_early",
                format!("{step} was healed by hand: whether it would have mended was never seen"),
            ),
            Act::Extend { step, by_us } => (
                "extended",
                format!(
                    "{step} was kept {} longer by hand: shares of a longer time are not those that were promised",
                    number::length(*by_us)
                ),
            ),
            // What a skipped step leaves open is said of the step, a pace of the load.
            Act::Fire { .. }
            | Act::Heal { .. }
            | Act::Skip { .. }
            | Act::Pause
            | Act::Resume
            | Act::Rate { .. }
            | Act::Note { .. }
            | Act::Acknowledge
            | Act::Predict { .. } => continue,
        };
        reasons.push(reason(code, message));
    }
}

fn is_held(case: &Case<'_>, step: &str) -> bool {
    let planned = case.plan.steps.iter().find(|s| s.name == step);
    planned.is_some_and(|s| s.hold.is_some())
}

/// Whether as many callers come at any time of the drill.
fn is_steady(traffic: &Traffic<'_>) -> bool {
    let mut ends = traffic
        .loads()
        .iter()
        .map(|l| l.delay + l.schedule.length());
    let first = ends.next();
    let together = ends.all(|end| Some(end) == first);
    let level = traffic.loads().iter().all(|load| {
        let rates = load.plan.stages.iter().flat_map(|s| [s.from, s.to]);
        let mut rates = rates.map(|rate| rate.get());
        let first = rates.next();
        rates.all(|rate| Some(rate) == first)
    });
    together && level
}

/// A stretch at another pace than the planned one.
struct Stretch {
    from_us: i64,
    to_us: i64,
    factor: f64,
    held: bool,
}

fn pace(case: &Case<'_>, reasons: &mut Vec<Reason>) {
    let Some(start) = case.facts.load_started else {
        return;
    };
    let zero_us = start.steps_zero_us - start.started_us;
    let end_us = case.load_end_us - start.started_us;
    let changes = case.plan.pace.changes();
    let ends = changes.iter().skip(1).map(|c| c.at_us).chain([end_us]);
    let stretches = changes.iter().zip(ends).map(|(change, to_us)| Stretch {
        from_us: change.at_us.max(zero_us),
        to_us: to_us.min(end_us),
        factor: change.factor,
        held: change.held,
    });
    let other = |s: &Stretch| (s.factor != 1.0 || s.held) && s.from_us < s.to_us;
    for stretch in stretches.filter(other) {
        let until = if stretch.to_us == end_us {
            "on".to_owned()
        } else {
            format!("to {}", number::moment(stretch.to_us - zero_us))
        };
        let from = number::moment(stretch.from_us - zero_us);
        let held = if stretch.held {
            ", its schedule held"
        } else {
            ""
        };
        reasons.push(reason(
            "pace_changed",
            format!(
                "the load was at {} of its rate{held}, by hand, from {from} {until}: what was promised was not asked \
                 of the system",
                number::share(stretch.factor.max(0.0)),
            ),
        ));
    }
}
