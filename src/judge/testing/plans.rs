//! Plans from a few lines of YAML.

use std::collections::BTreeMap;
use std::path::Path;

use crate::model::{StackSpec, SwarmSpec};
use crate::scenario::{self, Inputs, Plan};

/// A plan: the usual stack, load and step, with these objectives (the lines below `objectives:`).
pub(crate) fn plan(objectives: &str) -> Plan {
    plan_with(STEP, objectives)
}

/// The usual step.
pub(crate) const STEP: &str =
    "steps:\n  - { name: lose-one, at: 20s, kill: { target: backend }, hold: 20s }\n";

/// A plan on a Swarm, with steps of its own.
pub(crate) fn swarm_with(steps: &str, objectives: &str) -> Plan {
    let mut plan = plan_with(steps, objectives);
    plan.stack = StackSpec::Swarm(Box::new(SwarmSpec {
        file: "stack.yml".into(),
        env: BTreeMap::new(),
        images: vec![],
        machines: None,
        manager: None,
        outside: None,
        ready: None,
        services: vec!["backend".to_owned(), "gate".to_owned()],
        global: vec!["gate".to_owned()],
    }));
    plan
}

/// A plan with steps of its own.
pub(crate) fn plan_with(steps: &str, objectives: &str) -> Plan {
    let objectives = if objectives.is_empty() {
        String::new()
    } else {
        format!(
            "objectives:\n  {}\n",
            objectives.trim().replace('\n', "\n  ")
        )
    };
    parsed(&format!("{HEAD}{steps}{objectives}"))
}

const HEAD: &str = r#"version: 1
name: backend-kill
seed: 42
stack:
  process:
    services:
      backend: { command: [sleep, "1"], replicas: 3 }
observe:
  prometheus: http://127.0.0.1:9090
  alertmanager: http://127.0.0.1:9093
  webhook: { listen: "127.0.0.1:9099" }
load:
  base_url: http://127.0.0.1:1
  warmup: 10s
  stages: [ { rate: 500/s, for: 60s } ]
  served_by: { instance: X-Backend, version: X-Version }
  journeys:
    read: { weight: 9, requests: [ { get: /read } ] }
    write: { weight: 1, requests: [ { post: /write } ] }
"#;

fn parsed(text: &str) -> Plan {
    let nothing = BTreeMap::new();
    let inputs = Inputs {
        path: Path::new("scenarios/backend-kill.yaml"),
        text,
        vars: &nothing,
        env: &nothing,
        seed: None,
    };
    match scenario::load(&inputs, &|_, _| Ok(())) {
        Ok(checked) => checked.plan,
        Err(problems) => panic!("{text}\n{:#?}", problems.list),
    }
}
