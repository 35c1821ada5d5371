//! What the journal says happened, by subject.

use std::collections::BTreeMap;

use crate::model::{Component, ComponentId};
use crate::scenario::plan::{Plan, StepPlan};
use crate::timeline::event::{Event, Moment, Phase};
use crate::timeline::tally::{self, StepFacts};
use crate::timeline::{Entry, Recording};

/// A stretch without an answer from a source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gap<'a> {
    pub(super) source: &'a str,
    pub(super) from_us: i64,
    pub(super) to_us: i64,
    pub(super) why: &'a str,
}

/// The load's begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct LoadStart {
    pub(super) started_us: i64,
    pub(super) steps_zero_us: i64,
}

/// The load's end.
#[derive(Debug, Clone, Copy)]
pub(super) struct LoadEnd {
    pub(super) at_us: i64,
    pub(super) arrivals: u64,
    pub(super) asked: u64,
    pub(super) not_reached: u64,
    pub(super) aborted: bool,
}

/// The events of a recording, sorted out.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) entries: &'a [Entry],
    plan: &'a Plan,
    /// In the order of the plan.
    pub(super) steps: Vec<StepFacts>,
    pub(super) load_started: Option<LoadStart>,
    pub(super) load_ended: Option<LoadEnd>,
    pub(super) load_failed: Option<&'a str>,
    pub(super) aborted_by: Option<&'a str>,
    /// When it was ended early.
    pub(super) aborted_us: Option<i64>,
    /// A stop condition was met.
    pub(super) stopped: bool,
    pub(super) closed: bool,
    pub(super) gaps: Vec<Gap<'a>>,
    /// Source → largest amount by which its clock may be off, µs.
    pub(super) skews: BTreeMap<&'a str, i64>,
    /// Begins of slices in which the test bed was starved.
    pub(super) starved_us: Vec<i64>,
    /// How far the evidence was collected that is only there after the load.
    collecting: Collecting,
    /// `alertname` → severity, as Prometheus has them loaded.
    pub(super) rules: Option<&'a BTreeMap<String, String>>,
    /// `alertname` → why Prometheus cannot evaluate its rule.
    pub(super) failing_rules: Option<&'a BTreeMap<String, String>>,
    /// Until when alerts and deliveries were watched for.
    pub(super) observed_until_us: i64,
}

/// Whether an entry says anything to a judge: the live states of alerts are for people.
fn is_told(entry: &&Entry) -> bool {
    !matches!(entry.event, Event::AlertState { .. })
}

/// How far the evidence was collected that is only there after the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Collecting {
    /// Not at all, or an abort dropped it where it stood.
    Not,
    Begun,
    Over,
}

impl<'a> Facts<'a> {
    /// Sorts a recording's events by the steps of the plan.
    pub(super) fn of(plan: &'a Plan, recording: &'a Recording) -> Self {
        let entries = &recording.entries;
        let mut facts = Self {
            entries,
            plan,
            steps: tally::steps(plan.steps.iter().map(|s| s.name.as_str()), entries),
            load_started: None,
            load_ended: None,
            load_failed: None,
            aborted_by: None,
            aborted_us: None,
            stopped: false,
            closed: false,
            gaps: Vec::new(),
            skews: BTreeMap::new(),
            starved_us: Vec::new(),
            collecting: Collecting::Not,
            rules: None,
            failing_rules: None,
            observed_until_us: entries.iter().rfind(is_told).map_or(0, |e| e.at_us),
        };
        for entry in entries {
            facts.take(entry);
        }
        facts
    }

    /// Whether all evidence was collected that is only there after the load: an abort, or the death of the run, leaves no time
    /// for that.
    pub(super) fn collected(&self) -> bool {
        self.collecting != Collecting::Not && self.closed
    }

    fn take(&mut self, entry: &'a Entry) {
        match &entry.event {
            Event::Phase(Phase::Collecting) => {
                self.observed_until_us = entry.at_us;
                self.collecting = Collecting::Begun;
            }
            Event::Phase(Phase::TakingDown) if self.collecting == Collecting::Begun => {
                self.collecting = Collecting::Over;
            }
            Event::LoadStarted {
                started_us,
                steps_zero_us,
            } => {
                self.load_started = Some(LoadStart {
                    started_us: *started_us,
                    steps_zero_us: *steps_zero_us,
                });
            }
            Event::LoadEnded {
                arrivals,
                asked,
                not_reached,
                aborted,
            } => {
                self.load_ended = Some(LoadEnd {
                    at_us: entry.at_us,
                    arrivals: *arrivals,
                    asked: *asked,
                    not_reached: *not_reached,
                    aborted: *aborted,
                });
            }
            Event::LoadFailed { why } => self.load_failed = Some(why),
            Event::Aborted { by } => {
                if self.collecting == Collecting::Begun {
                    self.collecting = Collecting::Not;
                }
                self.aborted_by.get_or_insert(by);
                self.aborted_us.get_or_insert(entry.at_us);
            }
            Event::Stopped { .. } => self.stopped = true,
            Event::Closed { .. } => self.closed = true,
            Event::Gap {
                source,
                from_us,
                to_us,
                why,
            } => {
                let same = self.gaps.iter_mut().rfind(|g| g.source == source);
                match same {
                    // A long one may be told piece by piece.
                    Some(last) if (last.from_us..=last.to_us).contains(from_us) => {
                        last.to_us = last.to_us.max(*to_us);
                    }
                    _ => self.gaps.push(Gap {
                        source,
                        from_us: *from_us,
                        to_us: *to_us,
                        why,
                    }),
                }
            }
            Event::Skew {
                source,
                skew_us,
                error_us,
            } => {
                let off = skew_us
                    .saturating_abs()
                    .saturating_add(error_us.saturating_abs());
                let known = self.skews.entry(source).or_insert(off);
                *known = off.max(*known);
            }
            Event::Starved { from_us, .. } => self.starved_us.push(*from_us),
            Event::Rules { alerts, failing } => {
                self.rules = Some(alerts);
                self.failing_rules = Some(failing);
            }
            // The steps' are taken in above, the others are asked of the entries where they are needed.
            Event::Opened(_)
            | Event::Dispatched { .. }
            | Event::Acknowledged { .. }
            | Event::Effect { .. }
            | Event::Converged { .. }
            | Event::Healed { .. }
            | Event::Verified { .. }
            | Event::NotDispatched { .. }
            | Event::LeftOut { .. }
            | Event::Phase(_)
            | Event::Repaced(_)
            | Event::Components(_)
            | Event::Owed { .. }
            | Event::Mended { .. }
            | Event::LeftBroken { .. }
            | Event::HealBegins { .. }
            | Event::Steady { .. }
            | Event::Name { .. }
            | Event::Engine { .. }
            | Event::AlertHistory { .. }
            | Event::AlertState { .. }
            | Event::Received { .. }
            | Event::Notified { .. }
            | Event::Detected { .. }
            | Event::Replicas { .. }
            | Event::Guarded { .. }
            | Event::Recovering { .. }
            | Event::StopWatched { .. }
            | Event::Operated(_)
            | Event::Note { .. } => {}
        }
    }

    /// The step of this name.
    pub(super) fn step(&self, name: &str) -> Option<&StepFacts> {
        self.steps.iter().find(|s| s.name == name)
    }

    /// What the plan wants of a step.
    pub(super) fn planned(&self, step: &StepFacts) -> Option<&'a StepPlan> {
        self.plan.steps.iter().find(|s| s.name == step.name)
    }

    /// The first dispatch of any step.
    pub(super) fn first_dispatch_us(&self) -> Option<i64> {
        self.steps.iter().filter_map(|s| s.dispatched_us).min()
    }

    /// The first dispatch of a step other than this one, from `from_us` on.
    pub(super) fn dispatch_from_us(&self, this: &StepFacts, from_us: i64) -> Option<i64> {
        self.steps
            .iter()
            .filter(|s| s.name != this.name)
            .filter_map(|s| s.dispatched_us)
            .filter(|other| *other >= from_us)
            .min()
    }

    /// The first dispatch of another step after this one's.
    pub(super) fn next_dispatch_us(&self, after: &StepFacts) -> Option<i64> {
        self.dispatch_from_us(after, after.dispatched_us?)
    }

    /// A component as the engine described it last before `at_us`.
    pub(super) fn component(&self, id: &ComponentId, at_us: i64) -> Option<&'a Component> {
        self.entries
            .iter()
            .take_while(|e| e.at_us <= at_us)
            .filter_map(|e| match &e.event {
                Event::Components(all) => all.iter().find(|c| c.id == *id),
                _ => None,
            })
            .last()
    }

    /// What a step's nodes ran when they were taken, as the engine described it last before.
    pub(super) fn carried(&self, step: &StepFacts) -> Vec<&'a Component> {
        let at_us = step.dispatched_us.unwrap_or(i64::MAX);
        let before = || self.entries.iter().take_while(move |e| e.at_us <= at_us);
        let describes = |id: &ComponentId| {
            let all = before().filter_map(|e| match &e.event {
                Event::Components(all) => all
                    .iter()
                    .find(|c| c.id == *id && c.is_carried_by(&step.targets)),
                _ => None,
            });
            all.last()
        };
        step.carried.iter().filter_map(describes).collect()
    }

    /// Whether a check of the steady state held, and what was seen; `None` if it was never decided.
    pub(super) fn steady(&self, index: usize, when: Moment) -> Option<(bool, &'a str)> {
        self.entries.iter().rev().find_map(|e| match &e.event {
            Event::Steady {
                check,
                moment,
                held,
                observed,
            } if *check == index && *moment == when => Some((*held, observed.as_str())),
            _ => None,
        })
    }

    /// A gap of this source within a stretch.
    pub(super) fn gap(&self, source: &str, from_us: i64, to_us: i64) -> Option<Gap<'a>> {
        self.gaps
            .iter()
            .find(|g| g.source == source && g.from_us <= to_us && g.to_us >= from_us)
            .copied()
    }
}
