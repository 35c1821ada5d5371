//! What each objective will have to go by, computed from the plan alone: windows as planned, with
//! effects, heals and updates that take no time, so that a doubt raised here is certain.

use std::time::Duration;

use super::error::Problem;
use super::plan::{Milestone, Objective, Of, Plan, StepPlan, Traffic, Trigger};
use super::tree::Span;
use crate::model::Journeys;

/// A settle takes at least so many requests of a journey.
const SETTLE_REQUESTS: f64 = 100.0;
/// Requests that availability takes, times the share that may be bad: the rule of three.
const RULE_OF_THREE: f64 = 3.0;
/// Requests that a percentile takes beyond it.
const BEYOND_PERCENTILE: f64 = 10.0;
/// The share of a settle-long stretch beyond which an allowance says that the baseline was too short.
const MOST_ALLOWED: f64 = 0.05;

/// What an objective of the plan will have to go by.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// Requests due in its window; `None` where it is not judged by requests.
    pub samples: Option<u64>,
    /// Requests that a pass takes, infinite where no number is enough; `None` where none are counted.
    pub needed: Option<f64>,
    /// Why it can at best come out inconclusive; empty where it can be met.
    pub doubts: Vec<String>,
}

/// When a step's watch is expected, from the end of warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    /// Its dispatch.
    pub dispatch: Duration,
    /// Its earliest end: settled after the hold. The load's end ends it too.
    pub end: Duration,
}

/// The evidence of each of the plan's objectives, in their order.
#[must_use]
pub fn evidence(plan: &Plan) -> Vec<Evidence> {
    plan.objectives
        .iter()
        .map(|objective| of_objective(plan, objective))
        .collect()
}

/// The doubts as warnings, each at the objective's place.
pub(super) fn warnings(plan: &Plan, places: &[Span]) -> Vec<Problem> {
    let doubts = evidence(plan).into_iter().zip(places);
    let mut warnings: Vec<Problem> = doubts
        .flat_map(|(evidence, at)| {
            let warn = |doubt| Problem::warning(*at, doubt);
            evidence.doubts.into_iter().map(warn).collect::<Vec<_>>()
        })
        .collect();
    warnings.sort_by_key(|warning| warning.at);
    warnings.dedup();
    warnings
}

/// The expected watch of the step called `name`; `None` if there is no such step or no load.
#[must_use]
pub fn watch(plan: &Plan, name: &str) -> Option<Watch> {
    let traffic = &plan.traffic()?;
    let step = plan.steps.iter().find(|step| step.name == name)?;
    let dispatch = dispatch(plan, traffic, step, plan.steps.len())?;
    Some(Watch {
        dispatch,
        end: settled(plan, traffic, step, dispatch),
    })
}

/// When a step is dispatched at the earliest. `left` bounds the chain of steps that follow one another.
fn dispatch(plan: &Plan, traffic: &Traffic<'_>, step: &StepPlan, left: usize) -> Option<Duration> {
    match &step.when {
        Trigger::At(at) => Some(*at),
        Trigger::After {
            step: name,
            milestone,
            wait,
            ..
        } => {
            let before = plan.steps.iter().find(|step| step.name == *name)?;
            let begun = dispatch(plan, traffic, before, left.checked_sub(1)?)?;
            let reached = match milestone {
                Milestone::Dispatched => begun,
                Milestone::Healed => begun + before.hold.unwrap_or_default(),
                Milestone::Settled => settled(plan, traffic, before, begun),
            };
            Some(reached + *wait)
        }
    }
}

/// When a step dispatched at `begun` is settled at the earliest.
fn settled(plan: &Plan, traffic: &Traffic<'_>, step: &StepPlan, begun: Duration) -> Duration {
    let over = begun + step.hold.unwrap_or_default();
    let settles = traffic
        .journeys()
        .filter(|(j, _)| rate(traffic, *j, begun) > 0.0)
        .map(|(j, _)| settle(plan, traffic, j, begun));
    over + settles.max().unwrap_or(plan.recovery.settle)
}

/// `settle`, or 100 requests of the journey if that takes longer, at the rate planned at `at`.
fn settle(plan: &Plan, traffic: &Traffic<'_>, journey: usize, at: Duration) -> Duration {
    let (rate, length) = (rate(traffic, journey, at), traffic.length());
    let requests = Duration::try_from_secs_f64(SETTLE_REQUESTS / rate).unwrap_or(length);
    plan.recovery.settle.max(requests.min(length))
}

/// Requests of a journey due per second, `at` after the end of warm-up.
fn rate(traffic: &Traffic<'_>, journey: usize, at: Duration) -> f64 {
    traffic.request_rate(Journeys::one(journey), traffic.warmup() + at)
}

/// Requests of the journeys due from `from` to `to` after the end of warm-up.
fn due(traffic: &Traffic<'_>, of: &Of, from: Duration, to: Duration) -> f64 {
    let zero = traffic.warmup();
    let meant = traffic.meant(of);
    meant.map_or(0.0, |meant| traffic.due(meant, zero + from, zero + to))
}

fn of_objective(plan: &Plan, objective: &Objective) -> Evidence {
    let Some(traffic) = &plan.traffic() else {
        return Evidence {
            samples: None,
            needed: None,
            doubts: Vec::new(),
        };
    };
    let counted = |of: &Of, window: &str| Some(due_in(plan, traffic, of, window));
    let (samples, needed) = match objective {
        Objective::Availability {
            at_least,
            of,
            during,
        } => (
            counted(of, during),
            Some(RULE_OF_THREE / (1.0 - at_least.get())),
        ),
        Objective::Latency {
            percentile,
            of,
            during,
            ..
        } => (
            counted(of, during),
            Some(BEYOND_PERCENTILE / (1.0 - percentile)),
        ),
        Objective::Failover { step, of, .. } | Objective::Lost { step, of, .. } => {
            (counted(of, step), None)
        }
        Objective::UpdateLost { step, .. } | Objective::LatencyBack { step, .. } => {
            (counted(&Of::All, step), None)
        }
        Objective::Detection { .. }
        | Objective::UpdateWithin { .. }
        | Objective::UpdateMinHealthy { .. }
        | Objective::Alert { .. }
        | Objective::OtherAlerts { .. } => (None, None),
    };
    let mut doubts = Vec::new();
    doubts.extend(
        samples
            .zip(needed)
            .and_then(|(samples, needed)| too_few(samples, needed)),
    );
    doubts.extend(cut_short(plan, traffic, objective));
    if let Objective::Failover { of, .. } = objective {
        doubts.extend(short_baseline(plan, traffic, of));
    }
    Evidence {
        samples: samples.map(|samples| samples.round() as u64),
        needed,
        doubts,
    }
}

fn due_in(plan: &Plan, traffic: &Traffic<'_>, of: &Of, window: &str) -> f64 {
    let watches = || plan.steps.iter().filter_map(|step| watch(plan, &step.name));
    let (from, to) = match window {
        "run" => (Duration::ZERO, traffic.length()),
        "baseline" => (
            Duration::ZERO,
            watches()
                .map(|w| w.dispatch)
                .min()
                .unwrap_or(traffic.length()),
        ),
        "recovered" => (
            watches().map(|w| w.end).max().unwrap_or_default(),
            traffic.length(),
        ),
        step => watch(plan, step).map_or_else(Default::default, |w| (w.dispatch, w.end)),
    };
    due(traffic, of, from, to)
}

fn too_few(samples: f64, needed: f64) -> Option<String> {
    if needed.is_infinite() {
        return Some(
            "no number of requests proves 100%: promise a little less, or `lost: { STEP: 0 }`"
                .to_owned(),
        );
    }
    // A billionth less, for 1 − 0.999 is not exactly a thousandth.
    let needed = (needed * (1.0 - 1e-9)).ceil();
    (samples < needed).then(|| {
        format!(
            "too little evidence: about {samples:.0} requests will be due, and a pass takes {needed:.0}; make the load longer or faster"
        )
    })
}

/// A watch that the load's end cuts before its time can miss its objectives, not meet them.
fn cut_short(plan: &Plan, traffic: &Traffic<'_>, objective: &Objective) -> Option<String> {
    let step = match objective {
        Objective::Availability { during, .. } | Objective::Latency { during, .. } => during,
        Objective::Failover { step, .. }
        | Objective::Lost { step, .. }
        | Objective::UpdateLost { step, .. }
        | Objective::LatencyBack { step, .. } => step,
        // Awaited past the end of the load.
        Objective::Detection { .. }
        | Objective::UpdateWithin { .. }
        | Objective::UpdateMinHealthy { .. }
        | Objective::Alert { .. }
        | Objective::OtherAlerts { .. } => return None,
    };
    let (watch, length) = (watch(plan, step)?, traffic.length());
    (watch.end > length).then(|| {
        format!(
            "the load ends {} after warm-up, before the watch of `{step}` can end ({} at the earliest): it can be missed, not met; make the load longer",
            shown(length),
            shown(watch.end)
        )
    })
}

/// A duration to the millisecond.
fn shown(duration: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_millis(
        u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
    ))
}

/// The allowance of a clean baseline, where it exceeds 5 % of a settle-long stretch.
fn short_baseline(plan: &Plan, traffic: &Traffic<'_>, of: &Of) -> Option<String> {
    if plan.recovery.bad.is_some() {
        return None;
    }
    let first = plan
        .steps
        .iter()
        .filter_map(|step| watch(plan, &step.name))
        .map(|watch| watch.dispatch)
        .min()?;
    let meant = traffic.meant(of)?;
    let judged = traffic
        .journeys()
        .filter(|(number, _)| u16::try_from(*number).is_ok_and(|n| meant.contains(n)));
    judged
        .filter_map(|(number, journey)| {
            let baseline = due(traffic, &Of::Journey(journey.name.clone()), Duration::ZERO, first);
            let stretch = settle(plan, traffic, number, first).as_secs_f64() * rate(traffic, number, first);
            let allowance = poisson_99(stretch * bound_of_none() / baseline);
            (allowance > MOST_ALLOWED * stretch).then(|| {
                format!(
                    "the baseline is too short: {baseline:.0} requests of `{}` before the first fault cannot tell background errors from an outage; begin the steps later",
                    journey.name
                )
            })
        })
        .next()
}

/// The 95 % upper bound of a Poisson mean of which none was seen: −ln 0.05.
fn bound_of_none() -> f64 {
    -(0.05_f64.ln())
}

/// The 99 % quantile of a Poisson distribution; infinite where its mean is past computing.
fn poisson_99(mean: f64) -> f64 {
    let mut term = (-mean).exp();
    if !term.is_normal() {
        return f64::INFINITY;
    }
    let (mut sum, mut count) = (term, 0.0);
    while sum < 0.99 {
        count += 1.0;
        term *= mean / count;
        sum += term;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowance_of_a_clean_baseline() {
        // The example of the definition: 6,000 clean requests allow 3 in 1,500.
        assert_eq!(poisson_99(1500.0 * bound_of_none() / 6000.0), 3.0);
        assert_eq!(poisson_99(0.0), 0.0);
        assert!(poisson_99(f64::INFINITY).is_infinite());
        assert!(poisson_99(f64::NAN).is_infinite());
    }

    #[test]
    fn evidence_counts_what_a_pass_takes() {
        assert_eq!(too_few(3000.0, RULE_OF_THREE / (1.0 - 0.999)), None);
        assert!(too_few(2999.0, RULE_OF_THREE / (1.0 - 0.999)).is_some());
        assert!(too_few(1e9, RULE_OF_THREE / (1.0 - 1.0)).is_some());
    }
}
