//! Where what is shown comes from.

use std::fmt;

use crate::model::{Action, Command};
use crate::scenario::plan::Plan;
use crate::timeline::{Recording, RunDir};

/// What is to be shown.
pub struct Source {
    /// The run's directory.
    pub dir: RunDir,
    /// Its plan.
    pub plan: Plan,
    /// How it begins.
    pub start: Start,
}

/// How a run is shown.
pub enum Start {
    /// As it goes on.
    Live {
        /// Whether its process is still there.
        alive: Box<dyn Fn() -> bool + Send>,
        /// Who does what the person at the keys asks for; `None` where that may only look on.
        act: Option<Box<dyn Fn(Command) + Send>>,
        /// The faults that may be asked for though the scenario does not have them.
        offers: Vec<Action>,
    },
    /// From its recording, from this moment on (µs since the end of warm-up), so many times as fast as it was.
    Replay {
        /// The recording.
        recording: Box<Recording>,
        /// The moment.
        from_us: i64,
        /// 1.0 is as fast as it was.
        speed: f64,
    },
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}
