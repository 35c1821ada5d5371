//! What is owed.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;

use super::left::left_owed;
use super::mend::{MendError, Patience, mend};
use crate::model::Undo;
use crate::stack::{Resolve, Stack, UndoTag};
use crate::timeline::event::{Event, Level};
use crate::timeline::{Entry, Journal, Recorder, TimelineError};

/// An undo that is owed.
#[derive(Debug, Clone, PartialEq)]
pub struct Owed {
    /// Its number in the journal.
    pub id: u64,
    /// The step it belongs to; `None` for the stack itself.
    pub step: Option<String>,
    /// The state to restore.
    pub undo: Undo,
}

impl Owed {
    /// What a journal leaves owed, in the order in which it came to be owed. Undone in reverse.
    #[must_use]
    pub fn left_by(entries: &[Entry]) -> Vec<Self> {
        let mut owed: Vec<Self> = Vec::new();
        for entry in entries {
            match &entry.event {
                Event::Owed { id, step, undo } => {
                    owed.push(Self {
                        id: *id,
                        step: step.clone(),
                        undo: undo.clone(),
                    });
                }
                Event::Mended { id, .. } => owed.retain(|o| o.id != *id),
                _ => {}
            }
        }
        owed
    }
}

/// Keeps the account of what is owed, in the journal where there is one. No fault is made but after [`Ledger::owe`] has
/// returned.
pub struct Ledger {
    /// `None` where the journal is lost, or cannot be written any more: what is owed is mended all the same.
    recorder: Option<Recorder>,
    next: AtomicU64,
    account: Mutex<Account>,
}

#[derive(Default)]
struct Account {
    open: Vec<Owed>,
    /// What was struck off, as recorded.
    struck_off: Vec<Event>,
}

impl Ledger {
    /// An empty account.
    #[must_use]
    pub fn new(recorder: Recorder) -> Self {
        Self {
            recorder: Some(recorder),
            next: AtomicU64::new(1),
            account: Mutex::default(),
        }
    }

    /// The account of a run that has ended, from its journal: what is to be put right of it.
    #[must_use]
    pub fn of_journal(recorder: Recorder, journal: &Journal) -> Self {
        Self {
            recorder: Some(recorder),
            ..Self::unrecorded(left_owed(journal))
        }
    }

    /// An account of what is to be put right, given oldest first, without a journal that could be told.
    #[must_use]
    pub fn unrecorded(owed: Vec<Owed>) -> Self {
        Self {
            recorder: None,
            next: AtomicU64::new(1),
            account: Mutex::new(Account {
                open: owed,
                struck_off: Vec::new(),
            }),
        }
    }

    /// Tells the journal, where there is one.
    pub(super) fn record(&self, event: Event) {
        if let Some(recorder) = &self.recorder {
            recorder.record(event);
        }
    }

    /// Writes down an undo. When this has returned, it is on disk.
    ///
    /// # Errors
    /// When it could not be written: then the fault may not be made.
    pub async fn owe(&self, step: Option<&str>, undo: Undo) -> Result<Owed, TimelineError> {
        let owed = Owed {
            id: self.next.fetch_add(1, Ordering::Relaxed),
            step: step.map(str::to_owned),
            undo,
        };
        let event = Event::Owed {
            id: owed.id,
            step: owed.step.clone(),
            undo: owed.undo.clone(),
        };
        if let Some(recorder) = &self.recorder {
            recorder.record_synced(event).await?;
        }
        self.lock().open.push(owed.clone());
        Ok(owed)
    }

    /// What is open, newest first: the order in which it is undone.
    #[must_use]
    pub fn open(&self) -> Vec<Owed> {
        self.lock().open.iter().rev().cloned().collect()
    }

    /// The records of what was struck off. On a disk that is full they are nowhere else.
    #[must_use]
    pub fn struck_off(&self) -> Vec<Event> {
        self.lock().struck_off.clone()
    }

    /// Restores the state of an open undo, verifies it and strikes it off. `called` is told after each try whether its
    /// calls succeeded. A failure is recorded too, and stays owed.
    ///
    /// # Errors
    /// [`MendError`].
    pub async fn mend(
        &self,
        owed: &Owed,
        stack: &dyn Stack,
        values: &dyn Resolve,
        patience: Patience,
        called: impl FnMut(bool) + Send,
    ) -> Result<(), MendError> {
        if !self.lock().open.iter().any(|o| o.id == owed.id) {
            return Ok(());
        }
        let done = mend(stack, &owed.undo, values, patience, called).await;
        match done {
            Ok(attempts) => {
                self.strike_off(owed, attempts);
                Ok(())
            }
            Err(error) => {
                self.record(Event::LeftBroken {
                    id: owed.id,
                    why: error.to_string(),
                });
                Err(error)
            }
        }
    }

    /// Keeps undos on the platform too, beside what they are about, for whoever has lost the journal. One that the platform
    /// does not take is in the journal alone; that is recorded.
    pub async fn tag(&self, owed: &[Owed], stack: &dyn Stack) {
        join_all(owed.iter().map(|owed| async move {
            let tag = UndoTag {
                id: owed.id,
                step: owed.step.clone(),
                undo: owed.undo.clone(),
            };
            if let Err(error) = stack.tag(&tag).await {
                self.warn(format!(
                    "`recover --scan` would not find that it has to {}: {error}",
                    owed.undo
                ));
            }
        }))
        .await;
    }

    /// Takes undos off the platform that are no longer owed.
    pub async fn untag(&self, owed: &[Owed], stack: &dyn Stack) {
        join_all(owed.iter().map(|owed| async move {
            if self.lock().open.iter().any(|o| o.id == owed.id) {
                return;
            }
            if let Err(error) = stack.untag(owed.id).await {
                self.warn(format!(
                    "`recover --scan` would find that it has to {}, though that is done: {error}",
                    owed.undo
                ));
            }
        }))
        .await;
    }

    fn warn(&self, text: String) {
        let level = Level::Warning;
        self.record(Event::Note { level, text });
    }

    /// Strikes off an undo that a step's author asked to keep undone (`keep: true`).
    pub fn waive(&self, owed: &Owed) {
        self.strike_off(owed, 0);
    }

    fn strike_off(&self, owed: &Owed, attempts: u32) {
        let id = owed.id;
        let mended = Event::Mended { id, attempts };
        let mut account = self.lock();
        account.open.retain(|o| o.id != id);
        account.struck_off.push(mended.clone());
        drop(account);
        self.record(mended);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Account> {
        self.account
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
