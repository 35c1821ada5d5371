//! The promises of a plan, as their judges.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::Template;
use crate::scenario::plan::{Objective, Of, Plan};

use super::alerts::{Alert, Stage};
use super::availability::Availability;
use super::detection::Detection;
use super::failover::Failover;
use super::latency::Latency;
use super::latency_back::LatencyBack;
use super::lost::Lost;
use super::others::Others;
use super::promise::Promise;
use super::steady_state::SteadyState;
use super::update::{MinHealthy, UpdateWithin};

/// One objective's judge, or several where its parts have limits of their own.
pub(super) fn judges<'a>(plan: &'a Plan, objective: &'a Objective) -> Vec<Box<dyn Promise + 'a>> {
    match objective {
        Objective::Availability {
            at_least,
            of,
            during,
        } => vec![Box::new(Availability {
            at_least: *at_least,
            of,
            during,
        })],
        Objective::Latency {
            name,
            percentile,
            within,
            of,
            during,
        } => vec![Box::new(Latency {
            name,
            percentile: *percentile,
            within: *within,
            of,
            during,
        })],
        Objective::Failover { step, within, of } => vec![Box::new(Failover {
            step,
            within: *within,
            of,
        })],
        Objective::Lost { step, limit, of } => vec![Box::new(Lost {
            objective: "lost",
            step,
            limit: *limit,
            of,
        })],
        Objective::Detection {
            step,
            source,
            within,
        } => vec![Box::new(Detection {
            step,
            source,
            within: *within,
        })],
        Objective::UpdateWithin { step, within } => vec![Box::new(UpdateWithin {
            step,
            within: *within,
        })],
        Objective::UpdateLost { step, limit } => vec![Box::new(Lost {
            objective: "update.lost",
            step,
            limit: *limit,
            of: &Of::All,
        })],
        Objective::UpdateMinHealthy { step, at_least } => vec![Box::new(MinHealthy {
            step,
            at_least: *at_least,
        })],
        Objective::Alert {
            alert,
            labels,
            after,
            fires,
            notifies,
            resolves,
            clears,
        } => stages(
            alert,
            labels,
            after,
            [
                (Stage::Fires, *fires),
                (Stage::Notifies, *notifies),
                (Stage::Resolves, *resolves),
                (Stage::Clears, *clears),
            ],
        ),
        Objective::OtherAlerts { severities, allow } => vec![Box::new(Others {
            plan,
            severities,
            allow,
        })],
        Objective::LatencyBack { step, within } => vec![Box::new(LatencyBack {
            step,
            within: *within,
        })],
    }
}

fn stages<'a>(
    alert: &'a str,
    labels: &'a BTreeMap<String, Template>,
    after: &'a str,
    limits: [(Stage, Option<Duration>); 4],
) -> Vec<Box<dyn Promise + 'a>> {
    limits
        .into_iter()
        .filter_map(|(stage, within)| {
            Some(Box::new(Alert {
                alert,
                labels,
                after,
                stage,
                within: within?,
            }) as Box<dyn Promise>)
        })
        .collect()
}

/// What goes without saying: the steady state, where the scenario has one.
pub(super) fn implied(plan: &Plan) -> Vec<Box<dyn Promise>> {
    SteadyState::of(plan)
        .into_iter()
        .map(|s| Box::new(s) as Box<dyn Promise>)
        .collect()
}

/// The step that an objective is about; one that holds during a step's watch is about that step.
pub(super) fn about(objective: &Objective) -> Option<&str> {
    match objective {
        Objective::Availability { during, .. } | Objective::Latency { during, .. } => Some(during),
        Objective::Failover { .. }
        | Objective::Lost { .. }
        | Objective::Detection { .. }
        | Objective::UpdateWithin { .. }
        | Objective::UpdateLost { .. }
        | Objective::UpdateMinHealthy { .. }
        | Objective::Alert { .. }
        | Objective::OtherAlerts { .. }
        | Objective::LatencyBack { .. } => objective.step(),
    }
}

/// A short name, for sentences.
pub(super) fn label(objective: &Objective) -> String {
    match objective {
        Objective::Availability { .. } => "availability".to_owned(),
        Objective::Latency { name, .. } => format!("latency {name}"),
        Objective::Failover { .. } => "failover".to_owned(),
        Objective::Lost { .. } => "lost".to_owned(),
        Objective::Detection { .. } => "detection".to_owned(),
        Objective::UpdateWithin { .. } => "update within".to_owned(),
        Objective::UpdateLost { .. } => "update lost".to_owned(),
        Objective::UpdateMinHealthy { .. } => "update min_healthy".to_owned(),
        Objective::Alert { alert, .. } => format!("alert {alert}"),
        Objective::OtherAlerts { .. } => "other alerts".to_owned(),
        Objective::LatencyBack { .. } => "latency_back".to_owned(),
    }
}
