//! Docker Compose: its command line reads the file and stands the project up; everything else is done through the
//! engine's API, by the labels that Compose gives to what it makes.

mod addresses;
mod checkup;
mod cli;
mod containers;
mod definition;
mod down;
mod engine;
mod events;
mod exec;
mod host_kill;
mod images;
mod inject;
mod inside;
mod logs;
mod networks;
mod partition;
mod ready;
mod resolved;
mod rollout;
mod scale;
mod scan;
mod settle;
mod skew;
mod tags;
mod undo;
mod up;

use std::collections::HashMap;
use std::path::Path;

use async_trait::async_trait;
use bollard::Docker;
use tokio::sync::{OnceCell, mpsc};

use self::engine::Project;
pub(super) use self::inside::Inside;
pub(super) use self::resolved::project_name;
pub(super) use self::scan::{Found, strays};
use super::docker::Container;
use super::own::not_own;
use super::{
    Applied, OwnedThing, Resolve, Stack, StackContext, StackError, Standing, UndoTag, Unheard,
    Verified,
};
use crate::model::{
    Component, ComponentId, ComposeSpec, Injection, Label, MachinesSpec, StackEvent, Undo,
};
pub use checkup::{Checkup, Engine, checkup};

/// A Compose project. Nothing is remembered between calls: every call asks the engine.
pub struct ComposeStack {
    origin: Origin,
    /// The project's name.
    name: String,
    context: StackContext,
    project: OnceCell<Project>,
}

/// How a project came to be there.
enum Origin {
    /// By this run, from a file.
    File(ComposeSpec),
    /// By whoever first needed the machines of this file.
    Machines {
        spec: ComposeSpec,
        /// They are nobody's to take down.
        keep: bool,
    },
    /// By somebody else.
    Adopted,
    /// By a run of which nothing is left but its marks.
    Stray,
}

impl ComposeStack {
    /// A project of the run's own, so that runs of the same file do not meet.
    #[must_use]
    pub fn new(spec: ComposeSpec, context: StackContext) -> Self {
        let name = format!("fd-{}", resolved::project_name(&context.run));
        Self {
            origin: Origin::File(spec),
            name,
            context,
            project: OnceCell::new(),
        }
    }

    /// The machines of a cluster, whose project bears the cluster's name: used by a run as they stand, made by one that
    /// finds none, and taken down by the run that made them unless they are kept.
    #[must_use]
    pub(super) fn machines(spec: MachinesSpec, context: StackContext) -> Self {
        let spec_of_project = ComposeSpec {
            file: spec.file,
            profiles: Vec::new(),
            env: spec.env,
            env_file: None,
            build: false,
            ready: None,
            services: Vec::new(),
        };
        Self {
            origin: Origin::Machines {
                spec: spec_of_project,
                keep: spec.keep,
            },
            name: format!("fd-cluster-{}", resolved::project_name(&spec.name)),
            context,
            project: OnceCell::new(),
        }
    }

    /// Each component with its labels.
    pub(super) async fn described(
        &self,
    ) -> Result<Vec<(Component, HashMap<String, String>)>, StackError> {
        let containers = self.project().await?.current().await?;
        Ok(containers
            .iter()
            .map(|c| (c.component(), c.labels()))
            .collect())
    }

    /// The engine that it runs on.
    pub(super) async fn engine(&self) -> Result<Docker, StackError> {
        Ok(self.project().await?.docker.clone())
    }

    /// A project that is there already: its containers can be hit and mended; it is neither started nor taken down.
    #[must_use]
    pub fn adopt(project: String, context: StackContext) -> Self {
        Self {
            origin: Origin::Adopted,
            name: project,
            context,
            project: OnceCell::new(),
        }
    }

    /// What a run left of a project: it can be mended, and what bears the run's mark can be taken away.
    #[must_use]
    pub(super) fn stray(project: String, context: StackContext) -> Self {
        Self {
            origin: Origin::Stray,
            name: project,
            context,
            project: OnceCell::new(),
        }
    }

    async fn project(&self) -> Result<&Project, StackError> {
        self.project
            .get_or_try_init(|| {
                let run = match &self.origin {
                    Origin::File(_) => Some(self.context.run.as_str()),
                    Origin::Machines { .. } | Origin::Adopted | Origin::Stray => None,
                };
                Project::reach(&self.context.docker, &self.name, run)
            })
            .await
    }
}

#[async_trait]
impl Stack for ComposeStack {
    async fn up(&self) -> Result<Standing, StackError> {
        match &self.origin {
            Origin::File(spec) => self.stand_up(spec, &self.marks()).await,
            Origin::Machines { spec, keep } => self.stand_up_once(spec, *keep).await,
            Origin::Adopted | Origin::Stray => {
                self.wait_until_ready(None).await?;
                Ok(Standing::default())
            }
        }
    }

    async fn components(&self) -> Result<Vec<Component>, StackError> {
        let containers = self.project().await?.current().await?;
        Ok(containers.iter().map(|c| c.component()).collect())
    }

    async fn untouchable(&self) -> Result<Vec<(ComponentId, String)>, StackError> {
        self.project().await?.untouchable().await
    }

    async fn labelled(&self, label: &Label) -> Result<Vec<ComponentId>, StackError> {
        let containers = self.project().await?.current().await?;
        let bears = |c: &&Container| c.labels().iter().any(|(key, value)| label.is(key, value));
        Ok(containers
            .iter()
            .filter(bears)
            .map(|c| c.id.clone())
            .collect())
    }

    async fn addresses(&self, service: &str, port: Option<u16>) -> Result<Vec<String>, StackError> {
        self.project().await?.addresses(service, port).await
    }

    async fn prepare(&self, injection: &Injection) -> Result<Undo, StackError> {
        let project = self.project().await?;
        not_own(injection, &project.untouchable().await?)?;
        project.prepare(injection, &self.context).await
    }

    async fn apply(&self, injection: &Injection, undo: &Undo) -> Result<Applied, StackError> {
        self.project()
            .await?
            .apply(injection, undo, &self.context)
            .await
    }

    async fn undo(&self, undo: &Undo, secrets: &dyn Resolve) -> Result<(), StackError> {
        match undo {
            Undo::Down => self.down().await,
            undo => self.project().await?.undo(undo, secrets).await,
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
        match &self.origin {
            Origin::File(_) => self.project().await?.down().await,
            Origin::Adopted => Ok(()),
            Origin::Machines { .. } | Origin::Stray => {
                self.project().await?.remove_of(&self.context.run).await
            }
        }
    }

    async fn tag(&self, tag: &UndoTag) -> Result<(), StackError> {
        self.project().await?.tag(&self.context, tag).await
    }

    async fn untag(&self, id: u64) -> Result<(), StackError> {
        self.project().await?.untag(&self.context.run, id).await
    }

    async fn owed_to_others(&self) -> Result<Vec<String>, StackError> {
        self.project().await?.owing(&self.context.run).await
    }

    async fn skew_ns(&self) -> Result<i64, StackError> {
        self.project().await?.skew_ns().await
    }
}
