//! Stop conditions: one that was met is a miss, and one that nobody watched keeps a run from a pass.

use std::collections::BTreeMap;

use crate::model::{Outcome, RequestRecord};
use crate::scenario::plan::{Of, Plan, STOP_HITS, StopCondition};
use crate::timeline::event::Event;
use crate::timeline::tally::Hit;

use super::case::Case;
use super::facts::Facts;
use super::number;
use super::promise::{micros, secs};
use super::result::{Reason, StopResult};
use super::validity::reason;

/// The longest time between two looks that hides nothing, µs.
const PAUSE_US: i64 = 5_000_000;

/// A stop, and whether it proves a miss.
pub(super) struct Stop {
    pub(super) result: StopResult,
    pub(super) reason: Reason,
    pub(super) proven: bool,
}

/// The stop that ended the run, if one did.
pub(super) fn stop(case: &Case<'_>) -> Option<Stop> {
    let entries = case.facts.entries;
    let (at_us, stopped) = entries.iter().find_map(|e| match &e.event {
        stopped @ Event::Stopped { .. } => Some((e.at_us, stopped)),
        _ => None,
    })?;
    let Event::Stopped {
        condition,
        what,
        limit,
        observed,
        from_us,
    } = stopped
    else {
        return None;
    };
    let proven = proven(case, *condition, *from_us, at_us);
    let over = over(case, at_us);
    let zero = case.facts.load_started.map_or(0, |l| l.steps_zero_us);
    let undone_us = over.map(|o| (o.undone_us - at_us).max(0));
    let verified_us = over.map(|o| o.verified_us - at_us);
    let undone = match (undone_us, verified_us) {
        (Some(undone), Some(verified)) => format!(
            "; everything was undone {} later, and verified {} later",
            number::length(undone),
            number::length(verified)
        ),
        _ => String::new(),
    };
    let doubt = if proven {
        ""
    } else {
        "; but much of what was seen then is in doubt, for the generator was late or the test bed starved of CPU, and the rest is too little to prove a miss"
    };
    Some(Stop {
        result: StopResult {
            condition: what.clone(),
            limit: limit.clone(),
            observed: observed.clone(),
            at_us,
            undone_us,
            verified_us,
        },
        reason: reason(
            "stopped",
            format!(
                "stopped at {} by {what} {limit}: {observed}{undone}{doubt}",
                number::moment(at_us - zero)
            ),
        ),
        proven,
    })
}

/// When the last fault that was open at a stop was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Over {
    /// The calls of its undo had returned.
    undone_us: i64,
    /// That had been read back.
    verified_us: i64,
}

/// `None` where no fault was open at the stop, or one could not be undone.
fn over(case: &Case<'_>, stop_us: i64) -> Option<Over> {
    let mut open: BTreeMap<u64, &str> = BTreeMap::new();
    let mut undone: BTreeMap<&str, i64> = BTreeMap::new();
    let mut last: Option<Over> = None;
    for entry in case.facts.entries {
        match &entry.event {
            Event::Owed {
                id,
                step: Some(step),
                ..
            } => {
                open.insert(*id, step);
            }
            Event::Healed { step } => {
                undone.insert(step, entry.at_us);
            }
            Event::Mended { id, .. } => {
                let Some(step) = open.remove(id).filter(|_| entry.at_us >= stop_us) else {
                    continue;
                };
                // Who mends without a drill going on says only that it is done.
                let calls_us = undone.get(step).map_or(entry.at_us, |at| *at);
                last = Some(Over {
                    undone_us: last.map_or(calls_us, |l| l.undone_us.max(calls_us)),
                    verified_us: entry.at_us,
                });
            }
            _ => {}
        }
    }
    last.filter(|_| open.is_empty())
}

/// Whether the stop's evidence is enough without the requests that say more of the generator and its test bed than of the
/// system.
fn proven(case: &Case<'_>, condition: usize, from_us: i64, at_us: i64) -> bool {
    let Some(condition) = case.plan.stop_when.get(condition) else {
        return true;
    };
    let hit = match condition {
        StopCondition::BadShare { .. } => Hit::Bad,
        StopCondition::Latency { at_least, .. } => Hit::Slow {
            from_us: micros(*at_least),
        },
        StopCondition::LongestGap { of, .. } => {
            let waited = |r: &&RequestRecord| {
                (from_us..=at_us).contains(&r.due_us)
                    && is_of(case, r, of)
                    && r.outcome != Outcome::Dropped
                    && !case.doubt.suspects(r)
            };
            return enough(case.recording.requests.iter().filter(waited).count());
        }
        StopCondition::Promql { .. }
        | StopCondition::Alert { .. }
        | StopCondition::WallClock { .. } => return true,
    };
    let hits = |r: &&RequestRecord| {
        (from_us..=at_us).contains(&r.done_us)
            && condition.of().is_some_and(|of| is_of(case, r, of))
            && r.outcome.counts()
            && hit.is(r)
            && !case.doubt.suspects(r)
    };
    enough(case.recording.requests.iter().filter(hits).count())
}

fn enough(count: usize) -> bool {
    count as u64 >= STOP_HITS
}

fn is_of(case: &Case<'_>, r: &RequestRecord, of: &Of) -> bool {
    case.meant(of)
        .is_some_and(|meant| meant.contains(r.journey))
}

/// Why a run that was not stopped may be one that should have been.
pub(super) fn unwatched(plan: &Plan, facts: &Facts<'_>, reasons: &mut Vec<Reason>) {
    let begun = facts.load_started.is_some() || !facts.steps.is_empty();
    if plan.stop_when.is_empty() || !begun || facts.stopped || facts.aborted_by.is_some() {
        return;
    }
    let mut say = |why: String| reasons.push(reason("stop_unwatched", why));
    let watched = facts.entries.iter().rev().find_map(|e| match &e.event {
        Event::StopWatched {
            from_us,
            longest_pause_us,
            unanswered,
            ..
        } => Some((*from_us, e.at_us, *longest_pause_us, unanswered)),
        _ => None,
    });
    let Some((from_us, to_us, pause_us, unanswered)) = watched else {
        return say("the recording does not say that the stop conditions were watched".to_owned());
    };
    let begins = facts.load_started.map_or(from_us, |l| l.started_us);
    let ends = facts.load_ended.map_or(to_us, |l| l.at_us);
    if from_us > begins || to_us < ends {
        say("the stop conditions were not watched for as long as the load lasted".to_owned());
    }
    if pause_us > PAUSE_US {
        say(format!(
            "the stop conditions were not looked at for {}",
            secs(pause_us)
        ));
    }
    for silence in unanswered {
        let name = plan
            .stop_when
            .get(silence.condition)
            .map_or_else(String::new, |c| format!(" `{c}`"));
        say(format!(
            "nobody could tell for {} whether the run was to be stopped: the stop condition{name} was not answered: {}",
            secs(silence.to_us - silence.from_us),
            silence.why
        ));
    }
    let elsewhere = plan.observe.alertmanager.is_some() || plan.observe.webhook.is_some();
    for condition in &plan.stop_when {
        if let StopCondition::Alert { alert, .. } = condition
            && !elsewhere
            && facts.rules.is_some_and(|rules| !rules.contains_key(alert))
        {
            say(format!(
                "Prometheus has no rule for alert {alert}, so it could not have stopped the run"
            ));
        }
    }
}
