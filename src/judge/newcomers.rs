//! Whether the replicas that a step adds serve callers: more of them that answer nobody are no more capacity.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Action, Component, ComponentId, Health, RunState, StackEventKind, Undo};
use crate::timeline::event::Event;
use crate::timeline::tally::StepFacts;

use super::evidence::Evidence;
use super::promise::secs;
use super::result::Reason;
use super::validity::reason;

/// Least load after the dispatch of which it is asked who answered, µs: by then a replica of a quick service has passed its
/// first health check, and a balancer that asks for names has learned its own.
const TAKEN_UP_US: i64 = 5_000_000;

/// What speaks against a step that adds replicas: some of them did not come, or came and answered nobody.
pub(super) fn newcomers(evidence: &Evidence<'_>, step: &StepFacts, reasons: &mut Vec<Reason>) {
    let planned = evidence.facts.planned(step).map(|p| &p.action);
    let (Some(Action::Scale { target, replicas }), Some(dispatched_us)) =
        (planned, step.dispatched_us)
    else {
        return;
    };
    let Some((count, numbered)) = counted_before(evidence, step, target) else {
        return;
    };
    let mut before = described_before(evidence, dispatched_us, target, count);
    before.extend(numbered);
    // One that was there and was not described may show up later: it is no newcomer, so one more has to come.
    let added = (*replicas as usize).saturating_sub(count.min(before.len()));
    let end_us = evidence.case.load_end_us;
    let until_us = step.heal_begins_us.map_or(end_us, |heal| heal.min(end_us));
    let there_us = until_us - dispatched_us;
    if added == 0 || there_us < TAKEN_UP_US {
        return;
    }
    let mut up: BTreeMap<&ComponentId, bool> = BTreeMap::new();
    let while_there = |at_us: i64| (dispatched_us..until_us).contains(&at_us);
    for entry in evidence.facts.entries {
        match &entry.event {
            Event::Components(all) if while_there(entry.at_us) => {
                for c in all {
                    *up.entry(&c.id).or_default() |= c.healthy();
                }
            }
            Event::Engine {
                component,
                what:
                    StackEventKind::Health {
                        health: Health::Healthy,
                    },
                ..
            } if while_there(entry.at_us) => *up.entry(component).or_default() = true,
            _ => {}
        }
    }
    up.retain(|id, up| *up && id.service == *target && !before.contains(*id));
    let of = format!("{added} new of {target}");
    if up.len() < added {
        reasons.push(reason(
            "not_serving",
            format!(
                "{}: {} of {of} came up in the {} that it was to have them",
                step.name,
                up.len(),
                secs(there_us)
            ),
        ));
        return;
    }
    // Where answers do not tell who gave them, nobody knows.
    if !evidence.case.is_named(target) {
        return;
    }
    let answered = |id: &ComponentId| {
        let mut answers = evidence.case.answers_of(id);
        answers.any(|r| r.good && r.sent_us.is_some_and(while_there))
    };
    let silent: Vec<String> = (up.into_keys().filter(|id| !answered(id)))
        .map(ToString::to_string)
        .collect();
    if !silent.is_empty() {
        reasons.push(reason(
            "not_serving",
            format!(
                "{}: of {of}, {} answered nobody in the {} that it was there",
                step.name,
                silent.join(", "),
                secs(there_us)
            ),
        ));
    }
}

/// How many replicas there were before, by the step's own undo, and which, where it says so.
fn counted_before(
    evidence: &Evidence<'_>,
    step: &StepFacts,
    target: &str,
) -> Option<(usize, Vec<ComponentId>)> {
    evidence.facts.entries.iter().find_map(|e| match &e.event {
        Event::Owed {
            step: Some(of),
            undo,
            ..
        } if *of == step.name => match undo {
            Undo::Replicas { service, indexes } if service == target => {
                let numbered = indexes.iter().map(|i| ComponentId::new(service, *i));
                Some((indexes.len(), numbered.collect()))
            }
            Undo::Count { service, replicas } if service == target => {
                Some((*replicas as usize, Vec::new()))
            }
            _ => None,
        },
        _ => None,
    })
}

/// What there was of the service just before, frozen or between two starts too: a platform that chooses who goes when a
/// service shrinks leaves gaps in its numbers. Where that is fewer than the `count` that there were to be, another fault has
/// taken some, which come back: who was there before it, too.
fn described_before(
    evidence: &Evidence<'_>,
    dispatched_us: i64,
    target: &str,
    count: usize,
) -> BTreeSet<ComponentId> {
    let there = |c: &&Component| c.id.service == target && c.state != RunState::Exited;
    let newest_first = evidence.facts.entries.iter().rev();
    let described = newest_first.filter_map(|e| match &e.event {
        Event::Components(all) if e.at_us < dispatched_us => Some(all),
        _ => None,
    });
    let mut before = BTreeSet::new();
    for all in described {
        before.extend(all.iter().filter(there).map(|c| c.id.clone()));
        if before.len() >= count {
            break;
        }
    }
    before
}
