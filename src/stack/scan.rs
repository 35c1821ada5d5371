//! What runs left on the platforms that can be reached from here, by its marks alone: no journal is needed, and it may be
//! another machine than the run's.

use std::path::Path;
use std::sync::Arc;

use super::compose::ComposeStack;
use super::owner::Owner;
use super::process::{self, ProcessStack};
use super::{DockerEnv, OwnedThing, Stack, StackContext, StackError, UndoTag, compose};
use crate::model::{ComponentId, ProcessSpec};

/// What bears one run's marks on one platform.
#[derive(Debug, Clone)]
pub struct Stray {
    /// The run's id.
    pub run: String,
    /// Who stands behind it; `None` where the mark is missing or cannot be read.
    pub owner: Option<Owner>,
    /// What the run made.
    pub things: Vec<OwnedThing>,
    /// What it owes, oldest first.
    pub owed: Vec<UndoTag>,
    /// Marks that cannot be read: something may be owed there.
    pub unreadable: Vec<String>,
    /// Whether anything of what it is about is there, whoever made it.
    pub stands: bool,
    platform: Platform,
}

#[derive(Debug, Clone)]
enum Platform {
    /// The project that all is about.
    Compose(String),
    /// Processes, and those of them that are frozen.
    Processes(Vec<ComponentId>),
}

impl Stray {
    pub(super) fn of_project(run: String, owner: Option<Owner>, project: String) -> Self {
        Self {
            run,
            owner,
            things: Vec::new(),
            owed: Vec::new(),
            unreadable: Vec::new(),
            stands: false,
            platform: Platform::Compose(project),
        }
    }

    pub(super) fn of_processes(run: String, owner: Option<Owner>) -> Self {
        Self {
            run,
            owner,
            things: Vec::new(),
            owed: Vec::new(),
            unreadable: Vec::new(),
            stands: false,
            platform: Platform::Processes(Vec::new()),
        }
    }

    pub(super) fn froze(&mut self, component: ComponentId) {
        if let Platform::Processes(frozen) = &mut self.platform
            && !frozen.contains(&component)
        {
            frozen.push(component);
        }
    }

    /// Components that are frozen, where the platform keeps no undo but shows the fault itself.
    #[must_use]
    pub fn frozen(&self) -> &[ComponentId] {
        match &self.platform {
            Platform::Processes(frozen) => frozen,
            Platform::Compose(_) => &[],
        }
    }

    /// Where it is, in words: `compose project shop`.
    #[must_use]
    pub fn place(&self) -> String {
        match &self.platform {
            Platform::Compose(project) => format!("compose project {project}"),
            Platform::Processes(_) => "processes of this machine".to_owned(),
        }
    }

    /// The stack that it is a part of, to mend it and to take away what the run made.
    ///
    /// # Errors
    /// [`StackError`].
    pub fn stack(&self, context: StackContext) -> Result<Arc<dyn Stack>, StackError> {
        Ok(match &self.platform {
            Platform::Compose(project) => Arc::new(ComposeStack::stray(project.clone(), context)),
            Platform::Processes(_) => {
                // What they are made from is in their book, if that is still there.
                let spec = ProcessSpec {
                    services: std::collections::BTreeMap::new(),
                    ready: None,
                };
                Arc::new(ProcessStack::new(spec, context)?)
            }
        })
    }
}

/// What a look at every platform found.
#[derive(Debug, Default)]
pub struct Scan {
    /// By run.
    pub strays: Vec<Stray>,
    /// Platforms that could not be asked: nothing is known of what is left there.
    pub unasked: Vec<StackError>,
    /// Platforms that are not there, in words.
    pub absent: Vec<String>,
}

/// Looks for what bears the marks of any run: processes of this machine, and containers, networks and volumes of the
/// Docker engine that the environment names. `state_dir` is the folder of undos that have no other place.
pub async fn scan(docker: &DockerEnv, state_dir: Option<&Path>) -> Scan {
    let mut scan = Scan::default();
    match process::strays(state_dir) {
        Ok(strays) => scan.strays.extend(strays),
        Err(source) => scan.unasked.push(StackError::Io {
            path: "/proc".to_owned(),
            source,
        }),
    }
    match compose::strays(docker).await {
        Ok(compose::Found::Strays(strays)) => scan.strays.extend(strays),
        Ok(compose::Found::NoEngine(endpoint)) => {
            scan.absent.push(format!("no Docker engine at {endpoint}"))
        }
        Err(error) => scan.unasked.push(error),
    }
    scan.strays.sort_by(|a, b| a.run.cmp(&b.run));
    scan
}
