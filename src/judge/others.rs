//! No alert that is neither expected nor allowed.

use std::collections::BTreeSet;

use crate::scenario::plan::{Objective, Plan};
use crate::timeline::event::{AlertState, Event};

use super::alert_story::{Labels, labels, matches};
use super::alerts::UNREAD;
use super::evidence::Evidence;
use super::facts::Facts;
use super::promise::{Finding, Heading, Promise};
use super::result::{Figure, Unit};

/// Alerts of these severities that began firing after the first dispatch.
pub(super) struct Others<'a> {
    pub(super) plan: &'a Plan,
    pub(super) severities: &'a [String],
    pub(super) allow: &'a [String],
}

impl Promise for Others<'_> {
    fn heading(&self) -> Heading {
        Heading::new("alerts.others", Figure::Whole(0), Unit::Count)
    }

    fn judge(&self, evidence: &Evidence<'_>) -> Finding {
        let facts = evidence.facts;
        let Some(rules) = facts.rules else {
            return Finding::no_data("Prometheus' rules and alerts were never read");
        };
        if !facts.collected() {
            return Finding::no_data(UNREAD);
        }
        let from = facts
            .first_dispatch_us()
            .or(facts.load_started.map(|l| l.steps_zero_us));
        let Some(from) = from else {
            return Finding::no_data("no step was dispatched and no load began");
        };
        let expected = self.expected(evidence);
        let mut fired: BTreeSet<String> = BTreeSet::new();
        let mut times = 0;
        let mut unexplained = 0;
        let mut ill = None;
        let mut pending = None;
        for entry in facts.entries {
            let Event::AlertHistory {
                alert,
                labels: has,
                spans,
            } = &entry.event
            else {
                continue;
            };
            let severity = has.get("severity").or_else(|| rules.get(alert));
            let watched = severity.is_some_and(|s| self.severities.contains(s));
            // An expected alert is excused from its own step on, not before.
            let excused_from = if self.allow.contains(alert) {
                i64::MIN
            } else {
                let its = expected
                    .iter()
                    .filter(|(name, wanted, _)| name == alert && matches(wanted, has));
                its.map(|(_, _, from)| *from).min().unwrap_or(i64::MAX)
            };
            let began = spans
                .iter()
                .filter(|s| s.state == AlertState::Firing && s.from_us >= from)
                .filter(|s| s.from_us < excused_from && watched);
            let last = spans.last().filter(|s| s.state == AlertState::Pending);
            // Firing, an expected one would be excused: it would begin after its step.
            let excused = excused_from != i64::MAX;
            let may_yet = last.filter(|s| s.to_us.is_none() && watched && !excused);
            pending = pending.or(may_yet.map(|_| format!("{alert} ({})", listed(has))));
            for span in began {
                times += 1;
                fired.insert(format!("{alert} fired: {}", listed(has)));
                let mut aftermaths = evidence.case.aftermaths.iter();
                match aftermaths.find(|a| a.explains_alert(span.from_us)) {
                    Some(aftermath) => ill = ill.or(Some(aftermath)),
                    None => unexplained += 1,
                }
            }
        }
        let mut finding = Finding::count(times, 0);
        finding.notes = fired.into_iter().collect();
        if times > 0 {
            return match ill.filter(|_| unexplained == 0) {
                Some(aftermath) => {
                    let words = aftermath.words(facts);
                    finding.open(format!("{words}: the alert may be for that"))
                }
                None => finding,
            };
        }
        if let Some(which) = pending {
            return finding.open(format!(
                "{which} was still pending when the observation ended, so it may have fired after it"
            ));
        }
        if let Some(why) = self.blind(facts) {
            return finding.open(why);
        }
        let watched = (from, facts.observed_until_us);
        evidence.with_clock("prometheus", None, watched, finding)
    }
}

impl<'a> Others<'a> {
    /// Why no alert could have fired, or one of those watched for could not.
    fn blind(&self, facts: &Facts<'_>) -> Option<String> {
        let rules = facts.rules?;
        if rules.is_empty() {
            return Some("Prometheus has no alerting rule, so none could fire".to_owned());
        }
        let (alert, why) = facts.failing_rules?.iter().find(|(alert, _)| {
            let severity = rules.get(*alert);
            let watched = severity.is_none_or(|s| s.is_empty() || self.severities.contains(s));
            watched && !self.allow.contains(alert)
        })?;
        Some(format!(
            "Prometheus cannot evaluate the rule of {alert}, so it could not fire: {why}"
        ))
    }

    /// The alerts that the scenario expects of steps that were dispatched, with their labels filled in where the
    /// victims are known, and since when.
    fn expected(&self, evidence: &Evidence<'_>) -> Vec<(&'a str, Labels, i64)> {
        let mut expected = Vec::new();
        for objective in &self.plan.objectives {
            if let Objective::Alert {
                alert,
                labels: templates,
                after,
                ..
            } = objective
                && let Some(step) = evidence.facts.step(after)
                && let Some(from) = step.dispatched_us
                && let Ok(each) = labels(evidence.facts, step, templates)
            {
                expected.extend(
                    each.into_iter()
                        .map(|labels| (alert.as_str(), labels, from)),
                );
            }
        }
        expected
    }
}

/// `instance=10.0.0.3:8000, severity=critical`.
fn listed(labels: &Labels) -> String {
    labels
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect::<Vec<_>>()
        .join(", ")
}
