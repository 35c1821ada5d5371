//! Who is up, in which version, with which share of the traffic.

use std::collections::{BTreeMap, VecDeque};

use crate::model::{Component, ComponentId, Health, RequestRecord, RunState, StackEventKind};
use crate::timeline::Entry;
use crate::timeline::event::Event;

/// Stretch over which the shares of traffic are told.
const LATELY_US: i64 = 3_000_000;
/// Parts that it is counted in.
const PART_US: i64 = 100_000;

/// What can be said of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    Up,
    /// Running, and not healthy yet.
    Starting,
    /// Running, and its health check fails.
    Sick,
    Paused,
    /// Running, off a network.
    CutOff,
    Dead,
    Gone,
}

/// A component.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) component: Component,
    pub(crate) condition: Condition,
    health: Health,
    /// Numbers of the names that it answers by.
    instances: Vec<u16>,
    /// Number of the version that it answered with last.
    version: u16,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    all: Vec<Target>,
    instances: Vec<String>,
    versions: Vec<String>,
    /// Number of the part → number of the instance → answers.
    lately: VecDeque<(i64, BTreeMap<u16, u64>)>,
}

impl Targets {
    /// In the order of their names.
    pub(crate) fn all(&self) -> &[Target] {
        &self.all
    }

    /// The version that it answered with last.
    pub(crate) fn version_of(&self, target: &Target) -> Option<&str> {
        let index = usize::from(target.version).checked_sub(1)?;
        self.versions.get(index).map(String::as_str)
    }

    /// Its share of the answers that named anybody; `None` of one that never answers callers.
    pub(crate) fn share(&self, target: &Target, now_us: i64) -> Option<f64> {
        if target.instances.is_empty() {
            return None;
        }
        let from = (now_us - LATELY_US).div_euclid(PART_US);
        let (mut its, mut all) = (0u64, 0u64);
        for (_, counts) in self.lately.iter().filter(|(part, _)| *part >= from) {
            for (instance, count) in counts {
                all += count;
                if target.instances.contains(instance) {
                    its += count;
                }
            }
        }
        (all > 0).then(|| its as f64 / all as f64)
    }

    pub(super) fn instance(&mut self, id: u16, name: &str) {
        put(&mut self.instances, id, name);
        for target in &mut self.all {
            if target.component.answers_to(name) {
                target.instances.push(id);
            }
        }
    }

    pub(super) fn version(&mut self, id: u16, name: &str) {
        put(&mut self.versions, id, name);
    }

    pub(super) fn request(&mut self, r: &RequestRecord) {
        if r.instance == 0 {
            return;
        }
        let part = r.done_us.div_euclid(PART_US);
        if self.lately.back().is_none_or(|(last, _)| *last < part) {
            self.lately.push_back((part, BTreeMap::new()));
        }
        if let Some((_, counts)) = self.lately.back_mut() {
            *counts.entry(r.instance).or_default() += 1;
        }
        while let Some((first, _)) = self.lately.front()
            && *first < part - LATELY_US / PART_US
        {
            self.lately.pop_front();
        }
        if r.version != 0
            && let Some(target) = self
                .all
                .iter_mut()
                .find(|t| t.instances.contains(&r.instance))
        {
            target.version = r.version;
        }
    }

    pub(super) fn entry(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Components(components) => {
                for component in components {
                    self.known(component);
                }
                self.all.sort_by(|a, b| a.component.id.cmp(&b.component.id));
            }
            Event::Engine {
                component, what, ..
            } => self.engine(component, what),
            _ => {}
        }
    }

    fn known(&mut self, component: &Component) {
        let instances = (1..)
            .zip(&self.instances)
            .filter(|(_, name)| component.answers_to(name))
            .map(|(id, _)| id)
            .collect();
        let target = Target {
            condition: condition(component.state, component.health),
            health: component.health,
            component: component.clone(),
            instances,
            version: 0,
        };
        match self.all.iter_mut().find(|t| t.component.id == component.id) {
            Some(known) => {
                let version = known.version;
                *known = Target { version, ..target };
            }
            None => self.all.push(target),
        }
    }

    fn engine(&mut self, id: &ComponentId, what: &StackEventKind) {
        let Some(target) = self.all.iter_mut().find(|t| t.component.id == *id) else {
            return;
        };
        let checked = target.health != Health::Unchecked;
        target.condition = match what {
            StackEventKind::Created | StackEventKind::Signalled { .. } => return,
            StackEventKind::Started if checked => {
                target.health = Health::Starting;
                Condition::Starting
            }
            StackEventKind::Started => Condition::Up,
            StackEventKind::Died { .. } | StackEventKind::OutOfMemory => Condition::Dead,
            StackEventKind::Paused => Condition::Paused,
            StackEventKind::Unpaused | StackEventKind::Connected { .. } => {
                condition(RunState::Running, target.health)
            }
            StackEventKind::Disconnected { .. } if target.condition == Condition::Dead => return,
            StackEventKind::Disconnected { .. } => Condition::CutOff,
            StackEventKind::Health { health } => {
                target.health = *health;
                match target.condition {
                    Condition::Up | Condition::Starting | Condition::Sick => {
                        condition(RunState::Running, *health)
                    }
                    other => other,
                }
            }
            StackEventKind::Destroyed => Condition::Gone,
            // What its engine says of it goes before what the managers have heard.
            StackEventKind::Node { .. } => return,
        };
    }
}

fn condition(state: RunState, health: Health) -> Condition {
    match (state, health) {
        (RunState::Running, Health::Healthy | Health::Unchecked) => Condition::Up,
        (RunState::Running, Health::Starting) => Condition::Starting,
        (RunState::Running, Health::Unhealthy) => Condition::Sick,
        (RunState::Paused, _) => Condition::Paused,
        (RunState::Restarting | RunState::Exited, _) => Condition::Dead,
    }
}

/// Puts a name at its number; numbers come in order, from 1.
fn put(names: &mut Vec<String>, id: u16, name: &str) {
    let Some(index) = usize::from(id).checked_sub(1) else {
        return;
    };
    if names.len() <= index {
        names.resize(index + 1, String::new());
    }
    names[index] = name.to_owned();
}
