//! HTTP/2: many streams on each connection, over TLS or, where both sides know, without (RFC 9113, section 3.3).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use http::Request;
use http::header::{CONNECTION, HOST, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http_body_util::Full;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::dial::Dialer;
use super::pooled::{Failed, Link, Phase, Pool, Pooled, Progress};
use super::{Body, Destination, Outgoing, failure};
use crate::model::Outcome;
use crate::scenario::plan::ReusePlan;

/// HTTP/2 by hyper.
pub(in crate::load) type Http2 = Pooled<Stream>;

impl Http2 {
    /// A client of at most `connections` connections with at most `streams` requests at a time on each.
    pub(in crate::load) fn new(
        connections: u32,
        streams: u32,
        dialer: Dialer,
        reuse: ReusePlan,
    ) -> Self {
        let most = usize::try_from(u64::from(connections) * u64::from(streams));
        let shared = Shared {
            dialer,
            streams: streams as usize,
            connections: Mutex::new(Vec::new()),
        };
        Self::of(most.unwrap_or(usize::MAX), shared, reuse)
    }
}

/// The connections that streams share.
pub(in crate::load) struct Shared {
    dialer: Dialer,
    /// Most streams on each.
    streams: usize,
    /// Held while one is opened, so that those who come meanwhile share it.
    connections: Mutex<Vec<Weak<Connection>>>,
}

/// A connection; it closes with its last stream's place.
#[derive(Debug)]
struct Connection {
    to: Arc<Destination>,
    born: Instant,
    sender: SendRequest<Full<Bytes>>,
    /// Places taken on it.
    taken: AtomicUsize,
    driver: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A place for one stream at a time on a connection.
#[derive(Debug)]
pub(in crate::load) struct Stream {
    id: u64,
    connection: Arc<Connection>,
    sender: SendRequest<Full<Bytes>>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.connection.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Stream {
    fn on(id: u64, connection: Arc<Connection>) -> Self {
        connection.taken.fetch_add(1, Ordering::Relaxed);
        let sender = connection.sender.clone();
        Self {
            id,
            connection,
            sender,
        }
    }
}

impl Link for Stream {
    type Opener = Shared;

    async fn open(
        shared: &Shared,
        id: u64,
        to: &Arc<Destination>,
        _: Weak<Pool<Self>>,
        phase: &mut Phase,
    ) -> Result<Self, Outcome> {
        *phase = Phase::Connecting;
        let mut connections = shared.connections.lock().await;
        connections.retain(|c| c.strong_count() > 0);
        let with_room = connections.iter().filter_map(Weak::upgrade).find(|c| {
            *c.to == **to
                && !c.sender.is_closed()
                && c.taken.load(Ordering::Relaxed) < shared.streams
        });
        if let Some(connection) = with_room {
            return Ok(Self::on(id, connection));
        }
        let wire = shared.dialer.open(to, phase).await?;
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(wire))
            .await
            .map_err(|e| failure::of_exchange(&e))?;
        let driver = tokio::spawn(async move {
            // Its error, if any, reached the exchanges that were under way.
            let _ = connection.await;
        });
        let connection = Arc::new(Connection {
            to: Arc::clone(to),
            born: Instant::now(),
            sender,
            taken: AtomicUsize::new(0),
            driver: driver.abort_handle(),
        });
        connections.push(Arc::downgrade(&connection));
        Ok(Self::on(id, connection))
    }

    fn notes(shared: &Shared) -> Vec<String> {
        shared.dialer.notes()
    }

    fn id(&self) -> u64 {
        self.id
    }

    fn to(&self) -> &Destination {
        &self.connection.to
    }

    fn born(&self) -> Instant {
        self.connection.born
    }

    fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    fn is_ready(&self) -> bool {
        !self.sender.is_closed()
    }

    async fn ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    async fn ask(&mut self, request: &Outgoing, progress: &mut Progress) -> Result<Body, Failed> {
        let mut message = Request::new(Full::new(request.body.clone()));
        *message.method_mut() = request.method.clone();
        *message.uri_mut() = request
            .full_uri()
            .map_err(|_| Failed::Ended(Outcome::Protocol))?;
        *message.headers_mut() = request.headers.clone();
        // Host is :authority here, and what is about the connection is not spoken (RFC 9113, section 8.2.2).
        for name in [
            HOST,
            CONNECTION,
            UPGRADE,
            TRANSFER_ENCODING,
            HeaderName::from_static("keep-alive"),
        ] {
            message.headers_mut().remove(name);
        }
        // One connection carries many: whose byte goes out first is not told apart.
        request.sent.note();
        let response = match self.sender.try_send_request(message).await {
            Ok(response) => response,
            Err(mut error) => {
                let left = error.take_message().is_none();
                let outcome = failure::of_exchange(&error.into_error());
                return Err(if left {
                    Failed::Ended(outcome)
                } else {
                    Failed::NeverLeft(outcome)
                });
            }
        };
        let (head, body) = response.into_parts();
        progress.status = head.status.as_u16();
        progress.headers = head.headers;
        super::read(body, request.keep).await.map_err(Failed::Ended)
    }
}
