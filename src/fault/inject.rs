//! From an action to calls on the stack, each with its undo.

use std::time::Duration;

use crate::model::{
    Action, ComponentId, Injection, KillMode, NodeFault, Signal, TemplateError, Undo, UpdateChange,
};
use crate::stack::{Resolve, Stack, StackError};

/// Why a fault could not be prepared. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum InjectError {
    /// The stack could not say what is needed to put things back.
    #[error("cannot prepare {what}: {source}")]
    Prepare { what: String, source: StackError },
    /// A variable has no value.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

/// A call on the stack, and what puts it right.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// The call.
    pub injection: Injection,
    /// Its undo, to be on disk before the call.
    pub undo: Undo,
}

/// The calls of an action on the components taken, secrets still as references; none for `http`, `command` and an update `by` the user's own tool.
///
/// # Errors
/// A variable without a value.
pub fn injections(
    action: &Action,
    taken: &[ComponentId],
    hold: Option<Duration>,
    values: &dyn Resolve,
) -> Result<Vec<Injection>, TemplateError> {
    let each = |make: &dyn Fn(&ComponentId) -> Result<Injection, TemplateError>| {
        taken.iter().map(make).collect()
    };
    let words = |run: &[crate::model::Template]| {
        run.iter()
            .map(|w| values.fill(w))
            .collect::<Result<Vec<_>, _>>()
    };
    match action {
        Action::Kill { signal, .. } => {
            let mode = if hold.is_some() {
                KillMode::Held
            } else {
                KillMode::RestartPolicy
            };
            each(&|c| {
                Ok(Injection::Kill {
                    component: c.clone(),
                    signal: *signal,
                    mode,
                })
            })
        }
        Action::Stop { grace, .. } => each(&|c| {
            Ok(Injection::Stop {
                component: c.clone(),
                grace: *grace,
            })
        }),
        Action::Pause { .. } => each(&|c| {
            Ok(Injection::Pause {
                component: c.clone(),
            })
        }),
        Action::Restart { grace, .. } => each(&|c| {
            Ok(Injection::Restart {
                component: c.clone(),
                grace: *grace,
            })
        }),
        Action::Disconnect { network, .. } => each(&|c| {
            Ok(Injection::Disconnect {
                component: c.clone(),
                network: network.clone(),
            })
        }),
        Action::Partition { from, .. } => each(&|c| {
            Ok(Injection::Partition {
                component: c.clone(),
                from: from.clone(),
                // The scenario's check asks for one.
                hold: hold.unwrap_or_default(),
            })
        }),
        Action::Exec { run, undo, .. } => each(&|c| {
            Ok(Injection::Exec {
                component: c.clone(),
                run: words(run)?,
                undo: undo.as_deref().map(words).transpose()?,
            })
        }),
        Action::Node { fault, .. } => each(&|c| {
            let component = c.clone();
            Ok(match fault {
                NodeFault::Kill => Injection::Kill {
                    component,
                    signal: Signal::SigKill,
                    // Nothing but firedrill starts it again.
                    mode: KillMode::Held,
                },
                NodeFault::Stop { grace } => Injection::Stop {
                    component,
                    grace: *grace,
                },
                NodeFault::Pause => Injection::Pause { component },
                NodeFault::Disconnect => Injection::Disconnect {
                    component,
                    network: None,
                },
                NodeFault::Partition => Injection::Partition {
                    component,
                    from: None,
                    hold: hold.unwrap_or_default(),
                },
                NodeFault::Drain => Injection::Drain { component },
            })
        }),
        Action::Scale { target, replicas } => Ok(vec![Injection::Scale {
            service: target.clone(),
            replicas: *replicas,
        }]),
        Action::Update { target, change, .. } => Ok(match change {
            UpdateChange::Image(image) => {
                vec![Injection::UpdateImage {
                    service: target.clone(),
                    image: values.fill(image)?,
                }]
            }
            UpdateChange::Env(env) => {
                let env = env
                    .iter()
                    .map(|(k, v)| Ok((k.clone(), values.fill(v)?)))
                    .collect::<Result<_, TemplateError>>()?;
                vec![Injection::UpdateEnv {
                    service: target.clone(),
                    env,
                }]
            }
            UpdateChange::Command(command) => {
                vec![Injection::UpdateCommand {
                    service: target.clone(),
                    command: words(command)?,
                }]
            }
            UpdateChange::Files(files) => {
                vec![Injection::UpdateFiles {
                    service: target.clone(),
                    files: files.clone(),
                }]
            }
            UpdateChange::Again => {
                vec![Injection::UpdateAgain {
                    service: target.clone(),
                }]
            }
            UpdateChange::By { .. } => vec![],
        }),
        Action::Http { .. } | Action::Command { .. } => Ok(vec![]),
    }
}

/// Reads what is needed to put each call right; changes nothing.
///
/// # Errors
/// The stack could not say.
pub async fn prepare(
    stack: &dyn Stack,
    injections: Vec<Injection>,
) -> Result<Vec<Prepared>, InjectError> {
    let mut prepared = Vec::with_capacity(injections.len());
    for injection in injections {
        let undo = stack
            .prepare(&injection)
            .await
            .map_err(|source| InjectError::Prepare {
                what: injection
                    .component()
                    .map_or_else(|| "the service".to_owned(), ToString::to_string),
                source,
            })?;
        prepared.push(Prepared { injection, undo });
    }
    Ok(prepared)
}
