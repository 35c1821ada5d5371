//! What each platform can do, told from the scenario alone.

use crate::model::{Action, ExternalSpec, NodeFault, StackSpec, SwarmSpec, UpdateChange};

const NO_NODES: &str = "this stack has no nodes; only a `swarm` has";
const NO_CLUSTER: &str = "that is for services that a cluster runs, and this is none";

/// Whether this stack can do that at all.
///
/// # Errors
/// Why not, and what to write instead, for the scenario's author.
pub fn supports(spec: &StackSpec, action: &Action) -> Result<(), String> {
    match spec {
        StackSpec::Fake(_) => match action {
            Action::Node { .. } => Err(NO_NODES.to_owned()),
            Action::Update {
                change: UpdateChange::Files(_) | UpdateChange::Again,
                ..
            } => Err(NO_CLUSTER.to_owned()),
            _ => Ok(()),
        },
        StackSpec::Compose(_) => compose(action),
        StackSpec::Swarm(spec) => swarm(spec, action),
        StackSpec::Process(_) => process(action),
        StackSpec::External(external) => adopted(external, action),
    }
}

/// Whether something on this stack starts a component again that died, as far as the scenario tells: a `kill` without
/// `hold` needs it. A Compose service's restart policy is known only to its file.
///
/// # Errors
/// Why nothing does, and what to write instead.
pub fn revives(spec: &StackSpec) -> Result<(), String> {
    match spec {
        StackSpec::Fake(_)
        | StackSpec::Compose(_)
        | StackSpec::Swarm(_)
        | StackSpec::External(_) => Ok(()),
        StackSpec::Process(_) => Err(
            "nothing starts a process again that was killed, for a process stack has no restart policy; \
             give the step a `hold`"
                .to_owned(),
        ),
    }
}

fn compose(action: &Action) -> Result<(), String> {
    match action {
        Action::Kill { .. }
        | Action::Stop { .. }
        | Action::Pause { .. }
        | Action::Restart { .. }
        | Action::Disconnect { .. }
        | Action::Partition { .. }
        | Action::Scale { .. }
        | Action::Exec { .. }
        | Action::Http { .. }
        | Action::Command { .. } => Ok(()),
        Action::Node { .. } => Err(NO_NODES.to_owned()),
        Action::Update { change, .. } => match change {
            UpdateChange::Image(_)
            | UpdateChange::Env(_)
            | UpdateChange::Command(_)
            | UpdateChange::By { .. } => Ok(()),
            UpdateChange::Files(_) | UpdateChange::Again => Err(NO_CLUSTER.to_owned()),
        },
    }
}

fn swarm(spec: &SwarmSpec, action: &Action) -> Result<(), String> {
    let target = action.target().unwrap_or_default();
    let outside = spec.outside.iter().flat_map(|o| &o.services);
    // What stands beside the cluster is an ordinary Compose project.
    if outside.into_iter().any(|service| service == target) {
        return compose(action);
    }
    match action {
        Action::Node {
            fault: NodeFault::Drain,
            ..
        }
        | Action::Scale { .. }
        | Action::Http { .. }
        | Action::Command { .. } => Ok(()),
        Action::Node { .. } => match &spec.machines {
            Some(_) => Ok(()),
            None => Err(
                "firedrill reaches this Swarm's engines, not the machines they run on; `drain` a node, or hit the \
                 machine by a `command` of your own"
                    .to_owned(),
            ),
        },
        Action::Kill { .. } | Action::Pause { .. } | Action::Exec { .. } => match &spec.machines {
            Some(_) => Ok(()),
            None => Err(
                "firedrill reaches this Swarm's managers, and a task's container only on machines of its own (`cluster`)"
                    .to_owned(),
            ),
        },
        Action::Stop { .. } | Action::Restart { .. } => Err(
            "Swarm replaces a task that ends, and starts none again; `kill` one, or `scale` the service".to_owned(),
        ),
        Action::Disconnect { .. } | Action::Partition { .. } => Err(
            "a task cannot be cut off its overlay network; cut off its node with `node_disconnect` or `node_partition`"
                .to_owned(),
        ),
        Action::Update { change, .. } => match change {
            UpdateChange::Image(_)
            | UpdateChange::Env(_)
            | UpdateChange::Command(_)
            | UpdateChange::Files(_)
            | UpdateChange::Again
            | UpdateChange::By { .. } => Ok(()),
        },
    }
}

fn process(action: &Action) -> Result<(), String> {
    match action {
        Action::Kill { .. }
        | Action::Stop { .. }
        | Action::Pause { .. }
        | Action::Restart { .. }
        | Action::Scale { .. }
        | Action::Http { .. }
        | Action::Command { .. } => Ok(()),
        Action::Node { .. } => Err(NO_NODES.to_owned()),
        Action::Disconnect { .. } | Action::Partition { .. } => Err(
            "a process shares this machine's network and cannot be cut off it; `pause` makes it silent".to_owned(),
        ),
        Action::Exec { .. } => {
            Err("there is no inside of a process to run it in; use `command`, which runs where firedrill runs".to_owned())
        }
        Action::Update { change, .. } => match change {
            UpdateChange::Env(_) | UpdateChange::Command(_) => Ok(()),
            UpdateChange::By { .. } => Err(
                "only firedrill starts these processes, so nothing would show that the tool did; update their `env` or \
                 `command`, or run the tool as a `command`"
                    .to_owned(),
            ),
            UpdateChange::Files(_) | UpdateChange::Again => Err(NO_CLUSTER.to_owned()),
            UpdateChange::Image(_) => Err("a process has no image; update its `env` or `command`".to_owned()),
        },
    }
}

fn adopted(external: &ExternalSpec, action: &Action) -> Result<(), String> {
    let faults_of_containers = || {
        match &external.compose_project {
        Some(_) => Ok(()),
        None => Err(
            "an external stack is only addresses to firedrill; name its `compose_project`, or use `http` or `command`"
                .to_owned(),
        ),
    }
    };
    match action {
        Action::Http { .. } | Action::Command { .. } => Ok(()),
        Action::Kill { .. }
        | Action::Stop { .. }
        | Action::Pause { .. }
        | Action::Restart { .. }
        | Action::Disconnect { .. }
        | Action::Partition { .. }
        | Action::Exec { .. } => faults_of_containers(),
        Action::Node { .. } => Err(NO_NODES.to_owned()),
        Action::Scale { .. } => Err(
            "firedrill makes and removes no containers of a stack that it did not start; use `command`".to_owned(),
        ),
        Action::Update { change, .. } => match change {
            UpdateChange::By { .. } => faults_of_containers(),
            UpdateChange::Files(_) | UpdateChange::Again => Err(NO_CLUSTER.to_owned()),
            UpdateChange::Image(_) | UpdateChange::Env(_) | UpdateChange::Command(_) => Err(
                "firedrill replaces no containers of a stack that it did not start; update it `by` a tool of your own"
                    .to_owned(),
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ProcessSpec, Take, Template};
    use std::collections::BTreeMap;

    fn external(project: Option<&str>) -> StackSpec {
        StackSpec::External(ExternalSpec {
            addresses: BTreeMap::new(),
            compose_project: project.map(str::to_owned),
            ready: None,
        })
    }

    fn pause() -> Action {
        Action::Pause {
            target: "backend".into(),
            take: Take::All,
        }
    }

    fn update(change: UpdateChange) -> Action {
        Action::Update {
            target: "backend".into(),
            change,
            keep: false,
        }
    }

    #[test]
    fn a_tool_updates_only_what_it_can_be_seen_to_start() {
        let by = || {
            update(UpdateChange::By {
                run: vec![Template::literal("deploy")],
                undo: None,
            })
        };
        let process = StackSpec::Process(ProcessSpec {
            services: BTreeMap::new(),
            ready: None,
        });
        assert!(supports(&process, &by()).unwrap_err().contains("`command`"));
        assert_eq!(supports(&external(Some("shop")), &by()), Ok(()));
    }

    #[test]
    fn an_external_stack_is_hurt_only_through_a_named_project() {
        assert!(
            supports(&external(None), &pause())
                .unwrap_err()
                .contains("compose_project")
        );
        assert_eq!(supports(&external(Some("shop")), &pause()), Ok(()));
        let scale = Action::Scale {
            target: "backend".into(),
            replicas: 2,
        };
        assert!(
            supports(&external(Some("shop")), &scale)
                .unwrap_err()
                .contains("did not start")
        );
        let command = Action::Command {
            run: vec![Template::literal("true")],
            undo: None,
        };
        assert_eq!(supports(&external(None), &command), Ok(()));
    }

    #[test]
    fn processes_have_no_images_and_nothing_that_revives_them() {
        let spec = StackSpec::Process(ProcessSpec {
            services: BTreeMap::new(),
            ready: None,
        });
        let image = update(UpdateChange::Image(Template::literal("v2")));
        assert!(supports(&spec, &image).unwrap_err().contains("no image"));
        assert_eq!(
            supports(&spec, &update(UpdateChange::Env(BTreeMap::new()))),
            Ok(())
        );
        assert!(revives(&spec).unwrap_err().contains("`hold`"));
        assert_eq!(revives(&external(Some("shop"))), Ok(()));
    }
}
