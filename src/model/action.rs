//! What a step does to the stack.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ComponentId, Ratio, Template};

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
    /// Done by the user's own tool, watched the same way; `undo: None` is `undo: none`.
    By {
        /// Command line that updates; it ends when the update is through.
        run: Vec<Template>,
        /// Command line that puts the old version back.
        undo: Option<Vec<Template>>,
    },
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
            Self::Update { .. } => "update",
        }
    }

    /// The service it is aimed at, where it is aimed at one.
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
            | Self::Exec { take, .. } => Some(*take),
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
    /// See [`UpdateChange::Command`].
    UpdateCommand {
        service: String,
        command: Vec<Template>,
    },
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
            | Self::Exec { component, .. } => Some(component),
            Self::Scale { .. }
            | Self::UpdateImage { .. }
            | Self::UpdateEnv { .. }
            | Self::UpdateCommand { .. } => None,
        }
    }

    /// The service it changes, where it is aimed at a whole one.
    #[must_use]
    pub fn service(&self) -> Option<&str> {
        match self {
            Self::Scale { service, .. }
            | Self::UpdateImage { service, .. }
            | Self::UpdateEnv { service, .. }
            | Self::UpdateCommand { service, .. } => Some(service),
            Self::Kill { .. }
            | Self::Stop { .. }
            | Self::Pause { .. }
            | Self::Restart { .. }
            | Self::Disconnect { .. }
            | Self::Partition { .. }
            | Self::Exec { .. } => None,
        }
    }
}
