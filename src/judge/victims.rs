//! Whether the answers bear a step out: its victims served before it, not while they were gone, and again after it.

use std::time::Duration;

use crate::model::{Action, ComponentId, NodeFault, RequestRecord, StackEventKind};
use crate::timeline::event::Event;
use crate::timeline::tally::StepFacts;

use super::case::Watch;
use super::evidence::{Evidence, unexposed};
use super::promise::{micros, secs};
use super::result::Reason;
use super::validity::reason;

/// How far the engine's time of an effect may be from ours, µs.
const LEEWAY_US: i64 = 250_000;

/// Load after the heal in which a balancer takes a victim back that it had given up, µs: half as long again as the pause
/// after which nginx tries one again unless told otherwise.
const RETURN_US: i64 = 15_000_000;

/// Share of the traffic that is as good as all.
const ALL: f64 = 0.9;

/// What the answers say against a step that was dispatched.
pub(super) fn victims(evidence: &Evidence<'_>, step: &StepFacts, reasons: &mut Vec<Reason>) {
    let name = &step.name;
    if evidence.case.exposed(step) == Some(false) {
        reasons.push(reason(
            "not_exposed",
            format!(
                "{name}: {}, so what callers saw says nothing of its loss",
                unexposed(step)
            ),
        ));
    }
    let taken = evidence.facts.planned(step).map(|p| &p.action);
    let (Some(action), Some(watch)) = (taken, evidence.watch(name)) else {
        return;
    };
    if action.take().is_none() {
        return;
    }
    if let Action::Node { fault, .. } = action {
        gone_with_node(evidence, step, fault, reasons);
        return;
    }
    for victim in &step.targets {
        gone(evidence, step, action, victim, reasons);
        // A command of the user's own may have taken it out for good.
        if !matches!(action, Action::Exec { .. }) {
            unreturned(evidence, step, watch, victim, reasons);
        }
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
        // A node answers nobody itself, and what it ran is asked for on its own.
        | Action::Node { .. }
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
    let until = back_us(evidence, step, victim, effect.at_us, Some(hold));
    let from = effect.at_us.saturating_add(LEEWAY_US);
    let answers = evidence.case.answers_of(victim);
    let answers = answers.filter(|r| answered(r, from, until)).count();
    if answers > 0 {
        reasons.push(reason(
            "answered_while_gone",
            format!(
                "{}: {answers} good answers bear the name of {victim}, sent for while it was gone: they come from elsewhere (a cache, or another of that name), so nobody knows who served whom",
                step.name
            ),
        ));
    }
}

/// What ran on a node that is dead or frozen answers nobody either. Its replacement may, by a name of its own.
fn gone_with_node(
    evidence: &Evidence<'_>,
    step: &StepFacts,
    fault: &NodeFault,
    reasons: &mut Vec<Reason>,
) {
    let silences = match fault {
        NodeFault::Kill | NodeFault::Stop { .. } | NodeFault::Pause => true,
        // Who stood at the node's own side of the cut may still be reached, and a drain moves in order.
        NodeFault::Disconnect | NodeFault::Partition | NodeFault::Drain => false,
    };
    if !silences {
        return;
    }
    let hold = evidence.facts.planned(step).and_then(|p| p.hold);
    for was in evidence.facts.carried(step) {
        let node = was.place.node.as_ref();
        let effect = step.effects.iter().find(|e| e.component.as_ref() == node);
        let (Some(node), Some(effect)) = (node, effect) else {
            continue;
        };
        let until = back_us(evidence, step, node, effect.at_us, hold);
        let from = effect.at_us.saturating_add(LEEWAY_US);
        let answers = evidence.case.answers_of_making(was);
        let answers = answers.filter(|r| answered(r, from, until)).count();
        if answers > 0 {
            reasons.push(reason(
                "answered_while_gone",
                format!(
                    "{}: {answers} good answers bear a name that {} had on {node}, sent for while {node} was gone: they come from elsewhere (a cache, or another of that name), so nobody knows who served whom",
                    step.name, was.id
                ),
            ));
        }
    }
}

/// Whether it was answered well, and sent for within this stretch.
fn answered(request: &RequestRecord, from_us: i64, until_us: i64) -> bool {
    let sent = request.sent_us.is_some_and(|sent| sent >= from_us);
    request.good && request.done_us < until_us && sent
}

/// The earliest that a victim may be back: another step may have started it, or made it anew.
fn back_us(
    evidence: &Evidence<'_>,
    step: &StepFacts,
    victim: &ComponentId,
    effect_us: i64,
    hold: Option<Duration>,
) -> i64 {
    let started = evidence.facts.entries.iter().find_map(|e| match &e.event {
        Event::Engine {
            component,
            engine_us,
            what: StackEventKind::Started | StackEventKind::Unpaused,
            ..
        } if component == victim && *engine_us > effect_us => Some(*engine_us),
        _ => None,
    });
    let held = hold.map(|hold| effect_us.saturating_add(micros(hold)));
    [step.heal_begins_us, held, started]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(i64::MAX)
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
    // Who had it all may come back as the one in reserve; who shared it comes back to a share.
    let shared = seen.share_before.is_some_and(|share| share < ALL);
    if seen.exposed
        && shared
        && seen.readmitted_us.is_none()
        && !watch.cut
        && waited_us >= RETURN_US
    {
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
