//! What an undo may touch.

use super::Owed;
use crate::model::{ComponentId, Undo};

enum Reach<'a> {
    Nothing,
    Component(&'a ComponentId),
    Service(&'a str),
    /// Whatever the user's own calls and commands touch.
    Own,
    Everything,
}

fn reach(undo: &Undo) -> Reach<'_> {
    match undo {
        Undo::Nothing => Reach::Nothing,
        Undo::Running { component, .. }
        | Undo::Unpaused { component }
        | Undo::Connected { component, .. }
        | Undo::Reachable { component, .. }
        | Undo::Available { component, .. }
        | Undo::Exec { component, .. } => Reach::Component(component),
        Undo::Replicas { service, .. }
        | Undo::Count { service, .. }
        | Undo::Definition { service, .. } => Reach::Service(service),
        Undo::Http { .. } | Undo::Command { .. } => Reach::Own,
        Undo::Down => Reach::Everything,
    }
}

/// Whether undos of one step may touch what those of another do: then the newer step's go first.
#[must_use]
pub fn entangled(some: &[Owed], others: &[Owed]) -> bool {
    let any = |one: &Owed| others.iter().any(|other| touch(&one.undo, &other.undo));
    some.iter().any(any)
}

/// Whether an undo is about a replica that an older one among `all` is to take away again: that settles it.
#[must_use]
pub fn superseded<'a>(owed: &Owed, mut all: impl Iterator<Item = &'a Owed>) -> bool {
    let Reach::Component(component) = reach(&owed.undo) else {
        return false;
    };
    all.any(|older| match &older.undo {
        Undo::Replicas { service, indexes } => {
            older.id < owed.id
                && *service == component.service
                && !indexes.contains(&component.index)
        }
        _ => false,
    })
}

/// Whether two undos may touch the same thing: then the newer goes first.
#[must_use]
pub(super) fn touch(one: &Undo, other: &Undo) -> bool {
    match (reach(one), reach(other)) {
        (Reach::Nothing, _) | (_, Reach::Nothing) => false,
        (Reach::Everything, _) | (_, Reach::Everything) | (Reach::Own, Reach::Own) => true,
        (Reach::Own, _) | (_, Reach::Own) => false,
        (Reach::Component(one), Reach::Component(other)) => one == other,
        (Reach::Component(one), Reach::Service(other))
        | (Reach::Service(other), Reach::Component(one)) => one.service == *other,
        (Reach::Service(one), Reach::Service(other)) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_that_is_to_go_needs_no_mending() {
        let owed = |id, undo| Owed {
            id,
            step: None,
            undo,
        };
        let runs = |id, index| {
            let component = ComponentId::new("web", index);
            owed(id, Undo::Unpaused { component })
        };
        let back = owed(
            2,
            Undo::Replicas {
                service: "web".into(),
                indexes: vec![1],
            },
        );
        let all = [runs(3, 3), back, runs(1, 2)];
        assert!(superseded(&all[0], all.iter()), "made by the older fault");
        assert!(!superseded(&runs(4, 1), all.iter()), "one that stays");
        assert!(!superseded(&all[2], all.iter()), "it was there before");
        let count = Undo::Count {
            service: "web".into(),
            replicas: 1,
        };
        let all = [runs(3, 3), owed(2, count)];
        assert!(
            !superseded(&all[0], all.iter()),
            "another may be the one to go"
        );
        assert!(touch(&all[0].undo, &all[1].undo));
    }

    #[test]
    fn undos_of_one_component_or_of_its_service_depend_on_each_other() {
        let at = |index| ComponentId::new("backend", index);
        let runs = |index| Undo::Running {
            component: at(index),
            since_ns: None,
        };
        let thaws = |index| Undo::Unpaused {
            component: at(index),
        };
        let replicas = |service: &str| Undo::Replicas {
            service: service.into(),
            indexes: vec![1],
        };
        assert!(touch(&runs(1), &thaws(1)));
        assert!(!touch(&runs(1), &thaws(2)));
        assert!(touch(&runs(1), &replicas("backend")));
        assert!(!touch(&replicas("edge"), &runs(1)));
        assert!(touch(&Undo::Down, &runs(1)));
        assert!(!touch(&Undo::Nothing, &Undo::Down));
        let own = Undo::Command {
            run: vec![],
            folder: String::new(),
        };
        assert!(touch(&own, &own));
        assert!(!touch(&own, &runs(1)));
    }
}
