//! How the load is generated, whatever it is.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When arrivals come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Open loop: by the schedule, evenly, whatever the system under test does.
    #[default]
    Even,
    /// Open loop: by the schedule's rate, at random times drawn by the seed (a Poisson process).
    Poisson,
    /// Closed loop: so many users, each of whom arrives again when the last answer has come. A slow system is asked less.
    Closed(u32),
}

/// How closely arrivals keep to their times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pacing {
    /// Precise up to 5,000 arrivals a second of each shard, by ticks above.
    #[default]
    Auto,
    /// Each at its own time.
    Precise,
    /// All that fell due, once in each millisecond: cheaper at high rates.
    Tick,
}

/// What speaks to the system under test.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Driver {
    /// HTTP/1.1 by hyper.
    #[default]
    Hyper1,
    /// HTTP/2 by hyper.
    Hyper2,
    /// Plain HTTP/1.1 by hand, for the highest rates.
    Raw1,
}

/// How TLS is spoken, where an address is https.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TlsPlan {
    /// Certificates that are trusted, in place of this machine's.
    pub ca: Option<PathBuf>,
    /// Client certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Trust whoever answers.
    pub insecure: bool,
}

/// How connections are used again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReusePlan {
    /// Oldest that one may be to get another request: without it, keep-alive hides what DNS and load balancers do.
    pub max_age: Option<Duration>,
    /// An idempotent request whose reused connection dies before any byte of an answer is sent once more.
    pub stale_retry: bool,
}

/// Who is at work.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EnginePlan {
    /// What speaks.
    #[serde(skip_serializing_if = "is_default")]
    pub driver: Driver,
    /// HTTP/2: most requests at a time on each connection; 100 unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streams: Option<u32>,
    /// TLS.
    #[serde(skip_serializing_if = "is_default")]
    pub tls: TlsPlan,
    /// Connections.
    #[serde(skip_serializing_if = "is_default")]
    pub reuse: ReusePlan,
    /// Pacing.
    #[serde(skip_serializing_if = "is_default")]
    pub pacing: Pacing,
    /// Threads that send, each with connections of its own; by the rate and this machine's cores unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards: Option<u32>,
    /// DNS server that is asked for names, in place of this machine's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<SocketAddr>,
    /// Addresses of this machine that connections come from, in turn; the system chooses unless set.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<IpAddr>,
}

/// Most arrivals a second that a shard lets go one by one.
const MOST_PRECISE: f64 = 5_000.0;
/// Arrivals a second that are worth a thread of their own.
const SHARD: f64 = 20_000.0;

/// HTTP/2 requests at a time on each connection, as RFC 9113 recommends a server to allow (section 6.5.2).
const STREAMS: u32 = 100;

impl EnginePlan {
    /// HTTP/2: most requests at a time on each connection.
    #[must_use]
    pub fn streams(&self) -> u32 {
        self.streams.unwrap_or(STREAMS)
    }

    /// Threads for a load that peaks at `rate` arrivals a second, on a machine with so many `cores`: half of them at
    /// most unless it says otherwise, for the system under test may be on this machine, too.
    #[must_use]
    pub fn shards(&self, rate: f64, cores: usize) -> u32 {
        let useful = (rate / SHARD).ceil().max(1.0);
        let most = (cores / 2).max(1) as f64;
        self.shards.unwrap_or(useful.min(most) as u32).max(1)
    }

    /// Whether a shard that lets at most `rate` arrivals a second go does so by ticks, not each at its own time.
    #[must_use]
    pub fn ticks(&self, rate: f64) -> bool {
        match self.pacing {
            Pacing::Precise => false,
            Pacing::Auto => rate > MOST_PRECISE,
            Pacing::Tick => true,
        }
    }
}

/// Port of a DNS server (RFC 1035, section 4.2).
const DNS: u16 = 53;

/// Reads the address of a DNS server, with or without a port.
#[must_use]
pub fn dns_server(written: &str) -> Option<SocketAddr> {
    let alone = || written.parse().ok().map(|ip| SocketAddr::new(ip, DNS));
    written.parse().ok().or_else(alone)
}

/// Whether a value is what it would be anyway, and so need not be written.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_arrivals_are_precise_and_many_are_shared_out() {
        let auto = EnginePlan::default();
        assert_eq!(
            [1.0, 20_000.0, 20_001.0, 1e6].map(|rate| auto.shards(rate, 8)),
            [1, 1, 2, 4]
        );
        assert_eq!(auto.shards(1e6, 1), 1);
        assert_eq!(
            [5_000.0, 5_001.0].map(|rate| auto.ticks(rate)),
            [false, true]
        );
        let set = EnginePlan {
            pacing: Pacing::Precise,
            shards: Some(3),
            ..EnginePlan::default()
        };
        assert_eq!((set.shards(1.0, 1), set.ticks(1e6)), (3, false));
    }
}
