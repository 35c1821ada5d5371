//! Figures from requests and events: pure functions of a recording, with no clock of their own.
//!
//! Requests come as a slice sorted by due time, as [`super::Recording`] holds them. Every function that judges them
//! takes a [`View`], because whatever the harness itself may have caused is judged twice.

mod allowance;
mod dossier;
mod doubt;
mod episodes;
mod exposure;
mod first_tries;
mod latency_back;
mod load;
mod steps;
mod trailing;
mod watch;
mod windows;

pub use allowance::allowance;
pub use dossier::{Dossier, DossierInput, Figures, WatchSpan, dossier};
pub use doubt::{Doubt, Punctuality, Reading, Standing, View};
pub use episodes::{Episode, Trace};
pub use exposure::{Exposure, exposure};
pub use first_tries::FirstTries;
pub use latency_back::LatencyReturn;
pub use load::LoadTally;
pub use steps::{Convergence, Effect, StepFacts, steps};
pub use trailing::{Counted, Hit, LastGood, Trailing};
pub use watch::{Readmission, WatchEnd, WatchFacts, settle_us, watch_end};
pub use windows::{Counts, NoLatency, Percentiles, WindowSpan, WindowTally, spans, tally};

/// The element of nearest rank: number ⌊q·n⌋ from 0 (the last at most) of the sorted values.
pub(super) fn nearest_rank(sorted: &[i64], q: f64) -> Option<i64> {
    let index = (q * sorted.len() as f64) as usize;
    sorted
        .get(index.min(sorted.len().saturating_sub(1)))
        .copied()
}
