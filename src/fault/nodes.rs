//! Which nodes of a cluster a step takes, by where they are and by what runs on them.

use std::collections::BTreeSet;

use super::choose::{Refused, counted, draw};
use super::shield::Shield;
use crate::model::{Among, Component, ComponentId, NODE, NodeRole, RunState, Take};
use crate::scenario::plan::{Guards, StepPlan};

/// The running nodes that are meant. Of a zone outage they are all of the zone, if any of them runs what is asked for.
pub(super) fn meant<'c>(
    step: &StepPlan,
    among: &Among,
    components: &'c [Component],
) -> Vec<&'c Component> {
    let of_place = |node: &&Component| {
        let zone = among.zone.is_none() || among.zone == node.place.zone;
        let is = |asked: NodeRole| node.place.role.is_some_and(|role| role.is(asked));
        zone && among.role.is_none_or(is)
    };
    let mut nodes: Vec<&Component> = running(components).filter(of_place).collect();
    let Some(service) = &among.holding else {
        return nodes;
    };
    let holds = |node: &&Component| healthy(service, components).any(|c| is_on(c, node));
    if !step.action.is_zone_outage() {
        nodes.retain(holds);
    } else if !nodes.iter().any(holds) {
        nodes.clear();
    }
    nodes
}

/// Why a node must not be taken: it is protected, or something is that runs on it; `None` where it may be.
pub(super) fn protected(
    node: &Component,
    components: &[Component],
    shield: &Shield,
) -> Option<String> {
    if let Some(itself) = shield.named(&node.id) {
        return Some(itself);
    }
    let on_it: Vec<String> = components
        .iter()
        .filter(|c| is_on(c, node))
        .filter_map(|c| shield.named(&c.id))
        .collect();
    (!on_it.is_empty()).then(|| format!("{}, which runs {}", node.id, on_it.join(", ")))
}

/// Chooses among the nodes that are meant and may be hit. The same seed, step and components give the same choice; how
/// many are taken hangs on how many are meant, so that protecting one makes no fault smaller.
///
/// # Errors
/// [`Refused`]: an empty selection, or one that a guard forbids, is never made smaller silently.
pub(super) fn choose(
    step: &StepPlan,
    among: &Among,
    take: Take,
    components: &[Component],
    seed: u64,
    guards: &Guards,
    shield: &Shield,
) -> Result<Vec<ComponentId>, Refused> {
    let mut nodes = meant(step, among, components);
    let wanted = wanted(step, among);
    if nodes.is_empty() {
        return Err(Refused::NoNode {
            wanted,
            seen: seen(components),
        });
    }
    let all = nodes.len();
    let count = counted(take, all);
    if count > all {
        return Err(Refused::TooFewNodes {
            asked: count,
            wanted,
            running: all,
            seen: seen(components),
        });
    }
    let spared: Vec<String> = nodes
        .iter()
        .filter_map(|node| protected(node, components, shield))
        .collect();
    nodes.retain(|node| protected(node, components, shield).is_none());
    if count > nodes.len() {
        return Err(Refused::ProtectedNodes {
            asked: count,
            running: all,
            wanted,
            protected: spared.join(", "),
        });
    }
    let taken = draw(&step.name, seed, nodes, count);
    let keep = guards.keep_healthy;
    if keep > 0 && running(components).all(|node| taken.contains(&node.id)) {
        return Err(Refused::LastNodes { taken: count, keep });
    }
    if let Some(service) = &among.holding {
        let falls = |c: &&Component| c.place.node.as_ref().is_some_and(|n| taken.contains(n));
        let all = healthy(service, components).count();
        let lost = healthy(service, components).filter(falls).count();
        if keep > 0 && all - lost < usize::try_from(keep).unwrap_or(usize::MAX) {
            return Err(Refused::KeepHealthyOnNodes {
                nodes: names(&taken),
                service: service.clone(),
                taken: lost,
                healthy: all,
                keep,
            });
        }
    }
    Ok(taken)
}

fn running(components: &[Component]) -> impl Iterator<Item = &Component> {
    let nodes = components.iter().filter(|c| c.id.service == NODE);
    nodes.filter(|c| c.state == RunState::Running)
}

/// The healthy replicas of a service.
fn healthy<'c>(
    service: &'c str,
    components: &'c [Component],
) -> impl Iterator<Item = &'c Component> {
    components
        .iter()
        .filter(move |c| c.id.service == service && c.healthy())
}

fn is_on(component: &Component, node: &Component) -> bool {
    component.place.node.as_ref() == Some(&node.id)
}

/// The nodes that were looked for, for a person.
fn wanted(step: &StepPlan, among: &Among) -> String {
    match (&among.zone, &among.holding) {
        (Some(zone), Some(service)) if step.action.is_zone_outage() => {
            format!("nodes of zone {zone} with {service} on at least one")
        }
        _ => format!("nodes {among}").trim_end().to_owned(),
    }
}

/// The nodes that there are, and what healthy they run, for a person.
fn seen(components: &[Component]) -> String {
    let nodes = components.iter().filter(|c| c.id.service == NODE);
    let one = |node: &Component| {
        let on_it = components.iter().filter(|c| c.healthy() && is_on(c, node));
        let on_it: BTreeSet<&ComponentId> = on_it.map(|c| &c.id).collect();
        let on_it: Vec<String> = on_it.into_iter().map(ToString::to_string).collect();
        let state =
            (node.state != RunState::Running).then(|| format!("{:?}", node.state).to_lowercase());
        let runs = if on_it.is_empty() {
            "runs nothing".to_owned()
        } else {
            format!("runs {}", on_it.join(" "))
        };
        let parts = [
            state,
            node.place.zone.as_ref().map(|zone| format!("zone {zone}")),
            node.place.role.map(|role| role.to_string()),
            Some(runs),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        format!("{} ({})", node.id, parts.join(", "))
    };
    let all: Vec<String> = nodes.map(one).collect();
    if all.is_empty() {
        "there is no node at all".to_owned()
    } else {
        format!("there are {}", all.join(", "))
    }
}

fn names(ids: &[ComponentId]) -> String {
    let each: Vec<String> = ids.iter().map(ToString::to_string).collect();
    each.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Action, Health, NodeFault, Place};
    use crate::scenario::plan::Trigger;

    fn component(id: ComponentId, place: Place) -> Component {
        Component {
            id,
            host: String::new(),
            handle: String::new(),
            name: String::new(),
            addresses: vec![],
            state: RunState::Running,
            health: Health::Unchecked,
            image: String::new(),
            started_ns: None,
            place,
        }
    }

    fn node(index: u32) -> ComponentId {
        ComponentId::new(NODE, index)
    }

    /// Managers 1 (leads, a), 2 (b) and 3 (c), workers 4 (a) and 5 (b); backend/1 on 4, 2 and 3 on 5; nginx/1 on 3.
    fn cluster() -> Vec<Component> {
        use NodeRole::{Leader, Manager, Worker};
        let nodes = [
            (1, "a", Leader),
            (2, "b", Manager),
            (3, "c", Manager),
            (4, "a", Worker),
            (5, "b", Worker),
        ];
        let nodes = nodes.map(|(index, zone, role)| {
            let place = Place {
                node: None,
                zone: Some(zone.to_owned()),
                role: Some(role),
            };
            component(node(index), place)
        });
        let tasks = [
            ("backend", 1, 4),
            ("backend", 2, 5),
            ("backend", 3, 5),
            ("nginx", 1, 3),
        ];
        let tasks = tasks.map(|(service, index, on)| {
            let place = Place {
                node: Some(node(on)),
                ..Place::default()
            };
            component(ComponentId::new(service, index), place)
        });
        nodes.into_iter().chain(tasks).collect()
    }

    fn step(fault: NodeFault, take: Take, among: &Among) -> StepPlan {
        StepPlan {
            name: "s".to_owned(),
            when: Trigger::At(std::time::Duration::ZERO),
            action: Action::Node {
                fault,
                take,
                among: among.clone(),
            },
            hold: None,
        }
    }

    fn among(zone: Option<&str>, role: Option<NodeRole>, holding: Option<&str>) -> Among {
        Among {
            holding: holding.map(str::to_owned),
            zone: zone.map(str::to_owned),
            role,
        }
    }

    struct Case<'a> {
        components: &'a [Component],
        fault: NodeFault,
        keep: u32,
        shield: Shield,
    }

    impl<'a> Case<'a> {
        fn of(components: &'a [Component]) -> Self {
            Self {
                components,
                fault: NodeFault::Pause,
                keep: 0,
                shield: Shield::default(),
            }
        }

        fn take(&self, take: Take, among: &Among, seed: u64) -> Result<Vec<u32>, Refused> {
            let step = step(self.fault.clone(), take, among);
            let guards = Guards {
                keep_healthy: self.keep,
                ..Guards::default()
            };
            let taken = choose(
                &step,
                among,
                take,
                self.components,
                seed,
                &guards,
                &self.shield,
            );
            taken.map(|ids| ids.into_iter().map(|id| id.index).collect())
        }

        fn all(&self, among: &Among) -> Vec<u32> {
            self.take(Take::All, among, 1).unwrap()
        }
    }

    #[test]
    fn nodes_are_chosen_by_place_and_by_what_they_run() {
        let cluster = cluster();
        let case = Case::of(&cluster);
        let role = |role| among(None, Some(role), None);
        assert_eq!(case.all(&Among::default()), [1, 2, 3, 4, 5]);
        assert_eq!(case.all(&among(Some("b"), None, None)), [2, 5]);
        assert_eq!(case.all(&role(NodeRole::Manager)), [1, 2, 3]);
        assert_eq!(case.all(&role(NodeRole::Leader)), [1]);
        assert_eq!(case.all(&among(None, None, Some("backend"))), [4, 5]);
        let worker = Some(NodeRole::Worker);
        assert_eq!(case.all(&among(Some("a"), worker, Some("backend"))), [4]);
        // Not a replica that is ill.
        let mut ill = cluster.clone();
        ill[5].health = Health::Unhealthy;
        let backend = among(None, None, Some("backend"));
        assert_eq!(Case::of(&ill).all(&backend), [5]);
    }

    #[test]
    fn the_seed_decides_and_nothing_else() {
        let cluster = cluster();
        let reversed: Vec<Component> = cluster.iter().rev().cloned().collect();
        let any = Among::default();
        let one = |components: &[Component], seed| {
            let case = Case::of(components);
            case.take(Take::Count(1), &any, seed).unwrap()
        };
        for seed in 0..50 {
            assert_eq!(one(&cluster, seed), one(&reversed, seed));
        }
        let all: BTreeSet<u32> = (0..50).flat_map(|seed| one(&cluster, seed)).collect();
        assert_eq!(all.len(), 5, "fifty seeds choose every node");
    }

    #[test]
    fn a_zone_outage_takes_the_whole_zone_or_nothing() {
        let cluster = cluster();
        let outage = Case {
            fault: NodeFault::Kill,
            ..Case::of(&cluster)
        };
        // Node 1 runs nothing of it, and goes with its zone.
        assert_eq!(outage.all(&among(Some("a"), None, Some("backend"))), [1, 4]);
        let elsewhere = among(Some("c"), None, Some("backend"));
        let refused = outage.take(Take::All, &elsewhere, 1).unwrap_err();
        assert!(matches!(refused, Refused::NoNode { .. }), "{refused}");
        let mut dead = cluster.clone();
        dead[3].state = RunState::Exited;
        dead.remove(5);
        let outage = Case {
            components: &dead,
            ..outage
        };
        assert_eq!(outage.all(&among(Some("a"), None, None)), [1]);
    }

    #[test]
    fn what_is_not_there_is_refused_with_what_is() {
        let mut cluster = cluster();
        cluster[1].state = RunState::Paused;
        let case = Case::of(&cluster);
        let refused = case
            .take(Take::Count(1), &among(Some("d"), None, Some("nginx")), 1)
            .unwrap_err()
            .to_string();
        assert_eq!(
            refused,
            "no running nodes of zone d that run nginx; there are node/1 (zone a, leader, runs nothing), \
             node/2 (paused, zone b, manager, runs nothing), node/3 (zone c, manager, runs nginx/1), \
             node/4 (zone a, worker, runs backend/1), node/5 (zone b, worker, runs backend/2 backend/3)"
        );
        let three = case.take(Take::Count(3), &among(None, None, Some("backend")), 1);
        assert!(matches!(
            three,
            Err(Refused::TooFewNodes { running: 2, .. })
        ));
    }

    #[test]
    fn what_runs_on_a_node_protects_it() {
        let cluster = cluster();
        let nginx = ComponentId::new("nginx", 1);
        let case = Case {
            shield: Shield::from([(nginx, "precious"), (node(5), "of the guard")]),
            ..Case::of(&cluster)
        };
        let any = Among::default();
        let mut taken = BTreeSet::new();
        for seed in 0..50 {
            taken.extend(case.take(Take::Count(1), &any, seed).unwrap());
        }
        assert_eq!(taken.into_iter().collect::<Vec<_>>(), [1, 2, 4]);
        let refused = case.take(Take::All, &any, 1).unwrap_err().to_string();
        assert!(
            refused.contains("node/3, which runs nginx/1 (precious), node/5 (of the guard)"),
            "{refused}"
        );
        let outage = Case {
            fault: NodeFault::Kill,
            ..case
        };
        let refused = outage.take(Take::All, &among(Some("c"), None, None), 1);
        assert!(matches!(refused, Err(Refused::ProtectedNodes { .. })));
    }

    #[test]
    fn replicas_on_a_victim_count_as_taken() {
        let cluster = cluster();
        let keeping = |keep| Case {
            keep,
            ..Case::of(&cluster)
        };
        let b = among(Some("b"), None, Some("backend"));
        let refused = keeping(2).take(Take::Count(1), &b, 1).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "taking node/5 takes 2 of 3 healthy replicas of `backend` along, and would leave fewer than \
             guards.keep_healthy (2)"
        );
        assert_eq!(keeping(1).take(Take::Count(1), &b, 1).unwrap(), [5]);
        let a = among(Some("a"), None, Some("backend"));
        assert_eq!(keeping(2).take(Take::Count(1), &a, 1).unwrap(), [4]);
        let all = keeping(1).take(Take::All, &Among::default(), 1);
        assert!(matches!(all, Err(Refused::LastNodes { .. })));
        assert_eq!(
            keeping(1)
                .take(Take::Count(4), &Among::default(), 1)
                .unwrap()
                .len(),
            4
        );
    }
}
