//! The steps whose faults are open, and the components that they hold: no other step may take them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::{Component, ComponentId, RunState};

/// Component → the step that took it.
#[derive(Default)]
pub(super) struct Taken {
    by: Mutex<BTreeMap<ComponentId, String>>,
    /// Steps from their choice until they are healed, whether they take components or not.
    open: Mutex<BTreeSet<String>>,
    /// Components that were given back, and when.
    given_back: Mutex<Vec<(ComponentId, i64)>>,
    /// Held from reading the components to the end of choosing, so that no two steps choose from the same list.
    pub(super) choosing: tokio::sync::Mutex<()>,
}

impl Taken {
    /// The step takes these.
    pub(super) fn take(&self, step: &str, taken: &[ComponentId]) {
        let mut by = self.by.lock().unwrap_or_else(PoisonError::into_inner);
        by.extend(taken.iter().map(|id| (id.clone(), step.to_owned())));
        self.opened().insert(step.to_owned());
    }

    /// The steps whose faults are open, in the order of their names.
    pub(super) fn open(&self) -> Vec<String> {
        self.opened().iter().cloned().collect()
    }

    fn opened(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The step's fault is no longer open: all that it took may be taken again.
    pub(super) fn release(&self, step: &str, at_us: i64) {
        self.opened().remove(step);
        let mut by = self.by.lock().unwrap_or_else(PoisonError::into_inner);
        let mut given_back = self
            .given_back
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let gone = by.extract_if(.., |_, taker| taker == step);
        given_back.extend(gone.map(|(id, _)| (id, at_us)));
    }

    /// Whether a step holds this component, or gave it back at `since_us` or later: what it does may be that step's
    /// doing.
    pub(super) fn meddled(&self, id: &ComponentId, since_us: i64) -> bool {
        let by = self.by.lock().unwrap_or_else(PoisonError::into_inner);
        let given_back = self
            .given_back
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let lately = |(other, at_us): &(ComponentId, i64)| other == id && *at_us >= since_us;
        by.contains_key(id) || given_back.iter().any(lately)
    }

    /// The components without those that are taken, or run on a node that is, and still seem to run: a fault that has not
    /// landed yet leaves its victim healthy to look at, and what a node runs until its cluster misses it.
    pub(super) fn leave(&self, components: &[Component]) -> Vec<Component> {
        let by = self.by.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = |c: &Component| {
            by.contains_key(&c.id) || c.place.node.as_ref().is_some_and(|on| by.contains_key(on))
        };
        let goes = |c: &&Component| c.state == RunState::Running && taken(c);
        components.iter().filter(|c| !goes(c)).cloned().collect()
    }

    /// What is taken of a service, for a person; empty if nothing is.
    pub(super) fn note(&self, service: &str) -> String {
        let by = self.by.lock().unwrap_or_else(PoisonError::into_inner);
        let of = by.keys().filter(|id| id.service == service);
        let names: Vec<String> = of.map(ToString::to_string).collect();
        if names.is_empty() {
            String::new()
        } else {
            format!("; taken by other steps: {}", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Health, Place};

    #[test]
    fn what_runs_on_a_taken_node_is_not_there_to_be_counted_on() {
        let component = |id: ComponentId, node: Option<ComponentId>| Component {
            id,
            host: String::new(),
            handle: String::new(),
            name: String::new(),
            addresses: vec![],
            state: RunState::Running,
            health: Health::Unchecked,
            image: String::new(),
            started_ns: None,
            place: Place {
                node,
                ..Place::default()
            },
        };
        let node = |index| ComponentId::new("node", index);
        let all = [
            component(node(1), None),
            component(node(2), None),
            component(ComponentId::new("web", 1), Some(node(1))),
            component(ComponentId::new("web", 2), Some(node(2))),
        ];
        let taken = Taken::default();
        taken.take("dark", &[node(1)]);
        let left: Vec<String> = taken.leave(&all).iter().map(|c| c.id.to_string()).collect();
        assert_eq!(left, ["node/2", "web/2"]);
        taken.release("dark", 0);
        assert_eq!(taken.leave(&all).len(), 4);
    }
}
