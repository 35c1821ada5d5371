//! A load under way.

use std::sync::Weak;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::journey::Course;
use super::{LoadError, Values};

/// How a load ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// Slots that became due.
    pub arrivals: u64,
    /// Requests that became due: exactly as many records went to the sink.
    pub asked: u64,
    /// Requests never reached because their journey stopped.
    pub not_reached: u64,
    /// Ended before the last slot was due, by [`Running::abort`].
    pub aborted: bool,
    /// Why it broke off, if it did: no further request can be expected, and records may be missing.
    pub failed: Option<String>,
    /// What a person should know of the generator itself.
    pub notes: Vec<String>,
}

/// A load under way. Dropping it aborts the load.
pub struct Running {
    abort: CancellationToken,
    ended: oneshot::Receiver<Ended>,
    last: Option<Ended>,
    course: Weak<Course>,
}

impl Running {
    pub(super) fn new(
        abort: CancellationToken,
        ended: oneshot::Receiver<Ended>,
        course: Weak<Course>,
    ) -> Self {
        Self {
            abort,
            ended,
            last: None,
            course,
        }
    }

    /// Ends the load now: what was due and is unanswered ends as `cut`. [`Running::join`] tells when it is done.
    pub fn abort(&self) {
        self.abort.cancel();
    }

    /// Waits until every request is answered or given up. May be called again, also after it was cancelled.
    pub async fn join(&mut self) -> Ended {
        if let Some(ended) = &self.last {
            return ended.clone();
        }
        let ended = (&mut self.ended).await.unwrap_or_else(|_| Ended {
            failed: Some("the load engine ended without a report".to_owned()),
            ..Ended::default()
        });
        self.last.insert(ended).clone()
    }

    /// Takes addresses anew: requests sent from here on go where `values` says.
    ///
    /// # Errors
    /// [`LoadError`] where a request can no longer be sent; the old addresses stay in force.
    pub fn readdress(&self, values: &Values) -> Result<(), LoadError> {
        self.course
            .upgrade()
            .map_or(Ok(()), |course| course.readdress(values))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.abort.cancel();
    }
}
