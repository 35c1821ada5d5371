//! A connection spoken on by hyper.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::load::client::dial::Dialer;
use crate::load::client::pooled::{Failed, Link, Phase, Pool, Progress};
use crate::load::client::wire::FirstWrite;
use crate::load::client::{Body, Destination, Outgoing, by_hyper, failure};
use crate::model::Outcome;

/// An established connection. Dropping it closes it at once.
#[derive(Debug)]
pub(in crate::load) struct Connection {
    id: u64,
    to: Arc<Destination>,
    born: Instant,
    sender: SendRequest<Full<Bytes>>,
    first_write: FirstWrite,
    driver: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Link for Connection {
    type Opener = Dialer;

    /// A task of its own drives the connection, sees it close, and tells the pool.
    async fn open(
        dialer: &Dialer,
        id: u64,
        to: &Arc<Destination>,
        pool: Weak<Pool<Self>>,
        deadline: Instant,
        phase: &mut Phase,
    ) -> Result<Self, Outcome> {
        let wire = dialer.open(to, deadline, phase).await?;
        let first_write = wire.first_write();
        let (sender, connection) = http1::handshake(TokioIo::new(wire))
            .await
            .map_err(|e| failure::of_exchange(&e))?;
        let driver = tokio::spawn(async move {
            // Its error, if any, reached the exchange that was under way.
            let _ = connection.await;
            if let Some(pool) = pool.upgrade() {
                pool.ended(id);
            }
        });
        Ok(Self {
            id,
            to: Arc::clone(to),
            born: Instant::now(),
            sender,
            first_write,
            driver: driver.abort_handle(),
        })
    }

    fn notes(dialer: &Dialer) -> Vec<String> {
        dialer.notes()
    }

    fn id(&self) -> u64 {
        self.id
    }

    fn to(&self) -> &Destination {
        &self.to
    }

    fn born(&self) -> Instant {
        self.born
    }

    fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    async fn ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    async fn ask(
        &mut self,
        request: &mut Outgoing,
        progress: &mut Progress,
    ) -> Result<Body, Failed> {
        self.first_write.arm(request.sent.clone());
        let headers = std::mem::take(&mut request.headers);
        let message = by_hyper::message(request, request.target.clone(), headers);
        match self.sender.try_send_request(message).await {
            Ok(response) => by_hyper::answer(response, request.keep, progress).await,
            Err(error) => {
                let (failed, message) = by_hyper::unsent(error);
                request.headers = message
                    .map(|m| m.into_parts().0.headers)
                    .unwrap_or_default();
                Err(failed)
            }
        }
    }
}
