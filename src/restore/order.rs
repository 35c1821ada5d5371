//! Mending many undos: as many side by side as do not depend on one another.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::ledger::{Ledger, Owed};
use super::mend::Patience;
use super::reach::{superseded, touch};
use crate::stack::{Resolve, Stack};
use crate::timeline::event::Event;

/// Mends all of `owed`, given newest first, and says of each why it failed. Nothing that fails, hangs or panics in one
/// keeps the others from being mended; failures are recorded.
pub async fn mend_all(
    ledger: &Ledger,
    owed: &[Owed],
    stack: &dyn Stack,
    values: &dyn Resolve,
) -> Vec<Result<(), String>> {
    let all = owed;
    newest_first(owed, |owed, tried| async move {
        if superseded(owed, all.iter()) {
            ledger.waive(owed);
            ledger.untag(std::slice::from_ref(owed), stack).await;
            return Ok(());
        }
        let called = move |_| tried.cancel();
        let mending = ledger.mend(owed, stack, values, Patience::default(), called);
        match AssertUnwindSafe(mending).catch_unwind().await {
            Ok(done) => {
                ledger.untag(std::slice::from_ref(owed), stack).await;
                done.map_err(|e| e.to_string())
            }
            Err(panic) => {
                let why = format!(
                    "firedrill itself failed: {}; please report it",
                    told(&*panic)
                );
                ledger.record(Event::LeftBroken {
                    id: owed.id,
                    why: why.clone(),
                });
                Err(why)
            }
        }
    })
    .await
}

/// A panic's message.
#[must_use]
pub fn told(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "no message".to_owned())
}

/// Does `each` for all of `owed`, given newest first: side by side, but each after the first try of the newer ones that
/// may touch the same thing. `each` cancels its token after that try.
pub(super) async fn newest_first<'a, T, F: Future<Output = T>>(
    owed: &'a [Owed],
    each: impl Fn(&'a Owed, CancellationToken) -> F,
) -> Vec<T> {
    let tried: Vec<CancellationToken> = owed.iter().map(|_| CancellationToken::new()).collect();
    let each = &each;
    let all = owed.iter().enumerate().map(|(at, one)| {
        let tried = &tried;
        async move {
            for (newer, tried) in owed.iter().zip(tried).take(at) {
                if touch(&newer.undo, &one.undo) {
                    tried.cancelled().await;
                }
            }
            let done = each(one, tried[at].clone()).await;
            tried[at].cancel();
            done
        }
    });
    join_all(all).await
}
