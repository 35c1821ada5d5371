//! What a person should know of the generator itself.

use std::sync::{Mutex, PoisonError};

/// Notes of one load, each kept once.
#[derive(Debug, Default)]
pub(super) struct Notes(Mutex<Vec<String>>);

/// Enough to see what is wrong.
const MOST: usize = 20;

impl Notes {
    /// Keeps a note unless it is there already, or there are too many.
    pub(super) fn once(&self, note: String) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < MOST && !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
