//! The pace of the load that is under way, as an operator changes it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::bench::Bench;
use crate::load::Repacer;
use crate::model::{Act, Pace, PaceChange};
use crate::scenario::plan::Traffic;
use crate::timeline::event::Event;

/// From the order to the moment that it holds from: enough for every thread that lets arrivals go to see it before.
const LEAD: Duration = Duration::from_millis(300);

/// The pace of the load of a run.
#[derive(Debug, Default)]
pub(super) struct Pacing(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// While the load is under way.
    load: Option<UnderWay>,
    over: bool,
    /// So far, from the begin of the first load.
    pace: Pace,
}

#[derive(Debug)]
struct UnderWay {
    repacer: Repacer,
    started_us: i64,
}

impl Pacing {
    /// The load is under way from here on; its first slot is due at `started_us`.
    pub(super) fn begin(&self, repacer: Repacer, started_us: i64) {
        self.state().load = Some(UnderWay {
            repacer,
            started_us,
        });
    }

    /// The load is over.
    pub(super) fn end(&self) {
        let mut state = self.state();
        (state.load, state.over) = (None, true);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bench {
    /// Does what an operator asks of the pace; nothing for other acts.
    ///
    /// # Errors
    /// Why it cannot be done, in words.
    pub(super) fn repace_by(&self, act: &Act) -> Result<(), String> {
        match act {
            Act::Rate { factor } => self.repace(Some(*factor), None),
            Act::Pause => self.repace(None, Some(true)),
            Act::Resume => self.repace(None, Some(false)),
            Act::Fire { .. }
            | Act::Skip { .. }
            | Act::Heal { .. }
            | Act::Extend { .. }
            | Act::Note { .. }
            | Act::Acknowledge
            | Act::Predict { .. }
            | Act::Break { .. } => Ok(()),
        }
    }

    /// Changes the rate of every load to `factor` times the planned one, or holds the schedules where they stand, or lets them
    /// go on; what is not given stays as it is. The change is in the recording before anything goes by it.
    ///
    /// # Errors
    /// Why it cannot be done, in words.
    pub(super) fn repace(&self, factor: Option<f64>, held: Option<bool>) -> Result<(), String> {
        let mut state = self.pacing.state();
        let over = || Err("the load is over".to_owned());
        if state.over || self.aborted.is_cancelled() {
            return over();
        }
        let Some(load) = &state.load else {
            return Err("the load has not begun".to_owned());
        };
        let last = state.pace.last();
        let at_us = self.now_us() + i64::try_from(LEAD.as_micros()).unwrap_or(0);
        let change = PaceChange {
            // Two orders at the same moment: the second holds.
            at_us: at_us.max(last.at_us.saturating_add(load.started_us)),
            factor: factor.unwrap_or(last.factor),
            held: held.unwrap_or(last.held),
        };
        if !change.factor.is_finite() || change.factor < 0.0 {
            return Err(format!(
                "a rate cannot be {} times the planned one",
                change.factor
            ));
        }
        if change.factor != last.factor && !load.repacer.takes_factors() {
            return Err("a closed loop has no rate that could be changed".to_owned());
        }
        let traffic = self.plan.traffic_at(&state.pace);
        let length = traffic.map_or(Duration::ZERO, |t| t.warmup() + t.length());
        let length_us = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
        if change.at_us >= load.started_us.saturating_add(length_us) {
            return over();
        }
        if (change.factor, change.held) == (last.factor, last.held) {
            return Ok(());
        }
        self.recorder.record(Event::Repaced(change));
        load.repacer.repace(change);
        let into_us = change.at_us.saturating_sub(load.started_us);
        state.pace.push(PaceChange {
            at_us: into_us,
            ..change
        });
        Ok(())
    }

    /// The loads at the pace that they have by now.
    pub(super) fn traffic(&self) -> Option<Traffic<'_>> {
        self.plan.traffic_at(&self.pacing.state().pace)
    }
}

#[cfg(test)]
mod tests;
