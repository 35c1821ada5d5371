//! What a step does to the nodes of a cluster.

use super::Checker;
use super::actions::{GRACE, Placed, take};
use crate::model::{Action, Among, NodeFault, NodeRole, Selector, Take};
use crate::scenario::error::Problem;
use crate::scenario::file::nodes::Nodes;
use crate::scenario::file::steps::Step;
use crate::scenario::plan::Guards;
use crate::scenario::shape::At;
use crate::scenario::tree::Span;
use crate::scenario::units::Taken;

impl Checker<'_> {
    /// The action on nodes of a step that has one.
    pub(super) fn node_action(&mut self, step: &Step) -> Option<Placed> {
        let alike = [
            (&step.node_kill, NodeFault::Kill),
            (&step.node_pause, NodeFault::Pause),
            (&step.node_disconnect, NodeFault::Disconnect),
            (&step.node_partition, NodeFault::Partition),
            (&step.drain, NodeFault::Drain),
        ];
        for (written, fault) in alike {
            if let Some(nodes) = written {
                let Nodes {
                    target,
                    take,
                    zone,
                    role,
                } = &nodes.value;
                let among = self.among(target.as_ref(), zone.as_ref(), *role);
                return Some((nodes.at, self.nodes(nodes.at, fault, *take, among)));
            }
        }
        if let Some(stop) = &step.node_stop {
            let written = &stop.value;
            let among = self.among(written.target.as_ref(), written.zone.as_ref(), written.role);
            let grace = written.grace.map_or(GRACE, |grace| grace.0);
            let fault = NodeFault::Stop { grace };
            return Some((stop.at, self.nodes(stop.at, fault, written.take, among)));
        }
        let outage = step.zone_outage.as_ref()?;
        let written = &outage.value;
        let among = self.among(written.target.as_ref(), Some(&written.zone), None);
        let action = among.map(|among| Action::Node {
            fault: NodeFault::Kill,
            take: Take::All,
            among,
        });
        Some((outage.at, action))
    }

    fn nodes(
        &mut self,
        at: Span,
        fault: NodeFault,
        taken: Option<Taken>,
        among: Option<Among>,
    ) -> Option<Action> {
        let action = Action::Node {
            fault,
            take: take(taken),
            among: among?,
        };
        let held = matches!(&action, Action::Node { among, .. } if among.holding.is_some());
        if held && action.is_zone_outage() {
            let problem = Problem::invalid(
                at,
                "it is not said whether all nodes of the zone are meant, or all that run the target",
            );
            self.problems.push(
                problem.help(
                    "write `zone_outage` for the whole zone, or leave `zone` or `target` out",
                ),
            );
        }
        Some(action)
    }

    /// Which nodes are meant; `None` where a part of it failed.
    fn among(
        &mut self,
        target: Option<&At<String>>,
        zone: Option<&At<String>>,
        role: Option<NodeRole>,
    ) -> Option<Among> {
        let holding = target.map(|target| self.on_nodes(target));
        let zone = zone.map(|zone| {
            let name = self.fixed(zone, "a zone")?;
            if name.is_empty() {
                let problem = Problem::invalid(zone.at, "a zone without a name is none");
                self.problems
                    .push(problem.help("leave `zone` out for nodes of any"));
            }
            Some(name)
        });
        Some(Among {
            holding: match holding {
                Some(service) => Some(service?),
                None => None,
            },
            zone: match zone {
                Some(zone) => Some(zone?),
                None => None,
            },
            role,
        })
    }

    /// A service that runs on the nodes.
    fn on_nodes(&mut self, target: &At<String>) -> Option<String> {
        let service = self.target(target)?;
        if self.services.beside.contains(&service) {
            let problem = Problem::invalid(
                target.at,
                format!("`{service}` stands beside the cluster, so no node runs it"),
            );
            self.problems
                .push(problem.help("name a service of the stack file"));
        }
        Some(service)
    }

    /// Each node taken for what it runs takes at least one replica of it along.
    pub(super) fn held_suffice(&mut self, at: Span, action: &Action, guards: &Guards) {
        let Action::Node { take, among, .. } = action else {
            return;
        };
        let spares = |selector: &&Selector| match selector {
            Selector::Service(service) => among.holding.as_ref() == Some(service),
            Selector::Component(_) | Selector::Label(_) => false,
        };
        if let Some(selector) = guards.never_touch.iter().find(spares) {
            let message = format!(
                "this hits nodes that run `{selector}`, all of which `guards: {{ never_touch }}` protects"
            );
            self.problems.push(
                Problem::invalid(at, message)
                    .help("aim it at something else, or take that off the guard"),
            );
        }
        let Some((service, replicas)) = among
            .holding
            .as_ref()
            .and_then(|service| Some((service, self.replicas(service)?)))
        else {
            return;
        };
        let least = match take {
            Take::All if among.zone.is_none() && among.role.is_none() => replicas,
            Take::All | Take::Share(_) => 1,
            Take::Count(nodes) => *nodes,
        };
        let keep = guards.keep_healthy;
        if least > replicas {
            let message = format!(
                "this takes {least} nodes that run `{service}`, which has {replicas} replicas"
            );
            self.problems
                .push(Problem::invalid(at, message).help("take fewer nodes"));
        } else if replicas - least < keep {
            let message = format!(
                "this takes at least {least} of the {replicas} of `{service}` along, and `guards: {{ keep_healthy: {keep} }}` forbids it"
            );
            self.problems
                .push(Problem::invalid(at, message).help("take fewer, or lower the guard"));
        }
    }
}
