//! Mending what a run left owed, by somebody else than the run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;

use super::ledger::{Ledger, Owed};
use super::mend::{Patience, mend};
use crate::model::Undo;
use crate::stack::{Resolve, Stack};
use crate::timeline::event::{Event, Phase};
use crate::timeline::{Entry, Journal};

/// How long a call that was on its way when its caller died may take to land.
const LANDING: Duration = Duration::from_secs(1);

/// What became of what a run left owed.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Recovered {
    /// What was put right, in the order in which that began.
    pub mended: Vec<Owed>,
    /// What was not, and why.
    pub broken: Vec<(Owed, String)>,
}

/// What of a journal has to be put right by another than its run: the stack itself only where the run was to take it
/// down.
#[must_use]
pub fn left_owed(journal: &Journal) -> Vec<Owed> {
    let mut owed = Owed::left_by(&journal.entries);
    owed.retain(|o| o.undo != Undo::Down || journal.opened.takes_down);
    owed
}

/// Puts right what a run left owed: faults first, then the stack. Undos of one service (and those of the user's own)
/// follow one another, newest first; those of different services do not wait for one another. What fails stays owed, and
/// the stack is taken down all the same.
pub async fn mend_left(
    ledger: &Ledger,
    journal: &Journal,
    stack: &dyn Stack,
    values: &dyn Resolve,
) -> Recovered {
    let (faults, down): (Vec<_>, Vec<_>) = ledger
        .open()
        .into_iter()
        .partition(|o| o.undo != Undo::Down);
    let mut recovered = Recovered::default();
    for (phase, owed) in [(Phase::Mending, faults), (Phase::TakingDown, down)] {
        if owed.is_empty() {
            continue;
        }
        ledger.recorder().record(Event::Phase(phase));
        if in_flight(&journal.entries) {
            // The call may still land, and then all is to be done again. What fails now is told then.
            let hurried = |o: Owed| async move {
                let _again = mend(stack, &o.undo, values, Patience::default(), |_| {}).await;
            };
            by_service(&owed, hurried).await;
            tokio::time::sleep(LANDING).await;
        }
        let patient = |o: Owed| async move {
            let done = ledger
                .mend(&o, stack, values, Patience::default(), |_| {})
                .await;
            (o, done)
        };
        for (owed, done) in by_service(&owed, patient).await {
            match done {
                Ok(()) => recovered.mended.push(owed),
                Err(error) => recovered.broken.push((owed, error.to_string())),
            }
        }
    }
    recovered
}

/// Does `each`, for those of one service one after the other, for different services side by side.
async fn by_service<T, F: Future<Output = T>>(owed: &[Owed], each: impl Fn(Owed) -> F) -> Vec<T> {
    let mut services: BTreeMap<Option<&str>, Vec<&Owed>> = BTreeMap::new();
    for owed in owed {
        services.entry(owed.undo.service()).or_default().push(owed);
    }
    let each = &each;
    let lanes = services.into_values().map(|lane| async move {
        let mut done = Vec::with_capacity(lane.len());
        for owed in lane {
            done.push(each(owed.clone()).await);
        }
        done
    });
    join_all(lanes).await.into_iter().flatten().collect()
}

/// Whether a call that makes a fault, or stands the stack up, may have been on its way when the journal ends.
fn in_flight(entries: &[Entry]) -> bool {
    let mut dispatched = BTreeSet::new();
    let mut standing_up = false;
    for entry in entries {
        match &entry.event {
            Event::Dispatched { step, .. } => {
                dispatched.insert(step);
            }
            Event::Acknowledged { step, .. } => {
                dispatched.remove(step);
            }
            Event::Phase(phase) => standing_up = *phase == Phase::StandingUp,
            _ => {}
        }
    }
    standing_up || !dispatched.is_empty()
}
