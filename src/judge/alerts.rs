//! Expected alerts: that they fire, are notified, resolve and are cleared, each within its limit.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Template, Variable};

use super::alert_story::{AlertStory, labels};
use super::evidence::Evidence;
use super::promise::{Finding, Heading, Promise, micros, secs};
use super::result::Figure;
use crate::timeline::tally::StepFacts;

/// Of a run that was over before the alerts' history was read.
pub(super) const UNREAD: &str = "the run ended before Prometheus was asked what had fired";

/// One limit of an expected alert.
pub(super) struct Alert<'a> {
    pub(super) alert: &'a str,
    pub(super) labels: &'a BTreeMap<String, Template>,
    pub(super) after: &'a str,
    pub(super) stage: Stage,
    pub(super) within: Duration,
}

/// How far an alert has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Fires,
    Notifies,
    Resolves,
    Clears,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Fires => "alerts.fires",
            Self::Notifies => "alerts.notifies",
            Self::Resolves => "alerts.resolves",
            Self::Clears => "alerts.clears",
        }
    }

    /// When it came, and since when its limit counts.
    fn of(self, story: &AlertStory, step: &StepFacts) -> (Option<i64>, Option<i64>) {
        match self {
            Self::Fires => (story.firing_at, step.dispatched_us),
            Self::Notifies => (story.notified_at, step.dispatched_us),
            Self::Resolves => (story.resolved_at, step.healed_us),
            Self::Clears => (story.cleared_at, step.healed_us),
        }
    }
}

impl Promise for Alert<'_> {
    fn heading(&self) -> Heading {
        Heading::within(self.stage.name(), self.within)
            .step(self.after)
            .alert(self.alert)
    }

    fn judge(&self, evidence: &Evidence<'_>) -> Finding {
        let facts = evidence.facts;
        let Some(step) = facts.step(self.after).filter(|s| s.dispatched_us.is_some()) else {
            return Finding::no_data(format!("{} was never dispatched", self.after));
        };
        if facts.rules.is_none() {
            return Finding::no_data("Prometheus' rules and alerts were never read");
        }
        if !facts.collected() {
            return Finding::no_data(UNREAD);
        }
        let each = match labels(facts, step, self.labels) {
            Ok(each) => each,
            Err(e) => return Finding::no_data(format!("its labels cannot be filled in: {e}")),
        };
        // Of several victims each must meet the limit.
        each.into_iter()
            .filter_map(|labels| AlertStory::read(facts, step, self.alert, labels))
            .map(|story| self.judge_one(evidence, step, &story))
            .max_by(|a, b| {
                a.verdict
                    .cmp(&b.verdict)
                    .then(a.size().total_cmp(&b.size()))
            })
            .unwrap_or_else(|| Finding::no_data("there was no victim to watch for"))
    }
}

impl Alert<'_> {
    fn judge_one(&self, evidence: &Evidence<'_>, step: &StepFacts, story: &AlertStory) -> Finding {
        let facts = evidence.facts;
        let limit = micros(self.within);
        let dispatched = step.dispatched_us.unwrap_or(0);
        let (came, since) = self.stage.of(story, step);
        let Some(since) = since else {
            return Finding::no_data(format!("{} was never healed", self.after));
        };
        if story.before {
            return Finding::no_data("it was pending or firing at the dispatch already");
        }
        if story.of_another && !self.names_victim() {
            return Finding::no_data(
                "it began only after another step had, and its labels name no victim: whose it is nobody can tell",
            );
        }
        let finding = match came {
            Some(at) => Finding::time(at - since, limit).samples(1),
            None if !self.could_come(story) => {
                return Finding::no_data("it never fired, so there was no end of it to see");
            }
            None if facts.observed_until_us < since + limit => {
                return Finding::no_data(format!(
                    "not within the {} that were observed",
                    secs(facts.observed_until_us - since)
                ));
            }
            None => Finding::never(self.why_never(evidence, story)),
        };
        let until = came.unwrap_or(since + limit).max(dispatched);
        let watched = (dispatched, until);
        match self.stage {
            Stage::Fires => {
                let figure = finding.observed;
                evidence.with_clock("prometheus", figure, watched, finding)
            }
            // An end may fall together with the heal; how far off the clock may be is then a matter of the limit.
            Stage::Resolves => {
                let figure = finding
                    .observed
                    .map(|f| Figure::Whole(limit.max(f.value().abs() as i64)));
                evidence.with_clock("prometheus", figure, watched, finding)
            }
            // Prometheus tells whether the alert was there before; when it came is by our own clock.
            Stage::Notifies | Stage::Clears => ["alertmanager", "webhook"].into_iter().fold(
                evidence.with_clock("prometheus", None, watched, finding),
                |f, source| evidence.without_gap(source, watched, f),
            ),
        }
    }

    /// Whether the labels asked for tell one victim from another.
    fn names_victim(&self) -> bool {
        self.labels
            .values()
            .flat_map(Template::variables)
            .any(Variable::is_victim)
    }

    /// An end can only come of what began.
    fn could_come(&self, story: &AlertStory) -> bool {
        match self.stage {
            Stage::Fires | Stage::Notifies => true,
            Stage::Resolves => story.firing_at.is_some(),
            Stage::Clears => story.notified_at.is_some(),
        }
    }

    fn why_never(&self, evidence: &Evidence<'_>, story: &AlertStory) -> String {
        let loaded = evidence
            .facts
            .rules
            .is_some_and(|r| r.contains_key(self.alert));
        match self.stage {
            _ if !loaded => "Prometheus has no rule of this name".to_owned(),
            Stage::Fires if story.pending_at.is_some() => {
                "it was pending, but never fired".to_owned()
            }
            Stage::Fires => "its condition never held".to_owned(),
            Stage::Notifies => match (&story.suppressed, story.received_at, story.firing_at) {
                (Some(how), _, _) => format!("Alertmanager had it, but it was {how}"),
                (None, Some(_), _) => "Alertmanager had it, but nothing was delivered".to_owned(),
                (None, None, Some(_)) => "it fired, but Alertmanager never had it".to_owned(),
                (None, None, None) => "it never fired".to_owned(),
            },
            Stage::Resolves => "it was still firing".to_owned(),
            Stage::Clears => "its end was never delivered".to_owned(),
        }
    }
}
