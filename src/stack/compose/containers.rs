//! The project's containers, as components.

use std::collections::HashMap;

use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use futures_util::future::try_join_all;

use super::down::RUN;
use super::engine::Project;
use crate::model::ComponentId;
use crate::stack::StackError;
use crate::stack::docker::{Container, status};

pub(super) const PROJECT: &str = "com.docker.compose.project";
pub(super) const SERVICE: &str = "com.docker.compose.service";
pub(super) const NUMBER: &str = "com.docker.compose.container-number";
const ONE_OFF: &str = "com.docker.compose.oneoff";

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
        found.sort_by_cached_key(Container::precedence);
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
}
