//! Docker Compose: its command line reads the file and stands the project up; everything else is done through the
//! engine's API, by the labels that Compose gives to what it makes.

mod addresses;
mod checkup;
mod cli;
mod containers;
mod definition;
mod down;
mod endpoint;
mod engine;
mod events;
mod exec;
mod host_kill;
mod images;
mod inject;
mod logs;
mod networks;
mod ready;
mod resolved;
mod rollout;
mod scale;
mod settle;
mod skew;
mod undo;
mod up;

use std::path::Path;

use async_trait::async_trait;
use tokio::sync::{OnceCell, mpsc};

use self::engine::Project;
use super::{
    Applied, OwnedThing, Resolve, Stack, StackContext, StackError, Standing, Unheard, Verified,
};
use crate::model::{Component, ComposeSpec, Injection, StackEvent, Undo};
pub use checkup::{Checkup, Engine, checkup};

/// A Compose project. Nothing is remembered between calls: every call asks the engine.
pub struct ComposeStack {
    /// `None` for a project that was there already.
    spec: Option<ComposeSpec>,
    /// The project's name.
    name: String,
    context: StackContext,
    project: OnceCell<Project>,
}

impl ComposeStack {
    /// A project of the run's own, so that runs of the same file do not meet.
    #[must_use]
    pub fn new(spec: ComposeSpec, context: StackContext) -> Self {
        let name = format!("fd-{}", resolved::project_name(&context.run));
        Self {
            spec: Some(spec),
            name,
            context,
            project: OnceCell::new(),
        }
    }

    /// A project that is there already: its containers can be hit and mended; it is neither started nor taken down.
    #[must_use]
    pub fn adopt(project: String, context: StackContext) -> Self {
        Self {
            spec: None,
            name: project,
            context,
            project: OnceCell::new(),
        }
    }

    async fn project(&self) -> Result<&Project, StackError> {
        self.project
            .get_or_try_init(|| Project::reach(&self.context.docker, &self.name))
            .await
    }
}

#[async_trait]
impl Stack for ComposeStack {
    async fn up(&self) -> Result<Standing, StackError> {
        match &self.spec {
            Some(spec) => self.stand_up(spec).await,
            None => {
                self.wait_until_ready(None).await?;
                Ok(Standing::default())
            }
        }
    }

    async fn components(&self) -> Result<Vec<Component>, StackError> {
        let containers = self.project().await?.current().await?;
        Ok(containers.iter().map(|c| c.component()).collect())
    }

    async fn addresses(&self, service: &str, port: Option<u16>) -> Result<Vec<String>, StackError> {
        self.project().await?.addresses(service, port).await
    }

    async fn prepare(&self, injection: &Injection) -> Result<Undo, StackError> {
        self.project().await?.prepare(injection).await
    }

    async fn apply(&self, injection: &Injection, undo: &Undo) -> Result<Applied, StackError> {
        let secrets = self.context.secrets.as_ref();
        let project = self.project().await?;
        project
            .apply(injection, undo, secrets, &self.context.run)
            .await
    }

    async fn undo(&self, undo: &Undo, secrets: &dyn Resolve) -> Result<(), StackError> {
        match (undo, &self.spec) {
            (Undo::Down, None) => Ok(()),
            (undo, _) => self.project().await?.undo(undo, secrets).await,
        }
    }

    async fn verify(&self, undo: &Undo) -> Result<Verified, StackError> {
        self.project().await?.verify(undo).await
    }

    async fn watch(
        &self,
        events: mpsc::UnboundedSender<StackEvent>,
        unheard: mpsc::UnboundedSender<Unheard>,
    ) -> Result<(), StackError> {
        self.project().await?.watch(events, unheard).await
    }

    async fn logs(&self, since_ns: i64, path: &Path) -> Result<(), StackError> {
        let redactor = &self.context.redactor;
        self.project().await?.logs(since_ns, redactor, path).await
    }

    async fn owned(&self) -> Result<Vec<OwnedThing>, StackError> {
        self.project().await?.owned(&self.context.run).await
    }

    async fn down(&self) -> Result<(), StackError> {
        match &self.spec {
            Some(_) => self.project().await?.down().await,
            None => Ok(()),
        }
    }

    async fn skew_ns(&self) -> Result<i64, StackError> {
        self.project().await?.skew_ns().await
    }
}
