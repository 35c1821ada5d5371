//! Doing one undo, and making sure of it.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::own;
use crate::model::Undo;
use crate::stack::{Resolve, Stack, StackError, Verified};

/// Longest that reading a state back may take.
const READ: Duration = Duration::from_secs(60);

/// How long an undo is tried.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// No try begins after this.
    pub deadline: Duration,
    /// Limit of each call of the user's own.
    pub call: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(60),
            call: Duration::from_secs(30),
        }
    }
}

/// The state could not be restored.
#[derive(Debug, thiserror::Error)]
#[error("not mended after {attempts} tries in {took:?}: {last}")]
pub struct MendError {
    /// Tries made.
    pub attempts: u32,
    /// Time spent.
    pub took: Duration,
    /// What the last try ran into.
    pub last: String,
}

/// Restores the state that `undo` describes, reads it back, and tries again with growing pauses until it holds.
/// `called` is told after each try whether its calls succeeded, before the state is read back.
///
/// # Errors
/// [`MendError`] when it does not hold by the deadline.
pub async fn mend(
    stack: &dyn Stack,
    undo: &Undo,
    values: &dyn Resolve,
    patience: Patience,
    mut called: impl FnMut(bool) + Send,
) -> Result<u32, MendError> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(20);
    let mut attempts = 0;
    loop {
        attempts += 1;
        let done = attempt(stack, undo, values, patience).await;
        called(done.is_ok());
        let last = match done {
            Ok(()) => match settle(stack, undo, begun + patience.deadline).await {
                Ok(()) => return Ok(attempts),
                Err(why) => why,
            },
            Err(why) => why,
        };
        if begun.elapsed() + pause > patience.deadline {
            return Err(MendError {
                attempts,
                took: begun.elapsed(),
                last,
            });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

async fn attempt(
    stack: &dyn Stack,
    undo: &Undo,
    values: &dyn Resolve,
    patience: Patience,
) -> Result<(), String> {
    match undo {
        Undo::Nothing => Ok(()),
        Undo::Down => answered(longest(undo), stack.down()).await,
        Undo::Http { call } => own::call(call, values, patience.call)
            .await
            .map_err(|e| e.to_string()),
        Undo::Command { run, folder } => {
            own::command(run, Path::new(folder), values, patience.call, None)
                .await
                .map_err(|e| e.to_string())
        }
        Undo::Running { .. }
        | Undo::Unpaused { .. }
        | Undo::Connected { .. }
        | Undo::Reachable { .. }
        | Undo::Replicas { .. }
        | Undo::Count { .. }
        | Undo::Definition { .. }
        | Undo::Available { .. }
        | Undo::Exec { .. } => answered(longest(undo), stack.undo(undo, values)).await,
    }
}

/// Longest that a call on the stack may take: one that never returns must not hold up what else is owed. Where replicas
/// are replaced or taken down, each may need its grace and its time to become healthy.
fn longest(undo: &Undo) -> Duration {
    match undo {
        Undo::Down | Undo::Replicas { .. } | Undo::Count { .. } | Undo::Definition { .. } => {
            Duration::from_secs(900)
        }
        Undo::Nothing
        | Undo::Running { .. }
        | Undo::Unpaused { .. }
        | Undo::Connected { .. }
        | Undo::Reachable { .. }
        | Undo::Available { .. }
        | Undo::Exec { .. }
        | Undo::Http { .. }
        | Undo::Command { .. } => Duration::from_secs(120),
    }
}

/// Waits until the state is read back as restored. A component that needs seconds to become healthy is not undone a
/// second time meanwhile, so this waits up to ten seconds before the undo is tried again.
async fn settle(stack: &dyn Stack, undo: &Undo, deadline: Instant) -> Result<(), String> {
    match undo {
        // Their own answer (2xx, exit code 0) is all that can be known of the user's own.
        Undo::Nothing | Undo::Http { .. } | Undo::Command { .. } | Undo::Exec { .. } => {
            return Ok(());
        }
        Undo::Down => {
            let left = answered(READ, stack.owned()).await?;
            let names: Vec<String> = left
                .iter()
                .map(|t| format!("{} {}", t.kind, t.name))
                .collect();
            return if names.is_empty() {
                Ok(())
            } else {
                Err(format!("still there: {}", names.join(", ")))
            };
        }
        Undo::Running { .. }
        | Undo::Unpaused { .. }
        | Undo::Connected { .. }
        | Undo::Reachable { .. }
        | Undo::Available { .. }
        | Undo::Replicas { .. }
        | Undo::Count { .. }
        | Undo::Definition { .. } => {}
    }
    let until = deadline.min(Instant::now() + Duration::from_secs(10));
    loop {
        let why = match answered(READ, stack.verify(undo)).await {
            Ok(Verified::Holds) => return Ok(()),
            Ok(Verified::Not(why)) | Err(why) => why,
        };
        if Instant::now() >= until {
            return Err(why);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The answer of a call on the stack, if it comes in time.
async fn answered<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, StackError>>,
) -> Result<T, String> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer.map_err(|e| e.to_string()),
        Err(_) => Err(format!("the platform did not answer within {limit:?}")),
    }
}
