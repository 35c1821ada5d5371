//! What the monitoring said: the alerts that were promised, with their countdown, and those that were not.

use std::collections::BTreeMap;
use std::time::Duration;

use super::alert_spans::Spans;
use super::steps::Step;
use crate::scenario::plan::{Objective, Plan};
use crate::timeline::Entry;
use crate::timeline::event::{AlertState, Event};

/// How far an alert got.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Progress {
    pub(crate) pending_us: Option<i64>,
    pub(crate) firing_us: Option<i64>,
    pub(crate) received_us: Option<i64>,
    pub(crate) notified_us: Option<i64>,
    /// No series of it fires any more.
    pub(crate) resolved_us: Option<i64>,
    pub(crate) cleared_us: Option<i64>,
}

/// An alert that a step must make fire.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) alert: String,
    /// The step.
    pub(crate) after: String,
    pub(crate) dispatched_us: Option<i64>,
    pub(crate) healed_us: Option<i64>,
    pub(crate) fires: Option<Duration>,
    pub(crate) notifies: Option<Duration>,
    pub(crate) resolves: Option<Duration>,
    pub(crate) clears: Option<Duration>,
    pub(crate) progress: Progress,
}

/// An alert that nobody promised.
#[derive(Debug)]
pub(crate) struct Unexpected {
    pub(crate) alert: String,
    pub(crate) severity: String,
    pub(crate) at_us: i64,
    pub(crate) over: bool,
    /// Its severity is none of those that count, or the scenario allows it.
    pub(crate) allowed: bool,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Alerts {
    pub(crate) expected: Vec<Expected>,
    pub(crate) unexpected: Vec<Unexpected>,
    /// Severities that count, and alerts that are allowed; `None` where others are not judged.
    others: Option<(Vec<String>, Vec<String>)>,
    /// What Prometheus says.
    spans: Spans,
}

impl Alerts {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut expected = Vec::new();
        let mut others = None;
        for objective in &plan.objectives {
            match objective {
                Objective::Alert {
                    alert,
                    after,
                    fires,
                    notifies,
                    resolves,
                    clears,
                    ..
                } => expected.push(Expected {
                    alert: alert.clone(),
                    after: after.clone(),
                    dispatched_us: None,
                    healed_us: None,
                    fires: *fires,
                    notifies: *notifies,
                    resolves: *resolves,
                    clears: *clears,
                    progress: Progress::default(),
                }),
                Objective::OtherAlerts { severities, allow } => {
                    others = Some((severities.clone(), allow.clone()));
                }
                _ => {}
            }
        }
        Self {
            expected,
            unexpected: Vec::new(),
            others,
            spans: Spans::default(),
        }
    }

    /// How far an expected alert had got at a moment.
    pub(crate) fn progress(&self, expected: &Expected, now_us: i64) -> Progress {
        let mut progress = expected.progress;
        let Some(dispatched) = expected.dispatched_us else {
            return progress;
        };
        let told = self.spans.told(&expected.alert, dispatched, now_us);
        progress.pending_us = told.pending_us;
        progress.firing_us = told.firing_us;
        progress.resolved_us = told.resolved_us;
        progress
    }

    /// Alerts that nobody promises, but which would count if they fired, and since when they pend.
    pub(crate) fn brewing(&self) -> Vec<(&str, i64)> {
        let mut brewing: Vec<(&str, i64)> = Vec::new();
        for (alert, labels, since_us) in self.spans.pending() {
            let mut unexpected = self.unexpected.iter().filter(|u| !u.allowed);
            let shown = self.expected.iter().any(|e| e.alert == alert)
                || unexpected.any(|u| u.alert == alert);
            if shown || self.allowed(alert, labels) {
                continue;
            }
            match brewing.iter_mut().find(|(known, _)| *known == alert) {
                Some((_, at)) => *at = since_us.min(*at),
                None => brewing.push((alert, since_us)),
            }
        }
        brewing
    }

    pub(super) fn entry(&mut self, entry: &Entry, steps: &[Step]) {
        for expected in &mut self.expected {
            if let Some(step) = steps.iter().find(|s| s.plan.name == expected.after) {
                expected.dispatched_us = step.dispatched_us;
                expected.healed_us = step.healed_us;
            }
        }
        match &entry.event {
            Event::Received {
                alert,
                labels,
                received_us,
                ..
            } => self.seen(alert, labels, *received_us, |p| &mut p.received_us),
            Event::Notified {
                alert,
                labels,
                resolved: false,
                ..
            } => self.seen(alert, labels, entry.at_us, |p| &mut p.notified_us),
            Event::Notified {
                alert,
                resolved: true,
                ..
            } => self.cleared(alert, entry.at_us),
            Event::AlertHistory { alert, spans, .. } => self.spans.history(alert, spans),
            Event::AlertState {
                alert,
                labels,
                was,
                state,
                since_us,
            } => {
                self.spans
                    .turned(alert, labels, *state, (*since_us, entry.at_us));
                let ended = state.is_none() || *was == Some(AlertState::Firing);
                if *state == Some(AlertState::Firing) {
                    self.fires(alert, labels, entry.at_us);
                } else if ended && self.ceased(alert, labels) {
                    let allowed = self.allowed(alert, labels);
                    let unexpected = self.unexpected.iter_mut();
                    unexpected
                        .filter(|u| u.alert == *alert && u.allowed == allowed)
                        .for_each(|u| u.over = true);
                }
            }
            _ => {}
        }
    }

    /// Those of this name whose step had been dispatched by then.
    fn of<'a>(&'a mut self, alert: &str, at_us: i64) -> impl Iterator<Item = &'a mut Expected> {
        self.expected.iter_mut().filter(move |e| {
            e.alert == alert
                && e.dispatched_us
                    .is_some_and(|dispatched| at_us >= dispatched)
        })
    }

    fn seen(
        &mut self,
        alert: &str,
        labels: &BTreeMap<String, String>,
        at_us: i64,
        which: impl Fn(&mut Progress) -> &mut Option<i64>,
    ) {
        let mut expected = false;
        for one in self.of(alert, at_us) {
            which(&mut one.progress).get_or_insert(at_us);
            expected = true;
        }
        if !expected {
            self.unpromised(alert, labels, at_us);
        }
    }

    /// Whether an alert that nobody promised may fire.
    fn allowed(&self, alert: &str, labels: &BTreeMap<String, String>) -> bool {
        let severity = labels.get("severity").map_or("", String::as_str);
        self.others.as_ref().is_none_or(|(severities, allow)| {
            !severities.iter().any(|s| s == severity) || allow.iter().any(|a| a == alert)
        })
    }

    /// Whether Prometheus said that none fires any more of an alert's series that count as little or as much as this one.
    fn ceased(&self, alert: &str, labels: &BTreeMap<String, String>) -> bool {
        let allowed = self.allowed(alert, labels);
        let fires = self
            .spans
            .fires(alert, |of| self.allowed(alert, of) == allowed);
        fires == Some(false)
    }

    fn fires(&mut self, alert: &str, labels: &BTreeMap<String, String>, at_us: i64) {
        if self.of(alert, at_us).next().is_none() {
            self.unpromised(alert, labels, at_us);
        }
    }

    fn unpromised(&mut self, alert: &str, labels: &BTreeMap<String, String>, at_us: i64) {
        let severity = labels.get("severity").cloned().unwrap_or_default();
        let allowed = self.allowed(alert, labels);
        // A delivery may be on its way for longer than the alert fires.
        let late = self.ceased(alert, labels);
        let new = Unexpected {
            alert: alert.to_owned(),
            severity,
            at_us,
            over: false,
            allowed,
        };
        let known = self.unexpected.iter_mut().find(|u| u.alert == alert);
        match known {
            // Rules of one name may differ in severity: what does not count says nothing of what does.
            Some(known) if allowed && !known.allowed => {}
            Some(known) if allowed == known.allowed => {
                known.over &= late || at_us <= known.at_us;
            }
            Some(known) => *known = new,
            None => self.unexpected.push(new),
        }
    }

    fn cleared(&mut self, alert: &str, at_us: i64) {
        for expected in self.of(alert, at_us) {
            expected.progress.cleared_us.get_or_insert(at_us);
        }
        for other in self.unexpected.iter_mut().filter(|u| u.alert == alert) {
            other.over = true;
        }
    }
}
