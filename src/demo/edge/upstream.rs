//! One backend as the edge sees it: its connections, its health, its counters.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::health::{Admission, Health, Passive};

/// Idle connections kept to each backend.
const IDLE_KEPT: usize = 256;

/// The sending half of a connection to a backend.
pub(super) type Sender = SendRequest<Full<Bytes>>;

/// One backend.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) address: String,
    health: Mutex<Health>,
    idle: Mutex<Vec<Sender>>,
    active: AtomicUsize,
    answered: AtomicU64,
    failed: AtomicU64,
}

/// How long a backend may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) connect: Duration,
    /// For the head of an answer, and then for each further piece of it.
    pub(super) read: Duration,
}

/// Why a backend gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExchangeError {
    #[error("connecting failed: {0}")]
    Connect(io::Error),
    #[error("no connection in time")]
    ConnectTimeout,
    #[error("the connection ended before any byte of an answer: {0}")]
    Lost(hyper::Error),
    #[error("no answer in time")]
    ReadTimeout,
}

impl ExchangeError {
    /// Whether the backend certainly never saw the request.
    pub(super) fn is_unsent(&self) -> bool {
        match self {
            Self::Connect(_) | Self::ConnectTimeout => true,
            Self::Lost(_) | Self::ReadTimeout => false,
        }
    }

    pub(super) fn is_timeout(&self) -> bool {
        match self {
            Self::ReadTimeout => true,
            Self::Connect(_) | Self::ConnectTimeout | Self::Lost(_) => false,
        }
    }
}

/// How one send over one connection ended without an answer.
enum SendError {
    /// The connection was dead before the request left; here it is back.
    Unsent(Box<Request<Full<Bytes>>>),
    Failed(ExchangeError),
}

impl Upstream {
    pub(super) fn new(address: String, passive: Option<Passive>) -> Self {
        Self {
            address,
            health: Mutex::new(Health::new(passive)),
            idle: Mutex::default(),
            active: AtomicUsize::new(0),
            answered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    pub(super) fn health(&self) -> MutexGuard<'_, Health> {
        self.health
            .lock()
            .expect("nobody panics while holding the health")
    }

    /// Requests being answered by this backend.
    pub(super) fn active(&self) -> usize {
        self.active.load(Ordering::Relaxed)
    }

    /// Requests answered and requests failed so far.
    pub(super) fn counts(&self) -> (u64, u64) {
        (
            self.answered.load(Ordering::Relaxed),
            self.failed.load(Ordering::Relaxed),
        )
    }

    /// Sends over an idle connection that still lives, else over a new one.
    pub(super) async fn exchange(
        &self,
        mut request: Request<Full<Bytes>>,
        patience: Patience,
    ) -> Result<(Response<Incoming>, Sender), ExchangeError> {
        while let Some(sender) = self.take_idle() {
            match send(sender, request, patience).await {
                Ok(answer) => return Ok(answer),
                Err(SendError::Unsent(back)) => request = *back,
                Err(SendError::Failed(error)) => return Err(error),
            }
        }
        let sender = connect(&self.address, patience.connect).await?;
        match send(sender, request, patience).await {
            Ok(answer) => Ok(answer),
            Err(SendError::Unsent(_)) => Err(ExchangeError::Connect(
                io::ErrorKind::ConnectionReset.into(),
            )),
            Err(SendError::Failed(error)) => Err(error),
        }
    }

    /// Keeps a connection whose answer has been read to its end.
    pub(super) fn keep(&self, sender: Sender) {
        let mut idle = self
            .idle
            .lock()
            .expect("nobody panics while holding the pool");
        if idle.len() < IDLE_KEPT && !sender.is_closed() {
            idle.push(sender);
        }
    }

    fn take_idle(&self) -> Option<Sender> {
        // The most recently used is the likeliest to live.
        self.idle
            .lock()
            .expect("nobody panics while holding the pool")
            .pop()
    }
}

/// Connects to `address`, a `host:port` whose name is resolved anew each time.
pub(super) async fn connect(address: &str, patience: Duration) -> Result<Sender, ExchangeError> {
    let stream = match timeout(patience, TcpStream::connect(address)).await {
        Ok(connected) => connected.map_err(ExchangeError::Connect)?,
        Err(_) => return Err(ExchangeError::ConnectTimeout),
    };
    stream.set_nodelay(true).map_err(ExchangeError::Connect)?;
    let (sender, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(|error| ExchangeError::Connect(io::Error::other(error)))?;
    // How it ends, the sender learns by its next request.
    tokio::spawn(connection);
    Ok(sender)
}

async fn send(
    mut sender: Sender,
    request: Request<Full<Bytes>>,
    patience: Patience,
) -> Result<(Response<Incoming>, Sender), SendError> {
    let exchange = async {
        if sender.ready().await.is_err() {
            return Err(SendError::Unsent(Box::new(request)));
        }
        sender
            .try_send_request(request)
            .await
            .map_err(|mut error| match error.take_message() {
                Some(request) => SendError::Unsent(Box::new(request)),
                None => SendError::Failed(ExchangeError::Lost(error.into_error())),
            })
    };
    match timeout(patience.read, exchange).await {
        Ok(answer) => answer.map(|response| (response, sender)),
        Err(_) => Err(SendError::Failed(ExchangeError::ReadTimeout)),
    }
}

/// A request's place at a backend: counts as active there until dropped, and reports how it went.
#[derive(Debug)]
pub(super) struct Lease {
    upstream: Arc<Upstream>,
    admission: Admission,
}

impl Lease {
    /// Takes a place, if the backend's health lets a request through.
    pub(super) fn take(upstream: &Arc<Upstream>, now: Instant) -> Option<Self> {
        let admission = upstream.health().admit(now)?;
        upstream.active.fetch_add(1, Ordering::Relaxed);
        Some(Self {
            upstream: Arc::clone(upstream),
            admission,
        })
    }

    pub(super) fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    pub(super) fn answered(&self) {
        self.upstream.answered.fetch_add(1, Ordering::Relaxed);
        self.upstream.health().answered(self.admission);
    }

    pub(super) fn failed(&self) {
        self.upstream.failed.fetch_add(1, Ordering::Relaxed);
        self.upstream
            .health()
            .failed(self.admission, Instant::now());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.upstream.active.fetch_sub(1, Ordering::Relaxed);
    }
}
