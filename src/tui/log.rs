//! Events in words, a line each.

use crate::judge::words;
use crate::model::StackEventKind;
use crate::scenario::plan::Plan;
use crate::timeline::event::{ABORT, AlertState, Event, Level, Moment, Phase};

/// What a person should see of an event; `None` for what only the judge needs.
#[must_use]
pub fn told(plan: &Plan, event: &Event) -> Option<String> {
    let at = |step: &str, what: &str| Some(format!("{step:<9} {what}"));
    match event {
        Event::Phase(phase) => Some(phase_text(*phase).to_owned()),
        Event::Dispatched { step, targets, .. } => {
            let planned = plan.steps.iter().find(|s| s.name == *step);
            let action = planned.map_or("", |s| s.action.name());
            let whom: Vec<String> = targets.iter().map(ToString::to_string).collect();
            at(step, &format!("{action} {}", whom.join(", ")))
        }
        Event::Acknowledged {
            step,
            error: Some(error),
        } => at(step, &format!("failed: {error}")),
        Event::Effect {
            step, component, ..
        } => at(
            step,
            &component
                .as_ref()
                .map_or("in effect".to_owned(), |c| format!("in effect on {c}")),
        ),
        Event::Converged {
            step,
            complete,
            note,
            ..
        } => {
            let how = if *complete { "rolled out" } else { "given up" };
            at(
                step,
                &note
                    .as_ref()
                    .map_or(how.to_owned(), |n| format!("{how}: {n}")),
            )
        }
        Event::Healed { step } => at(step, "healed"),
        Event::Verified { step } => at(step, "verified"),
        Event::NotDispatched { step, why, .. } => at(step, &format!("not dispatched: {why}")),
        Event::LeftOut { step, flag } => at(step, &format!("left out ({flag})")),
        Event::LeftBroken { why, .. } => Some(format!("LEFT BROKEN: {why}")),
        Event::Steady {
            moment,
            held,
            observed,
            ..
        } => {
            let when = if *moment == Moment::Before {
                "before"
            } else {
                "after"
            };
            Some(format!(
                "steady state {when}: {}: {observed}",
                if *held { "holds" } else { "DOES NOT HOLD" }
            ))
        }
        Event::LoadFailed { why } => Some(format!("the load failed: {why}")),
        Event::Engine {
            component,
            what: StackEventKind::Died { code },
            ..
        } => Some(format!("{component} died (exit code {code})")),
        Event::Engine {
            component,
            what: StackEventKind::Started,
            ..
        } => Some(format!("{component} started")),
        Event::Notified {
            alert, resolved, ..
        } => at(alert, if *resolved { "cleared" } else { "notified" }),
        Event::AlertState {
            alert, was, state, ..
        } => at(
            alert,
            match (state, was) {
                (Some(AlertState::Pending), _) => "pending",
                (Some(AlertState::Firing), _) => "firing",
                (None, Some(AlertState::Pending)) => "no longer pending",
                (None, _) => "resolved",
            },
        ),
        Event::Gap { source, why, .. } => Some(format!("{source} did not answer: {why}")),
        Event::Aborted { by } if by == ABORT => Some(format!("{by}: healing everything, now")),
        Event::Aborted { by } => Some(format!(
            "{by}: healing everything; once more skips the report"
        )),
        Event::Stopped {
            what,
            limit,
            observed,
            ..
        } => Some(format!(
            "STOP: {what} {limit}: {observed}; healing everything, now"
        )),
        Event::Note {
            level: Level::Info,
            text,
        } => Some(text.clone()),
        Event::Note {
            level: Level::Warning,
            text,
        } => Some(format!("warning: {text}")),
        Event::Note {
            level: Level::Error,
            text,
        } => Some(format!("error: {text}")),
        Event::Operated(act) => Some(words(act)),
        Event::Recovering { by, .. } => Some(format!("{by}: mending what the run left")),
        Event::Opened(_)
        | Event::Guarded { .. }
        | Event::Components(_)
        | Event::Owed { .. }
        | Event::Mended { .. }
        | Event::Acknowledged { error: None, .. }
        | Event::HealBegins { .. }
        | Event::LoadStarted { .. }
        | Event::Repaced(_)
        | Event::LoadEnded { .. }
        | Event::Name { .. }
        | Event::Engine { .. }
        | Event::Starved { .. }
        | Event::Skew { .. }
        | Event::AlertHistory { .. }
        | Event::Received { .. }
        | Event::Detected { .. }
        | Event::Rules { .. }
        | Event::Replicas { .. }
        | Event::StopWatched { .. }
        | Event::Closed { .. } => None,
    }
}

/// What goes on in a phase.
fn phase_text(phase: Phase) -> &'static str {
    match phase {
        Phase::StandingUp => "standing the stack up",
        Phase::Preparing => "checking the steady state",
        Phase::Warmup => "warm-up",
        Phase::Drill => "the drill begins",
        Phase::Awaiting => "load over; awaiting alerts",
        Phase::Mending => "mending what is open",
        Phase::Collecting => "collecting evidence",
        Phase::TakingDown => "taking the stack down",
    }
}
