//! Whom a step may take, as far as it is known before the run.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Shield, candidates, chosen};
use crate::model::{Component, ComponentId, Health, Place, RunState};
use crate::scenario::plan::{Plan, StepPlan};

/// What tells which components there are.
#[derive(Debug, Clone)]
pub enum Known {
    /// The engine of a stack that stands already, now.
    ByEngine {
        /// The components.
        components: Vec<Component>,
        /// Those of them that must not be hit.
        shield: Shield,
    },
    /// The scenario and its files: replicas of each service, `None` where they leave it open.
    ByFile(BTreeMap<String, Option<u32>>),
}

/// Whom a step may take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Targets {
    /// The service that it is aimed at.
    pub service: String,
    /// Components that it may take, `backend/2`; empty where it is not known which there are.
    pub candidates: Vec<String>,
    /// How many of them it takes; `null` where that is not known yet.
    pub count: Option<usize>,
    /// Why it would not be made if its time were now; `null` where nothing speaks against it.
    pub refused: Option<String>,
}

/// The components that this step may take; `None` for one that is aimed at none.
#[must_use]
pub(super) fn targets(step: &StepPlan, plan: &Plan, known: &Known) -> Option<Targets> {
    let service = step.action.target()?;
    let (components, shield) = match known {
        Known::ByEngine { components, shield } => (Some(components.clone()), shield.clone()),
        Known::ByFile(replicas) => {
            let count = replicas.get(service).copied().flatten();
            let components = count.map(|count| as_written(service, count));
            let shield = Shield::by_name(components.as_deref().unwrap_or_default(), &plan.guards);
            (components, shield)
        }
    };
    let there = components.as_deref().unwrap_or_default();
    let (candidates, _) = candidates(step, there, &shield);
    let mut candidates: Vec<&ComponentId> = candidates.into_iter().map(|c| &c.id).collect();
    candidates.sort();
    let chosen = components
        .as_ref()
        .and_then(|there| chosen(step, there, plan.seed, &plan.guards, &shield));
    let (count, refused) = match chosen {
        Some(Ok(taken)) => (Some(taken.len()), None),
        Some(Err(why)) => (None, Some(why.to_string())),
        None => (components.as_ref().map(|_| candidates.len()), None),
    };
    Some(Targets {
        count,
        refused,
        service: service.to_owned(),
        candidates: candidates.into_iter().map(ToString::to_string).collect(),
    })
}

/// Replicas that nothing is known of but their number.
fn as_written(service: &str, count: u32) -> Vec<Component> {
    let one = |index| Component {
        id: ComponentId::new(service, index),
        host: String::new(),
        handle: String::new(),
        name: String::new(),
        addresses: Vec::new(),
        state: RunState::Running,
        health: Health::Unchecked,
        image: String::new(),
        started_ns: None,
        place: Place::default(),
    };
    (1..=count).map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::model::{Action, FakeSpec, StackSpec, Take};
    use crate::scenario::plan::{Guards, Observe, Recovery, Trigger};

    fn plan(take: Take) -> Plan {
        Plan {
            plan_version: 1,
            name: "p".to_owned(),
            description: None,
            tags: vec![],
            seed: 7,
            file: PathBuf::new(),
            stack: StackSpec::Fake(FakeSpec {
                services: BTreeMap::new(),
                effect_after: std::time::Duration::ZERO,
                failover_after: std::time::Duration::ZERO,
            }),
            targets: BTreeMap::new(),
            observe: Observe::default(),
            steady_state: vec![],
            stop_when: vec![],
            load: None,
            loads: vec![],
            pace: crate::model::Pace::default(),
            steps: vec![StepPlan {
                name: "freeze".to_owned(),
                when: Trigger::At(std::time::Duration::ZERO),
                action: Action::Pause {
                    target: "web".to_owned(),
                    take,
                },
                hold: None,
            }],
            objectives: vec![],
            recovery: Recovery {
                settle: std::time::Duration::ZERO,
                bad: None,
                latency_back: None,
            },
            guards: Guards {
                keep_healthy: 1,
                ..Guards::default()
            },
        }
    }

    fn by_engine(components: Vec<Component>) -> Known {
        Known::ByEngine {
            components,
            shield: Shield::default(),
        }
    }

    #[test]
    fn only_what_runs_is_a_candidate_and_a_guard_refuses_beforehand() {
        let mut web = as_written("web", 3);
        web[1].state = RunState::Exited;
        let known = by_engine(web);
        let of = |take| {
            let plan = plan(take);
            targets(&plan.steps[0], &plan, &known).unwrap()
        };
        let one = of(Take::Count(1));
        assert_eq!(one.candidates, ["web/1", "web/3"]);
        assert_eq!((one.count, one.refused), (Some(1), None));
        let all = of(Take::All);
        assert!(all.refused.unwrap().contains("keep_healthy"));
        let plan = plan(Take::Count(1));
        let gone = targets(&plan.steps[0], &plan, &by_engine(vec![])).unwrap();
        assert!(gone.refused.unwrap().contains("no running replica"));
        let open = Known::ByFile(BTreeMap::from([("web".to_owned(), None)]));
        let open = targets(&plan.steps[0], &plan, &open).unwrap();
        assert_eq!(
            (open.candidates.len(), open.count, open.refused),
            (0, None, None)
        );
    }
}
