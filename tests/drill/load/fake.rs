//! A client that does as it is told, on a paused clock.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use firedrill::load::ClientChoice;
use firedrill::load::client::{Body, Client, Exchange, Outgoing};
use firedrill::model::Outcome;
use http::HeaderMap;
use tokio::time::{Instant, sleep_until};

/// How long one request takes, and how it ends.
pub(crate) type Script = dyn Fn(&str) -> (Duration, Result<u16, Outcome>) + Send + Sync;

struct Fake(Box<Script>);

/// A client that answers by path.
pub(crate) fn client(
    script: impl Fn(&str) -> (Duration, Result<u16, Outcome>) + Send + Sync + 'static,
) -> ClientChoice {
    ClientChoice::Fake(Arc::new(Fake(Box::new(script))))
}

#[async_trait]
impl Client for Fake {
    async fn send(&self, request: &Outgoing, deadline: Instant) -> Exchange {
        request.sent.note();
        let (time, end) = (self.0)(request.target.path());
        let done = Instant::now() + time;
        sleep_until(done.min(deadline)).await;
        let end = if done > deadline {
            Err(Outcome::Timeout)
        } else {
            end
        };
        Exchange {
            status: end.unwrap_or(0),
            headers: HeaderMap::new(),
            result: end.map(|_| Body::default()),
        }
    }
}
