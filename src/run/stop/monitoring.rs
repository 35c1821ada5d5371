//! Stop conditions that monitoring decides: PromQL and alerts.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::callers::{Met, micros};
use super::silence::SILENCE_US;
use super::{Breach, StopWatch};
use crate::model::{Lookup, Template, TemplateError};
use crate::observe::{Observers, Told};
use crate::scenario::plan::{Plan, StopCondition};
use crate::timeline::event::{Event, Level};

/// Between two questions.
const ASK: Duration = Duration::from_millis(200);
/// How long an answer is waited for before the load: a monitoring that was just started may need some time.
const PATIENCE: Duration = Duration::from_secs(30);

impl StopWatch<'_> {
    /// Asks Prometheus over and over; returns when a sample has satisfied the condition for long enough.
    pub(super) async fn ask(&self, index: usize, condition: &StopCondition) -> Breach {
        let StopCondition::Promql { query, is, lasting } = condition else {
            return std::future::pending().await;
        };
        let mut ticks = tokio::time::interval(ASK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut since, mut heard_us) = (None, self.from_us);
        loop {
            ticks.tick().await;
            let asked_us = self.bench.now_us();
            let told = self.observers.any(query, *is, self.values).await;
            let told = self.heard(index, told);
            let Some(told) = told else { continue };
            // Nobody knows what was in a long silence.
            if asked_us - heard_us > SILENCE_US {
                since = None;
            }
            heard_us = self.bench.now_us();
            if !told.holds {
                since = None;
                continue;
            }
            let from_us = *since.get_or_insert(asked_us);
            if heard_us - from_us >= micros(*lasting) {
                return Breach {
                    condition: index,
                    observed: told.observed,
                    from_us,
                };
            }
        }
    }

    pub(super) fn alert(
        &self,
        index: usize,
        alert: &str,
        labels: &BTreeMap<String, Template>,
        now_us: i64,
    ) -> Met {
        let told = fires(self.observers, alert, labels, self.values);
        let told = self.heard(index, told)?;
        told.holds.then_some((told.observed, now_us))
    }

    /// The answer, if it is one. A silence that lasts is said at once, loudly.
    fn heard(&self, index: usize, told: Result<Told, String>) -> Option<Told> {
        let now_us = self.bench.now_us();
        match told {
            Ok(told) => {
                self.silences().answered(index, now_us);
                Some(told)
            }
            Err(why) => {
                if self.silences().unanswered(index, now_us, &why) {
                    let condition = &self.bench.plan.stop_when[index];
                    let text = format!(
                        "nobody can tell whether the run is to be stopped: `{condition}` is not answered: {why}"
                    );
                    let level = Level::Warning;
                    self.bench.recorder.record(Event::Note { level, text });
                }
                None
            }
        }
    }
}

fn fires(
    observers: &Observers,
    alert: &str,
    labels: &BTreeMap<String, Template>,
    values: &(dyn Lookup + Sync),
) -> Result<Told, String> {
    let labels: Result<BTreeMap<String, String>, TemplateError> = labels
        .iter()
        .map(|(label, text)| Ok((label.clone(), text.resolve(values)?)))
        .collect();
    observers.fires(alert, &labels.map_err(|e| e.to_string())?)
}

/// Waits until every condition that monitoring decides has been answered once: nothing is broken before.
///
/// # Errors
/// The condition that was not, and why.
pub(in crate::run) async fn answered(
    plan: &Plan,
    observers: &Observers,
    values: &(dyn Lookup + Sync),
) -> Result<(), (String, String)> {
    let began = tokio::time::Instant::now();
    for condition in &plan.stop_when {
        loop {
            let told = match condition {
                StopCondition::Promql { query, is, .. } => {
                    observers.any(query, *is, values).await.err()
                }
                StopCondition::Alert { alert, labels } => {
                    fires(observers, alert, labels, values).err()
                }
                StopCondition::BadShare { .. }
                | StopCondition::LongestGap { .. }
                | StopCondition::Latency { .. }
                | StopCondition::WallClock { .. } => None,
            };
            match told {
                None => break,
                Some(why) if began.elapsed() >= PATIENCE => {
                    return Err((condition.to_string(), why));
                }
                Some(_) => tokio::time::sleep(ASK).await,
            }
        }
    }
    Ok(())
}
