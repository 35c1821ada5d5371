//! Mending what a run left owed, by somebody else than the run.

use std::collections::BTreeSet;
use std::time::Duration;

use super::ledger::{Ledger, Owed};
use super::mend::{Patience, mend};
use super::order::{mend_all, newest_first};
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

/// Puts right what a run left owed: faults first, then the stack. What fails stays owed, and the stack is taken down all
/// the same.
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
            newest_first(&owed, |o, tried| async move {
                let called = move |_| tried.cancel();
                let _again = mend(stack, &o.undo, values, Patience::default(), called).await;
            })
            .await;
            tokio::time::sleep(LANDING).await;
        }
        let done = mend_all(ledger, &owed, stack, values).await;
        for (owed, done) in owed.into_iter().zip(done) {
            match done {
                Ok(()) => recovered.mended.push(owed),
                Err(why) => recovered.broken.push((owed, why)),
            }
        }
    }
    recovered
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
