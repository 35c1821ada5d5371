//! Observation outlasts the load: until every alert budget is met or past, and no alert is pending that must not fire.

use std::collections::BTreeMap;
use std::time::Duration;

use super::bench::Bench;
use super::victims::of_victim;
use crate::observe::{CollectOrder, DetectionQuery, Expectation, Observers};
use crate::scenario::plan::{DetectionSource, Milestone, Objective};
use crate::timeline::event::{Event, Level};

/// Evaluations reach Prometheus' interface, and polls reach us, a little after their time.
const GRACE: Duration = Duration::from_secs(3);

/// How long an alert that must not fire may be pending after the load before that is no longer awaited: longer than its `for`, where
/// that is made for a drill.
const PENDING: Duration = Duration::from_secs(60);

/// A look at the alerts is begun each second. Who does not answer for this long is not waited for; the gap is told elsewhere.
const LOOK: Duration = Duration::from_secs(5);

/// An expectation and the last offset at which it can still be met.
struct Awaited {
    expectation: Expectation,
    until_us: i64,
}

/// Waits until every expected alert has done all that is expected of it, or can no longer do so in time.
pub(super) async fn await_alerts(bench: &Bench, observers: &Observers) {
    let awaited = expectations(bench);
    until(bench, || {
        let now = bench.now_us();
        let mut all = awaited.iter();
        all.all(|a| now > a.until_us || observers.met(&a.expectation))
    })
    .await;
}

/// Waits, for a minute at most, until whatever must not fire and is pending has either fired or not, by a look at the alerts that
/// begins after this.
pub(super) async fn await_pending(bench: &Bench, observers: &Observers) {
    let others = bench.plan.objectives.iter().find_map(|objective| {
        let Objective::OtherAlerts { severities, allow } = objective else {
            return None;
        };
        Some((severities, allow))
    });
    let Some((severities, allow)) = others else {
        return;
    };
    let expected = expected(bench);
    let from_us = bench.now_us();
    // What no step may cause unless it is expected, by the severity that it bears.
    let matters = |alert: &str, labels: &BTreeMap<String, String>| {
        let severity = labels.get("severity");
        severity.is_some_and(|s| severities.contains(s))
            && !allow.iter().any(|a| a == alert)
            && !expected.iter().any(|e| e.names(alert, labels))
    };
    until(bench, || {
        let waited_us = bench.now_us() - from_us;
        let look_us = if waited_us < micros(LOOK) { from_us } else { 0 };
        waited_us > micros(PENDING) || !observers.pending(look_us, matters)
    })
    .await;
}

/// Waits until this holds, or the run is aborted.
async fn until(bench: &Bench, holds: impl Fn() -> bool) {
    while !holds() {
        tokio::select! {
            () = bench.aborted.cancelled() => return,
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
    }
}

/// What the steps made so far are expected to cause.
pub(super) fn expected(bench: &Bench) -> Vec<Expectation> {
    let all = expectations(bench).into_iter();
    all.map(|awaited| awaited.expectation).collect()
}

fn expectations(bench: &Bench) -> Vec<Awaited> {
    let mut all = Vec::new();
    for objective in &bench.plan.objectives {
        let Objective::Alert {
            alert,
            labels,
            after,
            fires,
            notifies,
            resolves,
            clears,
        } = objective
        else {
            continue;
        };
        let Some(since_us) = bench.milestones.reached(after, Milestone::Dispatched) else {
            continue;
        };
        let healed_us = bench.milestones.reached(after, Milestone::Healed);
        let offset =
            |from: Option<i64>, budget: &Option<Duration>| Some(from? + micros((*budget)?));
        let ends = [
            offset(Some(since_us), fires),
            offset(Some(since_us), notifies),
            offset(healed_us, resolves),
            offset(healed_us, clears),
        ];
        let until_us = ends.into_iter().flatten().max().unwrap_or(since_us) + micros(GRACE);
        let mut each = |victim| {
            let texts = labels
                .iter()
                .map(|(k, v)| Ok((k.clone(), of_victim(v, victim, &*bench.values)?)));
            match texts.collect::<Result<BTreeMap<_, _>, crate::model::TemplateError>>() {
                Ok(labels) => all.push(Awaited {
                    expectation: Expectation {
                        alert: alert.clone(),
                        labels,
                        since_us,
                        healed_us,
                        fires: fires.is_some(),
                        notifies: notifies.is_some(),
                        resolves: resolves.is_some(),
                        clears: clears.is_some(),
                    },
                    until_us,
                }),
                Err(error) => warn(bench, &format!("alert {alert}: {error}")),
            }
        };
        let victims = bench.victims.of(after);
        if victims.is_empty() {
            each(None);
        }
        victims.iter().for_each(|victim| each(Some(victim)));
    }
    all
}

/// What is read of Prometheus when all is over.
pub(super) fn collect_order(bench: &Bench, from_us: i64) -> CollectOrder {
    let mut detections = Vec::new();
    for objective in &bench.plan.objectives {
        let Objective::Detection {
            step,
            source: DetectionSource::Promql(query),
            ..
        } = objective
        else {
            continue;
        };
        let mut ask = |victim: Option<&crate::model::Component>| match of_victim(
            query,
            victim,
            &*bench.values,
        ) {
            Ok(filled) => {
                detections.push(DetectionQuery {
                    step: step.clone(),
                    victim: victim.map(|v| v.id.clone()),
                    query: filled,
                    written: query.clone(),
                });
            }
            Err(error) => warn(bench, &format!("detection of {step}: {error}")),
        };
        let victims = bench.victims.of(step);
        if victims.is_empty() {
            ask(None);
        }
        victims.iter().for_each(|victim| ask(Some(victim)));
    }
    CollectOrder {
        from_us,
        to_us: bench.now_us(),
        detections,
    }
}

fn warn(bench: &Bench, text: &str) {
    bench.recorder.record(Event::Note {
        level: Level::Warning,
        text: text.to_owned(),
    });
}

fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}
