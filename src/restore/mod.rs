//! The one mending path: for the normal heal, for Ctrl-C, and for whoever finds a journal with something still owed.
//!
//! An undo is written to the journal before its fault is made ([`Ledger::owe`]) and struck off only when the state it
//! describes was read back ([`Ledger::mend`]).

mod ledger;
mod left;
mod mend;
mod order;
mod own;
mod reach;

pub use ledger::{Ledger, Owed};
pub use left::{Recovered, in_flight_since, left_owed, mend_left, mend_open};
pub use mend::{MendError, Patience, mend};
pub use order::{mend_all, told};
pub use own::{OwnError, call, command};
pub use reach::{entangled, superseded};
