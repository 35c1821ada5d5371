//! Parts of a plan in words.

use std::time::Duration;

use crate::scenario::plan::{LostLimit, Objective, Of, Plan};

pub(super) fn objective(objective: &Objective) -> String {
    let about = |of: &Of, during: &str| {
        let of = of
            .name()
            .map_or_else(String::new, |name| format!(", {name}"));
        if during == "run" {
            of
        } else {
            format!("{of}, during {during}")
        }
    };
    match objective {
        Objective::Availability {
            at_least,
            of,
            during,
        } => {
            format!("availability{} >= {at_least}", about(of, during))
        }
        Objective::Latency {
            name,
            within,
            of,
            during,
            ..
        } => {
            format!("latency {name}{} <= {}", about(of, during), time(*within))
        }
        Objective::Failover { step, within, of } => {
            format!("failover {step}{} <= {}", about(of, "run"), time(*within))
        }
        Objective::Lost { step, limit, of } => {
            format!("lost {step}{} <= {}", about(of, "run"), lost(limit))
        }
        Objective::Detection { step, within, .. } => {
            format!("detection {step} <= {}", time(*within))
        }
        Objective::UpdateWithin { step, within } => {
            format!("update {step}, done <= {}", time(*within))
        }
        Objective::UpdateLost { step, limit } => format!("update {step}, lost <= {}", lost(limit)),
        Objective::UpdateMinHealthy { step, at_least } => {
            format!("update {step}, healthy >= {at_least}")
        }
        Objective::Alert {
            alert,
            after,
            fires,
            notifies,
            resolves,
            clears,
            ..
        } => {
            let budgets = [
                ("fires", fires),
                ("notifies", notifies),
                ("resolves", resolves),
                ("clears", clears),
            ];
            let each: Vec<String> = budgets
                .iter()
                .filter_map(|(what, by)| by.map(|by| format!("{what} <= {}", time(by))))
                .collect();
            format!("alert {alert} after {after}: {}", each.join(", "))
        }
        Objective::OtherAlerts { severities, .. } => {
            format!("no other alert ({})", severities.join(", "))
        }
        Objective::LatencyBack { step, within } => {
            format!("latency back after {step} <= {}", time(*within))
        }
    }
}

fn lost(limit: &LostLimit) -> String {
    match limit {
        LostLimit::Outage(length) => format!("{} of full outage", time(*length)),
        LostLimit::Count(count) => format!("{count} requests"),
    }
}

pub(super) fn stack(plan: &Plan) -> String {
    use crate::model::{ManagerSpec, StackSpec};
    match &plan.stack {
        StackSpec::Compose(c) => format!(
            "compose {} (stood up, taken down at the end)",
            c.file.display()
        ),
        StackSpec::Swarm(s) => {
            let on = match (&s.machines, &s.manager) {
                (Some(machines), _) => {
                    let then = if machines.keep {
                        "kept"
                    } else {
                        "taken down at the end"
                    };
                    let name = &machines.name;
                    let base = machines.base.as_ref().map_or_else(String::new, |base| {
                        format!(", with {} on it", base.display())
                    });
                    format!("cluster {name} (used if it stands, else stood up and {then}{base})")
                }
                (None, Some(ManagerSpec::At { address, .. })) => format!("the Swarm of {address}"),
                (None, Some(ManagerSpec::Context(name))) => format!("the Swarm of context {name}"),
                (None, None) => "the Swarm of the engine at hand".to_owned(),
            };
            format!(
                "swarm {} on {on} (deployed, removed at the end)",
                s.file.display()
            )
        }
        StackSpec::Process(p) => {
            let each: Vec<String> = p
                .services
                .iter()
                .map(|(name, s)| format!("{name} ×{}", s.replicas))
                .collect();
            format!("process {} (started, ended at the end)", each.join(", "))
        }
        StackSpec::External(e) => {
            let project = e
                .compose_project
                .as_ref()
                .map_or(String::new(), |p| format!(", Compose project {p}"));
            let names: Vec<&str> = e.addresses.keys().map(String::as_str).collect();
            format!(
                "external {}{project} (nothing is started or stopped)",
                names.join(", ")
            )
        }
        StackSpec::Fake(_) => "fake".to_owned(),
    }
}

pub(super) fn time(length: Duration) -> String {
    humantime::format_duration(length).to_string()
}
