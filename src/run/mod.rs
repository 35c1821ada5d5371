//! The conductor: phases, steps, signals; everything that happens goes into the recording.

mod around;
mod awaiting;
mod bench;
mod conductor;
mod driving;
mod engine;
mod guardian;
mod heal;
mod interrupt;
mod leftovers;
mod milestones;
mod operator;
mod pacing;
mod preflight;
mod replicas;
mod runner;
mod settled;
mod step;
mod stop;
mod taken;
mod victims;

pub use conductor::{Order, RunError, Selection, conduct};
pub use guardian::{GuardianCommand, GuardianError};
pub use interrupt::{Interrupt, Signals};
pub use runner::{Runner, RunnerState, start_of};
