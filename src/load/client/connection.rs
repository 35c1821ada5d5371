//! One TCP connection: made, and used for one exchange after the other.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};

use bytes::{Bytes, BytesMut};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use super::pool::Pool;
use super::wire::{FirstWrite, Wire};
use super::{Body, Destination, Outgoing, failure};
use crate::model::Outcome;

/// An established connection. Dropping it closes it at once.
#[derive(Debug)]
pub(super) struct Connection {
    id: u64,
    to: Arc<Destination>,
    sender: SendRequest<Full<Bytes>>,
    first_write: FirstWrite,
    driver: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The addresses of a destination, resolved anew.
pub(super) async fn resolve(to: &Destination) -> Result<Vec<SocketAddr>, Outcome> {
    if let Ok(ip) = to.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, to.port)]);
    }
    match tokio::net::lookup_host((to.host.as_str(), to.port)).await {
        Ok(found) => {
            let found: Vec<_> = found.collect();
            if found.is_empty() {
                Err(Outcome::Dns)
            } else {
                Ok(found)
            }
        }
        Err(_) => Err(Outcome::Dns),
    }
}

/// Connects to the first address that lets it. Fails as the first did, unless that was for want of something on
/// this machine.
pub(super) async fn dial(addresses: &[SocketAddr]) -> Result<TcpStream, Outcome> {
    let mut failed = None;
    for &address in addresses {
        match open(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => {
                let outcome = failure::of_connect(&error, address);
                if matches!(failed, None | Some(Outcome::Dropped)) {
                    failed = Some(outcome);
                }
            }
        }
    }
    Err(failed.unwrap_or(Outcome::Dns))
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// How an exchange failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// The connection was seen dead, in this way, before anything was written: the request certainly never left.
    NeverLeft(Outcome),
    /// It left, or may have.
    Ended(Outcome),
}

impl Connection {
    /// Speaks HTTP/1.1 on `stream`. A task of its own drives the connection, sees it close, and tells the pool.
    pub(super) async fn start(
        id: u64,
        to: Arc<Destination>,
        stream: TcpStream,
        pool: Weak<Pool>,
    ) -> Result<Self, Outcome> {
        let wire = Wire::new(stream);
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
            to,
            sender,
            first_write,
            driver: driver.abort_handle(),
        })
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Whether it is open, as far as is known, and leads there.
    pub(super) fn leads_to(&self, to: &Destination) -> bool {
        *self.to == *to && !self.is_closed()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// Waits until it can be used again; `false` if it was closed instead.
    pub(super) async fn ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(
        &mut self,
        request: &Outgoing,
    ) -> Result<http::Response<Incoming>, Failed> {
        self.first_write.arm(request.sent.clone());
        let mut message = Request::new(Full::new(request.body.clone()));
        *message.method_mut() = request.method.clone();
        *message.uri_mut() = request.target.clone();
        *message.headers_mut() = request.headers.clone();
        match self.sender.try_send_request(message).await {
            Ok(response) => Ok(response),
            Err(mut error) => {
                // hyper hands the request back only where it had not begun to write it.
                let left = error.take_message().is_none();
                let outcome = failure::of_exchange(&error.into_error());
                Err(if left {
                    Failed::Ended(outcome)
                } else {
                    Failed::NeverLeft(outcome)
                })
            }
        }
    }
}

/// Reads a body to its last byte and keeps the first `keep` of them.
pub(super) async fn read(mut body: Incoming, keep: usize) -> Result<Body, Outcome> {
    let mut kept = BytesMut::new();
    let mut whole = true;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| failure::of_exchange(&e))?;
        if let Some(data) = frame.data_ref() {
            let room = keep - kept.len();
            whole &= data.len() <= room;
            kept.extend_from_slice(&data[..data.len().min(room)]);
        }
    }
    Ok(Body {
        kept: kept.freeze(),
        whole,
    })
}
