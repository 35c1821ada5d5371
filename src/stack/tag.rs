//! An undo kept on the platform itself.

use serde::{Deserialize, Serialize};

use crate::model::Undo;

/// An owed undo as the platform keeps it beside what it is about, for somebody who has lost the run's files. Like the
/// journal's, it holds no secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UndoTag {
    /// Its number in the journal.
    pub id: u64,
    /// The step it belongs to.
    pub step: Option<String>,
    /// The state to restore.
    pub undo: Undo,
}
