//! How far an engine's clock is from ours.

use std::future::Future;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Asked so often; the quickest answer is the most exact.
const ROUNDS: u32 = 3;

/// A wall clock, in ns since 1970, less ours at the middle of a round trip, in ns.
///
/// # Errors
/// What asking it gives.
#[expect(
    clippy::disallowed_methods,
    reason = "two wall clocks can be compared only by reading both"
)]
pub(in crate::stack) async fn skew_ns<E, F>(asking: impl Fn() -> F) -> Result<i64, E>
where
    F: Future<Output = Result<i64, E>>,
{
    let mut best = None;
    for _ in 0..ROUNDS {
        let (asked, clock) = (SystemTime::now(), Instant::now());
        let engine = asking().await?;
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
