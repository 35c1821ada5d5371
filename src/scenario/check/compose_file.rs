//! What a Compose file says of its services, read offline: their names, replicas and restart policies.

use std::path::Path;

use super::stack::{Known, ServiceFacts};
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

/// Who reads the file: the two go by different keys of it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind<'a> {
    /// Compose, with these profiles enabled.
    Compose(&'a [String]),
    /// `docker stack deploy`.
    Swarm,
}

/// The services of the enabled profiles; `None` where the file includes others, so that not all are known.
pub(super) fn services(path: &Path, kind: Kind<'_>) -> Result<Known, ComposeFileError> {
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
                .filter(|(_, service)| is_enabled(service, kind));
            Ok(Some(
                enabled
                    .map(|(key, service)| (key.text.clone(), facts(service, kind)))
                    .collect(),
            ))
        }
        Some(Value::List(_) | Value::Scalar { .. }) | None => {
            Err(ComposeFileError::NoServices { path: name() })
        }
    }
}

/// A service without profiles is always enabled.
fn is_enabled(service: &Node, kind: Kind<'_>) -> bool {
    let profiles = match kind {
        Kind::Compose(profiles) => profiles,
        // It knows no profiles.
        Kind::Swarm => return true,
    };
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

fn facts(service: &Node, kind: Kind<'_>) -> ServiceFacts {
    match kind {
        Kind::Compose(_) => facts_of_compose(service),
        Kind::Swarm => facts_of_swarm(service),
    }
}

fn facts_of_compose(service: &Node) -> ServiceFacts {
    let deploy = service.get("deploy");
    let replicas = deploy
        .and_then(|deploy| deploy.get("replicas"))
        .or_else(|| service.get("scale"));
    let policy = deploy
        .and_then(|deploy| deploy.get("restart_policy"))
        .map(|policy| policy.get("condition").and_then(scalar).unwrap_or("any"));
    let restart = service
        .get("restart")
        .and_then(scalar)
        .or(policy)
        .unwrap_or("no");
    ServiceFacts {
        replicas: count(replicas),
        global: false,
        restarts: Some(!matches!(restart, "no" | "none" | "false" | "")),
        labels: service.get("labels").map(labels).unwrap_or_default(),
    }
}

/// `restart` means nothing to a Swarm, and a policy of its own is `any` unless set.
fn facts_of_swarm(service: &Node) -> ServiceFacts {
    let deploy = service.get("deploy");
    let of_deploy = |key| deploy.and_then(|deploy| deploy.get(key));
    // `global`: as many as there are nodes that may run it.
    let mode = of_deploy("mode").and_then(scalar);
    let replicas = match mode {
        None | Some("replicated") => count(of_deploy("replicas")),
        Some(_) => None,
    };
    let condition = of_deploy("restart_policy").and_then(|policy| policy.get("condition"));
    let mut of_all = service.get("labels").map(labels).unwrap_or_default();
    of_all.extend(of_deploy("labels").map(labels).unwrap_or_default());
    ServiceFacts {
        replicas,
        global: mode == Some("global"),
        restarts: Some(condition.and_then(scalar) != Some("none")),
        labels: of_all,
    }
}

/// An unset replica count is 1; one that is interpolated is not known here.
fn count(replicas: Option<&Node>) -> Option<u32> {
    replicas.map_or(Some(1), |replicas| scalar(replicas)?.parse().ok())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_file_is_read_as_a_swarm_reads_it() {
        let root = tree::read(
            "plain: { image: a, restart: \"no\", profiles: [x] }\n\
             three: { deploy: { replicas: 3, labels: { tier: api }, restart_policy: { condition: on-failure } } }\n\
             never: { deploy: { restart_policy: { condition: none } } }\n\
             each: { deploy: { mode: global } }\n\
             some: { deploy: { replicas: \"${N}\" } }\n",
        )
        .unwrap();
        let of = |name: &str| facts(root.get(name).unwrap(), Kind::Swarm);
        assert_eq!(
            (of("plain").replicas, of("plain").restarts),
            (Some(1), Some(true))
        );
        assert!(is_enabled(root.get("plain").unwrap(), Kind::Swarm));
        assert_eq!(
            (of("three").replicas, of("three").restarts),
            (Some(3), Some(true))
        );
        assert_eq!(of("three").labels, [("tier".to_owned(), "api".to_owned())]);
        assert_eq!(of("never").restarts, Some(false));
        assert_eq!((of("each").replicas, of("some").replicas), (None, None));
        assert!(of("each").global && !of("three").global);
    }
}
