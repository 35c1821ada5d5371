//! A load under way.

use std::sync::{Arc, Weak};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::client::{Connects, Names};
use super::journey::Course;
use super::login::Logins;
use super::pacer::Pacing;
use super::retry::Retries;
use super::{LoadError, Values};
use crate::model::PaceChange;

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

impl Ended {
    /// What two shards of a load come to.
    fn and(mut self, other: Self) -> Self {
        self.arrivals += other.arrivals;
        self.asked += other.asked;
        self.not_reached += other.not_reached;
        self.aborted |= other.aborted;
        self.failed = self.failed.or(other.failed);
        for note in other.notes {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        self
    }
}

/// One shard of a load under way.
pub(super) struct Shard {
    pub(super) ended: oneshot::Receiver<Ended>,
    pub(super) course: Weak<Course>,
}

/// One or more loads under way. Dropping it aborts them.
pub struct Running {
    /// Of each load.
    abort: Vec<CancellationToken>,
    shards: Vec<Shard>,
    /// Of the shards that have ended.
    so_far: Ended,
    /// Of each load.
    known: Vec<Known>,
}

/// What all shards of a load share, and can tell of at the end.
pub(super) struct Known {
    /// What they connected to.
    pub(super) names: Arc<Names>,
    /// How often.
    pub(super) connects: Arc<Connects>,
    /// How many connections the load may hold.
    pub(super) connections: u32,
    /// Whom they were.
    pub(super) logins: Arc<Logins>,
    /// What their retries went by.
    pub(super) retries: Option<Arc<Retries>>,
    pub(super) pacing: Paces,
}

/// The pace of a load, and when it began.
#[derive(Debug, Clone)]
pub(super) struct Paces {
    pub(super) pacing: Arc<Pacing>,
    /// µs since the run's zero.
    pub(super) started_us: i64,
    /// Arrivals come by a rate, not by who has come back.
    pub(super) by_rate: bool,
}

/// Changes the pace of loads that are under way.
#[derive(Debug, Clone)]
pub struct Repacer(Vec<Paces>);

impl Repacer {
    /// Changes the pace of every load alike. Changes come in the order of their times, and lie so far in the future that every
    /// thread has seen them before: 200 ms at least.
    pub fn repace(&self, change: PaceChange) {
        for load in &self.0 {
            load.pacing.change(&PaceChange {
                at_us: change.at_us.saturating_sub(load.started_us),
                ..change
            });
        }
    }

    /// Whether a factor means anything to every one of them: a closed loop has no rate, and a hold just makes it last longer.
    #[must_use]
    pub fn takes_factors(&self) -> bool {
        self.0.iter().all(|load| load.by_rate)
    }
}

impl Known {
    fn notes(&self) -> Vec<String> {
        let mut notes = self.names.notes();
        notes.extend(self.connects.notes(self.connections));
        notes.extend(self.logins.note());
        notes.extend(self.retries.as_ref().and_then(|r| r.note()));
        notes
    }
}

impl Running {
    pub(super) fn new(abort: CancellationToken, shards: Vec<Shard>, known: Known) -> Self {
        Self {
            abort: vec![abort],
            shards,
            so_far: Ended::default(),
            known: vec![known],
        }
    }

    /// No load yet.
    pub(super) fn nothing() -> Self {
        Self {
            abort: Vec::new(),
            shards: Vec::new(),
            so_far: Ended::default(),
            known: Vec::new(),
        }
    }

    /// Takes in another load that is under way: they are aborted and joined together.
    pub(super) fn join_in(&mut self, mut other: Self) {
        self.abort.append(&mut other.abort);
        self.shards.append(&mut other.shards);
        self.known.append(&mut other.known);
        self.so_far = std::mem::take(&mut self.so_far).and(std::mem::take(&mut other.so_far));
    }

    /// Ends the load now: what was due and is unanswered ends as `cut`. [`Running::join`] tells when it is done.
    pub fn abort(&self) {
        self.abort.iter().for_each(CancellationToken::cancel);
    }

    /// Waits until every request is answered or given up. May be called again, also after it was cancelled.
    pub async fn join(&mut self) -> Ended {
        while let Some(shard) = self.shards.last_mut() {
            let ended = (&mut shard.ended).await.unwrap_or_else(|_| Ended {
                failed: Some("the load engine ended without a report".to_owned()),
                ..Ended::default()
            });
            self.shards.pop();
            if ended.failed.is_some() {
                // What the others would still send is no longer the load that was asked for.
                self.abort();
            }
            self.so_far = std::mem::take(&mut self.so_far).and(ended);
        }
        let mut ended = self.so_far.clone();
        ended.notes.extend(self.known.iter().flat_map(Known::notes));
        ended
    }

    /// Changes the pace of every load: see [`Repacer::repace`].
    pub fn repace(&self, change: PaceChange) {
        self.repacer().repace(change);
    }

    /// What changes their pace, for somebody else to do so.
    #[must_use]
    pub fn repacer(&self) -> Repacer {
        Repacer(
            self.known
                .iter()
                .map(|known| known.pacing.clone())
                .collect(),
        )
    }

    /// Takes addresses anew: requests sent from here on go where `values` says.
    ///
    /// # Errors
    /// [`LoadError`] where a request can no longer be sent; the old addresses stay in force.
    pub fn readdress(&self, values: &Values) -> Result<(), LoadError> {
        let courses = self.shards.iter().filter_map(|s| s.course.upgrade());
        courses
            .into_iter()
            .try_for_each(|course| course.readdress(values))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.abort();
    }
}
