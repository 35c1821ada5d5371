//! When a watch is over while the run goes on, for the steps that wait for it. The judge computes it again from the
//! recording; here the same function is asked with what is known so far.

use std::time::Duration;

use super::bench::Bench;
use crate::model::{Action, Component, Journeys};
use crate::scenario::plan::StepPlan;
use crate::timeline::tally::{Readmission, WatchFacts, settle_us, watch_end};

/// Waits until the watch of a step whose fault was over at `over_us` is. False if the load ended first.
pub(super) async fn settled(
    bench: &Bench,
    step: &StepPlan,
    effect_us: Option<i64>,
    over_us: i64,
) -> bool {
    let victims = bench.victims.of(&step.name);
    let settle_us = longest_settle_us(bench);
    loop {
        let old = old_answers(bench, step);
        let facts = WatchFacts {
            effect_us,
            held: step.hold.is_some(),
            over_us: Some(over_us),
            old_answers_us: &old,
            readmission: readmission(bench, &victims, over_us),
            settle_us,
            load_end_us: i64::MAX,
        };
        if watch_end(&facts, bench.now_us()).is_some() {
            return true;
        }
        tokio::select! {
            biased;
            () = bench.load_over.cancelled() => return false,
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
        }
    }
}

/// The longest settle of the load's journeys at the rate that is asked now.
fn longest_settle_us(bench: &Bench) -> i64 {
    let recovery = i64::try_from(bench.plan.recovery.settle.as_micros()).unwrap_or(i64::MAX);
    let Some(traffic) = bench.traffic() else {
        return recovery;
    };
    let warmup = i64::try_from(traffic.warmup().as_micros()).unwrap_or(0);
    let into = bench.now_us() - bench.steps_zero_us + warmup;
    let into = Duration::from_micros(u64::try_from(into).unwrap_or(0));
    let slots = traffic
        .journeys()
        .map(|(journey, _)| traffic.request_rate(Journeys::one(journey), into))
        .filter(|r| *r > 0.0)
        .map(|r| 1e6 / r);
    slots
        .map(|slot| settle_us(recovery, slot.round() as i64))
        .max()
        .unwrap_or(recovery)
}

/// Whether every victim that was heard of serves again.
fn readmission(bench: &Bench, victims: &[Component], over_us: i64) -> Readmission {
    let live = bench.recorder.live();
    let heard = live.instances();
    let known = victims
        .iter()
        .filter(|v| heard.iter().any(|a| v.answers_to(&a.name)));
    let mut last = Readmission::NotAwaited;
    for victim in known {
        match (
            live.first_good_after(|name| victim.answers_to(name), over_us),
            last,
        ) {
            (None, _) => return Readmission::Awaited,
            (Some(at), Readmission::Seen(before)) => last = Readmission::Seen(at.max(before)),
            (Some(at), Readmission::NotAwaited | Readmission::Awaited) => {
                last = Readmission::Seen(at)
            }
        }
    }
    last
}

/// The last answer of each version but the newest, sorted; only updates wait for those. Others may run an old version for as
/// long as they like: where the service's own replicas are known by name, only theirs count.
fn old_answers(bench: &Bench, step: &StepPlan) -> Vec<i64> {
    if !matches!(step.action, Action::Update { .. }) {
        return vec![];
    }
    let live = bench.recorder.live();
    let replaced = bench.victims.replaced(&step.name);
    let is_replaced = |name: &str| replaced.iter().any(|c| c.answers_to(name));
    let known = live.instances().iter().any(|i| is_replaced(&i.name));
    let versions = live.versions();
    let newest = versions.iter().map(|v| v.first_us).max();
    let old = versions.iter().filter(|v| Some(v.first_us) != newest);
    let mut old: Vec<i64> = if known {
        old.filter_map(|v| live.last_answer_as(&v.name, is_replaced))
            .collect()
    } else {
        old.map(|v| v.last_us).collect()
    };
    old.sort_unstable();
    old
}
