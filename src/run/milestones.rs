//! How far each step got, for the steps that wait for it.

use std::collections::BTreeMap;

use tokio::sync::watch;

use crate::scenario::plan::{Milestone, StepPlan};

/// Offsets of the milestones reached; `ended` once no more can come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reached {
    dispatched: Option<i64>,
    healed: Option<i64>,
    settled: Option<i64>,
    ended: bool,
}

impl Reached {
    fn at(&self, milestone: Milestone) -> Option<i64> {
        match milestone {
            Milestone::Dispatched => self.dispatched,
            Milestone::Healed => self.healed,
            Milestone::Settled => self.settled,
        }
    }
}

/// One value for each step of the plan.
pub(super) struct Milestones(BTreeMap<String, watch::Sender<Reached>>);

impl Milestones {
    pub(super) fn new(steps: &[StepPlan]) -> Self {
        Self(
            steps
                .iter()
                .map(|s| (s.name.clone(), watch::Sender::new(Reached::default())))
                .collect(),
        )
    }

    pub(super) fn reach(&self, step: &str, milestone: Milestone, at_us: i64) {
        if let Some(sender) = self.0.get(step) {
            sender.send_modify(|r| match milestone {
                Milestone::Dispatched => r.dispatched = Some(at_us),
                Milestone::Healed => r.healed = Some(at_us),
                Milestone::Settled => r.settled = r.settled.or(Some(at_us)),
            });
        }
    }

    /// Offset at which a milestone was reached, if it was.
    pub(super) fn reached(&self, step: &str, milestone: Milestone) -> Option<i64> {
        self.0.get(step)?.borrow().at(milestone)
    }

    pub(super) fn end(&self, step: &str) {
        if let Some(sender) = self.0.get(step) {
            sender.send_modify(|r| r.ended = true);
        }
    }

    /// Waits for a milestone; `None` once it can no longer come.
    pub(super) async fn wait(&self, step: &str, milestone: Milestone) -> Option<i64> {
        let mut receiver = self.0.get(step)?.subscribe();
        let reached = receiver
            .wait_for(|r| r.ended || r.at(milestone).is_some())
            .await
            .ok()?;
        reached.at(milestone)
    }
}
