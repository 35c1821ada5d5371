//! What is still owed when a drill is over, however it ended: the stack, and after a panic or an error the faults.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;

use super::conductor::Order;
use crate::model::Undo;
use crate::restore::{Ledger, Owed, mend_all, told};
use crate::timeline::event::{Event, Level, Phase};

/// Longest that the stack's logs are waited for: they are for a person to read, and the stack is to be taken down.
const LOGS: Duration = Duration::from_secs(60);

/// Mends what is still owed whatever happened before: faults first, newest first, then the stack. Nothing that fails,
/// hangs or panics in it keeps the rest from being done.
pub(super) async fn mend_rest(order: &Order, ledger: &Ledger) {
    let phase = |phase| order.recorder.record(Event::Phase(phase));
    let (faults, stack): (Vec<_>, Vec<_>) = ledger
        .open()
        .into_iter()
        .partition(|o| o.undo != Undo::Down);
    if !faults.is_empty() {
        phase(Phase::Mending);
        mend(order, ledger, &faults).await;
    }
    if stack.is_empty() {
        return;
    }
    keep_logs(order).await;
    for owed in stack {
        if order.keep_stack {
            order.recorder.record(Event::Note {
                level: Level::Info,
                text: "the stack is kept (--keep-stack)".into(),
            });
            ledger.waive(&owed);
        } else {
            phase(Phase::TakingDown);
            mend(order, ledger, &[owed]).await;
        }
    }
}

/// A failure is recorded by the ledger as left broken, and the verdict says so.
async fn mend(order: &Order, ledger: &Ledger, owed: &[Owed]) {
    let _recorded = mend_all(ledger, owed, &*order.stack, &*order.context.secrets).await;
}

/// Keeps the stack's logs, unless who waits is in a hurry.
async fn keep_logs(order: &Order) {
    let since = order.recorder.clock().zero_wall_ns();
    let path = order.dir.stack_log();
    let keeping = AssertUnwindSafe(order.stack.logs(since, &path)).catch_unwind();
    let why = tokio::select! {
        biased;
        () = order.interrupt.hurry.cancelled() => "there was no time for them".to_owned(),
        kept = tokio::time::timeout(LOGS, keeping) => match kept {
            Ok(Ok(Ok(()))) => return,
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(panic)) => told(&*panic),
            Err(_) => format!("the platform did not give them within {LOGS:?}"),
        },
    };
    order.recorder.record(Event::Note {
        level: Level::Warning,
        text: format!("the stack's logs could not be kept: {why}"),
    });
}
