//! What is asked last before a fault is made: whether it is the time for it, and whether there is an incident already.

use super::begin::Undone;
use crate::observe::{Alerts, Expectation, FiringAlert};
use crate::run::awaiting::expected;
use crate::run::bench::Bench;
use crate::scenario::guards::NotWhileFiring;

/// Names of firing alerts that are told at most.
const TOLD: usize = 5;

/// Whether a fault may be made now.
pub(super) async fn permitted(bench: &Bench) -> Result<(), Undone> {
    let forbidden = |why: String| Undone { code: "guard", why };
    let guards = &bench.plan.guards;
    if let Some(firing) = &guards.not_while_firing {
        no_incident(&bench.alerts, firing, &expected(bench))
            .await
            .map_err(forbidden)?;
    }
    let clock = bench.recorder.clock();
    let now_ns = clock.wall_ns(clock.now_us());
    guards.open_at(now_ns).map_err(|e| forbidden(e.to_string()))
}

/// Whether no alert fires that the guard forbids, but for what the drill's own faults are expected to cause.
///
/// # Errors
/// Which one does, or why that is not known.
pub(in crate::run) async fn no_incident(
    alerts: &Alerts,
    guard: &NotWhileFiring,
    expected: &[Expectation],
) -> Result<(), String> {
    let firing = alerts
        .firing(|alert, severity| guard.forbids(alert, severity))
        .await
        .map_err(|why| format!("guards.not_while_firing cannot be kept: {why}"))?;
    let own = |f: &FiringAlert| {
        let mut expected = expected.iter();
        expected.any(|e| e.is_about(&f.alert, &f.labels, f.since_us))
    };
    let mut names: Vec<String> = firing.iter().filter(|f| !own(f)).map(named).collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        return Ok(());
    }
    let more = names.len().saturating_sub(TOLD);
    names.truncate(TOLD);
    let more = if more == 0 {
        String::new()
    } else {
        format!(" and {more} more")
    };
    Err(format!(
        "guards.not_while_firing: there is an incident already: {}{more}",
        names.join(", ")
    ))
}

fn named(firing: &FiringAlert) -> String {
    let labels: Vec<String> = firing
        .labels
        .iter()
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    if labels.is_empty() {
        firing.alert.clone()
    } else {
        format!("{} {{{}}}", firing.alert, labels.join(", "))
    }
}
