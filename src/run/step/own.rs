//! What a step does that no stack knows of: calls and commands of the user's own.

use std::time::Duration;

use crate::model::{Action, HttpCall, Template, TemplateError, Undo, UpdateChange};
use crate::restore::{self, OwnError};
use crate::run::bench::Bench;

/// Limit of a call or command of the user's own that makes a fault.
const OWN_CALL: Duration = Duration::from_secs(60);
/// Limit of an update by the user's own tool.
const OWN_UPDATE: Duration = Duration::from_secs(900);

/// Makes the call or runs the command of the user's own that makes the fault; nothing for other actions.
pub(super) async fn own_call(bench: &Bench, action: &Action) -> Result<(), OwnError> {
    let (run, limit) = match action {
        Action::Http { call, .. } => return restore::call(call, &*bench.values, OWN_CALL).await,
        Action::Command { run, .. } => (run, OWN_CALL),
        Action::Update {
            change: UpdateChange::By { run, .. },
            ..
        } => (run, OWN_UPDATE),
        Action::Kill { .. }
        | Action::Stop { .. }
        | Action::Pause { .. }
        | Action::Restart { .. }
        | Action::Disconnect { .. }
        | Action::Partition { .. }
        | Action::Scale { .. }
        | Action::Exec { .. }
        | Action::Node { .. }
        | Action::Update { .. } => return Ok(()),
    };
    let acts_for = Some(bench.run.as_str());
    restore::command(run, &bench.scenario_dir, &*bench.values, limit, acts_for).await
}

/// The undo of an action that no stack knows of, complete but for secrets: whoever carries it out may not know where
/// the stack's services answer.
pub(super) fn own_undo(bench: &Bench, action: &Action) -> Result<Option<Undo>, TemplateError> {
    let fill = |template: &Template| bench.values.fill(template);
    let command = |run: &Option<Vec<Template>>| match run {
        Some(run) => Ok(Undo::Command {
            run: run.iter().map(fill).collect::<Result<_, _>>()?,
            folder: bench.scenario_dir.display().to_string(),
        }),
        None => Ok(Undo::Nothing),
    };
    Ok(Some(match action {
        Action::Http {
            undo: Some(call), ..
        } => Undo::Http {
            call: HttpCall {
                method: call.method.clone(),
                url: fill(&call.url)?,
                headers: call
                    .headers
                    .iter()
                    .map(|(k, v)| Ok((k.clone(), fill(v)?)))
                    .collect::<Result<_, _>>()?,
                body: call.body.as_ref().map(fill).transpose()?,
            },
        },
        Action::Http { undo: None, .. } => Undo::Nothing,
        Action::Command { undo, .. }
        | Action::Update {
            change: UpdateChange::By { undo, .. },
            ..
        } => command(undo)?,
        Action::Kill { .. }
        | Action::Stop { .. }
        | Action::Pause { .. }
        | Action::Restart { .. }
        | Action::Disconnect { .. }
        | Action::Partition { .. }
        | Action::Scale { .. }
        | Action::Exec { .. }
        | Action::Node { .. }
        | Action::Update { .. } => return Ok(None),
    }))
}
