//! How the load is generated, whatever it is.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Template;

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

impl Arrivals {
    /// Whether their times are drawn.
    #[must_use]
    pub fn are_random(self) -> bool {
        match self {
            Self::Poisson => true,
            Self::Even | Self::Closed(_) => false,
        }
    }

    /// Whether they come as answers do: there is no rate that could be changed.
    #[must_use]
    pub fn are_closed(self) -> bool {
        match self {
            Self::Closed(_) => true,
            Self::Even | Self::Poisson => false,
        }
    }
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

impl Driver {
    /// Its name in a scenario.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hyper1 => "hyper1",
            Self::Hyper2 => "hyper2",
            Self::Raw1 => "raw1",
            Self::Reqwest => "reqwest",
        }
    }
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
    /// HTTP/1.1 or HTTP/2 by reqwest, as TLS settles it: follows redirects, and speaks through
    /// proxies. How many connections each address of a name got, it does not tell.
    Reqwest,
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
    /// Most connections that each shard makes at a time; 64 unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connecting: Option<u32>,
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
    /// reqwest: most redirects of a request that are followed; 10 unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirects: Option<u32>,
    /// reqwest: who is asked in the servers' place; nobody unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxyPlan>,
}

/// A proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProxyPlan {
    /// The one that HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY name.
    Environment,
    /// The one at this address.
    Url(Template),
}

impl ProxyPlan {
    /// What stands for the environment's where an address stands otherwise.
    pub const ENVIRONMENT: &str = "environment";
}

/// Most arrivals a second that a shard lets go one by one.
const MOST_PRECISE: f64 = 5_000.0;
/// Arrivals a second that are worth a thread of their own.
const SHARD: f64 = 20_000.0;

/// Redirects that are followed: as many as reqwest, k6 and Go do.
const REDIRECTS: u32 = 10;

/// HTTP/2 requests at a time on each connection, as RFC 9113 recommends a server to allow (section 6.5.2).
const STREAMS: u32 = 100;

/// Connections that a shard makes at a time: half of a listen queue of 128, which many a server has (`SOMAXCONN`).
const CONNECTING: u32 = 64;

impl EnginePlan {
    /// Most connections that each shard makes at a time.
    #[must_use]
    pub fn connecting(&self) -> u32 {
        self.connecting.unwrap_or(CONNECTING)
    }

    /// HTTP/2: most requests at a time on each connection.
    #[must_use]
    pub fn streams(&self) -> u32 {
        self.streams.unwrap_or(STREAMS)
    }

    /// reqwest: most redirects of a request that are followed.
    #[must_use]
    pub fn redirects(&self) -> u32 {
        self.redirects.unwrap_or(REDIRECTS)
    }

    /// The first of the options set that its driver cannot do, by its name in a scenario.
    #[must_use]
    pub fn unsupported(&self) -> Option<&'static str> {
        let reqwest = self.driver == Driver::Reqwest;
        let options = [
            ("connections.source", reqwest && !self.sources.is_empty()),
            (
                "connections.max_age",
                reqwest && self.reuse.max_age.is_some(),
            ),
            ("connections.stale_retry", reqwest && self.reuse.stale_retry),
            ("connections.streams", reqwest && self.streams.is_some()),
            ("redirects", !reqwest && self.redirects.is_some()),
            ("proxy", !reqwest && self.proxy.is_some()),
        ];
        let mut options = options.into_iter();
        options.find_map(|(name, unsupported)| unsupported.then_some(name))
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
