//! The one mending path: for the normal heal, for Ctrl-C, and for whoever finds a journal with something still owed.
//!
//! An undo is written to the journal before its fault is made ([`Ledger::owe`]) and struck off only when the state it
//! describes was read back ([`Ledger::mend`]).

mod ledger;
mod mend;
mod own;
mod reach;

pub use ledger::{Ledger, Owed};
pub use mend::{MendError, Patience, mend};
pub use own::{OwnError, call, command};
pub use reach::entangled;
