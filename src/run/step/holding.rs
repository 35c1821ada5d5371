//! How long a fault is kept.

use std::time::Duration;

use super::begin::Fault;
use super::micros;
use crate::model::{Action, Undo};
use crate::run::bench::Bench;
use crate::scenario::plan::StepPlan;
use crate::stack::Verified;
use crate::timeline::event::{Event, Level};

/// Why a hold ended.
pub(super) enum Ended {
    /// Its time was over, or the fault was gone by itself.
    ByItself,
    /// The load ended: all that is open is mended together.
    WithLoad,
}

/// Keeps the fault for its hold, counted from the effect. Without a hold it lasts until it mends itself or the load
/// ends.
pub(super) async fn hold(bench: &Bench, step: &StepPlan, fault: &Fault, effect_us: i64) -> Ended {
    let mut desk = bench.operator.desk(&step.name);
    let healed = async {
        // An error would mean that there is no operator left to ask.
        if desk.wait_for(|desk| desk.healed).await.is_err() {
            std::future::pending().await
        }
    };
    let held = async {
        match step.hold {
            Some(hold) => held_for(bench, step, effect_us + micros(hold)).await,
            None if fault.owed.iter().all(|o| o.undo == Undo::Nothing) => {}
            None => mended_by_itself(bench, step, fault).await,
        }
    };
    tokio::select! {
        biased;
        () = held => Ended::ByItself,
        () = healed => Ended::ByItself,
        () = bench.load_over.cancelled() => Ended::WithLoad,
    }
}

/// Waits for the end of a hold, which the operator may put off.
async fn held_for(bench: &Bench, step: &StepPlan, end_us: i64) {
    let mut desk = bench.operator.desk(&step.name);
    loop {
        let extended_us = desk.borrow_and_update().extended_us;
        tokio::select! {
            () = bench.until(end_us.saturating_add(extended_us)) => return,
            _changed = desk.changed() => {}
        }
    }
}

/// Returns when a fault that somebody else mends is mended: a restart, and a kill left to the restart policy.
/// For every other fault it never returns.
async fn mended_by_itself(bench: &Bench, step: &StepPlan, fault: &Fault) {
    if !matches!(step.action, Action::Kill { .. } | Action::Restart { .. }) {
        return std::future::pending().await;
    }
    let mut unsaid = true;
    loop {
        let mut holds = true;
        for owed in &fault.owed {
            match bench.stack.verify(&owed.undo).await {
                Ok(Verified::Holds) => {}
                Ok(Verified::Not(_)) => holds = false,
                Err(error) => {
                    holds = false;
                    if std::mem::take(&mut unsaid) {
                        let text = format!("step {}: {error}", step.name);
                        bench.recorder.record(Event::Note {
                            level: Level::Warning,
                            text,
                        });
                    }
                }
            }
        }
        if holds {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
