//! What a step does to the stack.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ComponentId, NODE, Ratio, Template};

/// How many of a target are taken.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Take {
    /// All of them.
    All,
    /// So many.
    Count(u32),
    /// A share, rounded down, at least one.
    Share(Ratio),
}

/// A signal that a kill sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the documentation")]
#[serde(rename_all = "UPPERCASE")]
pub enum Signal {
    SigKill,
    SigTerm,
    SigInt,
    SigQuit,
    SigHup,
    SigAbrt,
    SigUsr1,
    SigUsr2,
}

/// An HTTP call of the user's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HttpCall {
    /// Method, upper case.
    pub method: String,
    /// Address.
    pub url: Template,
    /// Headers in order.
    pub headers: Vec<(String, Template)>,
    /// Body, if any.
    pub body: Option<Template>,
}

/// What an update changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateChange {
    /// The image.
    Image(Template),
    /// Environment variables, added to or in place of the old ones.
    Env(BTreeMap<String, Template>),
    /// The command line.
    Command(Vec<Template>),
    /// The files that define the whole stack, later ones over earlier ones: what they change of any service rolls out.
    Files(Vec<PathBuf>),
    /// Nothing: each replica is replaced by one of the same definition, so that the platform places it anew.
    Again,
    /// Done by the user's own tool, watched the same way; `undo: None` is `undo: none`.
    By {
        /// Command line that updates; it ends when the update is through.
        run: Vec<Template>,
        /// Command line that puts the old version back.
        undo: Option<Vec<Template>>,
    },
}

/// What is done to a node of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeFault {
    /// Its power goes: nothing on it ends in order.
    Kill,
    /// It is shut down in order, and cut off after `grace`.
    Stop {
        /// Time between the two.
        grace: Duration,
    },
    /// It freezes with everything on it.
    Pause,
    /// It is taken off the cluster's network, and hears of it.
    Disconnect,
    /// Its packets are dropped without a word to either side.
    Partition,
    /// The cluster moves its tasks elsewhere and gives it no new ones.
    Drain,
}

/// What a node is to its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeRole {
    /// It decides, at the moment: of the managers, one.
    Leader,
    /// It votes.
    Manager,
    /// It runs tasks only.
    Worker,
}

impl fmt::Display for NodeRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Leader => "leader",
            Self::Manager => "manager",
            Self::Worker => "worker",
        })
    }
}

impl NodeRole {
    /// Whether a node of this role is one of those `asked` for: the leader is a manager, too.
    #[must_use]
    pub fn is(self, asked: Self) -> bool {
        self == asked || (self == Self::Leader && asked == Self::Manager)
    }
}

/// Which nodes a step chooses among; all where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Among {
    /// Those that run a replica of this service when the time comes.
    pub holding: Option<String>,
    /// Those of this zone.
    pub zone: Option<String>,
    /// Those of this role.
    pub role: Option<NodeRole>,
}

/// Which, after "nodes": `of zone a with role worker that run backend`; empty for all.
impl fmt::Display for Among {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.zone.as_ref().map(|zone| format!("of zone {zone}")),
            self.role.map(|role| format!("with role {role}")),
            self.holding
                .as_ref()
                .map(|service| format!("that run {service}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(&parts.join(" "))
    }
}

/// A step's action, as planned. `target` is a service of the stack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "fields are those of the scenario language")]
pub enum Action {
    /// End the main process with a signal.
    Kill {
        target: String,
        take: Take,
        signal: Signal,
    },
    /// Stop in order: SIGTERM, then SIGKILL after `grace`.
    Stop {
        target: String,
        take: Take,
        grace: Duration,
    },
    /// Freeze.
    Pause { target: String, take: Take },
    /// Stop and start again.
    Restart {
        target: String,
        take: Take,
        grace: Duration,
    },
    /// Cut off a network; the stack's only one where `None`.
    Disconnect {
        target: String,
        take: Take,
        network: Option<String>,
    },
    /// Drop the packets between it and the replicas of the service `from`, or everybody, without a word to either side.
    Partition {
        target: String,
        take: Take,
        from: Option<String>,
    },
    /// Set the number of replicas.
    Scale { target: String, replicas: u32 },
    /// Run a command inside; `undo: None` is `undo: none`.
    Exec {
        target: String,
        take: Take,
        run: Vec<Template>,
        undo: Option<Vec<Template>>,
    },
    /// A call of the user's own.
    Http {
        call: HttpCall,
        undo: Option<HttpCall>,
    },
    /// A command of the user's own, run where firedrill runs.
    Command {
        run: Vec<Template>,
        undo: Option<Vec<Template>>,
    },
    /// Roll out a change, replica by replica, each healthy before the next.
    Update {
        target: String,
        change: UpdateChange,
        keep: bool,
    },
    /// Hit nodes of the cluster, with all that runs on them.
    Node {
        fault: NodeFault,
        take: Take,
        among: Among,
    },
}

impl Action {
    /// Its key in the scenario language.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Kill { .. } => "kill",
            Self::Stop { .. } => "stop",
            Self::Pause { .. } => "pause",
            Self::Restart { .. } => "restart",
            Self::Disconnect { .. } => "disconnect",
            Self::Partition { .. } => "partition",
            Self::Scale { .. } => "scale",
            Self::Exec { .. } => "exec",
            Self::Http { .. } => "http",
            Self::Command { .. } => "command",
            Self::Update {
                change: UpdateChange::Again,
                ..
            } => "rebalance",
            Self::Update { .. } => "update",
            Self::Node { .. } if self.is_zone_outage() => "zone_outage",
            Self::Node { fault, .. } => match fault {
                NodeFault::Kill => "node_kill",
                NodeFault::Stop { .. } => "node_stop",
                NodeFault::Pause => "node_pause",
                NodeFault::Disconnect => "node_disconnect",
                NodeFault::Partition => "node_partition",
                NodeFault::Drain => "drain",
            },
        }
    }

    /// Whether the power of every node of a zone goes: then the zone as a whole has to run what is asked for.
    #[must_use]
    pub fn is_zone_outage(&self) -> bool {
        matches!(
            self,
            Self::Node {
                fault: NodeFault::Kill,
                take: Take::All,
                among: Among {
                    zone: Some(_),
                    role: None,
                    ..
                },
            }
        )
    }

    /// The service it is aimed at, where it is aimed at one; [`NODE`] for nodes.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::Kill { target, .. }
            | Self::Stop { target, .. }
            | Self::Pause { target, .. }
            | Self::Restart { target, .. }
            | Self::Disconnect { target, .. }
            | Self::Partition { target, .. }
            | Self::Scale { target, .. }
            | Self::Exec { target, .. }
            | Self::Update { target, .. } => Some(target),
            Self::Node { .. } => Some(NODE),
            Self::Http { .. } | Self::Command { .. } => None,
        }
    }

    /// How many components of the target it takes, where it takes components.
    #[must_use]
    pub fn take(&self) -> Option<Take> {
        match self {
            Self::Kill { take, .. }
            | Self::Stop { take, .. }
            | Self::Pause { take, .. }
            | Self::Restart { take, .. }
            | Self::Disconnect { take, .. }
            | Self::Partition { take, .. }
            | Self::Exec { take, .. }
            | Self::Node { take, .. } => Some(*take),
            Self::Scale { .. } | Self::Http { .. } | Self::Command { .. } | Self::Update { .. } => {
                None
            }
        }
    }
}

/// Who brings a killed component back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KillMode {
    /// firedrill, at the end of the hold: it must stay down until then.
    Held,
    /// The engine's restart policy, which must not be switched off by the way the kill is made.
    RestartPolicy,
}

/// One call on a stack: an action aimed at one component, or at a service. Texts are filled in but for what must stay
/// a reference ([`Variable::is_late`](super::Variable::is_late)), for it is written to disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "fields are those of `Action`")]
pub enum Injection {
    /// See [`Action::Kill`].
    Kill {
        component: ComponentId,
        signal: Signal,
        mode: KillMode,
    },
    /// See [`Action::Stop`].
    Stop {
        component: ComponentId,
        grace: Duration,
    },
    /// See [`Action::Pause`].
    Pause { component: ComponentId },
    /// See [`Action::Restart`].
    Restart {
        component: ComponentId,
        grace: Duration,
    },
    /// See [`Action::Disconnect`].
    Disconnect {
        component: ComponentId,
        network: Option<String>,
    },
    /// See [`Action::Partition`]. It ends by itself some time after `hold`.
    Partition {
        component: ComponentId,
        from: Option<String>,
        hold: Duration,
    },
    /// See [`Action::Exec`].
    Exec {
        component: ComponentId,
        run: Vec<Template>,
        undo: Option<Vec<Template>>,
    },
    /// See [`Action::Scale`].
    Scale { service: String, replicas: u32 },
    /// See [`UpdateChange::Image`].
    UpdateImage { service: String, image: Template },
    /// See [`UpdateChange::Env`].
    UpdateEnv {
        service: String,
        env: BTreeMap<String, Template>,
    },
    /// See [`NodeFault::Drain`].
    Drain { component: ComponentId },
    /// See [`UpdateChange::Command`].
    UpdateCommand {
        service: String,
        command: Vec<Template>,
    },
    /// See [`UpdateChange::Files`].
    UpdateFiles {
        service: String,
        files: Vec<PathBuf>,
    },
    /// See [`UpdateChange::Again`].
    UpdateAgain { service: String },
}

impl Injection {
    /// The component it hits, unless it is aimed at a whole service.
    #[must_use]
    pub fn component(&self) -> Option<&ComponentId> {
        match self {
            Self::Kill { component, .. }
            | Self::Stop { component, .. }
            | Self::Pause { component }
            | Self::Restart { component, .. }
            | Self::Disconnect { component, .. }
            | Self::Partition { component, .. }
            | Self::Drain { component }
            | Self::Exec { component, .. } => Some(component),
            Self::Scale { .. }
            | Self::UpdateImage { .. }
            | Self::UpdateEnv { .. }
            | Self::UpdateCommand { .. }
            | Self::UpdateFiles { .. }
            | Self::UpdateAgain { .. } => None,
        }
    }

    /// The service it changes, where it is aimed at a whole one.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        match self {
            Self::Scale { service, .. }
            | Self::UpdateImage { service, .. }
            | Self::UpdateEnv { service, .. }
            | Self::UpdateCommand { service, .. }
            | Self::UpdateFiles { service, .. }
            | Self::UpdateAgain { service } => Some(service),
            Self::Kill { .. }
            | Self::Stop { .. }
            | Self::Pause { .. }
            | Self::Restart { .. }
            | Self::Disconnect { .. }
            | Self::Partition { .. }
            | Self::Drain { .. }
            | Self::Exec { .. } => None,
        }
    }

    /// The same call on a component that another layer of the platform knows as `component`; calls on services stay as they
    /// are.
    #[must_use]
    pub fn on(mut self, named: &ComponentId) -> Self {
        match &mut self {
            Self::Kill { component, .. }
            | Self::Stop { component, .. }
            | Self::Pause { component }
            | Self::Restart { component, .. }
            | Self::Disconnect { component, .. }
            | Self::Partition { component, .. }
            | Self::Drain { component }
            | Self::Exec { component, .. } => component.clone_from(named),
            Self::Scale { .. }
            | Self::UpdateImage { .. }
            | Self::UpdateEnv { .. }
            | Self::UpdateCommand { .. }
            | Self::UpdateFiles { .. }
            | Self::UpdateAgain { .. } => {}
        }
        self
    }
}
