//! What a Compose file says of its services, read offline: their names, replicas and restart policies.

use std::collections::BTreeMap;
use std::path::Path;

use super::stack::ServiceFacts;
use crate::scenario::tree::{self, Node, Value};

/// Why a Compose file could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ComposeFileError {
    #[error("the Compose file {path} cannot be read: {source}")]
    Unreadable {
        path: String,
        source: std::io::Error,
    },
    #[error("the Compose file {path}, line {line}: {message}")]
    NotYaml {
        path: String,
        line: usize,
        message: String,
    },
    #[error("the Compose file {path} has no `services`")]
    NoServices { path: String },
}

/// The services of the enabled profiles; `None` where the file includes others, so that not all are known.
pub(super) fn services(
    path: &Path,
    profiles: &[String],
) -> Result<Option<BTreeMap<String, ServiceFacts>>, ComposeFileError> {
    let name = || path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| ComposeFileError::Unreadable {
        path: name(),
        source,
    })?;
    let root = tree::read(&text).map_err(|problem| ComposeFileError::NotYaml {
        path: name(),
        line: 1 + text
            .get(..problem.at.start)
            .unwrap_or("")
            .matches('\n')
            .count(),
        message: problem.message,
    })?;
    if root.get("include").is_some() {
        return Ok(None);
    }
    match root.get("services").map(|services| &services.value) {
        Some(Value::Map(entries)) => {
            let enabled = entries
                .iter()
                .filter(|(_, service)| is_enabled(service, profiles));
            Ok(Some(
                enabled
                    .map(|(key, service)| (key.text.clone(), facts(service)))
                    .collect(),
            ))
        }
        Some(Value::List(_) | Value::Scalar { .. }) | None => {
            Err(ComposeFileError::NoServices { path: name() })
        }
    }
}

/// A service without profiles is always enabled.
fn is_enabled(service: &Node, profiles: &[String]) -> bool {
    match service.get("profiles").map(|profiles| &profiles.value) {
        Some(Value::List(own)) => {
            own.is_empty()
                || own
                    .iter()
                    .filter_map(scalar)
                    .any(|own| profiles.iter().any(|profile| profile == own))
        }
        Some(Value::Map(_) | Value::Scalar { .. }) | None => true,
    }
}

fn facts(service: &Node) -> ServiceFacts {
    let deploy = service.get("deploy");
    let replicas = deploy
        .and_then(|deploy| deploy.get("replicas"))
        .or_else(|| service.get("scale"));
    // An unset replica count is 1; one that is interpolated is not known here.
    let replicas = replicas.map_or(Some(1), |replicas| scalar(replicas)?.parse().ok());
    let policy = deploy
        .and_then(|deploy| deploy.get("restart_policy"))
        .map(|policy| policy.get("condition").and_then(scalar).unwrap_or("any"));
    let restart = service
        .get("restart")
        .and_then(scalar)
        .or(policy)
        .unwrap_or("no");
    ServiceFacts {
        replicas,
        restarts: Some(!matches!(restart, "no" | "none" | "false" | "")),
        labels: service.get("labels").map(labels).unwrap_or_default(),
    }
}

/// Labels as a mapping, or as a list of `key=value`.
fn labels(written: &Node) -> Vec<(String, String)> {
    let pair = |text: &str| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        (key.to_owned(), value.to_owned())
    };
    match &written.value {
        Value::Map(entries) => {
            let value = |node| scalar(node).unwrap_or_default().to_owned();
            let entries = entries.iter();
            entries
                .map(|(key, node)| (key.text.clone(), value(node)))
                .collect()
        }
        Value::List(items) => items.iter().filter_map(scalar).map(pair).collect(),
        Value::Scalar { .. } => Vec::new(),
    }
}

fn scalar(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Scalar { text, .. } => Some(text),
        Value::Map(_) | Value::List(_) => None,
    }
}
