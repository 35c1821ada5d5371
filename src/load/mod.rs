//! Open-model load: arrivals fall due by the clock alone, and every request that became due ends in exactly one
//! record.
//!
//! ```text
//! pacer ──slots──► engine ──► worker ──► journey ──asks──► Speaker (HTTP/1.1, HTTP/2, or the fake)
//!                                        └──record──► Sink
//! ```

mod address;
mod arrival;
mod bodies;
mod budget;
mod checks;
mod data;
mod driver;
mod engine;
mod error;
mod journey;
mod ledger;
mod login;
mod notes;
mod pacer;
mod part;
mod precedence;
mod pressure;
mod program;
mod retry;
mod run_delay;
mod running;
mod sink;
mod spec;
mod standby;
mod text;
mod workers;

pub mod client;

pub use error::{LoadError, LoginFailure};
pub use pacer::{ClockPacer, Pacer, Slots, ThreadPacer};
pub use precedence::may_go_first;
pub use pressure::watch_pressure;
pub use running::{Ended, Repacer, Running};
pub use sink::Sink;
pub use spec::{ClientChoice, Load, LoadSpec, OTHER_FILES, Values};
