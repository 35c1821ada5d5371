//! A container, as a component.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, EndpointSettings, HealthStatusEnum,
};

use super::wall_ns;
use crate::model::{Component, ComponentId, Health, Place, RunState};

/// A container and whose replica it is.
#[derive(Debug, Clone)]
pub(in crate::stack) struct Container {
    pub(in crate::stack) id: ComponentId,
    pub(in crate::stack) inspect: ContainerInspectResponse,
}

impl Container {
    /// The engine's id of it.
    pub(in crate::stack) fn handle(&self) -> &str {
        self.inspect.id.as_deref().unwrap_or_default()
    }

    pub(in crate::stack) fn id12(&self) -> &str {
        self.handle().get(..12).unwrap_or_default()
    }

    /// Its name without the slash that the engine puts before it.
    pub(in crate::stack) fn name(&self) -> &str {
        self.inspect
            .name
            .as_deref()
            .unwrap_or_default()
            .trim_start_matches('/')
    }

    /// When it was created, in ns since 1970.
    fn created(&self) -> Option<i64> {
        wall_ns(self.inspect.created.as_deref()?)
    }

    pub(in crate::stack) fn state(&self) -> RunState {
        let status = self.inspect.state.as_ref().and_then(|s| s.status);
        match status.unwrap_or(ContainerStateStatusEnum::EMPTY) {
            ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::STOPPING => {
                RunState::Running
            }
            ContainerStateStatusEnum::PAUSED => RunState::Paused,
            ContainerStateStatusEnum::RESTARTING => RunState::Restarting,
            ContainerStateStatusEnum::EMPTY
            | ContainerStateStatusEnum::CREATED
            | ContainerStateStatusEnum::REMOVING
            | ContainerStateStatusEnum::EXITED
            | ContainerStateStatusEnum::DEAD => RunState::Exited,
        }
    }

    pub(in crate::stack) fn health(&self) -> Health {
        let health = self.inspect.state.as_ref().and_then(|s| s.health.as_ref());
        match health
            .and_then(|h| h.status)
            .unwrap_or(HealthStatusEnum::NONE)
        {
            HealthStatusEnum::EMPTY | HealthStatusEnum::NONE => Health::Unchecked,
            HealthStatusEnum::STARTING => Health::Starting,
            HealthStatusEnum::HEALTHY => Health::Healthy,
            HealthStatusEnum::UNHEALTHY => Health::Unhealthy,
        }
    }

    /// Running and not failing (or still to pass) its health check.
    pub(in crate::stack) fn is_up(&self) -> bool {
        self.state() == RunState::Running
            && matches!(self.health(), Health::Healthy | Health::Unchecked)
    }

    pub(in crate::stack) fn exit_code(&self) -> i64 {
        self.inspect
            .state
            .as_ref()
            .and_then(|s| s.exit_code)
            .unwrap_or(0)
    }

    pub(in crate::stack) fn labels(&self) -> HashMap<String, String> {
        let config = self.inspect.config.as_ref();
        config.and_then(|c| c.labels.clone()).unwrap_or_default()
    }

    /// Its networks by name.
    pub(in crate::stack) fn networks(&self) -> BTreeMap<String, EndpointSettings> {
        let settings = self.inspect.network_settings.as_ref();
        let networks = settings
            .and_then(|s| s.networks.clone())
            .unwrap_or_default();
        networks.into_iter().collect()
    }

    /// Its addresses on its networks, in the order of the networks' names.
    pub(in crate::stack) fn addresses(&self) -> Vec<String> {
        let addresses = self.networks().into_values().filter_map(|n| n.ip_address);
        addresses.filter(|a| !a.is_empty()).collect()
    }

    /// For everyone above.
    pub(in crate::stack) fn component(&self) -> Component {
        let config = self.inspect.config.as_ref();
        let host = config
            .and_then(|c| c.hostname.clone())
            .filter(|h| !h.is_empty());
        let started = self
            .inspect
            .state
            .as_ref()
            .and_then(|s| s.started_at.as_deref());
        Component {
            id: self.id.clone(),
            host: host.unwrap_or_else(|| self.id12().to_owned()),
            handle: self.handle().to_owned(),
            name: self.name().to_owned(),
            addresses: self.addresses(),
            state: self.state(),
            health: self.health(),
            image: config.and_then(|c| c.image.clone()).unwrap_or_default(),
            started_ns: started.and_then(wall_ns).filter(|ns| *ns > 0),
            place: Place::default(),
        }
    }

    /// What sorts containers by their identity, those that serve before others of the same, then the newest.
    pub(in crate::stack) fn precedence(&self) -> (ComponentId, Reverse<(bool, bool, Option<i64>)>) {
        let rank = (
            self.is_up(),
            self.state() == RunState::Running,
            self.created(),
        );
        (self.id.clone(), Reverse(rank))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_described_as_the_engine_sees_it() {
        let inspect: ContainerInspectResponse = serde_json::from_value(serde_json::json!({
            "Id": "0123456789abcdef", "Name": "/p_web_1",
            "State": { "Status": "running", "StartedAt": "2026-01-02T03:04:05.000000006Z",
                       "Health": { "Status": "unhealthy" } },
            "Config": { "Hostname": "0123456789ab", "Image": "web:1" },
            "NetworkSettings": { "Networks": { "z": { "IPAddress": "10.0.1.2" }, "a": { "IPAddress": "10.0.0.2" },
                                               "gone": { "IPAddress": "" } } }
        }))
        .unwrap();
        let component = Container {
            id: ComponentId::new("web", 1),
            inspect,
        }
        .component();
        assert_eq!(component.addresses, ["10.0.0.2", "10.0.1.2"]);
        assert_eq!(
            (component.name.as_str(), component.host.as_str()),
            ("p_web_1", "0123456789ab")
        );
        assert_eq!(
            (component.state, component.health),
            (RunState::Running, Health::Unhealthy)
        );
        assert_eq!(component.started_ns, Some(1_767_323_045_000_000_006));
        assert_eq!(wall_ns("0001-01-01T00:00:00Z"), None, "never started");
    }
}
