//! What sends a request: one seam, a body for HTTP/1.1 over TCP and one for the fake stack.

mod connection;
mod failure;
mod fake;
mod http1;
mod pool;
mod wire;

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::time::Instant;

pub use fake::FakeClient;
pub use http1::Http1;

use crate::model::Outcome;

/// Where a connection leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Host name or IP address (IPv6 without brackets).
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// One request, every variable filled in.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Where it goes.
    pub to: Arc<Destination>,
    /// Method.
    pub method: Method,
    /// Path and query.
    pub target: http::Uri,
    /// Headers, `Host` included.
    pub headers: HeaderMap,
    /// Body; empty for none.
    pub body: Bytes,
    /// Bytes of the answer's body to keep; the rest is read and thrown away.
    pub keep: usize,
    /// Where the client notes that it leaves.
    pub sent: Sent,
}

/// When the first byte of a request was written. Shared, so that it is known of a request that is cut, too.
#[derive(Debug, Clone, Default)]
pub struct Sent(Arc<OnceLock<Instant>>);

impl Sent {
    /// Notes that it is written now; the first call counts.
    pub fn note(&self) {
        self.0.get_or_init(Instant::now);
    }

    /// When that was; `None` where it never was.
    #[must_use]
    pub fn at(&self) -> Option<Instant> {
        self.0.get().copied()
    }
}

/// The body of an answer, read to its last byte.
#[derive(Debug, Clone, Default)]
pub struct Body {
    /// Its first [`Outgoing::keep`] bytes.
    pub kept: Bytes,
    /// Whether that is all of it.
    pub whole: bool,
}

/// What became of a request.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Status of the answer, as far as it came; 0 for none.
    pub status: u16,
    /// Headers of the answer, as far as it came.
    pub headers: HeaderMap,
    /// The answer's body, or how the exchange failed. `dropped` says that the generator's own machine could not
    /// send it (no sockets or ports left).
    pub result: Result<Body, Outcome>,
}

/// Sends requests, each at most once.
#[async_trait]
pub trait Client: Send + Sync {
    /// Sends one request and reads its answer. Waiting for a connection and connecting are part of it. Gives up at
    /// `deadline`, with the outcome that says what was waited for.
    async fn send(&self, request: Outgoing, deadline: Instant) -> Exchange;
}
