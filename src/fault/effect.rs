//! Which engine event confirms a fault.

use std::time::Duration;

use super::inject::Prepared;
use crate::model::{Action, ComponentId, Injection, StackEvent, StackEventKind, UpdateChange};

/// How long after the call an effect may take where the engine only has to report it.
const ENGINE: Duration = Duration::from_secs(10);
/// Where a replacement has to be made and become healthy before the engine shows a change.
const ROLL_OUT: Duration = Duration::from_secs(60);

/// The effect that an injection must show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// The service it must show on.
    service: String,
    /// The replica, unless any of the service will do.
    component: Option<ComponentId>,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Death,
    Freeze,
    Cut {
        network: Option<String>,
    },
    /// A replica came or went.
    Change,
    /// A replica was made or started, by whomever.
    Arrival,
    /// The managers say that no task may run on it.
    Drained,
}

impl Awaited {
    /// The component it must show on, where it is one.
    #[must_use]
    pub fn component(&self) -> Option<&ComponentId> {
        self.component.as_ref()
    }

    /// Whether it tells nothing but that a replica came: another step that mends the same service shows that, too.
    #[must_use]
    pub fn takes_any_arrival(&self) -> bool {
        self.kind == Kind::Arrival
    }

    /// Whether this event is it.
    #[must_use]
    pub fn shown_by(&self, event: &StackEvent) -> bool {
        let there = match &self.component {
            Some(component) => event.component == *component,
            None => event.component.service == self.service,
        };
        there
            && match (&self.kind, &event.kind) {
                (Kind::Death, StackEventKind::Died { .. })
                | (Kind::Freeze, StackEventKind::Paused) => true,
                (
                    Kind::Cut {
                        network: Some(wanted),
                    },
                    StackEventKind::Disconnected { network },
                ) => {
                    // A Compose file names a network `front` that the engine calls `project_front`.
                    network == wanted
                        || network
                            .strip_suffix(wanted.as_str())
                            .is_some_and(|p| p.ends_with('_'))
                }
                (Kind::Cut { network: None }, StackEventKind::Disconnected { .. })
                | (
                    Kind::Change,
                    StackEventKind::Created
                    | StackEventKind::Started
                    | StackEventKind::Died { .. }
                    | StackEventKind::Destroyed,
                )
                | (Kind::Arrival, StackEventKind::Created | StackEventKind::Started) => true,
                (Kind::Drained, StackEventKind::Node { said }) => !said.active,
                (
                    Kind::Death
                    | Kind::Freeze
                    | Kind::Cut { .. }
                    | Kind::Change
                    | Kind::Arrival
                    | Kind::Drained,
                    _,
                ) => false,
            }
    }
}

/// What must be seen of a step's fault; nothing where its own answer is the effect.
#[must_use]
pub fn awaited(action: &Action, prepared: &[Prepared]) -> Vec<Awaited> {
    let mut all: Vec<Awaited> = prepared
        .iter()
        .filter_map(|p| of_injection(&p.injection))
        .collect();
    if let Some(target) = by_a_tool(action) {
        all.push(Awaited {
            service: target.to_owned(),
            component: None,
            kind: Kind::Arrival,
        });
    }
    all
}

/// The service that a tool of the user's own updates. That the tool ended in order does not say that it did anything.
fn by_a_tool(action: &Action) -> Option<&str> {
    match action {
        Action::Update {
            target,
            change: UpdateChange::By { .. },
            ..
        } => Some(target),
        _ => None,
    }
}

/// What must be seen of an injection. `None` where its own answer is the effect (a command's exit code 0).
fn of_injection(injection: &Injection) -> Option<Awaited> {
    let at = |component: &ComponentId, kind| {
        Some(Awaited {
            service: component.service.clone(),
            component: Some(component.clone()),
            kind,
        })
    };
    let on = |service: &String| {
        Some(Awaited {
            service: service.clone(),
            component: None,
            kind: Kind::Change,
        })
    };
    match injection {
        Injection::Kill { component, .. }
        | Injection::Stop { component, .. }
        | Injection::Restart { component, .. } => at(component, Kind::Death),
        Injection::Pause { component } => at(component, Kind::Freeze),
        Injection::Disconnect { component, network } => at(
            component,
            Kind::Cut {
                network: network.clone(),
            },
        ),
        Injection::Drain { component } => at(component, Kind::Drained),
        // Read back by whoever made the rules before it answered.
        Injection::Partition { .. } | Injection::Exec { .. } => None,
        Injection::Scale { service, .. }
        | Injection::UpdateImage { service, .. }
        | Injection::UpdateEnv { service, .. }
        | Injection::UpdateCommand { service, .. }
        | Injection::UpdateFiles { service, .. }
        | Injection::UpdateAgain { service } => on(service),
    }
}

/// How long after its call, which may have `failed`, the effect of a step's fault may take before it counts as not having
/// come.
#[must_use]
pub fn patience(action: &Action, prepared: &[Prepared], failed: bool) -> Duration {
    let each = prepared.iter().map(|p| match &p.injection {
        Injection::Stop { grace, .. } | Injection::Restart { grace, .. } => ENGINE + *grace,
        Injection::Scale { .. }
        | Injection::UpdateImage { .. }
        | Injection::UpdateEnv { .. }
        | Injection::UpdateCommand { .. }
        | Injection::UpdateFiles { .. }
        | Injection::UpdateAgain { .. } => ROLL_OUT,
        Injection::Kill { .. }
        | Injection::Pause { .. }
        | Injection::Disconnect { .. }
        | Injection::Partition { .. }
        | Injection::Drain { .. }
        | Injection::Exec { .. } => ENGINE,
    });
    // A tool that failed has nothing more in the making.
    let own = by_a_tool(action).map(|_| if failed { ENGINE } else { ROLL_OUT });
    each.chain(own).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{KillMode, Signal, When};

    fn event(index: u32, kind: StackEventKind) -> StackEvent {
        StackEvent {
            when: When::Wall(0),
            component: ComponentId::new("backend", index),
            handle: String::new(),
            kind,
        }
    }

    #[test]
    fn only_the_right_event_on_the_right_component_confirms() {
        let kill = of_injection(&Injection::Kill {
            component: ComponentId::new("backend", 2),
            signal: Signal::SigKill,
            mode: KillMode::Held,
        })
        .unwrap();
        assert!(kill.shown_by(&event(2, StackEventKind::Died { code: 137 })));
        assert!(!kill.shown_by(&event(1, StackEventKind::Died { code: 137 })));
        assert!(!kill.shown_by(&event(2, StackEventKind::Signalled { signal: "9".into() })));
    }

    #[test]
    fn a_tool_that_ended_well_has_updated_nothing_until_a_replica_comes() {
        let update = Action::Update {
            target: "backend".into(),
            change: UpdateChange::By {
                run: vec![],
                undo: None,
            },
            keep: false,
        };
        let [came] = &awaited(&update, &[])[..] else {
            panic!("its answer is not its effect")
        };
        assert!(came.shown_by(&event(3, StackEventKind::Created)));
        assert!(came.shown_by(&event(1, StackEventKind::Started)));
        assert!(!came.shown_by(&event(1, StackEventKind::Died { code: 137 })));
        let mut other = event(1, StackEventKind::Started);
        other.component = ComponentId::new("edge", 1);
        assert!(!came.shown_by(&other));
        assert_eq!(patience(&update, &[], false), ROLL_OUT);
        assert_eq!(patience(&update, &[], true), ENGINE);
    }

    #[test]
    fn networks_match_with_and_without_the_project() {
        let cut = |network: Option<&str>| {
            of_injection(&Injection::Disconnect {
                component: ComponentId::new("backend", 1),
                network: network.map(str::to_owned),
            })
            .unwrap()
        };
        let seen = event(
            1,
            StackEventKind::Disconnected {
                network: "fd_front".into(),
            },
        );
        assert!(
            cut(None).shown_by(&seen)
                && cut(Some("front")).shown_by(&seen)
                && cut(Some("fd_front")).shown_by(&seen)
        );
        assert!(!cut(Some("ront")).shown_by(&seen));
    }
}
