//! What the monitoring said: the alerts that were promised, with their countdown, and those that were not.

use std::collections::BTreeMap;
use std::time::Duration;

use super::steps::Step;
use crate::scenario::plan::{Objective, Plan};
use crate::timeline::Entry;
use crate::timeline::event::{AlertSpan, AlertState, Event};

/// How far an alert got.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Progress {
    pub(crate) pending_us: Option<i64>,
    pub(crate) firing_us: Option<i64>,
    pub(crate) received_us: Option<i64>,
    pub(crate) notified_us: Option<i64>,
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
    /// What Prometheus' own samples said: alert and stretches.
    histories: Vec<(String, Vec<AlertSpan>)>,
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
                    clears,
                    ..
                } => expected.push(Expected {
                    alert: alert.clone(),
                    after: after.clone(),
                    dispatched_us: None,
                    healed_us: None,
                    fires: *fires,
                    notifies: *notifies,
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
            histories: Vec::new(),
        }
    }

    /// How far an expected alert had got at a moment.
    pub(crate) fn progress(&self, expected: &Expected, now_us: i64) -> Progress {
        let mut progress = expected.progress;
        let Some(dispatched) = expected.dispatched_us else {
            return progress;
        };
        let first = |state: AlertState| {
            let histories = self.histories.iter().filter(|h| h.0 == expected.alert);
            let spans = histories.flat_map(|(_, spans)| spans);
            let begun = spans.filter(|s| s.state == state && s.from_us >= dispatched);
            begun.map(|s| s.from_us).filter(|at| *at <= now_us).min()
        };
        progress.pending_us = first(AlertState::Pending);
        progress.firing_us = first(AlertState::Firing);
        progress
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
            Event::AlertHistory { alert, spans, .. } => {
                self.histories.push((alert.clone(), spans.clone()))
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
        if expected {
            return;
        }
        let severity = labels.get("severity").cloned().unwrap_or_default();
        let allowed = self.others.as_ref().is_none_or(|(severities, allow)| {
            !severities.contains(&severity) || allow.iter().any(|a| a == alert)
        });
        let known = self.unexpected.iter_mut().find(|u| u.alert == alert);
        match known {
            Some(known) => known.over &= at_us <= known.at_us,
            None => self.unexpected.push(Unexpected {
                alert: alert.to_owned(),
                severity,
                at_us,
                over: false,
                allowed,
            }),
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
