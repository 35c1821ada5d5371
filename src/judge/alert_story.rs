//! One expected alert's way through rule, Alertmanager and delivery, as the recording shows it.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Component, ComponentId, Lookup, Template, TemplateError, Variable};
use crate::timeline::event::{AlertSpan, AlertState, Event};

use crate::timeline::tally::StepFacts;

use super::facts::Facts;
use super::result::AlertResult;

/// Labels of an alert.
pub(super) type Labels = BTreeMap<String, String>;

/// Everything the recording holds on one alert after one step. Offsets are µs since the run's zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AlertStory {
    pub(super) labels: Labels,
    /// It was pending or firing when the step was dispatched.
    pub(super) before: bool,
    /// It began only after another step's dispatch, whose doing it may be.
    pub(super) of_another: bool,
    pub(super) pending_at: Option<i64>,
    pub(super) firing_at: Option<i64>,
    pub(super) received_at: Option<i64>,
    pub(super) notified_at: Option<i64>,
    pub(super) resolved_at: Option<i64>,
    pub(super) cleared_at: Option<i64>,
    pub(super) flaps: u64,
    pub(super) suppressed: Option<String>,
}

impl AlertStory {
    /// Reads it off the events. `None` if the step was never dispatched.
    pub(super) fn read(
        facts: &Facts<'_>,
        step: &StepFacts,
        alert: &str,
        labels: Labels,
    ) -> Option<Self> {
        let dispatched = step.dispatched_us?;
        let spans = spans(facts, alert, &labels);
        let next = facts.next_dispatch_us(step).unwrap_or(i64::MAX);
        let firing: Vec<&AlertSpan> = spans
            .iter()
            .filter(|s| s.state == AlertState::Firing && s.from_us >= dispatched)
            .collect();
        let firing_at = firing.first().map(|s| s.from_us);
        let began = spans
            .iter()
            .map(|s| s.from_us)
            .filter(|at| *at >= dispatched)
            .min();
        // What began after another step's dispatch may be that step's.
        let mine: Vec<&AlertSpan> = firing
            .iter()
            .filter(|s| Some(s.from_us) == firing_at || s.from_us < next)
            .copied()
            .collect();
        let deliveries: Vec<Delivery<'_>> = facts
            .entries
            .iter()
            .filter_map(|e| match &e.event {
                Event::Notified {
                    alert: name,
                    labels: of,
                    resolved,
                    starts_us,
                } if name == alert
                    && *starts_us >= dispatched
                    && e.at_us >= dispatched
                    && matches(&labels, of) =>
                {
                    Some(Delivery {
                        at_us: e.at_us,
                        labels: of,
                        resolved: *resolved,
                    })
                }
                _ => None,
            })
            .collect();
        let firings = deliveries.iter().filter(|d| !d.resolved);
        let notified_at = firings.map(|d| d.at_us).min();
        let received = || {
            facts.entries.iter().filter_map(|e| match &e.event {
                Event::Received {
                    alert: name,
                    labels: of,
                    starts_us,
                    received_us,
                    suppressed,
                } if name == alert && *starts_us >= dispatched && matches(&labels, of) => {
                    Some((*received_us, suppressed.clone()))
                }
                _ => None,
            })
        };
        Some(Self {
            before: spans
                .iter()
                .any(|s| s.from_us < dispatched && s.to_us.is_none_or(|to| to > dispatched)),
            pending_at: began,
            firing_at,
            of_another: began.is_some_and(|began| began >= next),
            received_at: received().map(|r| r.0).next(),
            notified_at,
            // Every series must have ended: one that fires still is not resolved by the end of another.
            resolved_at: mine
                .iter()
                .map(|s| s.to_us)
                .collect::<Option<Vec<i64>>>()
                .and_then(|ends| ends.into_iter().max()),
            cleared_at: cleared(&deliveries),
            flaps: (mine.len() as u64).saturating_sub(1),
            suppressed: received().filter_map(|r| r.1).next_back(),
            labels,
        })
    }

    /// As `result.json` has it: since the dispatch, and since the heal.
    pub(super) fn result(&self, alert: &str, step: &StepFacts) -> AlertResult {
        let dispatched = |at: Option<i64>| Some(at? - step.dispatched_us?);
        let healed = |at: Option<i64>| Some(at? - step.healed_us?);
        AlertResult {
            alert: alert.to_owned(),
            labels: self.labels.clone(),
            pending_us: dispatched(self.pending_at),
            firing_us: dispatched(self.firing_at),
            received_us: dispatched(self.received_at),
            notified_us: dispatched(self.notified_at),
            resolved_us: healed(self.resolved_at),
            cleared_us: healed(self.cleared_at),
            flaps: self.flaps,
            suppressed: self.suppressed.clone(),
        }
    }
}

/// A delivery at the receiver.
struct Delivery<'a> {
    at_us: i64,
    labels: &'a Labels,
    resolved: bool,
}

/// When the last series that was delivered as firing was delivered as resolved, and stayed so; `None` while any has not.
fn cleared(deliveries: &[Delivery<'_>]) -> Option<i64> {
    let firing = deliveries.iter().filter(|d| !d.resolved);
    let series: BTreeSet<&Labels> = firing.map(|d| d.labels).collect();
    let last = |of: &Labels| deliveries.iter().rfind(|d| d.labels == of);
    let ends = series.into_iter().map(|of| {
        let end = last(of).filter(|d| d.resolved)?;
        // A resolved delivery may be repeated: the first of the last row counts.
        let row = deliveries.iter().rev().filter(|d| d.labels == end.labels);
        row.take_while(|d| d.resolved).map(|d| d.at_us).min()
    });
    ends.collect::<Option<Vec<i64>>>()?.into_iter().max()
}

/// Every stretch of the alert's series that bear these labels, in order. Pending of one series and firing of another
/// stand side by side.
fn spans(facts: &Facts<'_>, alert: &str, labels: &Labels) -> Vec<AlertSpan> {
    let mut spans: Vec<AlertSpan> = facts
        .entries
        .iter()
        .filter_map(|e| match &e.event {
            Event::AlertHistory {
                alert: name,
                labels: of,
                spans,
            } if name == alert && matches(labels, of) => Some(spans),
            _ => None,
        })
        .flatten()
        .copied()
        .collect();
    spans.sort_by_key(|s| (s.from_us, s.to_us));
    spans
}

/// Whether a series bears all the labels asked for.
pub(super) fn matches(wanted: &Labels, has: &Labels) -> bool {
    wanted.iter().all(|(k, v)| has.get(k) == Some(v))
}

/// The labels of an expectation, once for each victim where they name one.
///
/// # Errors
/// A victim's address or host that the recording does not hold.
pub(super) fn labels(
    facts: &Facts<'_>,
    step: &StepFacts,
    templates: &BTreeMap<String, Template>,
) -> Result<Vec<Labels>, TemplateError> {
    let of_victims = templates
        .values()
        .flat_map(Template::variables)
        .any(Variable::is_victim);
    let resolve = |victim: Option<&ComponentId>| {
        templates
            .iter()
            .map(|(k, t)| Ok((k.clone(), filled(facts, step, t, victim)?)))
            .collect::<Result<Labels, TemplateError>>()
    };
    if of_victims && !step.targets.is_empty() {
        step.targets.iter().map(|v| resolve(Some(v))).collect()
    } else {
        Ok(vec![resolve(None)?])
    }
}

/// A template's text for one victim of a step, as the victim was at the dispatch.
///
/// # Errors
/// A variable whose value the recording does not hold.
pub(super) fn filled(
    facts: &Facts<'_>,
    step: &StepFacts,
    template: &Template,
    victim: Option<&ComponentId>,
) -> Result<String, TemplateError> {
    let at = step.dispatched_us.unwrap_or(i64::MAX);
    template.resolve(&Names {
        id: victim,
        component: victim.and_then(|id| facts.component(id, at)),
    })
}

/// A victim's names.
struct Names<'a> {
    id: Option<&'a ComponentId>,
    component: Option<&'a Component>,
}

impl Lookup for Names<'_> {
    fn lookup(&self, variable: &Variable) -> Result<String, TemplateError> {
        let value = match variable {
            Variable::Victim => self.id.map(ToString::to_string),
            Variable::VictimHost => self.component.map(|c| c.host.clone()),
            Variable::VictimAddress => self.component.and_then(|c| c.address().map(str::to_owned)),
            Variable::Addr { .. }
            | Variable::Addrs { .. }
            | Variable::FreePort(_)
            | Variable::Listen
            | Variable::Firedrill
            | Variable::ScenarioDir
            | Variable::SecretEnv(_)
            | Variable::SecretFile(_)
            | Variable::User
            | Variable::N
            | Variable::Uuid
            | Variable::Row(_)
            | Variable::Extracted(_) => None,
        };
        value.ok_or_else(|| TemplateError::NoValue {
            variable: variable.to_string(),
            why: "the recording does not say".to_owned(),
        })
    }
}
