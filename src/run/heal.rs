//! Mending steps: newest first where one depends on another, else side by side.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::bench::Bench;
use crate::restore::{Owed, Patience, entangled, superseded};
use crate::scenario::plan::Milestone;
use crate::timeline::event::Event;

/// A step whose undos are due.
pub(super) struct Due {
    /// The step.
    pub(super) step: String,
    /// Its undos, newest first.
    pub(super) owed: Vec<Owed>,
}

/// Mends the steps, given newest first: side by side, but each after the first try of the newer ones that may touch the
/// same thing. True if every undo was verified; what was not stays owed and recorded.
pub(super) async fn heal(bench: &Bench, mut steps: Vec<Due>) -> bool {
    let all: Vec<Owed> = steps.iter().flat_map(|due| due.owed.clone()).collect();
    let mut settled = Vec::new();
    for due in &mut steps {
        settled.extend(due.owed.extract_if(.., |owed| superseded(owed, all.iter())));
    }
    for owed in &settled {
        bench.ledger.waive(owed);
    }
    let tried: Vec<CancellationToken> = steps.iter().map(|_| CancellationToken::new()).collect();
    let each = steps.iter().enumerate().map(|(at, due)| {
        let (steps, tried) = (&steps, &tried);
        async move {
            let _ended_without_a_call = tried[at].clone().drop_guard();
            for (newer, tried) in steps.iter().zip(tried).take(at) {
                if entangled(&newer.owed, &due.owed) {
                    tried.cancelled().await;
                }
            }
            heal_one(bench, due, &tried[at]).await
        }
    });
    let clean = join_all(each).await.into_iter().all(|clean| clean);
    bench.ledger.untag(&settled, &*bench.stack).await;
    clean
}

async fn heal_one(bench: &Bench, due: &Due, tried: &CancellationToken) -> bool {
    bench.recorder.record(Event::HealBegins {
        step: due.step.clone(),
    });
    let healed = || {
        // Before the milestone: a step that waits for it may take the same components.
        bench.taken.release(&due.step, bench.now_us());
        bench.recorder.record(Event::Healed {
            step: due.step.clone(),
        });
        bench
            .milestones
            .reach(&due.step, Milestone::Healed, bench.now_us());
        tried.cancel();
    };
    if due.owed.is_empty() {
        healed();
    }
    let outstanding = AtomicUsize::new(due.owed.len());
    let mends = due.owed.iter().map(|owed| {
        let mut first = true;
        let (outstanding, healed) = (&outstanding, &healed);
        bench.ledger.mend(
            owed,
            &*bench.stack,
            &*bench.values,
            Patience::default(),
            move |ok| {
                if ok && std::mem::take(&mut first) {
                    if outstanding.fetch_sub(1, Ordering::AcqRel) == 1 {
                        healed();
                    }
                } else if !ok {
                    // One undo that fails does not hold up the rest.
                    tried.cancel();
                }
            },
        )
    });
    let clean = join_all(mends).await.iter().all(Result::is_ok);
    if clean {
        bench.recorder.record(Event::Verified {
            step: due.step.clone(),
        });
    }
    bench.ledger.untag(&due.owed, &*bench.stack).await;
    clean
}
