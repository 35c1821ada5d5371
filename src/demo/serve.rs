//! Serving HTTP/1.1 on a door: accept, answer, end connections on demand, leave without losing anything.

use std::convert::Infallible;
use std::error::Error;
use std::future::pending;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::DemoError;
use super::door::Door;

/// How long an idle connection stays open after the stop began. A busy caller meets `Connection: close` on its next
/// answer and goes in peace; closing at once would race with the request it is about to send.
const LINGER: Duration = Duration::from_millis(100);
/// How long requests in flight may take to finish after the stop began; the rest is reset.
const DRAIN: Duration = Duration::from_secs(10);
/// Pause after a failed `accept`, as when file descriptors have run out: the error comes back at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(5);

/// Answers requests; cloned for each.
pub(super) trait Handler: Clone + Send + Sync + 'static {
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static;

    fn answer(
        self,
        request: Request<Incoming>,
        wire: Wire,
    ) -> impl Future<Output = Response<Self::Body>> + Send;
}

/// How a connection is ended other than by HTTP's own rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// RST: the peer's next read fails with "connection reset".
    Reset,
    /// FIN, wherever in the answer that is.
    Fin,
}

/// A handler's hold on the connection its request came by.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    endings: mpsc::Sender<Ending>,
    drain: CancellationToken,
}

impl Wire {
    /// Asks for the end of the connection. What the handler has given to the connection so far is flushed first.
    pub(super) fn end(&self, ending: Ending) {
        // Full or closed: the connection is ending already.
        let _ = self.endings.try_send(ending);
    }

    /// Never answers: waits until the caller goes away, or resets the connection when the server stops.
    pub(super) async fn hang(&self) -> Infallible {
        self.drain.cancelled().await;
        self.reset().await
    }

    /// Resets the connection; the handler is dropped at this await.
    pub(super) async fn reset(&self) -> Infallible {
        self.end(Ending::Reset);
        pending().await
    }

    /// Whether the server has begun to stop.
    pub(super) fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }
}

/// What the server is told to do with its door.
#[derive(Debug)]
pub(super) enum Order {
    /// Close it and reset every open connection.
    Close(oneshot::Sender<()>),
    /// Open it again.
    Open(oneshot::Sender<()>),
}

/// Serves until `shutdown` resolves, then stops accepting, finishes what is in flight and closes.
pub(super) async fn serve(
    mut door: Door,
    handler: impl Handler,
    mut orders: mpsc::Receiver<Order>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), DemoError> {
    let mut connections = Connections::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(order) = orders.recv() => {
                let done = match order {
                    Order::Close(done) => {
                        door.close();
                        connections.reset_all();
                        done
                    }
                    Order::Open(done) => {
                        door.open()?;
                        done
                    }
                };
                // The script has stopped waiting only if it was itself stopped.
                let _ = done.send(());
            }
            accepted = door.accept() => match accepted {
                Ok(stream) => connections.start(stream, handler.clone()),
                // The caller went away before it was let in, or file descriptors ran out; both pass.
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    // First: a caller who is sent away by `Connection: close` must not be let in again just to be cut off.
    let let_in = door.leave();
    connections.drain.cancel();
    for stream in let_in {
        connections.start(stream, handler.clone());
    }
    connections.finish().await;
    Ok(())
}

/// The open connections of one server.
struct Connections {
    tasks: TaskTracker,
    reset: CancellationToken,
    drain: CancellationToken,
}

impl Connections {
    fn new() -> Self {
        Self {
            tasks: TaskTracker::new(),
            reset: CancellationToken::new(),
            drain: CancellationToken::new(),
        }
    }

    fn start(&self, stream: TcpStream, handler: impl Handler) {
        self.tasks.spawn(drive(
            stream,
            handler,
            self.reset.clone(),
            self.drain.clone(),
        ));
    }

    fn reset_all(&mut self) {
        self.reset.cancel();
        self.reset = CancellationToken::new();
    }

    async fn finish(mut self) {
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait())
            .await
            .is_err()
        {
            self.reset_all();
            self.tasks.wait().await;
        }
    }
}

async fn drive(
    stream: TcpStream,
    handler: impl Handler,
    reset: CancellationToken,
    drain: CancellationToken,
) {
    // Without it answers are only later, never wrong.
    let _ = stream.set_nodelay(true);
    let (endings, mut ended) = mpsc::channel(1);
    let wire = Wire {
        endings,
        drain: drain.clone(),
    };
    let service = service_fn(async |request| {
        let mut response = handler.clone().answer(request, wire.clone()).await;
        if wire.is_draining() {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok::<_, Infallible>(response)
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut leave = pin!(async {
        drain.cancelled().await;
        tokio::time::sleep(LINGER).await;
    });
    let mut leaving = false;
    let ending = loop {
        // The connection is polled first, so what a handler wrote before it asked for the end has been flushed.
        let ending = tokio::select! {
            biased;
            // An error is the caller's: gone, or not speaking HTTP. It ends this connection and nothing else.
            _ = &mut connection => return,
            Some(ending) = ended.recv() => Some(ending),
            () = reset.cancelled() => Some(Ending::Reset),
            () = &mut leave, if !leaving => None,
        };
        match ending {
            Some(ending) => break ending,
            None => {
                leaving = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    let stream = connection.into_parts().io.into_inner();
    match ending {
        // Fails only on a socket that is gone already.
        Ending::Reset => drop(stream.set_zero_linger()),
        Ending::Fin => {}
    }
}
