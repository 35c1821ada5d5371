//! What a cluster made of the loss of nodes, by what its managers and engines said.

use crate::model::{
    Action, Component, ComponentId, Health, NodeRole, NodeSaid, StackEventKind, StackSpec,
};
use crate::timeline::event::Event;
use crate::timeline::tally::StepFacts;

use super::facts::Facts;
use super::result::ClusterResult;

/// The cluster's own times of a step that took nodes; `None` of any other, and of one that was never dispatched.
pub(super) fn cluster(
    stack: &StackSpec,
    facts: &Facts<'_>,
    step: &StepFacts,
) -> Option<ClusterResult> {
    let Action::Node { .. } = facts.planned(step)?.action else {
        return None;
    };
    let dispatched = step.dispatched_us?;
    let since = |at: Option<i64>| Some(at? - dispatched);
    let nodes = step.targets.iter();
    let down: Option<Vec<i64>> = nodes.map(|node| down_us(facts, step, node)).collect();
    Some(ClusterResult {
        carried: step.carried.iter().map(ToString::to_string).collect(),
        node_down_us: since(down.and_then(|each| each.into_iter().max())),
        replaced_us: since(replaced_us(stack, facts, step)),
        node_ready_us: ready_us(facts, step)
            .zip(step.healed_us)
            .map(|(ready, healed)| ready - healed),
        leader_us: since(leader_us(facts, step)),
    })
}

/// When a node was first said not to be ready.
fn down_us(facts: &Facts<'_>, step: &StepFacts, node: &ComponentId) -> Option<i64> {
    let until = taken_again_us(facts, step, |other| other.targets.contains(node));
    let mut said = said(facts, node, step.dispatched_us?, until);
    said.find(|(_, said)| !said.ready).map(|(at, _)| at)
}

/// When the last of the nodes was ready again after its heal began; `None` where one was never said not to be.
fn ready_us(facts: &Facts<'_>, step: &StepFacts) -> Option<i64> {
    let begun = step.heal_begins_us?;
    let again = |node: &ComponentId| {
        let down = down_us(facts, step, node)?;
        let until = taken_again_us(facts, step, |other| other.targets.contains(node));
        let mut said = said(facts, node, begun.max(down), until);
        said.find(|(_, said)| said.ready).map(|(at, _)| at)
    };
    let each: Option<Vec<i64>> = step.targets.iter().map(again).collect();
    each?.into_iter().max()
}

/// When the last replica was there in place of one that was lost.
fn replaced_us(stack: &StackSpec, facts: &Facts<'_>, step: &StepFacts) -> Option<i64> {
    let lost = step.carried.iter();
    let lost: Vec<&ComponentId> = lost.filter(|id| stack.replaces(&id.service)).collect();
    let described = facts.carried(step);
    let each: Option<Vec<i64>> = lost
        .into_iter()
        .map(|id| {
            let was = described.iter().find(|c| c.id == *id)?;
            up_again_us(facts, was, step.dispatched_us?)
        })
        .collect();
    each?.into_iter().max()
}

/// When another making of it was up: healthy, where its health is checked.
fn up_again_us(facts: &Facts<'_>, was: &Component, from_us: i64) -> Option<i64> {
    let is_up = |what: &StackEventKind| match what {
        StackEventKind::Started => was.health == Health::Unchecked,
        StackEventKind::Health { health } => *health == Health::Healthy,
        StackEventKind::Created
        | StackEventKind::Died { .. }
        | StackEventKind::Paused
        | StackEventKind::Unpaused
        | StackEventKind::Signalled { .. }
        | StackEventKind::Disconnected { .. }
        | StackEventKind::Connected { .. }
        | StackEventKind::Destroyed
        | StackEventKind::OutOfMemory
        | StackEventKind::Node { .. } => false,
    };
    let events = facts.entries.iter().filter_map(|e| match &e.event {
        Event::Engine {
            component,
            handle,
            engine_us,
            what,
        } => {
            let another = *component == was.id && !handle.is_empty() && *handle != was.handle;
            (another && *engine_us >= from_us && is_up(what)).then_some(*engine_us)
        }
        _ => None,
    });
    events.min()
}

/// When a node that was not taken came to lead, where one that was had led.
fn leader_us(facts: &Facts<'_>, step: &StepFacts) -> Option<i64> {
    let dispatched = step.dispatched_us?;
    let led = step.targets.iter().any(|node| {
        let described = facts.component(node, dispatched);
        described.is_some_and(|c| c.place.role == Some(NodeRole::Leader))
    });
    if !led {
        return None;
    }
    let takes_nodes = |other: &StepFacts| {
        let planned = facts.planned(other);
        planned.is_some_and(|p| matches!(p.action, Action::Node { .. }))
    };
    let until = taken_again_us(facts, step, takes_nodes);
    let events = facts.entries.iter().filter_map(|e| match &e.event {
        Event::Engine {
            component,
            engine_us,
            what: StackEventKind::Node { said },
            ..
        } if said.leads && !step.targets.contains(component) => Some(*engine_us),
        _ => None,
    });
    events.filter(|at| (dispatched..until).contains(at)).min()
}

/// What the managers said of a node in a stretch, in order.
fn said<'f>(
    facts: &'f Facts<'_>,
    node: &'f ComponentId,
    from_us: i64,
    until_us: i64,
) -> impl Iterator<Item = (i64, NodeSaid)> + 'f {
    let of_node = facts.entries.iter().filter_map(move |e| match &e.event {
        Event::Engine {
            component,
            engine_us,
            what: StackEventKind::Node { said },
            ..
        } if component == node => Some((*engine_us, *said)),
        _ => None,
    });
    of_node.filter(move |(at, _)| (from_us..until_us).contains(at))
}

/// When another step of this kind began after this one: what is said from then on is about that one.
fn taken_again_us(facts: &Facts<'_>, step: &StepFacts, is: impl Fn(&StepFacts) -> bool) -> i64 {
    let others = facts
        .steps
        .iter()
        .filter(|other| other.name != step.name && is(other));
    let later = others.filter_map(|other| other.dispatched_us);
    let later = later.filter(|at| Some(*at) > step.dispatched_us);
    later.min().unwrap_or(i64::MAX)
}
