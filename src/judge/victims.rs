//! Whether the answers bear a step out: its victims served before it, not while they were gone, and again after it.

use crate::model::{Action, ComponentId};
use crate::timeline::tally::StepFacts;

use super::case::Watch;
use super::evidence::Evidence;
use super::promise::{micros, secs};
use super::result::Reason;
use super::validity::reason;

/// How far the engine's time of an effect may be from ours, µs.
const LEEWAY_US: i64 = 250_000;

/// What the answers say against a step that was dispatched.
pub(super) fn victims(evidence: &Evidence<'_>, step: &StepFacts, reasons: &mut Vec<Reason>) {
    let name = &step.name;
    if evidence.case.exposed(step) == Some(false) {
        reasons.push(reason(
            "not_exposed",
            format!("{name}: the victim had answered nobody in the 10 s before, so what callers saw says nothing of its loss"),
        ));
    }
    let taken = evidence.facts.planned(step).map(|p| &p.action);
    let (Some(action), Some(watch)) = (taken, evidence.watch(name)) else {
        return;
    };
    if action.take().is_none() {
        return;
    }
    for victim in &step.targets {
        gone(evidence, step, action, victim, reasons);
        unreturned(evidence, step, watch, victim, reasons);
    }
}

/// Nobody answers while dead or frozen. Good answers in such a one's name come from elsewhere, a cache for one, and then
/// nobody knows who served whom.
fn gone(
    evidence: &Evidence<'_>,
    step: &StepFacts,
    action: &Action,
    victim: &ComponentId,
    reasons: &mut Vec<Reason>,
) {
    let silences = match action {
        Action::Kill { .. } | Action::Stop { .. } | Action::Pause { .. } => true,
        Action::Restart { .. }
        | Action::Disconnect { .. }
        | Action::Partition { .. }
        | Action::Scale { .. }
        | Action::Exec { .. }
        | Action::Http { .. }
        | Action::Command { .. }
        | Action::Update { .. } => false,
    };
    // Without a hold it may be back at any time.
    let hold = evidence.facts.planned(step).and_then(|p| p.hold);
    let effect = step
        .effects
        .iter()
        .find(|e| e.component.as_ref() == Some(victim));
    let (true, Some(hold), Some(effect)) = (silences, hold, effect) else {
        return;
    };
    let until = step
        .heal_begins_us
        .unwrap_or(i64::MAX)
        .min(effect.at_us.saturating_add(micros(hold)));
    let from = effect.at_us.saturating_add(LEEWAY_US);
    let answers = evidence
        .case
        .answers_of(victim)
        .filter(|r| r.good && r.done_us < until && r.sent_us.is_some_and(|sent| sent >= from))
        .count();
    if answers > 0 {
        reasons.push(reason(
            "answered_while_gone",
            format!(
                "{}: {answers} good answers bear the name of {victim}, sent for while it was gone: they come from elsewhere (a cache?), so nobody knows who served whom",
                step.name
            ),
        ));
    }
}

/// A victim that served before and never again is not back, whatever the engine says of it.
fn unreturned(
    evidence: &Evidence<'_>,
    step: &StepFacts,
    watch: &Watch,
    victim: &ComponentId,
    reasons: &mut Vec<Reason>,
) {
    let (Some(over_us), Some(seen)) = (step.over_us(), evidence.case.exposure(watch, victim))
    else {
        return;
    };
    let waited_us = evidence.case.load_end_us - over_us;
    if seen.exposed && seen.readmitted_us.is_none() && !watch.cut && waited_us > 0 {
        reasons.push(reason(
            "not_readmitted",
            format!(
                "{}: {victim} served before and answered nobody again in the {} of load after it was mended",
                step.name,
                secs(waited_us)
            ),
        ));
    }
}
