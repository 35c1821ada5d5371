//! What sends a request: one seam, a body for HTTP/1.1 over TCP and one for the fake stack.

mod by_hyper;
mod by_reqwest;
mod connects;
mod cookies;
mod dial;
mod dns;
mod failure;
mod fake;
mod http1;
mod http2;
mod pooled;
mod source;
mod tls;
mod wire;

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Uri};
use tokio::time::Instant;

pub(super) use by_reqwest::{Manners, Proxied, Reqwest};
pub(super) use connects::Connects;
pub(super) use cookies::{Jar, Jars};
pub(super) use dial::Dialer;
pub(super) use dns::Names;
pub use fake::FakeClient;
pub(in crate::load) use http1::{Http1, Raw1};
pub(in crate::load) use http2::Http2;
pub(in crate::load) use pooled::Places;
pub(super) use source::Sources;
pub use tls::TlsError;
pub(super) use tls::{Spoken, config as tls_config};

use crate::model::Outcome;

/// Where a connection leads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Destination {
    /// Host name or IP address (IPv6 without brackets).
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether TLS is spoken there.
    pub secure: bool,
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
    /// Whose cookies go with it, where its user keeps any.
    pub(in crate::load) jar: Option<Jar>,
}

impl Outgoing {
    /// Its whole address.
    fn full_uri(&self) -> Result<Uri, http::Error> {
        let scheme = if self.to.secure { "https" } else { "http" };
        let host = self.headers.get(http::header::HOST);
        let host = host.and_then(|h| h.to_str().ok()).unwrap_or(&self.to.host);
        let target = self.target.path_and_query().map_or("/", |t| t.as_str());
        Uri::builder()
            .scheme(scheme)
            .authority(host)
            .path_and_query(target)
            .build()
    }
}

/// When the first byte of a request was written. Shared, so that it is known of a request that is cut, too.
#[derive(Debug, Clone, Default)]
pub struct Sent(Arc<OnceLock<Instant>>);

impl Sent {
    /// Notes that it is written now; the first call counts.
    pub fn note(&self) {
        self.0.get_or_init(Instant::now);
    }

    /// Notes that it was written then, unless it is known already.
    fn note_at(&self, at: Instant) {
        self.0.get_or_init(|| at);
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

/// A body that is being read.
#[derive(Debug)]
struct Reading {
    kept: BytesMut,
    keep: usize,
    whole: bool,
}

impl Reading {
    /// Of which the first `keep` bytes are kept.
    fn new(keep: usize) -> Self {
        Self {
            kept: BytesMut::new(),
            keep,
            whole: true,
        }
    }

    /// More of it.
    fn take(&mut self, data: &[u8]) {
        let room = self.keep - self.kept.len();
        self.whole &= data.len() <= room;
        self.kept.extend_from_slice(&data[..data.len().min(room)]);
    }

    /// That was all.
    fn done(self) -> Body {
        Body {
            kept: self.kept.freeze(),
            whole: self.whole,
        }
    }
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
    async fn send(&self, request: &Outgoing, deadline: Instant) -> Exchange;

    /// What a person should know of what it did, once the load is over.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What a load sends its requests by. Told apart by a match and not by a table of functions: what is awaited then needs no
/// memory of its own for each request.
pub(in crate::load) enum Speaker {
    /// HTTP/1.1 by hyper.
    Http1(Http1),
    /// HTTP/1.1 by hand.
    Raw1(Raw1),
    /// HTTP/2.
    Http2(Http2),
    /// Whatever reqwest speaks.
    Reqwest(Reqwest),
    /// Another, as a fake.
    Given(Arc<dyn Client>),
}

impl Speaker {
    /// As [`Client::send`], with the cookies of the request's jar, which gets those that the answer sets. The request may lose
    /// its headers and its jar.
    pub(in crate::load) async fn send(
        &self,
        request: &mut Outgoing,
        deadline: Instant,
    ) -> Exchange {
        let jar = request.jar.take();
        if let Self::Reqwest(client) = self {
            // Each of the addresses that it is led to has cookies of its own.
            return client.send(request, jar, deadline).await;
        }
        let open = jar.and_then(|jar| jar.open(request));
        let exchange = match self {
            Self::Http1(client) => client.send(request, deadline).await,
            Self::Raw1(client) => client.send(request, deadline).await,
            Self::Http2(client) => client.send(request, deadline).await,
            Self::Reqwest(client) => client.send(request, None, deadline).await,
            Self::Given(client) => client.send(request, deadline).await,
        };
        if let Some(open) = open {
            open.keep(&exchange.headers);
        }
        exchange
    }

    /// As [`Client::notes`].
    pub(in crate::load) fn notes(&self) -> Vec<String> {
        match self {
            Self::Http1(client) => client.notes(),
            Self::Raw1(client) => client.notes(),
            Self::Http2(client) => client.notes(),
            Self::Reqwest(client) => client.notes(),
            Self::Given(client) => client.notes(),
        }
    }
}
