//! A stack that is already there: addresses, and the containers of an adopted Compose project where one is named.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::ready::Prober;
use super::undo_files;
use super::{
    Applied, OwnedThing, Resolve, Stack, StackContext, StackError, Standing, Surroundings, UndoTag,
    Unheard, Verified,
};
use crate::model::{
    Component, ComponentId, ExternalSpec, Health, Injection, Label, Place, Ready, RunState,
    StackEvent, Undo,
};

/// See the module. Whatever it cannot do itself is the adopted project's.
pub(super) struct ExternalStack {
    spec: ExternalSpec,
    context: StackContext,
    project: Option<Arc<dyn Stack>>,
    prober: Prober,
}

impl ExternalStack {
    pub(super) fn new(
        spec: ExternalSpec,
        context: StackContext,
        project: Option<Arc<dyn Stack>>,
    ) -> Self {
        Self {
            spec,
            context,
            project,
            prober: Prober::default(),
        }
    }

    fn project(&self, action: &str) -> Result<&dyn Stack, StackError> {
        self.project
            .as_deref()
            .ok_or_else(|| StackError::Unsupported {
                action: action.to_owned(),
                platform: "external".to_owned(),
                why: "it is only addresses to firedrill; name its `compose_project`".to_owned(),
            })
    }

    /// The addresses written for a service; `None` if it has none of its own.
    fn written(&self, service: &str) -> Result<Option<Vec<String>>, StackError> {
        let Some(template) = self.spec.addresses.get(service) else {
            return Ok(None);
        };
        let text = Surroundings::of(&self.context)
            .resolve(template)
            .map_err(|source| StackError::Template {
                place: format!("stack.external.addresses.{service}"),
                source,
            })?;
        Ok(Some(
            text.split(',')
                .map(|address| address.trim().to_owned())
                .collect(),
        ))
    }

    fn unknown(&self, service: &str) -> StackError {
        let has: Vec<&str> = self.spec.addresses.keys().map(String::as_str).collect();
        StackError::Unknown {
            name: service.to_owned(),
            has: has.join(", "),
        }
    }
}

#[async_trait]
impl Stack for ExternalStack {
    async fn up(&self) -> Result<Standing, StackError> {
        if let Some(project) = &self.project {
            project.up().await?;
        }
        if let Some(Ready {
            http: Some(http),
            within,
        }) = &self.spec.ready
        {
            let values = Surroundings::gather(&self.context, self, http.variables()).await?;
            let place = "stack.external.ready".to_owned();
            let url = values
                .resolve(http)
                .map_err(|source| StackError::Template { place, source })?;
            self.prober
                .until_ready(&http.to_string(), &url, *within, || Ok(()))
                .await?;
        }
        Ok(Standing::default())
    }

    /// The project's containers; else what the addresses name, taken to be running, for nothing more is known of it.
    async fn components(&self) -> Result<Vec<Component>, StackError> {
        if let Some(project) = &self.project {
            return project.components().await;
        }
        let mut components = Vec::new();
        for service in self.spec.addresses.keys() {
            for (address, index) in self
                .written(service)?
                .unwrap_or_default()
                .into_iter()
                .zip(1..)
            {
                let id = ComponentId::new(service.clone(), index);
                components.push(Component {
                    host: String::new(),
                    handle: String::new(),
                    name: id.to_string(),
                    addresses: vec![address],
                    state: RunState::Running,
                    health: Health::Unchecked,
                    image: String::new(),
                    started_ns: None,
                    place: Place::default(),
                    id,
                });
            }
        }
        Ok(components)
    }

    async fn untouchable(&self) -> Result<Vec<(ComponentId, String)>, StackError> {
        match &self.project {
            Some(project) => project.untouchable().await,
            None => Ok(vec![]),
        }
    }

    async fn labelled(&self, label: &Label) -> Result<Vec<ComponentId>, StackError> {
        self.project("a label")?.labelled(label).await
    }

    async fn addresses(&self, service: &str, port: Option<u16>) -> Result<Vec<String>, StackError> {
        match (port, self.written(service)?, &self.project) {
            (None, Some(written), _) => Ok(written),
            (_, _, Some(project)) => project.addresses(service, port).await,
            (_, _, None) => Err(self.unknown(service)),
        }
    }

    async fn prepare(&self, injection: &Injection) -> Result<Undo, StackError> {
        self.project("a fault")?.prepare(injection).await
    }

    async fn apply(&self, injection: &Injection, undo: &Undo) -> Result<Applied, StackError> {
        self.project("a fault")?.apply(injection, undo).await
    }

    async fn undo(&self, undo: &Undo, secrets: &dyn Resolve) -> Result<(), StackError> {
        self.project("an undo")?.undo(undo, secrets).await
    }

    async fn verify(&self, undo: &Undo) -> Result<Verified, StackError> {
        self.project("an undo")?.verify(undo).await
    }

    async fn watch(
        &self,
        events: mpsc::UnboundedSender<StackEvent>,
        unheard: mpsc::UnboundedSender<Unheard>,
    ) -> Result<(), StackError> {
        match &self.project {
            Some(project) => project.watch(events, unheard).await,
            None => Ok(()),
        }
    }

    async fn logs(&self, since_ns: i64, path: &Path) -> Result<(), StackError> {
        match &self.project {
            Some(project) => project.logs(since_ns, path).await,
            None => Ok(()),
        }
    }

    async fn owned(&self) -> Result<Vec<OwnedThing>, StackError> {
        match &self.project {
            Some(project) => project.owned().await,
            None => Ok(vec![]),
        }
    }

    async fn down(&self) -> Result<(), StackError> {
        match &self.project {
            Some(project) => project.down().await,
            None => Ok(()),
        }
    }

    async fn tag(&self, tag: &UndoTag) -> Result<(), StackError> {
        match &self.project {
            Some(project) => project.tag(tag).await,
            None => undo_files::keep(&self.context, tag),
        }
    }

    async fn untag(&self, id: u64) -> Result<(), StackError> {
        match &self.project {
            Some(project) => project.untag(id).await,
            None => undo_files::forget(&self.context, id),
        }
    }

    async fn owed_to_others(&self) -> Result<Vec<String>, StackError> {
        match &self.project {
            Some(project) => project.owed_to_others().await,
            None => Ok(vec![]),
        }
    }

    async fn skew_ns(&self) -> Result<i64, StackError> {
        match &self.project {
            Some(project) => project.skew_ns().await,
            None => Ok(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Redactor, StackSpec, Template};
    use crate::stack::{DockerEnv, Owner, SecretStore, open};
    use std::collections::BTreeMap;

    fn stack(addresses: &[(&str, &str)]) -> Arc<dyn Stack> {
        let addresses = addresses
            .iter()
            .map(|(n, a)| ((*n).to_owned(), Template::parse(a).unwrap()))
            .collect();
        let context = StackContext {
            run: "r".into(),
            owner: Owner::default(),
            run_dir: "/nowhere".into(),
            scenario_dir: "/nowhere".into(),
            state_dir: None,
            firedrill: "firedrill".into(),
            ports: BTreeMap::from([(1, 8080)]),
            secrets: Arc::new(SecretStore::new(BTreeMap::new(), "/nowhere".into())),
            redactor: Redactor::default(),
            docker: DockerEnv::default(),
        };
        open(
            &StackSpec::External(ExternalSpec {
                addresses,
                compose_project: None,
                ready: None,
            }),
            context,
        )
        .unwrap()
    }

    #[tokio::test]
    async fn addresses_are_those_written_and_nothing_can_be_hurt() {
        let stack = stack(&[("edge", "127.0.0.1:${free_port#1}, 10.0.0.2:80")]);
        stack.up().await.unwrap();
        assert_eq!(
            stack.addresses("edge", None).await.unwrap(),
            ["127.0.0.1:8080", "10.0.0.2:80"]
        );
        assert!(matches!(
            stack.addresses("db", None).await,
            Err(StackError::Unknown { .. })
        ));
        assert!(stack.components().await.unwrap()[1].answers_to("edge/2"));
        let pause = Injection::Pause {
            component: ComponentId::new("edge", 1),
        };
        assert!(matches!(
            stack.prepare(&pause).await,
            Err(StackError::Unsupported { .. })
        ));
        assert!(stack.owned().await.unwrap().is_empty());
        stack.down().await.unwrap();
    }
}
