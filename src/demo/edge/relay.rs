//! The body of a backend's answer on its way to the caller.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep};

use super::upstream::{Lease, Sender};
use crate::demo::metrics::InFlight;

/// Why an answer was broken off; the caller's connection ends before the answer does.
#[derive(Debug, thiserror::Error)]
pub(super) enum RelayError {
    #[error("the backend broke off its answer: {0}")]
    Broken(hyper::Error),
    #[error("the backend stopped in the middle of its answer")]
    Timeout,
}

/// Passes a body on, piece by piece. Once read to its end, its connection is kept for other requests.
#[derive(Debug)]
pub(super) struct Relay {
    body: Incoming,
    ended: bool,
    /// Taken when the connection is kept.
    sender: Option<Sender>,
    lease: Lease,
    patience: Duration,
    /// Runs only while a piece is awaited.
    deadline: Option<Pin<Box<Sleep>>>,
    _in_flight: InFlight,
}

impl Relay {
    pub(super) fn new(
        body: Incoming,
        sender: Sender,
        lease: Lease,
        patience: Duration,
        in_flight: InFlight,
    ) -> Self {
        Self {
            body,
            ended: false,
            sender: Some(sender),
            lease,
            patience,
            deadline: None,
            _in_flight: in_flight,
        }
    }
}

impl Body for Relay {
    type Data = Bytes;
    type Error = RelayError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RelayError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.deadline = None;
            self.ended = frame.is_none();
            if let Some(Err(_)) = &frame {
                self.lease.failed();
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(RelayError::Broken)));
        }
        let patience = self.patience;
        ready!(
            self.deadline
                .get_or_insert_with(|| Box::pin(sleep(patience)))
                .as_mut()
                .poll(context)
        );
        self.lease.failed();
        Poll::Ready(Some(Err(RelayError::Timeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // A body of known length is not polled past its last byte, so its end shows only here.
        if (self.ended || self.body.is_end_stream())
            && let Some(sender) = self.sender.take()
        {
            self.lease.upstream().keep(sender);
        }
    }
}
