//! What people did, expected and noticed while the drill was on: for the talk after it. None of it moves a verdict.

use std::collections::BTreeSet;

use crate::model::{Act, Prediction};
use crate::timeline::event::{AlertState, Event};
use crate::timeline::tally::StepFacts;

use super::evidence::Evidence;
use super::number;
use super::result::{
    ActResult, AfterAction, NoteResult, NoticedResult, PredictedResult, PredictionResult,
    StepResult,
};

/// All of it; `None` where nobody did anything.
pub(super) fn after_action(evidence: &Evidence<'_>, steps: &[StepResult]) -> Option<AfterAction> {
    let facts = evidence.facts;
    let mut all = AfterAction::default();
    for entry in facts.entries {
        let at_us = entry.at_us;
        let Event::Operated(act) = &entry.event else {
            continue;
        };
        match act {
            Act::Note { text } => all.notes.push(NoteResult {
                at_us,
                text: text.clone(),
            }),
            Act::Predict { step, prediction } => {
                // What was predicted last is what was believed.
                all.predictions.retain(|p| p.step != *step);
                all.predictions.push(PredictionResult {
                    step: step.clone(),
                    at_us,
                    parts: parts(evidence, steps, step, prediction),
                });
            }
            Act::Fire { .. }
            | Act::Skip { .. }
            | Act::Heal { .. }
            | Act::Extend { .. }
            | Act::Pause
            | Act::Resume
            | Act::Rate { .. }
            | Act::Acknowledge
            | Act::Break { .. } => all.acts.push(ActResult {
                at_us,
                act: act.name().to_owned(),
                step: act.step().map(str::to_owned),
                text: words(act),
            }),
        }
    }
    if all == AfterAction::default() {
        return None;
    }
    all.noticed = facts
        .steps
        .iter()
        .filter(|step| step.dispatched_us.is_some())
        .map(|step| noticed(evidence, step))
        .collect();
    Some(all)
}

/// What an operator did, in words.
#[must_use]
pub fn words(act: &Act) -> String {
    match act {
        Act::Fire { step } => format!("{step} fired by hand"),
        Act::Skip { step } => format!("{step} skipped by hand"),
        Act::Heal { step } => format!("{step} healed by hand"),
        Act::Extend { step, by_us } => {
            format!("{step} kept {} longer by hand", number::length(*by_us))
        }
        Act::Pause => "the schedule stands still".to_owned(),
        Act::Resume => "the schedule goes on".to_owned(),
        Act::Rate { factor } => {
            format!(
                "the load goes to {} % of the planned rate",
                number::trimmed(factor * 100.0, 1)
            )
        }
        Act::Note { text } => format!("note: \"{text}\""),
        Act::Acknowledge => "acknowledged: somebody has noticed".to_owned(),
        Act::Predict { step, prediction } => {
            format!("{step} predicted: {}", predicted(prediction))
        }
        Act::Break {
            step,
            action,
            hold_us,
        } => {
            let whom = action.target().map(|t| format!(" {t}")).unwrap_or_default();
            let hold = number::length(*hold_us);
            format!(
                "{step} asked for by hand: {}{whom}, held {hold}",
                action.name()
            )
        }
    }
}

/// A prediction in words.
fn predicted(prediction: &Prediction) -> String {
    let mut words = Vec::new();
    match (prediction.failover_us, prediction.lost) {
        (Some(0), Some(0)) => words.push("masked".to_owned()),
        (failover, lost) => {
            words.extend(failover.map(number::length));
            words.extend(lost.map(|n| format!("{} lost", number::count(n))));
        }
    }
    match prediction.alerts.as_deref() {
        Some([]) => words.push("no alert".to_owned()),
        Some(alerts) => words.extend(alerts.iter().cloned()),
        None => {}
    }
    words.join(", ")
}

fn parts(
    evidence: &Evidence<'_>,
    steps: &[StepResult],
    step: &str,
    prediction: &Prediction,
) -> Vec<PredictedResult> {
    let failover = steps
        .iter()
        .find(|s| s.name == step)
        .and_then(|s| s.failover.as_ref());
    let mut parts = Vec::new();
    if let Some(most) = prediction.failover_us {
        let worst = failover.and_then(|f| {
            let each: Option<Vec<i64>> = f.journeys.values().map(|j| j.failover_us).collect();
            each?.into_iter().max()
        });
        parts.push(PredictedResult {
            what: "failover".to_owned(),
            predicted: number::length(most),
            observed: worst.map(number::length),
            held: worst.map(|us| us <= most),
        });
    }
    if let Some(most) = prediction.lost {
        let lost = failover.map(|f| f.all.bad);
        parts.push(PredictedResult {
            what: "lost".to_owned(),
            predicted: number::count(most),
            observed: lost.map(number::count),
            held: lost.map(|n| n <= most),
        });
    }
    if let Some(expected) = &prediction.alerts {
        let names = |alerts: &BTreeSet<&str>| {
            if alerts.is_empty() {
                "none".to_owned()
            } else {
                alerts.iter().copied().collect::<Vec<_>>().join(", ")
            }
        };
        let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
        let fired = fired(evidence, step);
        parts.push(PredictedResult {
            what: "alerts".to_owned(),
            predicted: names(&expected),
            observed: fired.as_ref().map(names),
            held: fired.map(|fired| fired == expected),
        });
    }
    parts
}

/// The alerts that began to fire from a step's dispatch to the next one's; `None` where nobody can tell.
fn fired<'a>(evidence: &Evidence<'a>, step: &str) -> Option<BTreeSet<&'a str>> {
    let facts = evidence.facts;
    let step = facts.step(step)?;
    let from_us = step.dispatched_us?;
    if facts.rules.is_none() || !facts.collected() {
        return None;
    }
    let to_us = facts.next_dispatch_us(step).unwrap_or(i64::MAX);
    let histories = facts.entries.iter().filter_map(|e| match &e.event {
        Event::AlertHistory { alert, spans, .. } => Some((alert.as_str(), spans)),
        _ => None,
    });
    let began = histories.filter(|(_, spans)| {
        let mut spans = spans.iter();
        spans.any(|s| s.state == AlertState::Firing && (from_us..to_us).contains(&s.from_us))
    });
    Some(began.map(|(alert, _)| alert).collect())
}

/// When somebody first said something after a fault, and before the next one.
fn noticed(evidence: &Evidence<'_>, step: &StepFacts) -> NoticedResult {
    let facts = evidence.facts;
    let from_us = step.dispatched_us.unwrap_or(i64::MAX);
    let to_us = facts.next_dispatch_us(step).unwrap_or(i64::MAX);
    let said = facts.entries.iter().find_map(|e| match &e.event {
        Event::Operated(act @ (Act::Note { .. } | Act::Acknowledge))
            if (from_us..to_us).contains(&e.at_us) =>
        {
            Some((e.at_us, act))
        }
        _ => None,
    });
    NoticedResult {
        step: step.name.clone(),
        after_us: said.map(|(at, _)| at - from_us),
        by: said.map(|(_, act)| act.name().to_owned()),
    }
}
