//! Calls on the fake stack's edge: answered by tokio's clock, with empty bodies.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::{Instant, sleep_until};

use super::{Body, Client, Exchange, Outgoing};
use crate::model::Outcome;
use crate::scenario::plan::ServedBy;
use crate::stack::{FakeAnswer, FakeReply, FakeWorld};

/// A client of a fake world. Its calls are numbered in the order in which they are sent.
pub struct FakeClient {
    world: FakeWorld,
    calls: AtomicU64,
    instance: Option<HeaderName>,
    version: Option<HeaderName>,
}

impl FakeClient {
    /// A client of this world. Answers name who answered in the headers of `served_by`.
    #[must_use]
    pub fn new(world: FakeWorld, served_by: Option<&ServedBy>) -> Self {
        let header = |name: Option<&String>| name.and_then(|n| n.parse().ok());
        Self {
            world,
            calls: AtomicU64::new(0),
            instance: header(served_by.and_then(|s| s.instance.as_ref())),
            version: header(served_by.and_then(|s| s.version.as_ref())),
        }
    }

    fn headers(&self, answer: &FakeAnswer) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (&self.instance, &answer.instance),
            (&self.version, &answer.version),
        ] {
            if let (Some(name), Some(value)) = (name, value)
                && let Ok(value) = HeaderValue::from_str(value)
            {
                headers.insert(name.clone(), value);
            }
        }
        headers
    }
}

#[async_trait]
impl Client for FakeClient {
    async fn send(&self, request: &Outgoing, deadline: Instant) -> Exchange {
        let answer = self
            .world
            .answer(self.calls.fetch_add(1, Ordering::Relaxed));
        let done = Instant::now() + answer.after;
        let (until, result) = match answer.reply {
            FakeReply::Status(status) if done <= deadline => (done, Ok(status)),
            FakeReply::Refused if done <= deadline => (done, Err(Outcome::Refused)),
            FakeReply::Status(_) | FakeReply::Hang => (deadline, Err(Outcome::Timeout)),
            FakeReply::Refused => (deadline, Err(Outcome::ConnectTimeout)),
        };
        if answer.reply != FakeReply::Refused {
            request.sent.note();
        }
        sleep_until(until).await;
        Exchange {
            status: result.unwrap_or(0),
            headers: result.map(|_| self.headers(&answer)).unwrap_or_default(),
            result: result.map(|_| Body {
                whole: true,
                ..Body::default()
            }),
        }
    }
}
