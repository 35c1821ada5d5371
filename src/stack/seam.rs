//! The seam between firedrill and whatever runs the stack.

use std::path::Path;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::UndoTag;
use crate::model::{
    Component, ComponentId, Injection, Label, Part, StackEvent, Template, TemplateError, Undo,
};

/// Why a stack could not do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// The engine or a tool cannot be reached or used at all.
    #[error("{engine} is not usable: {why}. {advice}")]
    Engine {
        engine: String,
        why: String,
        advice: String,
    },
    /// The Compose file (or what it refers to) is invalid: nothing was touched.
    #[error("{file} is not valid: {why}")]
    InvalidFile { file: String, why: String },
    /// It did not come up.
    #[error("the stack did not come up: {why}")]
    NotUp { why: String },
    /// It was not ready in time.
    #[error("{what} was not ready within {within}: {last}")]
    NotReady {
        what: String,
        within: String,
        last: String,
    },
    /// No such service or component.
    #[error("the stack has no `{name}`; it has {has}")]
    Unknown { name: String, has: String },
    /// This platform cannot do that.
    #[error("{action} is not possible on {platform}: {why}")]
    Unsupported {
        action: String,
        platform: String,
        why: String,
    },
    /// A call on a component failed.
    #[error("{call} on {component}: {why}")]
    Call {
        call: String,
        component: String,
        why: String,
    },
    /// The platform gave a change up: what was to come does not work, or it has taken it back itself.
    #[error("{call} on {component}: {why}")]
    GivenUp {
        call: String,
        component: String,
        why: String,
    },
    /// A template in the stack's definition has no value.
    #[error("{place}: {source}")]
    Template {
        place: String,
        source: TemplateError,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        path: String,
        source: std::io::Error,
    },
}

impl StackError {
    /// Whether the platform itself found that a change does not work: a finding, where any other error says that the
    /// change was not made as it was meant.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        matches!(self, Self::GivenUp { .. } | Self::NotReady { .. })
    }
}

/// What an injection did, as far as the call tells. The effect itself comes as an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// What a person should know (`3 replicas replaced`).
    pub note: Option<String>,
}

/// Whether the state an undo describes holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verified {
    /// It does.
    Holds,
    /// It does not (yet): what was seen instead.
    Not(String),
}

/// A stack that was stood up or adopted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// What a person should know (`built 3 images`).
    pub notes: Vec<String>,
}

/// A thing on the platform that bears firedrill's labels: what `recover --scan` finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedThing {
    /// The run whose label it bears.
    pub run: String,
    /// `container`, `network`, `volume`, `process`.
    pub kind: String,
    /// The platform's name for it.
    pub name: String,
}

/// A stretch in which an engine's events could not be followed: what it reported then may be lost.
#[derive(Debug, Clone)]
pub struct Unheard {
    /// When the engine was heard last.
    pub from: Instant,
    /// When it answered again, or was asked in vain.
    pub to: Instant,
    /// Whether it answered.
    pub over: bool,
    /// What happened.
    pub why: String,
}

/// A platform. One value stands for one stack of one run.
///
/// Every method that touches the stack may be called again after a failure; `undo` is idempotent.
#[async_trait]
pub trait Stack: Send + Sync {
    /// Stands the stack up (or adopts it) and waits until it is ready.
    ///
    /// # Errors
    /// [`StackError`]; what was started so far is left for [`Stack::down`].
    async fn up(&self) -> Result<Standing, StackError>;

    /// Every component, sorted by identity, as its engine describes it now.
    async fn components(&self) -> Result<Vec<Component>, StackError>;

    /// The components that no fault may hit whatever a scenario says, each with the reason: what firedrill itself runs in.
    /// [`Stack::prepare`] refuses them too.
    async fn untouchable(&self) -> Result<Vec<(ComponentId, String)>, StackError>;

    /// The components that bear a label of the platform's.
    ///
    /// # Errors
    /// [`StackError::Unsupported`] where it has no labels.
    async fn labelled(&self, label: &Label) -> Result<Vec<ComponentId>, StackError>;

    /// Where a service answers, as `host:port` from where firedrill runs: every replica's, in their order.
    /// `port` names a container port.
    async fn addresses(&self, service: &str, port: Option<u16>) -> Result<Vec<String>, StackError>;

    /// Reads what is needed to put things back, and changes nothing that runs. What an undo may not hold is kept on the platform.
    async fn prepare(&self, injection: &Injection) -> Result<Undo, StackError>;

    /// Makes the fault. `undo` is what [`Stack::prepare`] gave and is on disk by now. For updates it returns when
    /// the roll-out is through (or was given up and the error says so).
    async fn apply(&self, injection: &Injection, undo: &Undo) -> Result<Applied, StackError>;

    /// Restores the state that `undo` describes; does only what is missing. `secrets` fills in references.
    async fn undo(&self, undo: &Undo, secrets: &dyn Resolve) -> Result<(), StackError>;

    /// Reads back whether the state holds.
    async fn verify(&self, undo: &Undo) -> Result<Verified, StackError>;

    /// Starts reporting engine events into `events`, from now until the receiver is dropped, and into `unheard` when
    /// they could not be followed meanwhile. Returns once events are certain to be seen.
    async fn watch(
        &self,
        events: mpsc::UnboundedSender<StackEvent>,
        unheard: mpsc::UnboundedSender<Unheard>,
    ) -> Result<(), StackError>;

    /// Appends the components' logs since `since_ns` (wall clock) to the file at `path`, for a person to read.
    async fn logs(&self, since_ns: i64, path: &Path) -> Result<(), StackError>;

    /// Whether the platform can be asked at all: before anything is started on it, or owed.
    ///
    /// # Errors
    /// The platform's.
    async fn reachable(&self) -> Result<(), StackError> {
        self.owned().await.map(drop)
    }

    /// What on the platform bears this run's label.
    async fn owned(&self) -> Result<Vec<OwnedThing>, StackError>;

    /// Takes down what [`Stack::up`] started; nothing for an adopted stack. Idempotent.
    async fn down(&self) -> Result<(), StackError>;

    /// The engine's wall clock less ours, in ns; 0 where it is the same clock.
    async fn skew_ns(&self) -> Result<i64, StackError>;

    /// Keeps an undo on the platform, beside what it is about, where somebody finds it who has lost the run's files
    /// ([`scan`](super::scan())). Nothing on a platform that has no place for it.
    ///
    /// # Errors
    /// The platform's: then only the journal has it.
    async fn tag(&self, _tag: &UndoTag) -> Result<(), StackError> {
        Ok(())
    }

    /// Takes it off the platform again; idempotent.
    ///
    /// # Errors
    /// The platform's.
    async fn untag(&self, _id: u64) -> Result<(), StackError> {
        Ok(())
    }

    /// Other runs that, by what the platform keeps, owe this stack an undo, wherever their files are.
    ///
    /// # Errors
    /// The platform's.
    async fn owed_to_others(&self) -> Result<Vec<String>, StackError> {
        Ok(Vec::new())
    }

    /// The components of one service.
    async fn replicas(&self, service: &str) -> Result<Vec<Component>, StackError> {
        let all = self.components().await?;
        let of: Vec<Component> = all
            .iter()
            .filter(|c| c.id.service == service)
            .cloned()
            .collect();
        if of.is_empty() {
            let mut has: Vec<&str> = all.iter().map(|c| c.id.service.as_str()).collect();
            has.dedup();
            return Err(StackError::Unknown {
                name: service.to_owned(),
                has: has.join(", "),
            });
        }
        Ok(of)
    }

    /// One component.
    async fn component(&self, id: &ComponentId) -> Result<Component, StackError> {
        let of = self.replicas(&id.service).await?;
        let has = of
            .iter()
            .map(|c| c.id.to_string())
            .collect::<Vec<_>>()
            .join(", ");
        of.into_iter()
            .find(|c| c.id == *id)
            .ok_or_else(|| StackError::Unknown {
                name: id.to_string(),
                has,
            })
    }
}

/// Fills in templates that are kept as references on disk.
pub trait Resolve: Send + Sync {
    /// The template's text.
    ///
    /// # Errors
    /// Says which variable has no value.
    fn resolve(&self, template: &Template) -> Result<String, TemplateError>;

    /// The template with everything filled in but what must stay a reference
    /// ([`Variable::is_late`](crate::model::Variable::is_late)).
    ///
    /// # Errors
    /// Says which variable has no value.
    fn fill(&self, template: &Template) -> Result<Template, TemplateError> {
        template.fill(|variable| {
            if variable.is_late() {
                return Ok(None);
            }
            let alone = Template {
                parts: vec![Part::Variable(variable.clone())],
            };
            self.resolve(&alone).map(Some)
        })
    }
}
