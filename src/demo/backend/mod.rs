//! The demo backend: a few routes, and outages on demand.

mod answer;
mod login;
mod routes;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::DemoError;
use super::door::Door;
use super::outage::Outage;
use super::script::Script;
use super::serve::{Order, serve};
use super::truth::Truth;
use routes::Shop;

/// How a demo backend is run.
#[derive(Debug, Clone)]
pub struct BackendConfig {
    /// Where to listen; port 0 draws one.
    pub listen: SocketAddr,
    /// What `X-Version` says.
    pub version: String,
    /// What `X-Backend` says: which of several backends this is.
    pub instance: String,
    /// How long each answer of a working route takes at least; health and metrics answer at once.
    pub service_time: Duration,
    /// Outages whose times count from [`Backend::bind`].
    pub outages: Vec<Outage>,
    /// Decides which requests an outage with a share hits.
    pub seed: u64,
    /// Where to write, as JSON lines, when each outage began and ended and what became of each request.
    pub truth_log: Option<PathBuf>,
}

impl BackendConfig {
    /// A backend without outages that answers as fast as it can.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            version: "v1".to_owned(),
            instance: "backend".to_owned(),
            service_time: Duration::ZERO,
            outages: Vec::new(),
            seed: 0,
            truth_log: None,
        }
    }
}

/// A demo backend that is bound and not yet serving.
#[derive(Debug)]
pub struct Backend {
    door: Door,
    shop: Arc<Shop>,
    outages: Vec<Outage>,
    bound: Instant,
    orders: mpsc::Receiver<Order>,
    truth_failure: mpsc::Receiver<DemoError>,
}

impl Backend {
    /// Listens. Callers can connect from here on, and are answered once [`Backend::serve`] runs.
    ///
    /// # Errors
    /// The address is taken or not ours, or the truth log cannot be opened.
    #[expect(
        clippy::unused_async,
        reason = "needs the runtime's reactor, like `serve`"
    )]
    pub async fn bind(config: BackendConfig) -> Result<Self, DemoError> {
        let door = Door::bind(config.listen)?;
        let (truth, truth_failure) = Truth::open(config.truth_log.as_deref())?;
        let truth = Arc::new(truth);
        let (order, orders) = mpsc::channel(1);
        let shop = Arc::new(Shop {
            version: config.version,
            instance: config.instance,
            service_time: config.service_time,
            traffic: Arc::default(),
            script: Arc::new(Script::new(config.seed, Arc::clone(&truth), order)),
            truth,
            items: Shop::no_items(),
        });
        Ok(Self {
            door,
            shop,
            outages: config.outages,
            bound: Instant::now(),
            orders,
            truth_failure,
        })
    }

    /// Where callers reach it.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.door.addr()
    }

    /// Answers until `shutdown` resolves; then stops accepting, finishes what is in flight (10 s at most) and closes.
    ///
    /// # Errors
    /// The port could not be listened on again after a `refuse` outage, or the truth log could not be written.
    pub async fn serve(mut self, shutdown: impl Future<Output = ()>) -> Result<(), DemoError> {
        for outage in self.outages {
            self.shop.script.play(outage, self.bound);
        }
        let mut served = pin!(serve(
            self.door,
            Arc::clone(&self.shop),
            self.orders,
            shutdown
        ));
        let result = tokio::select! {
            result = &mut served => result,
            Some(failure) = self.truth_failure.recv() => Err(failure),
        };
        self.shop.script.end_all();
        result
    }
}
