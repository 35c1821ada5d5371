//! Whether the run itself proves anything: what makes it at best inconclusive, whatever its objectives say.

use std::collections::BTreeSet;

use crate::model::{ComponentId, Outcome};
use crate::scenario::plan::{Placed, Plan};
use crate::timeline::Recording;
use crate::timeline::event::{Event, Level, Moment};

use super::evidence::Evidence;
use super::{number, promise};
use crate::timeline::tally::StepFacts;

use super::facts::Facts;
use super::result::Reason;
use super::{paced, stop};

/// Share of the slots that may be dropped.
const DROPPED_AT_MOST: f64 = 0.01;
/// How long a fault may take from the choice of its targets to its dispatch, µs.
const CHOSEN_US: i64 = 5_000_000;
/// A heal so much before its time was no timer's.
const EARLY_US: i64 = 100_000;

/// Every reason why the run proves nothing, or less than it should.
pub(super) fn doubts(plan: &Plan, recording: &Recording, evidence: &Evidence<'_>) -> Vec<Reason> {
    let facts = evidence.facts;
    let mut reasons = Vec::new();
    aborted(facts, &mut reasons);
    unsteady(plan, facts, &mut reasons);
    failed(facts, &mut reasons);
    stop::unwatched(plan, facts, &mut reasons);
    recorded(recording, facts, &mut reasons);
    promised(plan, facts, &mut reasons);
    loaded(recording, evidence, &mut reasons);
    unplanned(facts, &mut reasons);
    for step in &facts.steps {
        healed_early(facts, step, &mut reasons);
        stepped(facts, step, &mut reasons);
        super::victims::victims(evidence, step, &mut reasons);
        super::newcomers::newcomers(evidence, step, &mut reasons);
    }
    reasons
}

/// Steps left out by flag, whose objectives are not judged. Not a doubt: the operator asked for it.
pub(super) fn left_out(plan: &Plan, facts: &Facts<'_>) -> Vec<Reason> {
    facts
        .steps
        .iter()
        .filter_map(|step| {
            let flag = step.left_out.as_ref()?;
            let name = &step.name;
            let about: Vec<String> = plan
                .objectives
                .iter()
                .filter(|o| super::promises::about(o) == Some(name.as_str()))
                .map(super::promises::label)
                .collect();
            let objectives = if about.is_empty() {
                "no objective is about it".to_owned()
            } else {
                format!("not judged: {}", about.join(", "))
            };
            Some(reason(
                "left_out",
                format!("{name} was left out by {flag}; {objectives}"),
            ))
        })
        .collect()
}

fn aborted(facts: &Facts<'_>, reasons: &mut Vec<Reason>) {
    if let Some(by) = facts.aborted_by {
        reasons.push(reason(
            "aborted",
            format!("the run was ended early by {by}"),
        ));
    } else if facts.load_ended.is_some_and(|l| l.aborted) && !facts.stopped {
        reasons.push(reason("aborted", "the load was broken off before its end"));
    }
}

fn unsteady(plan: &Plan, facts: &Facts<'_>, reasons: &mut Vec<Reason>) {
    for check in 0..plan.steady_state.len() {
        if let Some((false, seen)) = facts.steady(check, Moment::Before) {
            let seen = if seen.is_empty() { "nothing" } else { seen };
            reasons.push(reason(
                "not_steady",
                format!(
                    "the steady state did not hold before the first fault: check {} saw {seen}",
                    check + 1
                ),
            ));
        }
    }
}

/// What went wrong on firedrill's own side, in its words.
fn failed(facts: &Facts<'_>, reasons: &mut Vec<Reason>) {
    let aborted = !reasons.is_empty();
    let errors = facts.entries.iter().filter_map(|e| match &e.event {
        Event::Note {
            level: Level::Error,
            text,
        } => Some(text),
        _ => None,
    });
    // An abort is its own reason, and what failed for it says nothing more.
    for text in errors.filter(|_| !aborted) {
        reasons.push(reason("error", text.clone()));
    }
}

fn recorded(recording: &Recording, facts: &Facts<'_>, reasons: &mut Vec<Reason>) {
    let mut say = |message: String| reasons.push(reason("recording_damaged", message));
    for damage in recording.damage.iter().take(3) {
        say(format!("the recording is damaged: {damage}"));
    }
    if let Some(more) = recording.damage.len().checked_sub(4) {
        say(format!(
            "the recording is damaged in {} more places",
            more + 1
        ));
    }
    let in_order = recording
        .entries
        .iter()
        .zip(1..)
        .all(|(entry, seq)| entry.seq == seq);
    if recording.damage.is_empty() && !in_order {
        say("lines of the journal are missing or out of order".to_owned());
    }
    if !facts.closed {
        reasons.push(reason(
            "recording_incomplete",
            "the recording does not go to the end of a run: it was cut off, or the run still goes on",
        ));
    } else if !recording.complete && recording.damage.is_empty() && in_order {
        say("the recording is not complete".to_owned());
    }
}

fn promised(plan: &Plan, facts: &Facts<'_>, reasons: &mut Vec<Reason>) {
    if plan.objectives.is_empty() {
        reasons.push(reason(
            "no_objectives",
            "the scenario promises nothing: without objectives a run proves nothing",
        ));
        return;
    }
    let judged = |o| super::promises::about(o).is_none_or(|step| !is_left_out(facts, step));
    if !plan.objectives.iter().any(judged) {
        reasons.push(reason(
            "no_objectives",
            "every objective is about a step that was left out: nothing was judged",
        ));
    }
}

/// Whether a step was left out by flag.
pub(super) fn is_left_out(facts: &Facts<'_>, step: &str) -> bool {
    facts.step(step).is_some_and(|s| s.left_out.is_some())
}

fn loaded(recording: &Recording, evidence: &Evidence<'_>, reasons: &mut Vec<Reason>) {
    let facts = evidence.facts;
    if let Some(why) = facts.load_failed {
        reasons.push(reason(
            "load_failed",
            format!("the load could not be driven: {why}"),
        ));
    }
    if evidence.case.loads().is_empty() {
        return;
    }
    match (facts.load_started, facts.load_ended) {
        (None, _) if facts.load_failed.is_none() => {
            reasons.push(reason(
                "no_load",
                "the load never began: nobody was there to notice",
            ));
        }
        (Some(_), None) if facts.load_failed.is_none() => {
            reasons.push(reason(
                "no_load",
                "the recording does not say how the load ended",
            ));
        }
        (Some(_), Some(end)) => {
            let recorded = recording.requests.len() as u64;
            let slots = evidence.case.doubt.slots;
            if recorded != end.asked || slots != end.arrivals {
                reasons.push(reason(
                    "requests_missing",
                    format!(
                        "{} requests of {} arrivals were asked, {recorded} of {slots} are recorded",
                        end.asked, end.arrivals
                    ),
                ));
            }
            for load in evidence.case.loads() {
                let random = load.random(evidence.case.plan.seed);
                let planned = load.schedule.count(random.as_ref());
                let (due, _) = slots_of(load, recording);
                let message = if planned != due && !end.aborted {
                    let of = named(load);
                    format!("{planned} arrivals{of} were planned, {due} became due")
                } else if let moved @ 1.. = paced::moved(evidence.case, load) {
                    format!(
                        "{moved} arrivals{} came at other times than planned, and the recording does not say why",
                        named(load)
                    )
                } else {
                    continue;
                };
                reasons.push(reason("requests_missing", message));
            }
            if recorded == 0 {
                reasons.push(reason("no_requests", "not one request became due"));
            }
        }
        _ => {}
    }
    super::by_hand::changed(evidence.case, reasons);
    // Each on its own: a busy load that was sent would hide a light one that was not.
    for load in evidence.case.loads() {
        let (due, dropped) = slots_of(load, recording);
        if dropped as f64 / due.max(1) as f64 > DROPPED_AT_MOST {
            reasons.push(reason(
                "generator_late",
                format!(
                    "the generator could not keep up: {dropped} of {due} arrivals{} were never sent",
                    named(load)
                ),
            ));
        }
    }
}

/// Arrivals of a load that became due, and those of them that were dropped.
fn slots_of(load: &Placed<'_>, recording: &Recording) -> (u64, u64) {
    let own = load.numbers();
    let slots = recording.requests.iter();
    let slots = slots.filter(|r| r.request == 0 && own.contains(r.journey));
    slots.fold((0, 0), |(due, dropped), r| {
        (due + 1, dropped + u64::from(r.outcome == Outcome::Dropped))
    })
}

/// ` of NAME`, for one of several loads.
fn named(load: &Placed<'_>) -> String {
    load.name
        .map_or_else(String::new, |name| format!(" of {name}"))
}

fn stepped(facts: &Facts<'_>, step: &StepFacts, reasons: &mut Vec<Reason>) {
    let name = &step.name;
    if step.left_out.is_some() {
        return;
    }
    if step.dispatched_us.is_none() {
        let (code, why) = match &step.not_dispatched {
            Some((code, why)) => (code.as_str(), why.as_str()),
            None => ("not_dispatched", "the recording does not say why"),
        };
        reasons.push(reason(code, format!("{name} was never dispatched: {why}")));
        return;
    }
    unrecorded(facts, step, reasons);
    // An update that the platform gave up is a finding, and its objectives judge it.
    let given_up = step.converged.as_ref().is_some_and(|c| !c.call_failed);
    if let Some(error) = step.error.as_ref().filter(|_| !given_up) {
        reasons.push(reason(
            "call_failed",
            format!("{name}: the call that makes the fault failed, so it was not kept as planned: {error}"),
        ));
    }
    let on_all = step.effects.iter().any(|e| e.component.is_none());
    let takes = facts
        .planned(step)
        .is_some_and(|p| p.action.take().is_some());
    let spared: Vec<String> = step
        .targets
        .iter()
        .filter(|t| {
            takes
                && !on_all
                && !step
                    .effects
                    .iter()
                    .any(|e| e.component.as_ref() == Some(*t))
        })
        .map(ToString::to_string)
        .collect();
    if step.effects.is_empty() || !spared.is_empty() {
        let on = if spared.is_empty() {
            String::new()
        } else {
            format!(" on {}", spared.join(", "))
        };
        reasons.push(reason(
            "no_effect",
            format!("{name} was dispatched, but no effect{on} was observed"),
        ));
    }
}

/// A fault that no plan has: what asked for it is missing.
fn unplanned(facts: &Facts<'_>, reasons: &mut Vec<Reason>) {
    let named = facts.entries.iter().filter_map(|e| match &e.event {
        Event::Dispatched { step, .. }
        | Event::NotDispatched { step, .. }
        | Event::Owed {
            step: Some(step), ..
        } => Some(step.as_str()),
        _ => None,
    });
    let unknown: BTreeSet<&str> = named.filter(|step| facts.step(step).is_none()).collect();
    for step in unknown {
        reasons.push(reason(
            "recording_damaged",
            format!("neither the plan nor the recording says what {step} was to be"),
        ));
    }
}

/// A fault that was healed before its time was easier to bear than the one that was promised.
fn healed_early(facts: &Facts<'_>, step: &StepFacts, reasons: &mut Vec<Reason>) {
    let hold = facts
        .planned(step)
        .and_then(|p| p.hold)
        .map(promise::micros);
    let effect = step.effects.last().map(|e| e.at_us);
    let (Some(hold), Some(effect), Some(healed)) = (hold, effect, step.heal_begins_us) else {
        return;
    };
    // Where the run or its load ended first, that is the reason.
    let ended = facts.entries.iter().any(|e| {
        let ends = matches!(
            e.event,
            Event::Aborted { .. } | Event::Stopped { .. } | Event::LoadEnded { .. }
        );
        ends && e.at_us <= healed
    });
    let held = healed - effect;
    if !ended && step.error.is_none() && held < hold - EARLY_US {
        reasons.push(reason(
            "healed_early",
            format!(
                "{} was healed after {} of the {} that it was to last: what came later was never seen",
                step.name,
                number::length(held),
                number::length(hold)
            ),
        ));
    }
}

/// What the recording of every dispatched step has, and without which its effect on callers cannot be read.
fn unrecorded(facts: &Facts<'_>, step: &StepFacts, reasons: &mut Vec<Reason>) {
    let name = &step.name;
    let at_us = step.dispatched_us.unwrap_or(i64::MAX);
    let unknown = step
        .targets
        .iter()
        .find(|t| facts.component(t, at_us).is_none());
    if let Some(target) = unknown {
        reasons.push(reason(
            "recording_damaged",
            format!("{name}: the recording does not describe {target}"),
        ));
    }
    if let Some(why) = carried_otherwise(facts, step, at_us) {
        reasons.push(reason("recording_damaged", format!("{name}: {why}")));
    }
    let mut missing = |what: &str| {
        let message = format!("{name}: the recording does not say {what}");
        reasons.push(reason("recording_damaged", message));
    };
    let owed = facts
        .entries
        .iter()
        .any(|e| matches!(&e.event, Event::Owed { step: Some(owing), .. } if owing == name));
    if !owed {
        missing("what its fault owes");
    }
    if step.acknowledged_us.is_none() {
        missing("how the call that makes the fault ended");
    }
    if step.verified_us.is_some() && step.healed_us.is_none() {
        missing("when the fault was healed");
    }
    if step.healed_us.is_some() && step.heal_begins_us.is_none() {
        missing("when its healing began");
    }
}

/// What a step's nodes ran must be what the stack was described to run on them shortly before, for callers are judged by
/// it.
fn carried_otherwise(facts: &Facts<'_>, step: &StepFacts, at_us: i64) -> Option<String> {
    let lists: Vec<(i64, BTreeSet<&ComponentId>)> = facts
        .entries
        .iter()
        .take_while(|e| e.at_us <= at_us)
        .filter_map(|e| match &e.event {
            Event::Components(all) => {
                let on_them = all.iter().filter(|c| c.is_carried_by(&step.targets));
                Some((e.at_us, on_them.map(|c| &c.id).collect()))
            }
            _ => None,
        })
        .collect();
    let said: BTreeSet<&ComponentId> = step.carried.iter().collect();
    let last_us = lists.last().map_or(0, |(at, _)| *at);
    // Something may have been described anew between the choice and the fault.
    let fits = |(at, on_them): &(i64, BTreeSet<&ComponentId>)| {
        *at >= last_us - CHOSEN_US && *on_them == said
    };
    if lists.iter().any(fits) || (lists.is_empty() && said.is_empty()) {
        return None;
    }
    let words = |ids: &BTreeSet<&ComponentId>| {
        let each: Vec<String> = ids.iter().map(ToString::to_string).collect();
        if each.is_empty() {
            "nothing".to_owned()
        } else {
            each.join(", ")
        }
    };
    let described = lists
        .last()
        .map_or("nothing".to_owned(), |(_, ids)| words(ids));
    Some(format!(
        "the recording has it that the nodes taken ran {}, and describes {described} on them",
        words(&said)
    ))
}

pub(super) fn reason(code: impl Into<String>, message: impl Into<String>) -> Reason {
    Reason {
        code: code.into(),
        message: message.into(),
    }
}
