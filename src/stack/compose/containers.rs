//! The project's containers, as components.

use std::collections::HashMap;
use std::time::Duration;

use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use futures_util::future::try_join_all;
use tokio::time::{Instant, sleep};

use super::down::RUN;
use super::engine::Project;
use crate::model::ComponentId;
use crate::stack::StackError;
use crate::stack::docker::{Container, status};

pub(super) const PROJECT: &str = "com.docker.compose.project";
pub(super) const SERVICE: &str = "com.docker.compose.service";
pub(super) const NUMBER: &str = "com.docker.compose.container-number";
const ONE_OFF: &str = "com.docker.compose.oneoff";

/// How long a container may be listed without being known: volumes with much in them are filled before.
const COMING: Duration = Duration::from_secs(60);
/// Between two looks at it.
const POLL: Duration = Duration::from_millis(50);

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
        Ok(self.look().await?.0)
    }

    /// As [`Project::containers`], once the engine knows every one that it lists. An engine lists a container before it
    /// can be asked for it, and makes it whole even when whoever wanted it has gone, so who restores a service after a
    /// call that was cut short would miss it
    /// (<https://github.com/moby/moby/blob/v20.10.9/daemon/create.go>: `setHostConfig` comes before `Register`).
    ///
    /// # Errors
    /// The engine's; [`StackError::Call`] for one that it lists for a minute and does not know.
    pub(super) async fn containers_made(&self) -> Result<Vec<Container>, StackError> {
        let begun = Instant::now();
        loop {
            let (found, unknown) = self.look().await?;
            let Some((id, handle)) = unknown.into_iter().next() else {
                return Ok(found);
            };
            if begun.elapsed() >= COMING {
                let waited = humantime::format_duration(COMING);
                return Err(StackError::Call {
                    call: "inspect".to_owned(),
                    component: id.to_string(),
                    why: format!(
                        "for {waited} the engine has listed container {handle} and said that there is none; `docker rm \
                         --force {handle}` removes it, or a restart of the engine"
                    ),
                });
            }
            sleep(POLL).await;
        }
    }

    /// The containers that the engine lists and knows, and those that it lists only.
    async fn look(&self) -> Result<(Vec<Container>, Vec<(ComponentId, String)>), StackError> {
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
            let handle = summary.id?;
            Some(async move {
                let seen = self.inspect(id.clone(), handle.clone()).await?;
                Ok::<_, StackError>(seen.ok_or((id, handle)))
            })
        });
        let (mut found, mut unknown) = (Vec::new(), Vec::new());
        for seen in try_join_all(inspected).await? {
            match seen {
                Ok(container) => found.push(container),
                Err(listed) => unknown.push(listed),
            }
        }
        found.sort_by_cached_key(Container::precedence);
        Ok((found, unknown))
    }

    /// `None` if the engine knows none: it has gone since it was listed, or is still to come.
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
        Ok(one_each(self.containers().await?))
    }

    /// As [`Project::current`], of [`Project::containers_made`].
    ///
    /// # Errors
    /// As there.
    pub(super) async fn current_made(&self) -> Result<Vec<Container>, StackError> {
        Ok(one_each(self.containers_made().await?))
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

fn one_each(mut all: Vec<Container>) -> Vec<Container> {
    all.dedup_by(|b, a| a.id == b.id);
    all
}

/// The error for a service or a replica that is not there.
pub(super) fn unknown(name: &str, has: &[String]) -> StackError {
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
