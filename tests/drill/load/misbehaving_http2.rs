//! A server of plain HTTP/2 that misbehaves on purpose, by the same paths as the one of HTTP/1.1.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::Response;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

/// Time for what was written before to arrive.
const A_MOMENT: Duration = Duration::from_millis(20);

/// The server. It ends when dropped.
pub(crate) struct MisbehavingHttp2 {
    pub(crate) address: SocketAddr,
    task: AbortHandle,
}

impl MisbehavingHttp2 {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // An error is the client's hanging up.
                connections.spawn(async move { connection(stream).await.is_ok() });
            }
        });
        Self {
            address,
            task: task.abort_handle(),
        }
    }
}

impl Drop for MisbehavingHttp2 {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers that never end.
#[derive(Default)]
struct Unanswered {
    heads: Vec<SendResponse<Bytes>>,
    bodies: Vec<SendStream<Bytes>>,
}

async fn connection(tcp: TcpStream) -> Result<(), h2::Error> {
    let garbled = Arc::new(AtomicBool::new(false));
    let hang_up = Arc::new(Notify::new());
    let wire = Wire {
        tcp,
        garbled: Arc::clone(&garbled),
    };
    let mut connection = h2::server::handshake(wire).await?;
    let mut unanswered = Unanswered::default();
    let mut later = JoinSet::new();
    loop {
        let (request, mut respond) = tokio::select! {
            asked = connection.accept() => match asked {
                Some(asked) => asked?,
                None => return Ok(()),
            },
            () = hang_up.notified() => return Ok(()),
        };
        let path = request.uri().path().to_owned();
        match path.as_str() {
            "/reset" => respond.send_reset(Reason::INTERNAL_ERROR),
            "/hang" => unanswered.heads.push(respond),
            "/hang-mid" => unanswered.bodies.push(half(&mut respond)?),
            "/reset-mid" => {
                let mut body = half(&mut respond)?;
                later.spawn(async move {
                    tokio::time::sleep(A_MOMENT).await;
                    body.send_reset(Reason::INTERNAL_ERROR);
                });
            }
            "/eof-mid" => {
                unanswered.bodies.push(half(&mut respond)?);
                let hang_up = Arc::clone(&hang_up);
                later.spawn(async move {
                    tokio::time::sleep(A_MOMENT).await;
                    hang_up.notify_one();
                });
            }
            "/frame" => {
                garbled.store(true, Ordering::SeqCst);
                unanswered.bodies.push(half(&mut respond)?);
            }
            path => {
                let status = path.strip_prefix("/status/").unwrap_or("200");
                let head = Response::builder().status(status).body(()).unwrap();
                respond.send_response(head, true)?;
            }
        }
    }
}

/// A head, and less of a body than it promises.
fn half(respond: &mut SendResponse<Bytes>) -> Result<SendStream<Bytes>, h2::Error> {
    let mut body = respond.send_response(Response::new(()), false)?;
    body.send_data(Bytes::from_static(b"half"), false)?;
    Ok(body)
}

/// The stream, on which bytes that are no frames can take the place of frames.
struct Wire {
    tcp: TcpStream,
    garbled: Arc<AtomicBool>,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !self.garbled.load(Ordering::SeqCst) {
            return Pin::new(&mut self.tcp).poll_write(cx, buf);
        }
        let garbage = vec![b'?'; buf.len()];
        Pin::new(&mut self.tcp).poll_write(cx, &garbage)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
