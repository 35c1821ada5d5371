//! HTTP/2: many streams on each connection, over TLS or, where both sides know, without (RFC 9113, section 3.3).

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, Weak};

use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http_body_util::Full;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::dial::Dialer;
use super::pooled::{Failed, Link, Phase, Places, Pool, Pooled, Progress};
use super::{Body, Destination, Outgoing, by_hyper, failure};
use crate::model::Outcome;
use crate::scenario::plan::ReusePlan;

/// HTTP/2 by hyper.
pub(in crate::load) type Http2 = Pooled<Stream>;

impl Http2 {
    /// A client of at most `connections` connections with at most `streams` requests at a time on each.
    pub(in crate::load) fn new(
        connections: u32,
        streams: u32,
        connecting: u32,
        dialer: Dialer,
        reuse: ReusePlan,
    ) -> Self {
        let most = usize::try_from(u64::from(connections) * u64::from(streams));
        let shared = Shared {
            dialer,
            streams: streams as usize,
            to: std::sync::Mutex::default(),
        };
        let most = most.unwrap_or(usize::MAX);
        Self::of(most, connecting, Places::new(most), shared, reuse)
    }
}

/// The connections that streams share.
pub(in crate::load) struct Shared {
    dialer: Dialer,
    /// Most streams on each.
    streams: usize,
    /// Those to each destination.
    to: std::sync::Mutex<HashMap<Arc<Destination>, Arc<Lines>>>,
}

/// The connections to one destination. Held while one is opened, so that those who come meanwhile share it.
type Lines = Mutex<Vec<Weak<Connection>>>;

impl Shared {
    fn lines(&self, to: &Arc<Destination>) -> Arc<Lines> {
        let mut all = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(Arc::clone(to)).or_default())
    }
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
        deadline: Instant,
        phase: &mut Phase,
    ) -> Result<Self, Outcome> {
        *phase = Phase::Connecting;
        let lines = shared.lines(to);
        let mut connections = lines.lock().await;
        connections.retain(|c| c.strong_count() > 0);
        let with_room = connections
            .iter()
            .filter_map(Weak::upgrade)
            .find(|c| !c.sender.is_closed() && c.taken.load(Ordering::Relaxed) < shared.streams);
        if let Some(connection) = with_room {
            return Ok(Self::on(id, connection));
        }
        let wire = shared.dialer.open(to, deadline, phase).await?;
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

    async fn ask(
        &mut self,
        request: &mut Outgoing,
        progress: &mut Progress,
    ) -> Result<Body, Failed> {
        let uri = request.full_uri();
        let uri = uri.map_err(|_| Failed::Ended(Outcome::Protocol))?;
        let mut headers = request.headers.clone();
        // Host is :authority here, and what is about the connection is not spoken (RFC 9113, section 8.2.2).
        for name in [
            HOST,
            CONNECTION,
            UPGRADE,
            TRANSFER_ENCODING,
            HeaderName::from_static("keep-alive"),
        ] {
            headers.remove(name);
        }
        let message = by_hyper::message(request, uri, headers);
        // One connection carries many: whose byte goes out first is not told apart.
        request.sent.note();
        match self.sender.try_send_request(message).await {
            Ok(response) => by_hyper::answer(response, request.keep, progress).await,
            Err(error) => Err(by_hyper::unsent(error).0),
        }
    }
}
