//! The project's containers, as components.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, EndpointSettings, HealthStatusEnum,
};
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use futures_util::future::try_join_all;

use super::down::RUN;
use super::engine::{Project, status};
use crate::model::{Component, ComponentId, Health, RunState};
use crate::stack::StackError;

pub(super) const PROJECT: &str = "com.docker.compose.project";
pub(super) const SERVICE: &str = "com.docker.compose.service";
pub(super) const NUMBER: &str = "com.docker.compose.container-number";
const ONE_OFF: &str = "com.docker.compose.oneoff";

/// A container of the project.
#[derive(Debug, Clone)]
pub(super) struct Container {
    pub(super) id: ComponentId,
    pub(super) inspect: ContainerInspectResponse,
}

/// The identity that a container's labels give it; `docker-compose run` leaves containers that are no replicas.
pub(super) fn identity(labels: &HashMap<String, String>) -> Option<ComponentId> {
    if labels.get(ONE_OFF).is_some_and(|v| v == "True") {
        return None;
    }
    let number = labels.get(NUMBER)?.parse().ok()?;
    Some(ComponentId::new(labels.get(SERVICE)?, number))
}

/// Whether a container was made by the run whose own the project is; in one that was there already, every one is as good.
fn made_by(run: Option<&str>, labels: &HashMap<String, String>) -> bool {
    run.is_none_or(|run| labels.get(RUN).is_some_and(|label| label == run))
}

impl Project {
    /// Every container, the running and the healthy before others of the same identity, then the newest.
    ///
    /// # Errors
    /// The engine's.
    pub(super) async fn containers(&self) -> Result<Vec<Container>, StackError> {
        let filters = HashMap::from([("label", vec![format!("{PROJECT}={}", self.name)])]);
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&filters)
            .build();
        let list = self.docker.list_containers(Some(options)).await;
        let list = list.map_err(|e| self.error("list containers", &self.name, &e))?;
        let inspected = list.into_iter().filter_map(|summary| {
            let labels = summary.labels.as_ref()?;
            let id = identity(labels).filter(|_| made_by(self.run.as_deref(), labels))?;
            Some(self.inspect(id, summary.id?))
        });
        let mut found: Vec<Container> = try_join_all(inspected)
            .await?
            .into_iter()
            .flatten()
            .collect();
        found.sort_by_cached_key(|c| {
            let rank = (c.is_up(), c.state() == RunState::Running, c.created());
            (c.id.clone(), Reverse(rank))
        });
        Ok(found)
    }

    /// `None` if it has gone since it was listed.
    pub(super) async fn inspect(
        &self,
        id: ComponentId,
        handle: String,
    ) -> Result<Option<Container>, StackError> {
        match self
            .docker
            .inspect_container(&handle, None::<InspectContainerOptions>)
            .await
        {
            Ok(inspect) => Ok(Some(Container { id, inspect })),
            Err(e) if status(&e) == Some(404) => Ok(None),
            Err(e) => Err(self.error("inspect", id, &e)),
        }
    }

    /// One container for each identity, in their order. While an update replaces a replica there are two.
    ///
    /// # Errors
    /// The engine's.
    pub(super) async fn current(&self) -> Result<Vec<Container>, StackError> {
        let mut all = self.containers().await?;
        all.dedup_by(|b, a| a.id == b.id);
        Ok(all)
    }

    /// The containers of one service, one for each identity.
    ///
    /// # Errors
    /// [`StackError::Unknown`] for a service without containers.
    pub(super) async fn service(&self, service: &str) -> Result<Vec<Container>, StackError> {
        let all = self.current().await?;
        let mut has: Vec<String> = all.iter().map(|c| c.id.service.clone()).collect();
        let of: Vec<Container> = all
            .into_iter()
            .filter(|c| c.id.service == service)
            .collect();
        if of.is_empty() {
            has.dedup();
            return Err(unknown(service, &has));
        }
        Ok(of)
    }

    /// One container.
    ///
    /// # Errors
    /// [`StackError::Unknown`] if there is no such replica.
    pub(super) async fn find(&self, id: &ComponentId) -> Result<Container, StackError> {
        let of = self.service(&id.service).await?;
        let has: Vec<String> = of.iter().map(|c| c.id.to_string()).collect();
        of.into_iter()
            .find(|c| c.id == *id)
            .ok_or_else(|| unknown(&id.to_string(), &has))
    }
}

fn unknown(name: &str, has: &[String]) -> StackError {
    let has = if has.is_empty() {
        "no containers".to_owned()
    } else {
        has.join(", ")
    };
    StackError::Unknown {
        name: name.to_owned(),
        has,
    }
}

impl Container {
    /// The engine's id of it.
    pub(super) fn handle(&self) -> &str {
        self.inspect.id.as_deref().unwrap_or_default()
    }

    pub(super) fn id12(&self) -> &str {
        self.handle().get(..12).unwrap_or_default()
    }

    /// Its name without the slash that the engine puts before it.
    pub(super) fn name(&self) -> &str {
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

    pub(super) fn state(&self) -> RunState {
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

    pub(super) fn health(&self) -> Health {
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
    pub(super) fn is_up(&self) -> bool {
        self.state() == RunState::Running
            && matches!(self.health(), Health::Healthy | Health::Unchecked)
    }

    pub(super) fn exit_code(&self) -> i64 {
        self.inspect
            .state
            .as_ref()
            .and_then(|s| s.exit_code)
            .unwrap_or(0)
    }

    pub(super) fn labels(&self) -> HashMap<String, String> {
        let config = self.inspect.config.as_ref();
        config.and_then(|c| c.labels.clone()).unwrap_or_default()
    }

    /// Its networks by name.
    pub(super) fn networks(&self) -> BTreeMap<String, EndpointSettings> {
        let settings = self.inspect.network_settings.as_ref();
        let networks = settings
            .and_then(|s| s.networks.clone())
            .unwrap_or_default();
        networks.into_iter().collect()
    }

    /// Its addresses on its networks, in the order of the networks' names.
    pub(super) fn addresses(&self) -> Vec<String> {
        let addresses = self.networks().into_values().filter_map(|n| n.ip_address);
        addresses.filter(|a| !a.is_empty()).collect()
    }

    /// For everyone above.
    pub(super) fn component(&self) -> Component {
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
        }
    }
}

/// Nanoseconds since 1970 of an engine's time.
pub(super) fn wall_ns(time: &str) -> Option<i64> {
    let time: jiff::Timestamp = time.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn identity_is_service_and_number_and_one_offs_have_none() {
        let replica = [(SERVICE, "web"), (NUMBER, "2"), (ONE_OFF, "False")];
        assert_eq!(
            identity(&labels(&replica)),
            Some(ComponentId::new("web", 2))
        );
        assert_eq!(
            identity(&labels(&[
                (SERVICE, "web"),
                (NUMBER, "1"),
                (ONE_OFF, "True")
            ])),
            None
        );
        assert_eq!(identity(&labels(&[(SERVICE, "web")])), None);
    }

    #[test]
    fn what_another_made_is_none_of_the_runs() {
        let ours = labels(&[(SERVICE, "web"), (NUMBER, "1"), (RUN, "r1")]);
        let theirs = labels(&[(SERVICE, "web"), (NUMBER, "1")]);
        assert!(made_by(Some("r1"), &ours));
        assert!(!made_by(Some("r1"), &theirs) && !made_by(Some("r2"), &ours));
        assert!(made_by(None, &theirs));
    }

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
