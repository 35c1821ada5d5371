//! The faults that an operator may make though the scenario does not have them.

use std::time::Duration;

use crate::model::{Action, Signal, StackSpec, Take};
use crate::scenario::plan::Plan;
use crate::stack::supports;

/// How long a service is given to stop in order; Compose's own default.
const GRACE: Duration = Duration::from_secs(10);

/// Whether a fault may be made on this stack though the scenario does not have it.
///
/// # Errors
/// Why not, for a person.
pub fn may_offer(plan: &Plan, action: &Action) -> Result<(), String> {
    let external = matches!(plan.stack, StackSpec::External(_));
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

/// The faults that this stack supports, of one replica each, by service; those that the scenario's own steps make come
/// first. Each is healed after its hold.
#[must_use]
pub fn offers(plan: &Plan) -> Vec<Action> {
    let mut offers: Vec<Action> = Vec::new();
    let own = plan.steps.iter().map(|step| step.action.clone());
    // An update that is kept has no end.
    let own = own.filter(|action| !matches!(action, Action::Update { .. }));
    let services = plan.stack.services();
    for action in own.chain(services.iter().flat_map(|service| of_service(service))) {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::scenario::{self, Inputs};

    #[test]
    fn a_stack_is_offered_what_it_can_do() {
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
        let plan = scenario::load(&inputs, &|_, _| Ok(())).unwrap().plan;
        let names: Vec<&str> = offers(&plan).iter().map(Action::name).collect();
        // Its own first, which is offered once; and no cut of a network that is the whole machine's.
        assert_eq!(names, ["pause", "kill", "stop", "restart"]);
    }
}
