//! Stop conditions: watched from the load's start to the end of the last watch.

mod callers;
mod monitoring;
mod silence;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::MissedTickBehavior;

use self::callers::{Callers, Met, Read, kept_up, micros};
use self::silence::Silences;
use super::around::Around;
use super::bench::Bench;
use crate::judge::number;
use crate::observe::Observers;
use crate::scenario::plan::{Plan, StopCondition};
use crate::timeline::event::Event;

pub(super) use monitoring::answered;

/// Between two looks.
const TICK: Duration = Duration::from_millis(100);

/// A stop condition that was met.
#[derive(Debug)]
pub(super) struct Breach {
    condition: usize,
    observed: String,
    from_us: i64,
}

impl Breach {
    /// As the recording has it.
    pub(super) fn event(self, plan: &Plan) -> Event {
        let condition = &plan.stop_when[self.condition];
        Event::Stopped {
            condition: self.condition,
            what: condition.what(),
            limit: condition.limit(),
            observed: self.observed,
            from_us: self.from_us,
        }
    }
}

/// Watches the plan's stop conditions.
pub(super) struct StopWatch<'a> {
    bench: &'a Bench,
    observers: &'a Observers,
    values: &'a Around,
    started_us: i64,
    from_us: i64,
    looks: Mutex<Looks>,
    silences: Mutex<Silences>,
}

#[derive(Debug)]
struct Looks {
    count: u64,
    last_us: i64,
    longest_pause_us: i64,
}

impl<'a> StopWatch<'a> {
    /// Begins to watch; slot 0 of the load is due at `started_us`.
    pub(super) fn begin(
        bench: &'a Bench,
        observers: &'a Observers,
        values: &'a Around,
        started_us: i64,
    ) -> Self {
        let (plan, from_us) = (&bench.plan, bench.now_us());
        bench.recorder.live().watch(kept_up(plan));
        Self {
            bench,
            observers,
            values,
            started_us,
            from_us,
            looks: Mutex::new(Looks {
                count: 0,
                last_us: from_us,
                longest_pause_us: 0,
            }),
            silences: Mutex::new(Silences::new(plan.stop_when.len(), from_us)),
        }
    }

    /// Returns when a condition is met; never, if none ever is.
    pub(super) async fn breach(&self) -> Breach {
        if self.bench.plan.stop_when.is_empty() {
            return std::future::pending().await;
        }
        let conditions = self.bench.plan.stop_when.iter().enumerate();
        let mut asked: FuturesUnordered<_> = conditions
            .filter(|(_, c)| matches!(c, StopCondition::Promql { .. }))
            .map(|(index, condition)| self.ask(index, condition))
            .collect();
        tokio::select! {
            biased;
            breach = self.look_on() => breach,
            Some(breach) = asked.next() => breach,
        }
    }

    /// Nothing is watched any more, and none was met: says so.
    pub(super) fn over(self) {
        if self.bench.plan.stop_when.is_empty() {
            return;
        }
        let now_us = self.bench.now_us();
        let looks = self
            .looks
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let silences = self.silences.into_inner();
        self.bench.recorder.record(Event::StopWatched {
            from_us: self.from_us,
            looks: looks.count,
            longest_pause_us: looks.longest_pause_us.max(now_us - looks.last_us),
            unanswered: silences.unwrap_or_else(PoisonError::into_inner).end(now_us),
        });
    }

    async fn look_on(&self) -> Breach {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Some(breach) = self.look() {
                return breach;
            }
        }
    }

    fn look(&self) -> Option<Breach> {
        let now_us = self.bench.now_us();
        {
            let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
            looks.count += 1;
            looks.longest_pause_us = looks.longest_pause_us.max(now_us - looks.last_us);
            looks.last_us = now_us;
        }
        let live = self.bench.recorder.live();
        let mut read = live.watched(|w| Read::of(w, now_us)).into_iter();
        // Anew each time: an operator may have changed the rate.
        let traffic = self.bench.traffic();
        let callers = traffic.map(|t| Callers::new(t, self.started_us));
        let mut breach = None;
        for (index, condition) in self.bench.plan.stop_when.iter().enumerate() {
            let met: Met = match condition {
                StopCondition::BadShare { .. }
                | StopCondition::Latency { .. }
                | StopCondition::LongestGap { .. } => {
                    let read = read.next();
                    callers
                        .as_ref()
                        .and_then(|c| c.met(condition, read?, now_us))
                }
                StopCondition::Alert { alert, labels } => self.alert(index, alert, labels, now_us),
                StopCondition::WallClock { at } => (now_us >= micros(*at))
                    .then(|| (format!("the run lasts {}", number::length(now_us)), 0)),
                // It answers in its own time, and holds up no other.
                StopCondition::Promql { .. } => None,
            };
            if let (None, Some((observed, from_us))) = (&breach, met) {
                breach = Some(Breach {
                    condition: index,
                    observed,
                    from_us,
                });
            }
        }
        breach
    }

    fn silences(&self) -> MutexGuard<'_, Silences> {
        self.silences.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
