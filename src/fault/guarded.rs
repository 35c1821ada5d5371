//! What a step's guards come to, in words, before anything is touched.

use crate::model::{Action, Selector, StackSpec};
use crate::scenario::plan::{Guards, Plan, StepPlan};

/// The guards that bear on a step, each as a phrase; empty where none does.
#[must_use]
pub fn guarded(step: &StepPlan, plan: &Plan) -> Vec<String> {
    let mut words = said(&step.action, &plan.guards);
    let allowed = plan.guards.allow_external;
    let foreign = match &plan.stack {
        StackSpec::External(_) if allowed => {
            "allow_external: firedrill did not start this stack and may break it"
        }
        StackSpec::External(_) => {
            "allow_external is not set: no container of this stack is touched"
        }
        stack if !stack.is_foreign_to(&step.action) => return words,
        _ if allowed => {
            "allow_external: firedrill did not make this cluster and may touch its nodes"
        }
        _ => "allow_external is not set: no node of this cluster is touched",
    };
    words.push(foreign.to_owned());
    words
}

fn said(action: &Action, guards: &Guards) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(target) = action.target() {
        words.extend(kept(action, target, guards.keep_healthy));
        words.extend(never_touched(action, target, guards));
    } else if !guards.never_touch.is_empty() {
        words
            .push("never_touch does not reach what the user's own call or command does".to_owned());
    }
    if let Some(most) = guards.max_concurrent {
        words.push(format!("at most {most} open at once"));
    }
    if let Some(firing) = &guards.not_while_firing {
        let which = match &firing.forbid {
            Some(forbid) => forbid.join(" or "),
            None => "any alert".to_owned(),
        };
        let but = if firing.allow.is_empty() {
            String::new()
        } else {
            format!(", {} apart", firing.allow.join(" and "))
        };
        words.push(format!("not while {which} fires{but}"));
    }
    if !guards.only.is_empty() {
        let windows: Vec<String> = guards.only.iter().map(ToString::to_string).collect();
        words.push(format!("only {}", windows.join(", or ")));
    }
    words
}

/// What is left of the target; of what runs on nodes, where they are chosen for it.
fn kept(action: &Action, target: &str, keep: u32) -> Option<String> {
    if keep == 0 {
        return None;
    }
    Some(match action {
        Action::Node { among, .. } => match &among.holding {
            Some(service) => format!("leaves {keep} healthy of {service}, and a node"),
            None => "leaves a node".to_owned(),
        },
        Action::Kill { .. }
        | Action::Stop { .. }
        | Action::Pause { .. }
        | Action::Restart { .. }
        | Action::Disconnect { .. }
        | Action::Partition { .. }
        | Action::Scale { .. }
        | Action::Exec { .. }
        | Action::Http { .. }
        | Action::Command { .. }
        | Action::Update { .. } => format!("leaves {keep} healthy of {target}"),
    })
}

/// What of the target is out of reach; of nodes, those that run what is, too.
fn never_touched(action: &Action, target: &str, guards: &Guards) -> Option<String> {
    let of = guards.never_touch.iter().filter(|selector| match selector {
        Selector::Service(service) => service == target,
        Selector::Component(component) => component.service == target,
        // Only the running stack knows who bears it.
        Selector::Label(_) => true,
    });
    let mut names: Vec<String> = of.map(ToString::to_string).collect();
    if let Action::Node { .. } = action {
        let runs = |selector: &Selector| match selector {
            Selector::Service(service) => service != target,
            Selector::Component(component) => component.service != target,
            Selector::Label(_) => true,
        };
        let on_nodes = guards.never_touch.iter().filter(|selector| runs(selector));
        names.extend(on_nodes.map(|selector| format!("a node that runs {selector}")));
    }
    let chosen = if action.take().is_some() {
        ", chosen among the others"
    } else {
        ""
    };
    (!names.is_empty()).then(|| format!("never {}{chosen}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Among, ComponentId, NodeFault, Take};
    use crate::scenario::guards::NotWhileFiring;

    #[test]
    fn only_what_bears_on_the_action_is_said() {
        let guards = Guards {
            keep_healthy: 1,
            max_concurrent: Some(2),
            never_touch: vec![
                Selector::Service("postgres".to_owned()),
                Selector::Component(ComponentId::new("backend", 2)),
                Selector::Label("tier=db".parse().unwrap()),
            ],
            not_while_firing: Some(NotWhileFiring {
                forbid: Some(vec!["critical".to_owned(), "DiskFull".to_owned()]),
                allow: vec!["Watchdog".to_owned()],
            }),
            ..Guards::default()
        };
        let pause = Action::Pause {
            target: "backend".to_owned(),
            take: Take::Count(1),
        };
        let command = Action::Command {
            run: vec![],
            undo: None,
        };
        let shared = [
            "at most 2 open at once",
            "not while critical or DiskFull fires, Watchdog apart",
        ];
        assert_eq!(
            said(&pause, &guards),
            [
                "leaves 1 healthy of backend",
                "never backend/2, label tier=db, chosen among the others",
                shared[0],
                shared[1],
            ]
        );
        let unreached = "never_touch does not reach what the user's own call or command does";
        assert_eq!(said(&command, &guards), [unreached, shared[0], shared[1]]);
        assert!(said(&pause, &Guards::default()).is_empty());
        let drain = Action::Node {
            fault: NodeFault::Drain,
            take: Take::Count(1),
            among: Among {
                holding: Some("backend".to_owned()),
                ..Among::default()
            },
        };
        assert_eq!(
            said(&drain, &guards)[..2],
            [
                "leaves 1 healthy of backend, and a node",
                "never label tier=db, a node that runs postgres, a node that runs backend/2, \
                 a node that runs label tier=db, chosen among the others",
            ]
        );
    }
}
