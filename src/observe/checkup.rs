//! Whether a Prometheus answers, and how far its clock is off, before any run.

use std::time::Duration;

use super::error::AskError;
use super::prometheus::{Api, CLOCK};
use super::server::{Server, client};
use super::skew::compare;
use crate::model::{Lookup, Template};
use crate::timeline::clock::Clock;

/// How long it may take.
const WITHIN: Duration = Duration::from_secs(10);

/// A clock less ours, in µs, and by how much that may be off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockOff {
    /// That clock less ours.
    pub skew_us: i64,
    /// How uncertain that is.
    pub error_us: i64,
}

/// Asks a Prometheus for its time.
///
/// # Errors
/// Why it did not answer, in words without credentials.
pub async fn prometheus_clock(
    address: &Template,
    values: &(dyn Lookup + Sync),
) -> Result<ClockOff, String> {
    let asking = async {
        let client = client().map_err(|e| e.to_string())?;
        let server =
            Server::new(&client, "prometheus", address, values).map_err(|e| e.to_string())?;
        let api = Api::new(server);
        let skew = compare(Clock::start(), CLOCK, || api.time()).await;
        skew.map_err(|e: AskError| e.to_string())
    };
    let skew = tokio::time::timeout(WITHIN, asking).await;
    let skew = skew.unwrap_or_else(|_| Err(format!("it did not answer within {WITHIN:?}")))?;
    Ok(ClockOff {
        skew_us: skew.skew_us,
        error_us: skew.error_us,
    })
}
