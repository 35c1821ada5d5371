//! The faults that an operator may make though the scenario does not have them.

use std::time::Duration;

use crate::model::{Action, Among, NodeFault, Signal, StackSpec, Take};
use crate::scenario::plan::Plan;
use crate::stack::supports;

/// How long a service is given to stop in order; Compose's own default.
const GRACE: Duration = Duration::from_secs(10);

/// Whether a fault may be made on this stack though the scenario does not have it.
///
/// # Errors
/// Why not, for a person.
pub fn may_offer(plan: &Plan, action: &Action) -> Result<(), String> {
    let external = matches!(plan.stack, StackSpec::External(_)) || plan.stack.is_foreign_to(action);
    if external && !plan.guards.allow_external {
        return Err(
            "firedrill did not start this stack, and guards.allow_external is not set".to_owned(),
        );
    }
    // Of those the person at the keys was shown what they take, and asked; of no others.
    if external && !plan.steps.iter().any(|s| s.action == *action) {
        return Err(
            "on a stack that firedrill did not start only the scenario's own faults are made"
                .to_owned(),
        );
    }
    supports(&plan.stack, action)
}

/// The faults that this stack supports, of one replica each, by service, then of one node; those that the scenario's own steps make come
/// first. Each is healed after its hold.
#[must_use]
pub fn offers(plan: &Plan) -> Vec<Action> {
    let mut offers: Vec<Action> = Vec::new();
    let own = plan.steps.iter().map(|step| step.action.clone());
    // An update that is kept has no end.
    let own = own.filter(|action| !matches!(action, Action::Update { .. }));
    let services = plan.stack.services();
    let of_services = services.iter().flat_map(|service| of_service(service));
    for action in own.chain(of_services).chain(of_nodes()) {
        if !offers.contains(&action) && may_offer(plan, &action).is_ok() {
            offers.push(action);
        }
    }
    offers
}

fn of_service(service: &str) -> [Action; 6] {
    let target = || service.to_owned();
    let take = Take::Count(1);
    [
        Action::Kill {
            target: target(),
            take,
            signal: Signal::SigKill,
        },
        Action::Stop {
            target: target(),
            take,
            grace: GRACE,
        },
        Action::Pause {
            target: target(),
            take,
        },
        Action::Restart {
            target: target(),
            take,
            grace: GRACE,
        },
        Action::Disconnect {
            target: target(),
            take,
            network: None,
        },
        Action::Partition {
            target: target(),
            take,
            from: None,
        },
    ]
}

/// Each fault of one node, whichever it is.
fn of_nodes() -> impl Iterator<Item = Action> {
    let faults = [
        NodeFault::Kill,
        NodeFault::Stop { grace: GRACE },
        NodeFault::Pause,
        NodeFault::Disconnect,
        NodeFault::Partition,
        NodeFault::Drain,
    ];
    faults.into_iter().map(|fault| Action::Node {
        fault,
        take: Take::Count(1),
        among: Among::default(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::model::{MachinesSpec, SwarmSpec};
    use crate::scenario::{self, Inputs};

    fn plan() -> Plan {
        let none = BTreeMap::new();
        let inputs = Inputs {
            path: Path::new("offers.yaml"),
            text: "version: 1\nname: x\nstack: { process: { services: { web: { command: [none] } } } }\n\
                   load: { base_url: \"http://127.0.0.1:1\", stages: [ { rate: 1/s, for: 10s } ], request: { get: / } }\n\
                   steps: [ { name: gone, at: 1s, pause: { target: web }, hold: 1s } ]\n",
            vars: &none,
            env: &none,
            seed: Some(1),
        };
        scenario::load(&inputs, &|_, _| Ok(())).unwrap().plan
    }

    #[test]
    fn nodes_are_offered_where_there_are_any() {
        let mut plan = plan();
        plan.steps.clear();
        plan.stack = StackSpec::Swarm(Box::new(SwarmSpec {
            file: "stack.yml".into(),
            env: BTreeMap::new(),
            images: vec![],
            machines: Some(MachinesSpec {
                file: "machines.yml".into(),
                name: "drill".to_owned(),
                env: BTreeMap::new(),
                keep: false,
                base: None,
            }),
            manager: None,
            outside: None,
            ready: None,
            services: vec![],
            global: vec![],
        }));
        let names = |plan: &Plan| -> Vec<&str> { offers(plan).iter().map(Action::name).collect() };
        let all = [
            "node_kill",
            "node_stop",
            "node_pause",
            "node_disconnect",
            "node_partition",
            "drain",
        ];
        assert_eq!(names(&plan), all);
        // Nobody asked to have a cluster touched that is there already.
        if let StackSpec::Swarm(swarm) = &mut plan.stack {
            swarm.machines = None;
        }
        assert!(names(&plan).is_empty());
    }

    #[test]
    fn a_stack_is_offered_what_it_can_do() {
        let plan = plan();
        let names: Vec<&str> = offers(&plan).iter().map(Action::name).collect();
        // Its own first, which is offered once; and no cut of a network that is the whole machine's.
        assert_eq!(names, ["pause", "kill", "stop", "restart"]);
    }
}
