//! The demo edge: a load balancer that can be told to leave its protections off, so that a drill has a defect to find.

mod balance;
mod check;
mod health;
mod pages;
mod proxy;
mod relay;
mod upstream;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::uri::{Authority, PathAndQuery};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::DemoError;
use super::door::Door;
use super::serve::serve;
use balance::Balance;
pub use health::{Active, Passive};
use proxy::Proxy;
use upstream::{Patience, Upstream};

/// How a demo edge is run.
#[derive(Debug, Clone)]
pub struct EdgeConfig {
    /// Where to listen; port 0 draws one.
    pub listen: SocketAddr,
    /// The backends, each as `host:port`; a name is resolved anew for each connection.
    pub backends: Vec<String>,
    /// Passive health checks; without them a backend that fails is tried as often as any other.
    pub passive: Option<Passive>,
    /// Active health checks.
    pub active: Option<Active>,
    /// How long connecting to a backend may take.
    pub connect_timeout: Duration,
    /// How long a backend may take for the head of an answer, and then for each further piece of it.
    pub read_timeout: Duration,
    /// How many other backends may be tried for one request. Any request goes on after a failed connect; one that was
    /// sent only if its method is idempotent, and it failed before any byte of an answer or was answered 502 or 503.
    pub retries: u32,
}

impl EdgeConfig {
    /// An edge with what a careful operator would set: 3 failures in 10 s take a backend out, 2 others are tried.
    #[must_use]
    pub fn new(listen: SocketAddr, backends: Vec<String>) -> Self {
        let max_fails = const { NonZeroU32::new(3).expect("three is not zero") };
        Self {
            listen,
            backends,
            passive: Some(Passive {
                max_fails,
                fail_timeout: Duration::from_secs(10),
            }),
            active: None,
            connect_timeout: Duration::from_secs(1),
            read_timeout: Duration::from_secs(5),
            retries: 2,
        }
    }
}

/// A demo edge that is bound and not yet serving.
#[derive(Debug)]
pub struct Edge {
    door: Door,
    proxy: Arc<Proxy>,
    active: Option<Active>,
}

impl Edge {
    /// Listens. Callers can connect from here on, and are answered once [`Edge::serve`] runs.
    ///
    /// # Errors
    /// The address is taken or not ours, there is no backend, or a backend's address or the check's path is malformed.
    pub async fn bind(config: EdgeConfig) -> Result<Self, DemoError> {
        check_config(&config)?;
        let upstreams = config
            .backends
            .into_iter()
            .map(|address| Arc::new(Upstream::new(address, config.passive)));
        let proxy = Proxy {
            balance: Balance::new(upstreams.collect()),
            patience: Patience {
                connect: config.connect_timeout,
                read: config.read_timeout,
            },
            retries: usize::try_from(config.retries).unwrap_or(usize::MAX),
            traffic: Arc::default(),
        };
        Ok(Self {
            door: Door::bind(config.listen)?,
            proxy: Arc::new(proxy),
            active: config.active,
        })
    }

    /// Where callers reach it.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.door.addr()
    }

    /// Balances until `shutdown` resolves; then stops accepting, finishes what is in flight (10 s at most) and closes.
    ///
    /// # Errors
    /// Those of the serving that edge and backend share; an edge's own door stays open, so none is expected.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), DemoError> {
        // Dropped at the end, which ends the checks.
        let mut checks = JoinSet::new();
        if let Some(rules) = &self.active {
            for upstream in self.proxy.balance.upstreams() {
                checks.spawn(check::keep_checking(Arc::clone(upstream), rules.clone()));
            }
        }
        // Nobody closes an edge's door before its time: the sender of orders is gone from the start.
        let (_, orders) = mpsc::channel(1);
        serve(self.door, self.proxy, orders, shutdown).await
    }
}

fn check_config(config: &EdgeConfig) -> Result<(), DemoError> {
    if config.backends.is_empty() {
        return Err(DemoError::NoBackends);
    }
    if let Some(address) = config
        .backends
        .iter()
        .find(|address| !is_host_and_port(address))
    {
        return Err(DemoError::BadBackend {
            address: address.clone(),
        });
    }
    if let Some(Active { path, .. }) = &config.active
        && !(path.starts_with('/') && path.parse::<PathAndQuery>().is_ok())
    {
        return Err(DemoError::BadCheckPath { path: path.clone() });
    }
    let passive = config
        .passive
        .map(|passive| ("a fail_timeout", passive.fail_timeout));
    let interval = config
        .active
        .as_ref()
        .map(|active| ("a check interval", active.interval));
    let timeout = config
        .active
        .as_ref()
        .map(|active| ("a check timeout", active.timeout));
    let times = [
        ("a connect timeout", config.connect_timeout),
        ("a read timeout", config.read_timeout),
    ];
    match times
        .into_iter()
        .chain(passive)
        .chain(interval)
        .chain(timeout)
        .find(|(_, time)| !is_kept(*time))
    {
        Some((what, time)) => Err(DemoError::BadTime { what, time }),
        None => Ok(()),
    }
}

/// Whether timers can be set by it: clocks overflow far beyond 30 days, and none ticks without a period.
fn is_kept(time: Duration) -> bool {
    !time.is_zero() && time <= Duration::from_secs(30 * 24 * 3600)
}

fn is_host_and_port(address: &str) -> bool {
    address
        .parse::<Authority>()
        .is_ok_and(|parsed| parsed.port_u16().is_some() && !address.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_a_host_and_a_port() {
        for good in ["127.0.0.1:8000", "backend:8000", "[::1]:8000"] {
            assert!(is_host_and_port(good), "{good}");
        }
        for bad in [
            "",
            "backend",
            "http://backend:8000",
            "backend:",
            "backend:99999",
            "me@backend:80",
            "a:1,b:2",
        ] {
            assert!(!is_host_and_port(bad), "{bad}");
        }
    }
}
