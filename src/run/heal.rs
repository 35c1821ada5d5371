//! Mending steps: newest first, each call after the one before has returned, all verified side by side.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::oneshot;

use super::bench::Bench;
use crate::restore::{Owed, Patience};
use crate::scenario::plan::Milestone;
use crate::timeline::event::Event;

/// A step whose undos are due.
pub(super) struct Due {
    /// The step.
    pub(super) step: String,
    /// Its undos, newest first.
    pub(super) owed: Vec<Owed>,
}

/// Mends the steps, given newest first. True if every undo was verified; what was not stays owed and recorded.
///
/// A call waits only for the first try of the one before it, so that one undo that fails does not hold up the rest.
pub(super) async fn heal(bench: &Bench, steps: Vec<Due>) -> bool {
    let mut gate: Option<oneshot::Receiver<()>> = None;
    let mut running = FuturesUnordered::new();
    for due in steps {
        let (opened, next) = oneshot::channel();
        running.push(heal_one(bench, due, gate.replace(next), opened));
    }
    let mut clean = true;
    while let Some(mended) = running.next().await {
        clean &= mended;
    }
    clean
}

async fn heal_one(
    bench: &Bench,
    due: Due,
    gate: Option<oneshot::Receiver<()>>,
    opened: oneshot::Sender<()>,
) -> bool {
    if let Some(gate) = gate {
        // An error means that the one before ended without a call: then nothing is to be waited for.
        let _ended = gate.await;
    }
    bench.recorder.record(Event::HealBegins {
        step: due.step.clone(),
    });
    let calls = std::sync::Mutex::new(Calls {
        outstanding: due.owed.len(),
        opened: Some(opened),
    });
    let mut running = FuturesUnordered::new();
    for owed in &due.owed {
        let mut first = true;
        let (calls, step) = (&calls, &due.step);
        running.push(bench.ledger.mend(
            owed,
            &*bench.stack,
            &*bench.values,
            Patience::default(),
            move |ok| {
                if ok && std::mem::take(&mut first) {
                    let mut calls = calls
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner);
                    calls.outstanding -= 1;
                    if calls.outstanding == 0 {
                        // Before the milestone: a step that waits for it may take the same components.
                        bench.taken.release(step, bench.now_us());
                        bench.recorder.record(Event::Healed { step: step.clone() });
                        bench
                            .milestones
                            .reach(step, Milestone::Healed, bench.now_us());
                        calls.open();
                    }
                } else if !ok {
                    calls
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .open();
                }
            },
        ));
    }
    let mut clean = true;
    while let Some(mended) = running.next().await {
        clean &= mended.is_ok();
    }
    drop(running);
    if clean {
        bench.recorder.record(Event::Verified {
            step: due.step.clone(),
        });
    }
    bench.ledger.untag(&due.owed, &*bench.stack).await;
    clean
}

struct Calls {
    outstanding: usize,
    opened: Option<oneshot::Sender<()>>,
}

impl Calls {
    fn open(&mut self) {
        if let Some(opened) = self.opened.take() {
            // Nobody waits behind the last one.
            let _last = opened.send(());
        }
    }
}
