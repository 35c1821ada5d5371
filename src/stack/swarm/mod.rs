//! Docker Swarm: the `docker` command line deploys the stack file, everything else is done through the engines' APIs.
//!
//! A stack has up to three parts: the machines, containers of the engine at hand that run engines of their own (a
//! Compose project); the services on the Swarm; and what stands outside it (another Compose project). Components of
//! all three go by names that do not meet; a machine is `node/N`, the Nth by its name.

mod addresses;
mod base;
mod before;
mod claim;
mod cluster;
mod definition;
mod deploy;
mod down;
mod engines;
mod events;
mod images;
mod inject;
mod leftovers;
mod logs;
mod machines;
mod nodes;
mod services;
mod tasks;
mod undo;
mod up;
mod update;

use std::path::Path;

use async_trait::async_trait;
use tokio::sync::mpsc;

use self::engines::Engines;
use self::events::Cut;
use self::machines::Machines;
use super::compose::ComposeStack;
use super::own::not_own;
use super::{
    Applied, OwnedThing, Resolve, Stack, StackContext, StackError, Standing, UndoTag, Unheard,
    Verified,
};
use crate::model::{Component, ComponentId, Injection, Label, NODE, StackEvent, SwarmSpec, Undo};

/// What the name of every stack begins with that firedrill deploys.
const OWN: &str = "fd-";

/// A stack on a Swarm. Nothing is remembered between calls but connections and the machines that this run has cut off: every
/// call asks the engines.
pub struct SwarmStack {
    spec: SwarmSpec,
    context: StackContext,
    /// What `docker stack` calls it: the run's own, so that runs of the same file do not meet.
    name: String,
    machines: Option<Machines>,
    outside: Option<ComposeStack>,
    engines: Engines,
    cut: Cut,
}

/// Which part of the stack a component belongs to.
enum Part<'a> {
    Node,
    Outside(&'a ComposeStack),
    Service,
}

impl SwarmStack {
    /// The stack of a run.
    #[must_use]
    pub fn new(spec: SwarmSpec, context: StackContext) -> Self {
        let machines = spec.machines.clone();
        let machines = machines.map(|machines| Machines::new(machines, context.clone()));
        let outside = spec.outside.clone();
        let outside = outside.map(|outside| ComposeStack::new(outside, context.clone()));
        Self {
            name: format!("{OWN}{}", super::compose::project_name(&context.run)),
            engines: Engines::default(),
            cut: Cut::default(),
            machines,
            outside,
            spec,
            context,
        }
    }

    /// The same stack, for what goes on beside every call.
    fn another(&self) -> Self {
        Self {
            cut: Cut::clone(&self.cut),
            ..Self::new(self.spec.clone(), self.context.clone())
        }
    }

    fn part(&self, service: &str) -> Part<'_> {
        let outside = || {
            let spec = self.spec.outside.as_ref()?;
            let own = spec.services.iter().any(|own| own == service);
            self.outside.as_ref().filter(|_| own)
        };
        if service == NODE {
            Part::Node
        } else {
            outside().map_or(Part::Service, Part::Outside)
        }
    }

    /// The machines, where firedrill reaches them.
    fn machines(&self, call: &str) -> Result<&Machines, StackError> {
        self.machines
            .as_ref()
            .ok_or_else(|| StackError::Unsupported {
                action: call.to_owned(),
                platform: "a Swarm that was there already".to_owned(),
                why: "firedrill reaches its managers, and no machine".to_owned(),
            })
    }
}

#[async_trait]
impl Stack for SwarmStack {
    async fn up(&self) -> Result<Standing, StackError> {
        self.stand_up().await
    }

    async fn components(&self) -> Result<Vec<Component>, StackError> {
        let outside = async {
            match &self.outside {
                Some(outside) => outside.components().await,
                None => Ok(Vec::new()),
            }
        };
        let (outside, nodes) = tokio::try_join!(outside, self.node_components())?;
        let tasks = self.task_components(&nodes).await?;
        let mut all: Vec<Component> = outside.into_iter().chain(nodes).chain(tasks).collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(all)
    }

    async fn untouchable(&self) -> Result<Vec<(ComponentId, String)>, StackError> {
        let mut all = self.own().await?;
        // What runs there may be protected. Of one that this run itself has cut off no more can be known.
        let silent = self.unasked().await?.into_iter();
        let silent = silent.filter(|node| !self.cut().contains(node));
        all.extend(silent.map(|node| (node, "its engine does not say what runs on it".to_owned())));
        Ok(all)
    }

    async fn labelled(&self, label: &Label) -> Result<Vec<ComponentId>, StackError> {
        let mut all = match &self.outside {
            Some(outside) => outside.labelled(label).await?,
            None => Vec::new(),
        };
        all.extend(self.labelled_nodes(label).await?);
        all.extend(self.labelled_tasks(label).await?);
        Ok(all)
    }

    async fn addresses(&self, service: &str, port: Option<u16>) -> Result<Vec<String>, StackError> {
        match self.part(service) {
            Part::Outside(outside) => outside.addresses(service, port).await,
            Part::Node => self.node_addresses(port).await,
            Part::Service => self.service_addresses(service, port).await,
        }
    }

    async fn prepare(&self, injection: &Injection) -> Result<Undo, StackError> {
        not_own(injection, &self.own().await?)?;
        self.prepare_for(injection).await
    }

    async fn apply(&self, injection: &Injection, undo: &Undo) -> Result<Applied, StackError> {
        self.inject(injection, undo).await
    }

    async fn undo(&self, undo: &Undo, secrets: &dyn Resolve) -> Result<(), StackError> {
        self.mend(undo, secrets).await
    }

    async fn verify(&self, undo: &Undo) -> Result<Verified, StackError> {
        self.mended(undo).await
    }

    async fn watch(
        &self,
        events: mpsc::UnboundedSender<StackEvent>,
        unheard: mpsc::UnboundedSender<Unheard>,
    ) -> Result<(), StackError> {
        self.report(events, unheard).await
    }

    async fn logs(&self, since_ns: i64, path: &Path) -> Result<(), StackError> {
        if let Some(outside) = &self.outside {
            outside.logs(since_ns, path).await?;
        }
        self.task_logs(since_ns, path).await
    }

    async fn reachable(&self) -> Result<(), StackError> {
        match &self.machines {
            // Machines may all have stopped, with their host, say: the managers answer once `up` has started them.
            Some(machines) => machines.owned().await.map(drop),
            None => self.owned().await.map(drop),
        }
    }

    async fn owned(&self) -> Result<Vec<OwnedThing>, StackError> {
        let mut all = match (&self.outside, &self.machines) {
            // Both look on the same engine, by the run's mark alone.
            (Some(outside), _) => outside.owned().await?,
            (None, Some(machines)) => machines.owned().await?,
            (None, None) => Vec::new(),
        };
        all.extend(self.deployed().await?);
        Ok(all)
    }

    async fn down(&self) -> Result<(), StackError> {
        self.take_down().await
    }

    async fn skew_ns(&self) -> Result<i64, StackError> {
        match (&self.machines, &self.outside) {
            // Their clock is the clock of the engine that they run on.
            (Some(machines), _) => machines.skew_ns().await,
            (None, Some(outside)) => outside.skew_ns().await,
            (None, None) => self.manager_skew_ns().await,
        }
    }

    async fn tag(&self, tag: &UndoTag) -> Result<(), StackError> {
        let component = tag.undo.component();
        match component.map(|c| self.part(&c.service)) {
            Some(Part::Node) => match &self.machines {
                Some(machines) => machines.tag(tag).await,
                None => Ok(()),
            },
            Some(Part::Outside(outside)) => outside.tag(tag).await,
            Some(Part::Service) | None => Ok(()),
        }
    }

    async fn untag(&self, id: u64) -> Result<(), StackError> {
        // Marks are found by the run and the number.
        match (&self.machines, &self.outside) {
            (Some(machines), _) => machines.untag(id).await,
            (None, Some(outside)) => outside.untag(id).await,
            (None, None) => Ok(()),
        }
    }

    async fn owed_to_others(&self) -> Result<Vec<String>, StackError> {
        let mut runs = match &self.outside {
            Some(outside) => outside.owed_to_others().await?,
            None => Vec::new(),
        };
        if let Some(machines) = &self.machines {
            runs.extend(machines.owed_to_others().await?);
        }
        Ok(runs)
    }
}
