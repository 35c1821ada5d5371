//! Detection: from the dispatch until the named source shows the loss.

use std::time::Duration;

use crate::model::{Action, ComponentId, Health, StackEventKind, Template};
use crate::scenario::plan::DetectionSource;
use crate::timeline::event::Event;

use super::alert_story::filled;
use super::evidence::Evidence;
use super::promise::{Finding, Heading, Promise, micros, secs};
use crate::timeline::tally::StepFacts;

/// A request tried on the victim so shortly before the heal shows that nobody had noticed, µs.
const UNTIL_THE_HEAL_US: i64 = 1_000_000;

/// How soon a source shows that a step's victims are lost.
pub(super) struct Detection<'a> {
    pub(super) step: &'a str,
    pub(super) source: &'a DetectionSource,
    pub(super) within: Duration,
}

/// What a source showed of one victim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// It showed the loss, so long after the dispatch (µs).
    After(i64),
    /// The last request that it is known to have been sent left so long after the dispatch (µs), the last that it may
    /// have been sent, for nobody answered it, so long.
    Between(i64, i64),
    /// It showed one at the dispatch already.
    Already,
    /// It did not until then (µs since the run's zero), when it could no longer.
    NotUntil(i64),
    /// It was never asked.
    Unknown,
    /// It was asked another query.
    Another,
}

impl Promise for Detection<'_> {
    fn heading(&self) -> Heading {
        Heading::within("detection", self.within).step(self.step)
    }

    fn judge(&self, evidence: &Evidence<'_>) -> Finding {
        let facts = evidence.facts;
        let Some((step, dispatched)) = facts
            .step(self.step)
            .and_then(|s| Some((s, s.dispatched_us?)))
        else {
            return Finding::no_data(format!("{} was never dispatched", self.step));
        };
        let limit = micros(self.within);
        let finding = match seen(evidence, step, dispatched, self.source) {
            Seen::After(us) => Finding::time(us, limit).samples(1),
            Seen::Between(surely, _) if surely > limit => Finding::time(surely, limit).samples(1),
            Seen::Between(_, maybe) if maybe <= limit => Finding::time(maybe, limit).samples(1),
            Seen::Between(_, maybe) => {
                return Finding::no_data(format!(
                    "requests that nobody answered went out until {} after the dispatch: they may have been tried on the victim",
                    secs(maybe)
                ));
            }
            Seen::Already => return Finding::no_data("it was shown at the dispatch already"),
            Seen::Unknown => return Finding::no_data(unknown(self.source)),
            Seen::Another => {
                return Finding::no_data(
                    "that run asked Prometheus another query for this step: when this one would have shown the loss nobody knows",
                );
            }
            Seen::NotUntil(until) if until < dispatched + limit => {
                return Finding::no_data(format!(
                    "not shown within the {} in which it could be",
                    secs(until - dispatched)
                ));
            }
            Seen::NotUntil(_) => Finding::never("the source never showed the loss"),
        };
        let Some(source) = outside(self.source) else {
            return finding;
        };
        let figure = finding.observed;
        evidence.with_clock(source, figure, (dispatched, dispatched + limit), finding)
    }
}

/// The time since the dispatch at which the source showed the last victim's loss; for `steps[].detection_us`.
pub(super) fn detected_us(
    evidence: &Evidence<'_>,
    step: &StepFacts,
    source: &DetectionSource,
) -> Option<i64> {
    match seen(evidence, step, step.dispatched_us?, source) {
        Seen::After(us) => Some(us),
        Seen::Between(..) | Seen::Already | Seen::NotUntil(_) | Seen::Unknown | Seen::Another => {
            None
        }
    }
}

/// Whose clock the source goes by, where it is not ours.
fn outside(source: &DetectionSource) -> Option<&'static str> {
    match source {
        DetectionSource::Promql(_) => Some("prometheus"),
        DetectionSource::Health => Some("engine"),
        DetectionSource::Traffic => None,
    }
}

fn unknown(source: &DetectionSource) -> &'static str {
    match source {
        DetectionSource::Promql(_) => "Prometheus was never asked",
        DetectionSource::Health => "the step took no component whose health the engine knows",
        DetectionSource::Traffic => "no answer named the victim, so nobody knows what it was sent",
    }
}

/// Of several victims, the worst: each must be detected.
fn seen(
    evidence: &Evidence<'_>,
    step: &StepFacts,
    dispatched: i64,
    source: &DetectionSource,
) -> Seen {
    let of = |victim: Option<&ComponentId>| match source {
        DetectionSource::Promql(query) => by_query(evidence, step, dispatched, query, victim),
        DetectionSource::Health => {
            let planned = evidence.facts.planned(step).map(|p| &p.action);
            let of_node = matches!(planned, Some(Action::Node { .. }));
            let lost = if of_node { node_lost } else { lost };
            victim.map_or(Seen::Unknown, |v| by_engine(evidence, dispatched, v, lost))
        }
        DetectionSource::Traffic => victim.map_or(Seen::Unknown, |v| by_traffic(evidence, step, v)),
    };
    if step.targets.is_empty() {
        return of(None);
    }
    step.targets
        .iter()
        .map(|victim| of(Some(victim)))
        .max_by_key(|seen| match seen {
            Seen::After(us) | Seen::Between(_, us) => (0, *us),
            Seen::NotUntil(_) => (1, 0),
            Seen::Already => (2, 0),
            Seen::Another => (3, 0),
            Seen::Unknown => (4, 0),
        })
        .unwrap_or(Seen::Unknown)
}

fn by_query(
    evidence: &Evidence<'_>,
    step: &StepFacts,
    dispatched: i64,
    query: &Template,
    victim: Option<&ComponentId>,
) -> Seen {
    let text = filled(evidence.facts, step, query, victim).ok();
    let (mut asked, mut another) = (false, false);
    let mut stretches: Vec<(i64, i64)> = Vec::new();
    for entry in evidence.facts.entries {
        let Event::Detected {
            step: of,
            victim: about,
            query: as_asked,
            written,
            spans,
        } = &entry.event
        else {
            continue;
        };
        if *of != step.name || !(about.is_none() || victim.is_none() || about.as_ref() == victim) {
            continue;
        }
        // The objective may be of another scenario than the recording.
        if written.as_ref() == Some(query) || text.as_ref() == Some(as_asked) {
            asked = true;
            stretches.extend(spans);
        } else {
            another = true;
        }
    }
    if !asked && another {
        return Seen::Another;
    }
    if !asked {
        Seen::Unknown
    } else if stretches
        .iter()
        .any(|(a, b)| *a <= dispatched && *b >= dispatched)
    {
        Seen::Already
    } else {
        let first = stretches
            .iter()
            .map(|s| s.0)
            .filter(|a| *a > dispatched)
            .min();
        let never = Seen::NotUntil(evidence.facts.observed_until_us);
        first.map_or(never, |a| Seen::After(a - dispatched))
    }
}

fn by_engine(
    evidence: &Evidence<'_>,
    dispatched: i64,
    victim: &ComponentId,
    lost: fn(&StackEventKind) -> bool,
) -> Seen {
    let first = evidence
        .facts
        .entries
        .iter()
        .filter_map(|e| match &e.event {
            Event::Engine {
                component,
                engine_us,
                what,
                ..
            } if component == victim && *engine_us >= dispatched && lost(what) => Some(*engine_us),
            _ => None,
        });
    let never = Seen::NotUntil(evidence.facts.observed_until_us);
    first.min().map_or(never, |us| Seen::After(us - dispatched))
}

/// What a cluster's managers say of a node that is lost. The engine that runs it as a machine saw it fall, and is no part of
/// the cluster.
fn node_lost(what: &StackEventKind) -> bool {
    matches!(what, StackEventKind::Node { said } if !said.ready)
}

/// What an engine says of a component that is lost.
fn lost(what: &StackEventKind) -> bool {
    match what {
        StackEventKind::Died { .. } | StackEventKind::Destroyed | StackEventKind::OutOfMemory => {
            true
        }
        StackEventKind::Health { health } => *health == Health::Unhealthy,
        StackEventKind::Node { said } => !said.ready,
        StackEventKind::Created
        | StackEventKind::Started
        | StackEventKind::Paused
        | StackEventKind::Unpaused
        | StackEventKind::Signalled { .. }
        | StackEventKind::Disconnected { .. }
        | StackEventKind::Connected { .. } => false,
    }
}

/// The last request tried on the victim. One that was tried until the very heal was never taken out. A dead or hung
/// victim answers nothing, so whatever nobody answered for may have been tried on it.
fn by_traffic(evidence: &Evidence<'_>, step: &StepFacts, victim: &ComponentId) -> Seen {
    let (Some(traffic), Some(dispatched)) = (evidence.traffic(step, victim), step.dispatched_us)
    else {
        return Seen::Unknown;
    };
    let Some(watch) = evidence.watch(&step.name).filter(|_| traffic.exposed) else {
        return Seen::Unknown;
    };
    let until = step
        .healed_us
        .map_or(watch.span.end_us, |healed| healed.min(watch.span.end_us));
    let tried = traffic.last_tried_us.unwrap_or(dispatched).max(dispatched);
    if tried + UNTIL_THE_HEAL_US > until {
        return Seen::NotUntil(until);
    }
    let unanswered = evidence.case.recording.requests.iter();
    let maybe = unanswered
        .filter(|r| !r.good && r.instance == 0)
        .filter_map(|r| r.sent_us)
        .filter(|sent| (tried..until).contains(sent))
        .max();
    match maybe {
        Some(maybe) => Seen::Between(tried - dispatched, maybe - dispatched),
        None => Seen::After(tried - dispatched),
    }
}
