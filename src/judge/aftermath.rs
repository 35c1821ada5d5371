//! The aftermath of starvation: who falls ill soon after the test bed had no CPU time left, by no step's doing.
//!
//! A health check that got no CPU fails seconds later, and whom it fails is killed, replaced or taken off the cluster later
//! still. What callers lose then says as little of the system as the starved second itself.

use std::collections::BTreeSet;

use crate::model::{Action, ComponentId, Health, NODE, StackEventKind};
use crate::timeline::event::{Event, Phase};
use crate::timeline::tally::StepFacts;

use super::case::Case;
use super::facts::Facts;
use super::result::{self, Illness};
use super::{number, wording};

/// Length of a slice, µs.
const SLICE_US: i64 = 1_000_000;

/// How many aftermaths are told one by one.
const TOLD: usize = 3;

/// How long after the begin of a starved slice something may fall ill of it, µs. A health check every 5 s that fails three
/// times, each after 5 s of waiting, has said so after 30 s at most; the managers of a Swarm give a node up after 15 s
/// without a heartbeat. What takes longer is left a miss: a minute later anything on a busy host would be excused.
pub(super) const REACH_US: i64 = 30_000_000;

/// How long after an aftermath an alert of it may still begin to fire, µs: a rule's usual `for: 30s`, with the scrapes and
/// evaluations before it.
const ALERTED_US: i64 = 60_000_000;

/// How far the engine's time of an illness may be from ours, µs.
const LEEWAY_US: i64 = 250_000;

/// A component that fell ill of starvation. Times are µs since the run's zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Aftermath {
    pub(super) component: ComponentId,
    pub(super) what: Illness,
    /// When it fell ill: its begin.
    pub(super) at_us: i64,
    /// Begin of the starved slice that explains it.
    pub(super) starved_us: i64,
    /// When it, or what came in its place, was well again.
    well_us: Option<i64>,
    /// Its end: the settle time after that, or the end of all observation.
    pub(super) to_us: i64,
}

impl Aftermath {
    /// As the result has it.
    pub(super) fn result(&self) -> result::Aftermath {
        result::Aftermath {
            component: self.component.to_string(),
            what: self.what,
            at_us: self.at_us,
            starved_us: self.starved_us,
            well_us: self.well_us,
            to_us: self.to_us,
        }
    }

    /// In words.
    pub(super) fn words(&self, facts: &Facts<'_>) -> String {
        let zero_us = facts.load_started.map_or(0, |l| l.steps_zero_us);
        wording::aftermath(&self.result(), zero_us)
    }

    /// Whether it lies in `[from_us, to_us]` with a part of it.
    pub(super) fn touches(&self, from_us: i64, to_us: i64) -> bool {
        self.at_us <= to_us && self.to_us > from_us
    }

    /// Whether an alert that begins to fire then may be of it.
    pub(super) fn explains_alert(&self, from_us: i64) -> bool {
        (self.at_us..=self.to_us.saturating_add(ALERTED_US)).contains(&from_us)
    }

    /// Whether it was ill at this moment.
    fn is_ill(&self, at_us: i64) -> bool {
        (self.at_us..self.well_us.unwrap_or(self.to_us)).contains(&at_us)
    }
}

/// What an engine said of a component.
#[derive(Debug, Clone, Copy)]
struct Said<'a> {
    at_us: i64,
    component: &'a ComponentId,
    handle: &'a str,
    what: &'a StackEventKind,
}

/// Every aftermath of a run whose watches are known, in the order of their begins.
pub(super) fn aftermaths(case: &Case<'_>) -> Vec<Aftermath> {
    let facts = &case.facts;
    if facts.starved_us.is_empty() {
        return Vec::new();
    }
    let all = said(facts);
    let over_us = over_us(case);
    let mut found: Vec<Aftermath> = Vec::new();
    // Everyone who fell ill, of whatever, and until when.
    let mut ill: Vec<(&ComponentId, i64)> = Vec::new();
    for (index, said) in all.iter().enumerate() {
        let (before, after) = all.split_at(index);
        let Some(what) = illness(said.what).filter(|_| said.at_us < over_us) else {
            continue;
        };
        // Whatever else befalls one that is ill is part of that, and of what made it ill.
        let mut still = ill.iter().filter(|(id, _)| *id == said.component);
        if still.any(|(_, until_us)| said.at_us < *until_us) {
            continue;
        }
        let well_us = well_us(facts, before, after, said, what);
        ill.push((said.component, well_us.unwrap_or(i64::MAX)));
        if done_by_step(case, said) || of_memory(before, said) {
            continue;
        }
        let of_node = |node: &ComponentId| {
            let mut nodes = found.iter().filter(|a| a.component == *node);
            nodes.find(|a| a.is_ill(said.at_us)).map(|a| a.starved_us)
        };
        let node = facts
            .component(said.component, said.at_us)
            .and_then(|c| c.place.node.as_ref());
        // A cluster replaces what ran on a node that it gave up, however long that takes it.
        let starved_us = starved_before(facts, said.at_us).or_else(|| node.and_then(of_node));
        let Some(starved_us) = starved_us else {
            continue;
        };
        // One that never is well again is ill of something else, at the latest once a check that a starved second failed has
        // had its time over again.
        let last_us = well_us.unwrap_or_else(|| gone_us(after, said).min(said.at_us + REACH_US));
        let settled = last_us.saturating_add(case.longest_settle_us(last_us));
        found.push(Aftermath {
            component: said.component.clone(),
            what,
            at_us: said.at_us,
            starved_us,
            well_us,
            to_us: settled.min(over_us),
        });
    }
    found
}

/// The end of all observation. What is mended or taken down after a drill dies of that.
fn over_us(case: &Case<'_>) -> i64 {
    let mut entries = case.facts.entries.iter();
    let ends =
        entries.find(|e| matches!(e.event, Event::Phase(Phase::Mending | Phase::TakingDown)));
    let observed_us = case.load_end_us.max(case.facts.observed_until_us);
    ends.map_or(observed_us, |end| observed_us.min(end.at_us))
}

/// Why an update of a service proves nothing by what it missed between these two moments; `None` where want of CPU does not
/// explain it: no starved second began then, and neither a node nor a replica of the service was ill of one.
pub(super) fn of_update(
    case: &Case<'_>,
    service: &str,
    (from_us, to_us): (i64, i64),
) -> Option<String> {
    let zero_us = case.facts.load_started.map_or(0, |l| l.steps_zero_us);
    let mut begins = case.facts.starved_us.iter();
    if let Some(begin) = begins.find(|begin| (from_us..=to_us).contains(*begin)) {
        return Some(format!(
            "the test bed was starved of CPU at {}, while it was under way: what it missed may be for that",
            number::moment(begin - zero_us)
        ));
    }
    let concerns = |a: &&Aftermath| [NODE, service].contains(&a.component.service.as_str());
    let mut concerned = case.aftermaths.iter().filter(concerns);
    let ill = concerned.find(|a| a.touches(from_us, to_us))?;
    Some(format!(
        "{}: what it missed may be for that",
        ill.words(&case.facts)
    ))
}

/// The seconds of the load in which the test bed was starved, `[from, to)` in their order.
pub(super) fn starved_slices(facts: &Facts<'_>) -> Vec<(i64, i64)> {
    let from_us = facts.load_started.map_or(i64::MIN, |l| l.started_us);
    let to_us = facts.load_ended.map_or(i64::MAX, |l| l.at_us);
    let begins: BTreeSet<i64> = facts.starved_us.iter().copied().collect();
    let slices = begins.into_iter().map(|begin| (begin, begin + SLICE_US));
    slices
        .filter(|(from, to)| *from < to_us && *to > from_us)
        .collect()
}

/// The aftermaths that callers may have felt in words, the first ones.
pub(super) fn told(case: &Case<'_>) -> Vec<String> {
    let felt = case.aftermaths.iter();
    let felt = || felt.clone().filter(|a| a.at_us < case.load_end_us);
    let mut told: Vec<String> = felt().take(TOLD).map(|a| a.words(&case.facts)).collect();
    if let Some(more @ 1..) = felt().count().checked_sub(TOLD) {
        told.push(format!("and {more} more fell ill so"));
    }
    told
}

/// Begin of the last starved slice that something at this moment may be of.
pub(super) fn starved_before(facts: &Facts<'_>, at_us: i64) -> Option<i64> {
    let reach = at_us.saturating_sub(REACH_US)..=at_us;
    let starved = facts.starved_us.iter().copied();
    starved.filter(|begin| reach.contains(begin)).max()
}

/// Everything that engines said, in the order of its times.
fn said<'a>(facts: &Facts<'a>) -> Vec<Said<'a>> {
    let mut all: Vec<Said<'a>> = facts
        .entries
        .iter()
        .filter_map(|e| match &e.event {
            Event::Engine {
                component,
                handle,
                engine_us,
                what,
            } => Some(Said {
                at_us: *engine_us,
                component,
                handle,
                what,
            }),
            _ => None,
        })
        .collect();
    all.sort_by_key(|said| said.at_us);
    all
}

/// What of it is an illness that want of CPU may bring about.
fn illness(what: &StackEventKind) -> Option<Illness> {
    match what {
        StackEventKind::Health { health } => match health {
            Health::Unhealthy => Some(Illness::Unhealthy),
            Health::Unchecked | Health::Starting | Health::Healthy => None,
        },
        // Who ends with 0 was done, or was told to end and did so in order.
        StackEventKind::Died { code } => (*code != 0).then_some(Illness::Died),
        StackEventKind::Node { said } => (!said.ready).then_some(Illness::NotReady),
        StackEventKind::Created
        | StackEventKind::Started
        | StackEventKind::Paused
        | StackEventKind::Unpaused
        | StackEventKind::Signalled { .. }
        | StackEventKind::Disconnected { .. }
        | StackEventKind::Connected { .. }
        | StackEventKind::Destroyed
        | StackEventKind::OutOfMemory => None,
    }
}

/// Whether the kernel killed it for want of memory, which no want of CPU explains.
fn of_memory(before: &[Said<'_>], ill: &Said<'_>) -> bool {
    let own = before.iter().rev();
    let mut own = own.filter(|s| s.component == ill.component && s.handle == ill.handle);
    let last = own.find_map(|s| match s.what {
        StackEventKind::OutOfMemory => Some(true),
        StackEventKind::Started => Some(false),
        StackEventKind::Created
        | StackEventKind::Died { .. }
        | StackEventKind::Paused
        | StackEventKind::Unpaused
        | StackEventKind::Signalled { .. }
        | StackEventKind::Disconnected { .. }
        | StackEventKind::Connected { .. }
        | StackEventKind::Health { .. }
        | StackEventKind::Destroyed
        | StackEventKind::Node { .. } => None,
    });
    last == Some(true)
}

/// Whether a step into whose watch or undo it falls had a hand in it.
fn done_by_step(case: &Case<'_>, ill: &Said<'_>) -> bool {
    let within = |from_us: i64, to_us: i64| {
        (from_us.saturating_sub(LEEWAY_US)..=to_us.saturating_add(LEEWAY_US)).contains(&ill.at_us)
    };
    case.facts.steps.iter().any(|step| {
        let watch = case.watches.get(&step.name);
        let watched = watch.is_some_and(|w| within(w.span.dispatched_us, w.span.end_us));
        // An undo may come long after the watch, and nobody need see its end.
        let verified_us = step.verified_us.unwrap_or(i64::MAX);
        let healing = step
            .heal_begins_us
            .is_some_and(|begins| within(begins, verified_us));
        (watched || healing) && touched(&case.facts, step, ill)
    })
}

/// Whether a step's fault is about a component.
fn touched(facts: &Facts<'_>, step: &StepFacts, ill: &Said<'_>) -> bool {
    let id = ill.component;
    let described = facts.component(id, ill.at_us);
    let node = described.and_then(|c| c.place.node.as_ref());
    let taken = step.targets.contains(id)
        || step.carried.contains(id)
        || node.is_some_and(|node| step.targets.contains(node));
    let Some(planned) = facts.planned(step) else {
        return taken;
    };
    match &planned.action {
        // What a call or a command of the user's own hits is not known: it may be anything.
        Action::Http { .. } | Action::Command { .. } => true,
        Action::Update { target, .. } | Action::Scale { target, .. } => {
            taken || id.service == *target
        }
        Action::Partition { from, .. } => taken || from.as_ref() == Some(&id.service),
        Action::Kill { .. }
        | Action::Stop { .. }
        | Action::Pause { .. }
        | Action::Restart { .. }
        | Action::Disconnect { .. }
        | Action::Exec { .. }
        | Action::Node { .. } => taken,
    }
}

/// When one that fell ill was taken away.
fn gone_us(after: &[Said<'_>], ill: &Said<'_>) -> i64 {
    let own = |s: &&Said<'_>| s.component == ill.component && s.handle == ill.handle;
    let gone = |s: &&Said<'_>| matches!(s.what, StackEventKind::Destroyed);
    let mut after = after.iter().filter(own).filter(gone);
    after.next().map_or(i64::MAX, |s| s.at_us)
}

/// When one that fell ill, or another making of its service in its place, was well again.
fn well_us(
    facts: &Facts<'_>,
    before: &[Said<'_>],
    after: &[Said<'_>],
    ill: &Said<'_>,
    what: Illness,
) -> Option<i64> {
    let described = facts.component(ill.component, ill.at_us);
    let checked = described.is_some_and(|c| c.health != Health::Unchecked);
    let is_well = |what_else: &StackEventKind| match what_else {
        StackEventKind::Health { health } => match health {
            Health::Healthy => what != Illness::NotReady,
            Health::Unchecked | Health::Starting | Health::Unhealthy => false,
        },
        StackEventKind::Started => what == Illness::Died && !checked,
        StackEventKind::Node { said } => said.ready,
        StackEventKind::Created
        | StackEventKind::Died { .. }
        | StackEventKind::Paused
        | StackEventKind::Unpaused
        | StackEventKind::Signalled { .. }
        | StackEventKind::Disconnected { .. }
        | StackEventKind::Connected { .. }
        | StackEventKind::Destroyed
        | StackEventKind::OutOfMemory => false,
    };
    let known = |handle: &str| {
        let described = facts.entries.iter().take_while(|e| e.at_us <= ill.at_us);
        before.iter().any(|s| s.handle == handle)
            || described.into_iter().any(|e| match &e.event {
                Event::Components(all) => all.iter().any(|c| c.handle == handle),
                _ => false,
            })
    };
    let replaces = |s: &Said<'_>| {
        let of_service =
            s.component.service == ill.component.service && s.component.service != NODE;
        of_service && !s.handle.is_empty() && !known(s.handle)
    };
    let mut later = after.iter().filter(|s| is_well(s.what));
    later
        .find(|s| s.component == ill.component || replaces(s))
        .map(|s| s.at_us)
}
