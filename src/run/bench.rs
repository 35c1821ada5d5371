//! What every step of a run works with.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::guardian::Guarded;
use super::milestones::Milestones;
use super::operator::Operator;
use super::pacing::Pacing;
use super::taken::Taken;
use super::victims::Victims;
use crate::model::StackEvent;
use crate::observe::Alerts;
use crate::restore::Ledger;
use crate::scenario::plan::Plan;
use crate::stack::{Resolve, Stack};
use crate::timeline::Recorder;

/// An engine event with its offset on the run's clock.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) at_us: i64,
    /// How far off that may be: what an engine's clock says is only as good as the comparison with ours.
    pub(super) slack_us: i64,
    pub(super) event: StackEvent,
}

/// What every step of a run works with.
pub(super) struct Bench {
    pub(super) plan: Plan,
    pub(super) stack: Arc<dyn Stack>,
    pub(super) recorder: Recorder,
    pub(super) ledger: Arc<Ledger>,
    pub(super) values: Arc<dyn Resolve>,
    pub(super) milestones: Milestones,
    pub(super) victims: Victims,
    /// Whether somebody watches who would mend if this process died.
    pub(super) guarded: Guarded,
    pub(super) taken: Taken,
    pub(super) operator: Arc<Operator>,
    /// Whom to ask which alerts fire.
    pub(super) alerts: Alerts,
    /// Every engine event, in the order in which it came.
    pub(super) engine: broadcast::Sender<Seen>,
    /// The run was aborted or stopped: no fault may begin, every hold ends.
    pub(super) aborted: CancellationToken,
    /// The load is over (or was aborted): what is still held ends.
    pub(super) load_over: CancellationToken,
    /// Offset of the end of warm-up: `at` counts from here.
    pub(super) steps_zero_us: i64,
    /// What an operator made of the load's rate.
    pub(super) pacing: Pacing,
    /// The run's id.
    pub(super) run: String,
    /// Where the user's own commands run.
    pub(super) scenario_dir: PathBuf,
}

impl Bench {
    /// Waits until an offset.
    pub(super) async fn until(&self, at_us: i64) {
        tokio::time::sleep_until(self.recorder.clock().instant(at_us)).await;
    }

    /// Waits until the schedule is so far after `from_us`: it stands still while the operator has it paused.
    pub(super) async fn until_planned(&self, from_us: i64, wait_us: i64) {
        let mut pauses = self.operator.pauses();
        loop {
            let due_us = pauses.borrow_and_update().due_us(from_us, wait_us);
            let due = async {
                match due_us {
                    Some(at_us) => self.until(at_us).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => return,
                _changed = pauses.changed() => {}
            }
        }
    }

    /// µs since the run's zero.
    pub(super) fn now_us(&self) -> i64 {
        self.recorder.clock().now_us()
    }
}
