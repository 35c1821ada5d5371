//! A stream to a server, plain or in TLS, that notes when the first byte of a request is written.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::Sent;

/// The request whose first byte is awaited on a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct FirstWrite(Arc<Mutex<Option<Sent>>>);

impl FirstWrite {
    /// From here on, the next byte written is the first of the request that `sent` belongs to.
    pub(super) fn arm(&self, sent: Sent) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(sent);
    }

    fn note(&self, written: &Poll<io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(1..)))
            && let Some(sent) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            sent.note();
        }
    }
}

/// What the bytes go through.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The stream.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    first_write: FirstWrite,
}

impl Wire {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            first_write: FirstWrite::default(),
        }
    }

    pub(super) fn first_write(&self) -> FirstWrite {
        self.first_write.clone()
    }

    /// Whether it is open, as far as is known, and nothing has come that was not read. Of TLS that cannot be told
    /// without reading on.
    pub(super) fn is_quiet(&self) -> bool {
        match &self.stream {
            Stream::Plain(tcp) => {
                let read = tcp.try_read(&mut [0]);
                matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
            }
            Stream::Tls(_) => true,
        }
    }
}

/// Calls the same on whichever stream it is.
macro_rules! on_stream {
    ($self:ident, $stream:ident => $call:expr) => {
        match &mut $self.stream {
            Stream::Plain(tcp) => {
                let $stream = Pin::new(tcp);
                $call
            }
            Stream::Tls(tls) => {
                let $stream = Pin::new(&mut **tls);
                $call
            }
        }
    };
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_stream!(self, stream => stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = on_stream!(self, stream => stream.poll_write(cx, buf));
        self.first_write.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A plain write costs the kernel less than one that has to gather.
        if let [all] = bufs {
            return self.poll_write(cx, all);
        }
        let written = on_stream!(self, stream => stream.poll_write_vectored(cx, bufs));
        self.first_write.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(tcp) => tcp.is_write_vectored(),
            Stream::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => stream.poll_shutdown(cx))
    }
}
