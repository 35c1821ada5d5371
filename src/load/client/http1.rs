//! HTTP/1.1 over TCP. Every request is sent at most once, on a connection of firedrill's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use http::HeaderMap;
use tokio::time::{Instant, timeout_at};

use super::connection::{self, Connection, Failed};
use super::pool::{Lease, Pool};
use super::{Body, Client, Exchange, Outgoing};
use crate::model::Outcome;

/// A client with connections of its own, driven by the runtime it is used on.
pub struct Http1 {
    pool: Arc<Pool>,
    next_id: AtomicU64,
}

/// How far an exchange got: what is known of it when its deadline passes.
#[derive(Default)]
struct Progress {
    phase: Phase,
    status: u16,
    headers: HeaderMap,
}

#[derive(Default, Clone, Copy)]
enum Phase {
    #[default]
    Queued,
    Resolving,
    Connecting,
    Exchanging,
}

impl Phase {
    /// The outcome if the deadline passes now.
    fn at_deadline(self) -> Outcome {
        match self {
            Self::Queued | Self::Exchanging => Outcome::Timeout,
            Self::Resolving => Outcome::Dns,
            Self::Connecting => Outcome::ConnectTimeout,
        }
    }
}

impl Http1 {
    /// A client of at most `connections` connections.
    #[must_use]
    pub fn new(connections: u32) -> Self {
        Self {
            pool: Pool::new(usize::try_from(connections).unwrap_or(usize::MAX)),
            next_id: AtomicU64::new(0),
        }
    }

    async fn exchange(
        &self,
        request: &Outgoing,
        deadline: Instant,
        progress: &mut Progress,
    ) -> Result<Body, Outcome> {
        let mut lease = self.pool.lease(&request.to).await;
        if let Some(used) = lease.take() {
            match self.on(used, request, progress).await {
                Ok((body, connection)) => {
                    give_back(lease, connection, deadline);
                    return Ok(body);
                }
                Err(Failed::Ended(outcome)) => return Err(outcome),
                // Seen dead in the instant between the pool and the first byte: a new one takes its place.
                Err(Failed::NeverLeft(_)) => {}
            }
        }
        progress.phase = Phase::Resolving;
        let addresses = connection::resolve(&request.to).await?;
        progress.phase = Phase::Connecting;
        let stream = connection::dial(&addresses).await?;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let pool = Arc::downgrade(&self.pool);
        let fresh = Connection::start(id, Arc::clone(&request.to), stream, pool).await?;
        match self.on(fresh, request, progress).await {
            Ok((body, connection)) => {
                give_back(lease, connection, deadline);
                Ok(body)
            }
            // A fresh connection is not replaced: a server that accepts and hangs up has been met.
            Err(Failed::Ended(outcome) | Failed::NeverLeft(outcome)) => Err(outcome),
        }
    }

    async fn on(
        &self,
        mut connection: Connection,
        request: &Outgoing,
        progress: &mut Progress,
    ) -> Result<(Body, Connection), Failed> {
        progress.phase = Phase::Exchanging;
        let response = connection.send(request).await?;
        let (head, body) = response.into_parts();
        progress.status = head.status.as_u16();
        progress.headers = head.headers;
        let body = connection::read(body, request.keep)
            .await
            .map_err(Failed::Ended)?;
        Ok((body, connection))
    }
}

/// Gives a connection back once it can be used again. An answer that came before its request was all written, or
/// that closes the connection, leaves it not ready for a moment.
fn give_back(mut lease: Lease, mut connection: Connection, deadline: Instant) {
    if connection.is_ready() {
        lease.put(connection);
        return;
    }
    tokio::spawn(async move {
        if timeout_at(deadline, connection.ready()).await == Ok(true) {
            lease.put(connection);
        }
    });
}

#[async_trait]
impl Client for Http1 {
    async fn send(&self, request: Outgoing, deadline: Instant) -> Exchange {
        let mut progress = Progress::default();
        let result = timeout_at(deadline, self.exchange(&request, deadline, &mut progress)).await;
        Exchange {
            status: progress.status,
            headers: progress.headers,
            result: result.unwrap_or_else(|_| Err(progress.phase.at_deadline())),
        }
    }
}
