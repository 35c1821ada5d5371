//! A step that was fired by hand before its time, while callers came less often than they would have then.

use std::time::Duration;

use crate::model::{Journeys, Pace};
use crate::scenario::plan::{Milestone, Traffic, Trigger};
use crate::timeline::tally::StepFacts;

use super::evidence::Evidence;
use super::promise::micros;
use super::result::Reason;
use super::validity::reason;

/// Dispatched so much before its time it was no timer's doing.
const EARLY_US: i64 = 100_000;
/// The share of the promised rate under which it was another drill: a rate is never met to the last digit.
const AS_PROMISED: f64 = 0.99;
/// From one look at the rates that were still to come to the next.
const LOOK: Duration = Duration::from_millis(500);

/// Says so of each of them.
pub(super) fn lighter(evidence: &Evidence<'_>, step: &StepFacts, reasons: &mut Vec<Reason>) {
    let (facts, plan) = (evidence.facts, evidence.case.plan);
    let (Some(load), Some(at_us)) = (facts.load_started, step.dispatched_us) else {
        return;
    };
    let (Some(asked), Some(planned)) = (plan.traffic(), plan.traffic_at(&Pace::default())) else {
        return;
    };
    let Some(when) = facts.planned(step).map(|p| &p.when) else {
        return;
    };
    let into = |us: i64| Duration::from_micros(u64::try_from(us).unwrap_or(0));
    let rate = |traffic: &Traffic<'_>, into| traffic.request_rate(Journeys::ALL, into);
    let promised = match when {
        Trigger::At(at) if at_us < load.steps_zero_us + micros(*at) - EARLY_US => {
            rate(&planned, planned.warmup() + *at)
        }
        Trigger::After {
            step: other,
            milestone,
            wait,
            ..
        } => {
            let other = facts.step(other);
            let reached = match milestone {
                Milestone::Dispatched => other.and_then(|o| o.dispatched_us),
                Milestone::Healed => other.and_then(|o| o.healed_us),
                Milestone::Settled => {
                    other.and_then(|o| Some(evidence.watch(&o.name)?.span.end_us))
                }
            };
            if reached.is_some_and(|at| at_us >= at + micros(*wait) - EARLY_US) {
                return;
            }
            // When its time would have come nobody can tell: it may have been at the busiest moment.
            let end = planned.warmup() + planned.length();
            let mut later = into(at_us - load.started_us);
            let mut busiest: f64 = 0.0;
            while later < end {
                busiest = busiest.max(rate(&planned, later));
                later += LOOK;
            }
            busiest
        }
        Trigger::At(_) => return,
    };
    let had = rate(&asked, into(at_us - load.started_us));
    if had < promised * AS_PROMISED {
        reasons.push(reason(
            "fired_early",
            format!(
                "{} was fired before its time, under {had:.0} requests a second and not {promised:.0}: \
                 what was promised was not asked of the system",
                step.name
            ),
        ));
    }
}
