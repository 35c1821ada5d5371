//! A step's action in words.

use crate::judge::number;
use crate::model::{Action, Among, UpdateChange};
use crate::scenario::plan::StepPlan;

/// `kill SIGKILL backend/2 (1 of 3), held 20 s`. `replicas` is how many the target's service has, where known.
pub(super) fn sentence(step: &StepPlan, targets: &[String], replicas: Option<usize>) -> String {
    let who = match step.action.take() {
        Some(_) if !targets.is_empty() => Some(targets.join(", ")),
        _ => step.action.target().map(str::to_owned),
    };
    let share = match (step.action.take(), replicas) {
        (Some(_), Some(of)) if targets.len() == of => Some(format!("(all {of})")),
        (Some(_), Some(of)) if !targets.is_empty() => Some(format!("({} of {of})", targets.len())),
        _ => None,
    };
    let to = change(&step.action).map(|to| format!("to {to}"));
    let among = among(&step.action);
    let words: Vec<String> = [Some(verb(&step.action)), who, share, among, to]
        .into_iter()
        .flatten()
        .collect();
    let held = step.hold.map_or_else(String::new, |hold| {
        format!(", held {}", number::limit_of(hold))
    });
    format!("{}{held}", words.join(" "))
}

fn verb(action: &Action) -> String {
    match action {
        Action::Kill { signal, .. } => {
            let name = serde_json::to_value(signal).ok();
            let name = name
                .as_ref()
                .and_then(|n| n.as_str())
                .unwrap_or("")
                .to_owned();
            format!("kill {name}")
        }
        Action::Disconnect {
            network: Some(network),
            ..
        } => format!("disconnect from {network}:"),
        Action::Partition {
            from: Some(from), ..
        } => format!("partition from {from}:"),
        Action::Exec { run, .. } => format!("exec `{}` in", words(run)),
        Action::Http { call, .. } => format!("{} {}", call.method, call.url),
        Action::Command { run, .. } => format!("run `{}`", words(run)),
        Action::Update {
            change: UpdateChange::By { run, .. },
            ..
        } => format!("update by `{}`:", words(run)),
        Action::Stop { .. }
        | Action::Pause { .. }
        | Action::Restart { .. }
        | Action::Disconnect { network: None, .. }
        | Action::Partition { from: None, .. }
        | Action::Scale { .. }
        | Action::Node { .. }
        | Action::Update { .. } => action.name().to_owned(),
    }
}

fn change(action: &Action) -> Option<String> {
    match action {
        Action::Scale { replicas, .. } => Some(format!("{replicas} replicas")),
        Action::Update { change, .. } => match change {
            UpdateChange::Image(image) => Some(image.to_string()),
            UpdateChange::Env(env) => Some(
                env.iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect::<Vec<_>>()
                    .join(" "),
            ),
            UpdateChange::Command(command) => Some(format!("`{}`", words(command))),
            UpdateChange::Files(files) => Some(
                files
                    .iter()
                    .map(|file| file.display().to_string())
                    .collect::<Vec<_>>()
                    .join(" + "),
            ),
            UpdateChange::By { .. } | UpdateChange::Again => None,
        },
        Action::Kill { .. }
        | Action::Stop { .. }
        | Action::Pause { .. }
        | Action::Restart { .. }
        | Action::Disconnect { .. }
        | Action::Partition { .. }
        | Action::Exec { .. }
        | Action::Http { .. }
        | Action::Node { .. }
        | Action::Command { .. } => None,
    }
}

/// Of which nodes they were chosen.
fn among(action: &Action) -> Option<String> {
    match action {
        Action::Node { among, .. } if *among != Among::default() => {
            Some(format!("among the nodes {among}"))
        }
        Action::Node { .. }
        | Action::Kill { .. }
        | Action::Stop { .. }
        | Action::Pause { .. }
        | Action::Restart { .. }
        | Action::Disconnect { .. }
        | Action::Partition { .. }
        | Action::Scale { .. }
        | Action::Exec { .. }
        | Action::Http { .. }
        | Action::Command { .. }
        | Action::Update { .. } => None,
    }
}

fn words(run: &[crate::model::Template]) -> String {
    run.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}
