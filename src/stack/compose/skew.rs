//! How far the engine's clock is from ours.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::engine::Project;
use crate::stack::StackError;

/// Asked so often; the quickest answer is the most exact.
const ROUNDS: u32 = 3;

impl Project {
    /// The engine's wall clock less ours at the middle of a round trip, in ns.
    ///
    /// # Errors
    /// The engine's.
    #[expect(
        clippy::disallowed_methods,
        reason = "two wall clocks can be compared only by reading both"
    )]
    pub(super) async fn skew_ns(&self) -> Result<i64, StackError> {
        let mut best = None;
        for _ in 0..ROUNDS {
            let (asked, clock) = (SystemTime::now(), Instant::now());
            let engine = self.engine_ns().await?;
            let trip = clock.elapsed();
            let ours = (asked + trip / 2)
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            let skew = engine - i64::try_from(ours.as_nanos()).unwrap_or(i64::MAX);
            if best.is_none_or(|(shortest, _)| trip < shortest) {
                best = Some((trip, skew));
            }
        }
        Ok(best.map_or(0, |(_, skew)| skew))
    }
}
