//! A step in words, before anything is touched: whom it takes, the call, the undo, how long, and what it needs.

use schemars::JsonSchema;
use serde::Serialize;

use super::guarded::guarded;
use super::limit::{Limit, limit};
use super::targets::{Known, Targets, targets};
use crate::model::{Action, Among, NodeFault, StackSpec, SwarmSpec, Take, UpdateChange};
use crate::scenario::plan::{Plan, StepPlan};

/// A step in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outline {
    /// The action, as in the scenario.
    pub action: String,
    /// Whom it may take, and how they are chosen.
    pub takes: String,
    /// The components that it may be; `null` where it is aimed at none.
    pub targets: Option<Targets>,
    /// The call that makes the fault.
    pub call: String,
    /// What puts it right.
    pub undo: String,
    /// How long it can last, and who ends it.
    pub limit: Limit,
    /// What keeps it from reaching too far, a sentence each.
    pub guards: Vec<String>,
    /// Permissions that it takes.
    pub needs: String,
}

/// Puts a step into words for the platform it runs on. Variables stay unresolved.
#[must_use]
pub fn outline(step: &StepPlan, plan: &Plan, known: &Known) -> Outline {
    let platform = match &plan.stack {
        StackSpec::Compose(_) => "the Docker engine's API",
        StackSpec::External(e) if e.compose_project.is_some() => "the Docker engine's API",
        StackSpec::Swarm(s) => of_swarm(s, &step.action),
        StackSpec::Process(_) => "signals to firedrill's own child processes",
        StackSpec::External(_) | StackSpec::Fake(_) => "nothing of the platform",
    };
    let (call, undo) = call_and_undo(&step.action, step.hold.is_some(), &plan.stack);
    let own = matches!(
        step.action,
        Action::Http { .. }
            | Action::Command { .. }
            | Action::Update {
                change: UpdateChange::By { .. },
                ..
            }
    );
    Outline {
        action: step.action.name().to_owned(),
        takes: takes(&step.action),
        targets: targets(step, plan, known),
        call,
        undo,
        limit: limit(step, plan),
        guards: guarded(step, plan),
        needs: if own {
            "what the user's own call or command needs".to_owned()
        } else {
            platform.to_owned()
        },
    }
}

fn of_swarm(spec: &SwarmSpec, action: &Action) -> &'static str {
    let mut beside = spec.outside.iter().flat_map(|outside| &outside.services);
    if beside.any(|service| action.target() == Some(service.as_str())) {
        "the Docker engine's API"
    } else if let Action::Node {
        fault: NodeFault::Partition,
        ..
    } = action
    {
        "the API of the Swarm's managers, and of the engine on which its nodes are containers; root, `nsenter` and `iptables` \
         there"
    } else if spec.machines.is_some() {
        "the API of the Swarm's managers, and of the engine on which its nodes are containers"
    } else {
        "the API of the Swarm's managers"
    }
}

fn takes(action: &Action) -> String {
    let Some(target) = action.target() else {
        return "nothing of the stack that firedrill knows of".to_owned();
    };
    if let Action::Node { take, among, .. } = action {
        return nodes(action, *take, among);
    }
    match action.take() {
        None => format!("the whole of {target}"),
        Some(Take::All) => format!("every running replica of {target}"),
        Some(Take::Count(1)) => {
            format!("one running replica of {target}, chosen by the seed when its time comes")
        }
        Some(Take::Count(n)) => {
            format!("{n} running replicas of {target}, chosen by the seed when its time comes")
        }
        Some(Take::Share(share)) => {
            format!(
                "{share} of the running replicas of {target} (rounded down, at least one), chosen by the seed when its time comes"
            )
        }
    }
}

fn nodes(action: &Action, take: Take, among: &Among) -> String {
    match (&among.zone, &among.holding) {
        (Some(zone), Some(service)) if action.is_zone_outage() => {
            return format!(
                "every running node of zone {zone}, if {service} runs on any of them when its time comes"
            );
        }
        _ => {}
    }
    let some = |how_many: String| {
        let nodes = format!("{how_many} of the running nodes {among}");
        format!(
            "{}, chosen by the seed when its time comes",
            nodes.trim_end()
        )
    };
    match take {
        Take::All => format!("all running nodes {among}").trim_end().to_owned(),
        Take::Count(1) => some("one".to_owned()),
        Take::Count(n) => some(n.to_string()),
        Take::Share(share) => format!("{} (rounded down, at least one)", some(share.to_string())),
    }
}

fn call_and_undo(action: &Action, held: bool, stack: &StackSpec) -> (String, String) {
    let words = |run: &[crate::model::Template]| {
        run.iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let own = |undo: &Option<Vec<crate::model::Template>>| {
        undo.as_ref().map_or("none".to_owned(), |u| words(u))
    };
    let running = "the component runs again";
    match action {
        Action::Kill { signal, target, .. } => {
            let name = format!("{signal:?}").to_uppercase();
            let undo = if held {
                running
            } else if stack.has_tasks_of(target) {
                "left to the cluster, which puts another task in its place; ended if the signal did not"
            } else {
                "left to the restart policy; started if it has not come back"
            };
            (format!("{name} to the main process"), undo.to_owned())
        }
        Action::Stop { grace, .. } => (
            format!("SIGTERM, SIGKILL after {grace:?}"),
            running.to_owned(),
        ),
        Action::Pause { .. } => (
            "freeze".to_owned(),
            "the component is not frozen".to_owned(),
        ),
        Action::Restart { grace, .. } => (
            format!("stop (SIGKILL after {grace:?}), start"),
            running.to_owned(),
        ),
        Action::Disconnect { network, .. } => {
            let network = network.as_deref().unwrap_or("its only network");
            (
                format!("disconnect from {network}"),
                format!("connected to {network} again, same names and address"),
            )
        }
        Action::Node { fault, .. } => {
            let ready = "the node runs, and the managers say that it is ready";
            let (call, undo) = match fault {
                NodeFault::Kill => ("the node's power goes", ready),
                NodeFault::Stop { .. } => ("the node shuts down in order", ready),
                NodeFault::Pause => ("freeze the node", "the node is not frozen, and is ready"),
                NodeFault::Disconnect => (
                    "take the node off its network",
                    "on its network again, same names and address, and ready",
                ),
                NodeFault::Partition => (
                    "drop every packet of the node",
                    "no packet of the node is dropped, and it is ready",
                ),
                NodeFault::Drain => ("drain the node", "it is available as before"),
            };
            (call.to_owned(), undo.to_owned())
        }
        Action::Partition { from, .. } => (
            format!(
                "drop packets from and to {}",
                from.as_deref().unwrap_or("everybody")
            ),
            "no packet is dropped; by itself 5 s after the hold, whoever has died".to_owned(),
        ),
        Action::Scale { replicas, .. } => (
            format!("scale to {replicas} replicas"),
            "the replicas as before".to_owned(),
        ),
        Action::Exec { run, undo, .. } => (format!("run inside: {}", words(run)), own(undo)),
        Action::Http { call, undo } => {
            let undo = undo
                .as_ref()
                .map_or("none".to_owned(), |u| format!("{} {}", u.method, u.url));
            (format!("{} {}", call.method, call.url), undo)
        }
        Action::Command { run, undo } => (words(run), own(undo)),
        Action::Update { change, keep, .. } => {
            let (call, undo) = match change {
                UpdateChange::Image(image) => {
                    (format!("replace one by one with image {image}"), None)
                }
                UpdateChange::Env(env) => {
                    let names: Vec<&str> = env.keys().map(String::as_str).collect();
                    (
                        format!("replace one by one with {} set", names.join(", ")),
                        None,
                    )
                }
                UpdateChange::Command(command) => (
                    format!("replace one by one running {}", words(command)),
                    None,
                ),
                UpdateChange::Files(files) => {
                    let files: Vec<String> =
                        files.iter().map(|f| f.display().to_string()).collect();
                    (
                        format!("deploy the stack as {} says", files.join(" and ")),
                        Some("every service of the stack as before".to_owned()),
                    )
                }
                UpdateChange::Again => (
                    "replace one by one with the same, for the platform to place anew".to_owned(),
                    Some("none: the definition stays as it is".to_owned()),
                ),
                UpdateChange::By { run, undo } => (words(run), Some(own(undo))),
            };
            let undo = undo.unwrap_or_else(|| "the definition as before".to_owned());
            (
                call,
                if *keep && *change != UpdateChange::Again {
                    format!("{undo}, unless the update goes through (keep: true)")
                } else {
                    undo
                },
            )
        }
    }
}
