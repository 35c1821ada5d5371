//! The machines of a cluster: containers of the engine at hand, each with an engine of its own.

use bollard::Docker;

use crate::model::{
    Component, ComponentId, Injection, MachinesSpec, NODE, NodeRole, RunState, Undo,
};
use crate::stack::compose::ComposeStack;
use crate::stack::docker::Endpoint;
use crate::stack::{
    Applied, OwnedThing, Resolve, Stack, StackContext, StackError, Standing, UndoTag, Verified,
};

/// Label that says what a machine is to be: `manager` or `worker`.
const ROLE: &str = "io.firedrill.swarm.role";
/// Label with its zone.
const ZONE: &str = "io.firedrill.swarm.zone";
/// Port of a machine's engine, in the clear, on the cluster's own network.
const ENGINE_PORT: u16 = 2375;

/// The Compose project of the machines.
pub(super) struct Machines(ComposeStack);

/// A machine.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    /// Its name in a scenario: `node/N`, the Nth by the name that its file gives it.
    pub(super) node: ComponentId,
    /// As a container of its project.
    pub(super) container: Component,
    /// What it is to be.
    pub(super) role: NodeRole,
    pub(super) zone: Option<String>,
}

impl Machine {
    /// Its address on the cluster's network.
    pub(super) fn address(&self) -> Option<&str> {
        self.container.addresses.first().map(String::as_str)
    }

    /// Where its engine listens, while it runs.
    pub(super) fn engine(&self) -> Option<Endpoint> {
        let runs = self.container.state == RunState::Running;
        let address = self.address().filter(|_| runs)?;
        Some(Endpoint::Tcp(format!("{address}:{ENGINE_PORT}")))
    }

    pub(super) fn is_manager(&self) -> bool {
        self.role.is(NodeRole::Manager)
    }
}

impl Machines {
    pub(super) fn new(spec: MachinesSpec, context: StackContext) -> Self {
        Self(ComposeStack::machines(spec, context))
    }

    /// Every machine that there is, in the order of their names.
    ///
    /// # Errors
    /// The engine's; a machine whose labels do not say what it is to be.
    pub(super) async fn list(&self) -> Result<Vec<Machine>, StackError> {
        let described = self.0.described().await?;
        let all = (1..)
            .zip(described)
            .map(|(index, (container, mut labels))| {
                let role = match labels.get(ROLE).map(String::as_str) {
                    Some("manager") => NodeRole::Manager,
                    Some("worker") => NodeRole::Worker,
                    other => return Err(unlabelled(&container, other)),
                };
                Ok(Machine {
                    node: ComponentId::new(NODE, index),
                    role,
                    zone: labels.remove(ZONE),
                    container,
                })
            });
        all.collect()
    }

    /// One machine.
    ///
    /// # Errors
    /// [`StackError::Unknown`].
    pub(super) async fn find(&self, node: &ComponentId) -> Result<Machine, StackError> {
        let all = self.list().await?;
        let has: Vec<String> = all.iter().map(|m| m.node.to_string()).collect();
        let found = all.into_iter().find(|m| m.node == *node);
        found.ok_or_else(|| StackError::Unknown {
            name: node.to_string(),
            has: if has.is_empty() {
                "no machines".to_owned()
            } else {
                has.join(", ")
            },
        })
    }

    /// The engine that they run on.
    pub(super) async fn engine(&self) -> Result<Docker, StackError> {
        self.0.engine().await
    }

    /// The project, for its events.
    pub(super) fn project(&self) -> &ComposeStack {
        &self.0
    }

    pub(super) async fn up(&self) -> Result<Standing, StackError> {
        self.0.up().await
    }

    pub(super) async fn down(&self) -> Result<(), StackError> {
        self.0.down().await
    }

    pub(super) async fn owned(&self) -> Result<Vec<OwnedThing>, StackError> {
        self.0.owned().await
    }

    pub(super) async fn untouchable(&self) -> Result<Vec<(ComponentId, String)>, StackError> {
        let own = self.0.untouchable().await?;
        if own.is_empty() {
            return Ok(Vec::new());
        }
        let all = self.list().await?;
        let node = |(id, why)| Some((all.iter().find(|m| m.container.id == id)?.node.clone(), why));
        Ok(own.into_iter().filter_map(node).collect())
    }

    pub(super) async fn prepare(
        &self,
        injection: &Injection,
        node: &ComponentId,
    ) -> Result<Undo, StackError> {
        let machine = self.find(node).await?;
        let undo = self
            .0
            .prepare(&injection.clone().on(&machine.container.id))
            .await?;
        Ok(undo.of(node))
    }

    pub(super) async fn apply(
        &self,
        injection: &Injection,
        undo: &Undo,
        node: &ComponentId,
    ) -> Result<Applied, StackError> {
        let own = self.find(node).await?.container.id;
        self.0
            .apply(&injection.clone().on(&own), &undo.clone().of(&own))
            .await
    }

    pub(super) async fn undo(
        &self,
        undo: &Undo,
        node: &ComponentId,
        secrets: &dyn Resolve,
    ) -> Result<(), StackError> {
        let own = self.find(node).await?.container.id;
        self.0.undo(&undo.clone().of(&own), secrets).await
    }

    pub(super) async fn verify(
        &self,
        undo: &Undo,
        node: &ComponentId,
    ) -> Result<Verified, StackError> {
        let own = self.find(node).await?.container.id;
        self.0.verify(&undo.clone().of(&own)).await
    }

    pub(super) async fn skew_ns(&self) -> Result<i64, StackError> {
        self.0.skew_ns().await
    }

    /// Keeps an undo under the name that whoever finds only the project knows the machine by.
    pub(super) async fn tag(&self, tag: &UndoTag) -> Result<(), StackError> {
        let Some(node) = tag.undo.component() else {
            return Ok(());
        };
        // The managers' to undo; a project of containers knows nothing of it.
        if matches!(tag.undo, Undo::Available { .. }) {
            return Ok(());
        }
        let own = self.find(node).await?.container.id;
        let tag = UndoTag {
            undo: tag.undo.clone().of(&own),
            ..tag.clone()
        };
        self.0.tag(&tag).await
    }

    pub(super) async fn untag(&self, id: u64) -> Result<(), StackError> {
        self.0.untag(id).await
    }

    pub(super) async fn owed_to_others(&self) -> Result<Vec<String>, StackError> {
        self.0.owed_to_others().await
    }
}

fn unlabelled(container: &Component, role: Option<&str>) -> StackError {
    let why = match role {
        Some(other) => format!("its label {ROLE} says `{other}`"),
        None => format!("it has no label {ROLE}"),
    };
    StackError::NotUp {
        why: format!(
            "what the machine {} is to be is not known: {why}; give its service in the cluster's file `{ROLE}: manager` or \
             `worker`",
            container.id
        ),
    }
}
