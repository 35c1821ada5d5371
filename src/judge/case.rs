//! What is the same however doubtful requests are read: the facts, the watches, the windows.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Action, Component, ComponentId, Journeys, NodeRole, RequestRecord};
use crate::scenario::plan::{JourneyPlan, Of, Placed, Plan, Traffic};
use crate::timeline::Recording;
use crate::timeline::event::Event;
use crate::timeline::tally::{
    self, Doubt, Exposure, Readmission, StepFacts, WatchFacts, WatchSpan, WindowSpan,
};

use super::aftermath::{self, Aftermath};
use super::facts::Facts;
use super::promise::micros;

/// A watch, and what limits it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch {
    pub(super) span: WatchSpan,
    /// It ended before it saw enough for its objectives to be met.
    pub(super) cut: bool,
    /// The first dispatch of another step within it.
    pub(super) shared_us: Option<i64>,
}

/// A run before its judge.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) plan: &'a Plan,
    traffic: Option<Traffic<'a>>,
    pub(super) recording: &'a Recording,
    pub(super) facts: Facts<'a>,
    pub(super) doubt: Doubt,
    /// Who fell ill of starvation, in the order of their begins.
    pub(super) aftermaths: Vec<Aftermath>,
    /// Of the steps that were dispatched, by name.
    pub(super) watches: BTreeMap<String, Watch>,
    /// Due times of the baseline.
    pub(super) baseline_us: (i64, i64),
    /// End of the load, or of what is known of it.
    pub(super) load_end_us: i64,
}

impl<'a> Case<'a> {
    pub(super) fn new(plan: &'a Plan, recording: &'a Recording) -> Self {
        let facts = Facts::of(plan, recording);
        let started = facts.load_started.map_or(0, |l| l.started_us);
        let zero = facts.load_started.map_or(0, |l| l.steps_zero_us);
        let traffic = plan.traffic();
        let loads: Vec<Journeys> = traffic
            .iter()
            .flat_map(|t| t.loads().iter().map(Placed::numbers))
            .collect();
        let doubt = Doubt::new(&recording.requests, &loads, started, &facts.starved_us);
        let load_end_us = load_end(traffic.as_ref(), recording, &facts);
        let first = facts.first_dispatch_us().unwrap_or(i64::MAX);
        let mut case = Self {
            plan,
            traffic,
            recording,
            doubt,
            aftermaths: Vec::new(),
            watches: BTreeMap::new(),
            baseline_us: (zero, first),
            load_end_us,
            facts,
        };
        case.watches = case
            .facts
            .steps
            .iter()
            .filter_map(|step| Some((step.name.clone(), case.watch(step)?)))
            .collect();
        case.aftermaths = aftermath::aftermaths(&case);
        let felt = case.aftermaths.iter();
        let felt = felt.map(|a| (a.at_us.max(started), a.to_us.min(load_end_us)));
        case.doubt = case.doubt.with(felt);
        case
    }

    fn watch(&self, step: &StepFacts) -> Option<Watch> {
        let dispatched_us = step.dispatched_us?;
        let planned = self.facts.planned(step)?;
        let facts = WatchFacts {
            effect_us: step.effect_us(),
            // What was given up is put back: its end is that undo's, as after a hold.
            held: planned.hold.is_some() || step.converged.as_ref().is_some_and(|c| !c.complete),
            over_us: step.over_us(),
            old_answers_us: &self.old_answers(step),
            readmission: self.readmission(step, &planned.action),
            settle_us: self.longest_settle_us(dispatched_us),
            load_end_us: self.load_end_us,
        };
        let end = tally::watch_end(&facts, i64::MAX)?;
        let end_us = end.end_us.max(dispatched_us);
        let shared_us = self
            .facts
            .next_dispatch_us(step)
            .filter(|other| *other < end_us);
        Some(Watch {
            span: WatchSpan {
                dispatched_us,
                healed_us: step.healed_us,
                end_us,
            },
            cut: !end.can_pass,
            shared_us,
        })
    }

    /// Mean spacing, in µs, of the requests of these journeys as planned at `at_us`.
    pub(super) fn slot_us(&self, journeys: Journeys, at_us: i64) -> i64 {
        if self.traffic.is_none() || self.facts.load_started.is_none() {
            return 1_000_000;
        }
        (1e6 / self.rate(journeys, at_us).max(1e-3)).round() as i64
    }

    /// Requests of these journeys due per second, as planned at `at_us`; 0 where nobody was to come.
    fn rate(&self, journeys: Journeys, at_us: i64) -> f64 {
        let (Some(traffic), Some(start)) = (&self.traffic, self.facts.load_started) else {
            return 0.0;
        };
        let into = u64::try_from(at_us - start.started_us).unwrap_or(0);
        traffic.request_rate(journeys, Duration::from_micros(into))
    }

    /// Whether anybody was to come of these journeys in a watch.
    pub(super) fn is_asked(&self, journeys: Journeys, watch: WatchSpan) -> bool {
        let (Some(traffic), Some(start)) = (&self.traffic, self.facts.load_started) else {
            return false;
        };
        let into = |at_us: i64| {
            let us = u64::try_from(at_us.saturating_sub(start.started_us)).unwrap_or(0);
            Duration::from_micros(us)
        };
        let (from, to) = (into(watch.dispatched_us), into(watch.end_us));
        traffic.due(journeys, from, to) > 0.0
    }

    /// Quiet time of these journeys' requests taken together.
    pub(super) fn settle_us(&self, journeys: Journeys, at_us: i64) -> i64 {
        let set = micros(self.plan.recovery.settle);
        tally::settle_us(set, self.slot_us(journeys, at_us))
    }

    /// Quiet time that a watch takes: the longest of its journeys. Those of which nobody comes then have nothing to show.
    pub(super) fn longest_settle_us(&self, at_us: i64) -> i64 {
        let each = (0..self.journeys().len()).map(Journeys::one);
        let each = each.filter(|journey| self.rate(*journey, at_us) > 0.0);
        let each = each.map(|journey| self.settle_us(journey, at_us));
        each.max()
            .unwrap_or_else(|| self.settle_us(Journeys::ALL, at_us))
    }

    /// The journeys of all loads, by their numbers.
    pub(super) fn journeys(&self) -> Vec<&'a JourneyPlan> {
        let traffic = self.traffic.as_ref();
        traffic.map_or_else(Vec::new, |t| t.journeys().map(|(_, j)| j).collect())
    }

    /// The loads, where there are any.
    pub(super) fn loads(&self) -> &[Placed<'a>] {
        self.traffic.as_ref().map_or(&[], Traffic::loads)
    }

    /// The journeys of each of several loads; none where there is just one load, which is all there is.
    pub(super) fn several(&self) -> Vec<Journeys> {
        let named = self.loads().iter().filter(|load| load.name.is_some());
        named.map(Placed::numbers).collect()
    }

    /// The journeys that are meant; `None` where there is none of this name.
    pub(super) fn meant(&self, of: &Of) -> Option<Journeys> {
        self.traffic.as_ref()?.meant(of)
    }

    /// The windows of the run.
    pub(super) fn windows(&self) -> Vec<WindowSpan> {
        let Some(start) = self.facts.load_started else {
            return Vec::new();
        };
        let watches: Vec<(String, i64, i64)> = self
            .plan
            .steps
            .iter()
            .filter_map(|s| {
                let watch = self.watches.get(&s.name)?;
                Some((s.name.clone(), watch.span.dispatched_us, watch.span.end_us))
            })
            .collect();
        tally::spans(start.steps_zero_us, &watches)
    }

    /// What the answers tell of a victim; `None` where nobody knows who answers.
    pub(super) fn exposure(&self, watch: &Watch, victim: &ComponentId) -> Option<Exposure> {
        tally::exposure(
            &self.recording.requests,
            &self.instances(|id| id == victim),
            &self.instances(|id| id.service == victim.service),
            watch.span,
        )
    }

    /// Whether a step's victims served callers before it; `None` where that cannot be known.
    pub(super) fn exposed(&self, step: &StepFacts) -> Option<bool> {
        let watch = self.watches.get(&step.name)?;
        let action = &self.facts.planned(step)?.action;
        if let Action::Node { among, .. } = action {
            // Its own service is to lead; of any other it is known that nobody misses it.
            if step.carried.is_empty() {
                let leads = matches!(among.role, Some(NodeRole::Leader | NodeRole::Manager));
                return (!leads).then_some(false);
            }
            // A node serves by what it runs; who of it is never named tells nothing.
            let known = step.carried.iter();
            let known = known.filter_map(|c| Some(self.exposure(watch, c)?.exposed));
            return known.reduce(|one, other| one || other);
        }
        let each: Vec<bool> = step
            .targets
            .iter()
            .map(|victim| Some(self.exposure(watch, victim)?.exposed))
            .collect::<Option<_>>()?;
        match (each.is_empty(), action.take().is_some()) {
            (true, _) => None,
            // Each of the taken must have had traffic to lose; a roll-out goes over all there are.
            (false, true) => Some(each.into_iter().all(|e| e)),
            (false, false) => Some(each.into_iter().any(|e| e)),
        }
    }

    /// Numbers of the instance names that components of this kind went by at any time.
    fn instances(&self, is: impl Fn(&ComponentId) -> bool) -> Vec<u16> {
        self.recording.instances.ids(|name| {
            self.facts.entries.iter().any(|e| match &e.event {
                Event::Components(all) => all.iter().any(|c| is(&c.id) && c.answers_to(name)),
                _ => false,
            })
        })
    }

    /// Whether answers ever tell which replica of this service gave them.
    pub(super) fn is_named(&self, service: &str) -> bool {
        !self.instances(|id| id.service == service).is_empty()
    }

    /// Every answer in a name of this component that no other goes by.
    pub(super) fn answers_of(&self, id: &ComponentId) -> impl Iterator<Item = &'a RequestRecord> {
        let others = self.instances(|other| other != id);
        let mut names = self.instances(|other| other == id);
        names.retain(|name| !others.contains(name));
        let requests = self.recording.requests.iter();
        requests.filter(move |r| names.contains(&r.instance))
    }

    /// Every answer in a name that only this making of a component goes by: not what it has in common with whatever comes
    /// in its place.
    pub(super) fn answers_of_making(
        &self,
        was: &Component,
    ) -> impl Iterator<Item = &'a RequestRecord> {
        let own = |name: &str| was.made_as(name) && name != was.id.to_string();
        let names = self.recording.instances.ids(|name| {
            let shared = self.facts.entries.iter().any(|e| match &e.event {
                Event::Components(all) => all
                    .iter()
                    .any(|c| c.handle != was.handle && c.answers_to(name)),
                _ => false,
            });
            own(name) && !shared
        });
        let requests = self.recording.requests.iter();
        requests.filter(move |r| names.contains(&r.instance))
    }

    fn readmission(&self, step: &StepFacts, action: &Action) -> Readmission {
        if let Action::Node { .. } = action {
            // What it ran is replaced elsewhere, and need not come back to it.
            return Readmission::NotAwaited;
        }
        let Some(over_us) = step.over_us().filter(|_| action.take().is_some()) else {
            return Readmission::NotAwaited;
        };
        let mut last = None;
        for victim in &step.targets {
            if self.instances(|id| id.service == victim.service).is_empty() {
                return Readmission::NotAwaited;
            }
            let names = self.instances(|id| id == victim);
            let again = self
                .recording
                .requests
                .iter()
                .filter(|r| r.good && r.done_us >= over_us && names.contains(&r.instance))
                .map(|r| r.done_us)
                .min();
            let Some(again) = again else {
                return Readmission::Awaited;
            };
            last = last.max(Some(again));
        }
        last.map_or(Readmission::NotAwaited, Readmission::Seen)
    }

    /// Answers in a name of this service's replicas; all where none of them is known by a name. Two services may well call
    /// their versions alike.
    pub(super) fn answers_for(&self, service: &str) -> impl Iterator<Item = &'a RequestRecord> {
        let names = self.instances(|id| id.service == service);
        let requests = self.recording.requests.iter();
        requests.filter(move |r| names.is_empty() || names.contains(&r.instance))
    }

    /// Completions of answers of the versions that an update replaced: those that answered for its service just before it,
    /// where another one answered after it.
    fn old_answers(&self, step: &StepFacts) -> Vec<i64> {
        let Some(dispatched) = step
            .dispatched_us
            .filter(|_| step.converged.as_ref().is_some_and(|c| c.complete))
        else {
            return Vec::new();
        };
        let target = self.facts.planned(step).and_then(|s| s.action.target());
        let named: Vec<&RequestRecord> = self
            .answers_for(target.unwrap_or_default())
            .filter(|r| r.version != 0)
            .collect();
        let named = || named.iter();
        let recent = dispatched - RECENT_US..dispatched;
        let old: Vec<u16> = named()
            .filter(|r| recent.contains(&r.done_us))
            .map(|r| r.version)
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect();
        let after = || named().filter(|r| r.done_us >= dispatched);
        if !after().any(|r| !old.contains(&r.version)) {
            return Vec::new();
        }
        let mut answers: Vec<i64> = after()
            .filter(|r| old.contains(&r.version))
            .map(|r| r.done_us)
            .collect();
        answers.sort_unstable();
        answers
    }
}

/// How far back an answer shows which version served when an update began, µs.
const RECENT_US: i64 = 10_000_000;

/// When the load ended: as planned, or earlier where it was cut off; without a load, when observation did.
fn load_end(traffic: Option<&Traffic<'_>>, recording: &Recording, facts: &Facts<'_>) -> i64 {
    let (Some(traffic), Some(start)) = (traffic, facts.load_started) else {
        return facts.observed_until_us;
    };
    let planned = start.started_us + micros(traffic.warmup() + traffic.length());
    match facts.load_ended {
        Some(end) => planned.min(end.at_us),
        None => recording
            .requests
            .last()
            .map_or(start.started_us, |r| r.due_us)
            .min(planned),
    }
}
