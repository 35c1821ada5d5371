//! A connection spoken on by hand: no task of its own, one buffer each way.

use std::io;
use std::sync::{Arc, Weak};

use bytes::{BufMut, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::framing::Answer;
use crate::load::client::dial::Dialer;
use crate::load::client::pooled::{Failed, Link, Phase, Pool, Progress};
use crate::load::client::wire::Wire;
use crate::load::client::{Body, Destination, Outgoing, failure};
use crate::model::Outcome;

/// Bytes that are read at once.
const READ: usize = 16 * 1024;

/// An established connection. Nobody watches it while it is idle: whoever takes it looks whether it was closed.
#[derive(Debug)]
pub(in crate::load) struct Connection {
    id: u64,
    to: Arc<Destination>,
    born: Instant,
    wire: Wire,
    /// A request as it is written.
    out: BytesMut,
    /// What was read and belongs to no answer yet.
    read: BytesMut,
    reusable: bool,
}

impl Link for Connection {
    type Opener = Dialer;

    async fn open(
        dialer: &Dialer,
        id: u64,
        to: &Arc<Destination>,
        _: Weak<Pool<Self>>,
        deadline: Instant,
        phase: &mut Phase,
    ) -> Result<Self, Outcome> {
        let wire = dialer.open(to, deadline, phase).await?;
        Ok(Self {
            id,
            to: Arc::clone(to),
            born: Instant::now(),
            wire,
            out: BytesMut::new(),
            read: BytesMut::new(),
            reusable: true,
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

    /// Bytes that nobody asked for are as good a reason not to use it as its end.
    fn is_closed(&self) -> bool {
        !self.reusable || !self.read.is_empty() || !self.wire.is_quiet()
    }

    fn is_ready(&self) -> bool {
        self.reusable
    }

    async fn ready(&mut self) -> bool {
        self.reusable
    }

    async fn ask(
        &mut self,
        request: &mut Outgoing,
        progress: &mut Progress,
    ) -> Result<Body, Failed> {
        self.reusable = false;
        write_head(&mut self.out, request);
        let mut answer = Answer::to(&request.method, request.keep);
        let written = self.write(request).await;
        if let Err(error) = &written
            && request.sent.at().is_none()
        {
            return Err(Failed::NeverLeft(failure::of_exchange(error)));
        }
        // A server may refuse a body that it has not read to its end, and say so.
        match self.answer(&mut answer, progress).await {
            Ok(()) => {}
            Err(outcome) => {
                let outcome = match (written, progress.status) {
                    (Err(error), 0) => failure::of_exchange(&error),
                    _ => outcome,
                };
                return Err(Failed::Ended(outcome));
            }
        }
        self.reusable = written.is_ok() && answer.reusable;
        Ok(answer.into_body())
    }
}

impl Connection {
    async fn write(&mut self, request: &Outgoing) -> io::Result<()> {
        let first = self.wire.write(&self.out).await?;
        request.sent.note();
        if first < self.out.len() {
            self.wire.write_all(&self.out[first..]).await?;
        }
        Ok(())
    }

    /// Reads until the answer is complete. Its head is told as soon as it came: the deadline may pass before the body has.
    async fn answer(
        &mut self,
        answer: &mut Answer,
        progress: &mut Progress,
    ) -> Result<(), Outcome> {
        loop {
            self.read.reserve(READ);
            let n = match self.wire.read_buf(&mut self.read).await {
                Ok(n) => n,
                Err(error) => return Err(failure::of_exchange(&error)),
            };
            if n == 0 {
                return if answer.ends_by_close() {
                    Ok(())
                } else {
                    Err(Outcome::Eof)
                };
            }
            let taken = answer.take(&mut self.read);
            if progress.status == 0 && answer.status != 0 {
                progress.status = answer.status;
                progress.headers = std::mem::replace(&mut answer.headers, HeaderMap::new());
            }
            match taken {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(_) => return Err(Outcome::Protocol),
            }
        }
    }
}

/// The request's line, its headers and its body.
fn write_head(out: &mut BytesMut, request: &Outgoing) {
    out.clear();
    out.put_slice(request.method.as_str().as_bytes());
    out.put_u8(b' ');
    let target = request.target.path_and_query().map_or("/", |t| t.as_str());
    out.put_slice(target.as_bytes());
    out.put_slice(b" HTTP/1.1\r\n");
    for (name, value) in &request.headers {
        out.put_slice(name.as_str().as_bytes());
        out.put_slice(b": ");
        out.put_slice(value.as_bytes());
        out.put_slice(b"\r\n");
    }
    if !request.body.is_empty() && !request.headers.contains_key(CONTENT_LENGTH) {
        out.put_slice(format!("content-length: {}\r\n", request.body.len()).as_bytes());
    }
    out.put_slice(b"\r\n");
    out.put_slice(&request.body);
}
