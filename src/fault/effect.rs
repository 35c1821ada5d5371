//! Which engine event confirms a fault.

use std::time::Duration;

use crate::model::{ComponentId, Injection, StackEvent, StackEventKind};

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
}

impl Awaited {
    /// The component it must show on, where it is one.
    #[must_use]
    pub fn component(&self) -> Option<&ComponentId> {
        self.component.as_ref()
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
                ) => true,
                (Kind::Death | Kind::Freeze | Kind::Cut { .. } | Kind::Change, _) => false,
            }
    }
}

/// What must be seen of an injection. `None` where its own answer is the effect (a command's exit code 0).
#[must_use]
pub fn awaited(injection: &Injection) -> Option<Awaited> {
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
        Injection::Exec { .. } => None,
        Injection::Scale { service, .. }
        | Injection::UpdateImage { service, .. }
        | Injection::UpdateEnv { service, .. }
        | Injection::UpdateCommand { service, .. } => on(service),
    }
}

/// How long after the call an effect may take before it counts as not having come.
#[must_use]
pub fn patience(injection: &Injection) -> Duration {
    let engine = Duration::from_secs(10);
    match injection {
        Injection::Stop { grace, .. } | Injection::Restart { grace, .. } => engine + *grace,
        // A first replacement has to be made and become healthy before the engine shows a change of the old ones.
        Injection::Scale { .. }
        | Injection::UpdateImage { .. }
        | Injection::UpdateEnv { .. }
        | Injection::UpdateCommand { .. } => Duration::from_secs(60),
        Injection::Kill { .. }
        | Injection::Pause { .. }
        | Injection::Disconnect { .. }
        | Injection::Exec { .. } => engine,
    }
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
        let kill = awaited(&Injection::Kill {
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
    fn networks_match_with_and_without_the_project() {
        let cut = |network: Option<&str>| {
            awaited(&Injection::Disconnect {
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
