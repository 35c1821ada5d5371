//! A client with a pool of what takes one exchange at a time: connections, or streams on connections. Every request is
//! sent at most once, unless asked otherwise.

mod places;
mod pool;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use http::HeaderMap;
use tokio::time::{Instant, timeout_at};

use super::{Body, Destination, Exchange, Outgoing};
use crate::model::Outcome;
use crate::scenario::plan::ReusePlan;
pub(in crate::load) use places::Places;
use pool::Lease;
pub(in crate::load) use pool::Pool;

/// How an exchange failed.
#[derive(Debug)]
pub(in crate::load) enum Failed {
    /// The connection was seen dead, in this way, before anything was written: the request certainly never left.
    NeverLeft(Outcome),
    /// It left, or may have.
    Ended(Outcome),
}

/// What takes one exchange after the other. Dropping it closes it at once.
pub(in crate::load) trait Link: fmt::Debug + Sized + Send + Sync + 'static {
    /// What opens it.
    type Opener: Send + Sync;

    /// Opens one to `to`, by the `deadline`. Where something else than its owner sees it close, that tells the pool its number.
    fn open(
        opener: &Self::Opener,
        id: u64,
        to: &Arc<Destination>,
        pool: Weak<Pool<Self>>,
        deadline: Instant,
        phase: &mut Phase,
    ) -> impl Future<Output = Result<Self, Outcome>> + Send;

    /// What a person should know of what the opener met.
    fn notes(opener: &Self::Opener) -> Vec<String>;

    /// Its number, unique in its pool.
    fn id(&self) -> u64;

    /// Where it leads.
    fn to(&self) -> &Destination;

    /// When its connection was made.
    fn born(&self) -> Instant;

    /// Whether it is known to be closed.
    fn is_closed(&self) -> bool;

    /// Whether it can take a request now.
    fn is_ready(&self) -> bool;

    /// Waits until it can be used again; `false` if it was closed instead.
    fn ready(&mut self) -> impl Future<Output = bool> + Send;

    /// Sends a request and reads its answer to the last byte. One that never left keeps all it had; another may have lost its
    /// headers.
    fn ask(
        &mut self,
        request: &mut Outgoing,
        progress: &mut Progress,
    ) -> impl Future<Output = Result<Body, Failed>> + Send;

    /// Whether it is open, as far as is known, and leads there.
    fn leads_to(&self, to: &Destination) -> bool {
        *self.to() == *to && !self.is_closed()
    }
}

/// How far an exchange got: what is known of it when its deadline passes.
#[derive(Default)]
pub(in crate::load) struct Progress {
    phase: Phase,
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
}

#[derive(Default, Clone, Copy)]
pub(in crate::load) enum Phase {
    #[default]
    Queued,
    Resolving,
    Connecting,
    Exchanging,
}

impl Phase {
    /// The outcome if the deadline passes now.
    pub(super) fn at_deadline(self) -> Outcome {
        match self {
            Self::Queued | Self::Exchanging => Outcome::Timeout,
            Self::Resolving => Outcome::Dns,
            Self::Connecting => Outcome::ConnectTimeout,
        }
    }
}

/// A client with links of its own, driven by the runtime it is used on.
pub(in crate::load) struct Pooled<L: Link> {
    pool: Arc<Pool<L>>,
    opener: L::Opener,
    reuse: ReusePlan,
    next_id: AtomicU64,
    /// Requests sent once more.
    retried: AtomicU64,
}

/// How long an exchange takes, from its place in the pool on. Dropped without a word, it was given up at its deadline.
struct Timed<'a, L: Link> {
    pool: &'a Pool<L>,
    begun: Instant,
    under_way: bool,
}

impl<'a, L: Link> Timed<'a, L> {
    fn since(begun: Instant, pool: &'a Pool<L>) -> Self {
        Self {
            pool,
            begun,
            under_way: true,
        }
    }

    fn answered(&mut self) {
        self.under_way = false;
        self.pool.took(self.begun.elapsed());
    }

    /// It says nothing of how long an answer takes.
    fn failed(&mut self) {
        self.under_way = false;
    }
}

impl<L: Link> Drop for Timed<'_, L> {
    fn drop(&mut self) {
        if self.under_way {
            self.pool.gave_up(self.begun.elapsed());
        }
    }
}

impl<L: Link> Pooled<L> {
    /// A client of at most `most` links, of which at most `opening` are opened at a time; each takes one of these places.
    pub(super) fn of(
        most: usize,
        opening: u32,
        places: Places,
        opener: L::Opener,
        reuse: ReusePlan,
    ) -> Self {
        Self {
            pool: Pool::new(most, opening as usize, places),
            opener,
            reuse,
            next_id: AtomicU64::new(0),
            retried: AtomicU64::new(0),
        }
    }

    async fn exchange(
        &self,
        request: &mut Outgoing,
        deadline: Instant,
        progress: &mut Progress,
    ) -> Result<Body, Outcome> {
        let mut lease = self.pool.lease(&request.to, deadline).await;
        let mut timed = Timed::since(lease.since(), &self.pool);
        let again = self.reuse.stale_retry.then(|| request.headers.clone());
        if let Some(used) = lease.take().filter(|used| self.is_young(used)) {
            match self.on(used, request, progress).await {
                Ok((body, link)) => {
                    timed.answered();
                    self.give_back(lease, link, deadline);
                    return Ok(body);
                }
                // Seen dead in the instant between the pool and the first byte: a new one takes its place.
                Err(Failed::NeverLeft(_)) => {}
                Err(Failed::Ended(outcome)) if self.retries(request, outcome, progress) => {
                    self.retried.fetch_add(1, Ordering::Relaxed);
                    request.headers = again.unwrap_or_default();
                }
                Err(Failed::Ended(outcome)) => {
                    timed.failed();
                    return Err(outcome);
                }
            }
        }
        progress.phase = Phase::Queued;
        lease.may_open().await;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (pool, phase) = (Arc::downgrade(&self.pool), &mut progress.phase);
        let opened = L::open(&self.opener, id, &request.to, pool, deadline, phase).await;
        lease.opened();
        let asked = match opened {
            Ok(fresh) => self.on(fresh, request, progress).await,
            Err(outcome) => Err(Failed::Ended(outcome)),
        };
        match asked {
            Ok((body, link)) => {
                timed.answered();
                self.give_back(lease, link, deadline);
                Ok(body)
            }
            // A fresh connection is not replaced: a server that accepts and hangs up has been met.
            Err(Failed::Ended(outcome) | Failed::NeverLeft(outcome)) => {
                timed.failed();
                Err(outcome)
            }
        }
    }

    async fn on(
        &self,
        mut link: L,
        request: &mut Outgoing,
        progress: &mut Progress,
    ) -> Result<(Body, L), Failed> {
        progress.phase = Phase::Exchanging;
        let body = link.ask(request, progress).await?;
        Ok((body, link))
    }

    fn is_young(&self, link: &L) -> bool {
        let most = self.reuse.max_age;
        most.is_none_or(|most| link.born().elapsed() < most)
    }

    /// Whether a request that its reused connection lost is sent once more: nothing of an answer had come, and asking
    /// twice is as good as asking once (RFC 9110, section 9.2.2).
    fn retries(&self, request: &Outgoing, outcome: Outcome, progress: &Progress) -> bool {
        self.reuse.stale_retry
            && progress.status == 0
            && matches!(outcome, Outcome::Eof | Outcome::Reset)
            && request.method.is_idempotent()
    }

    /// Gives a link back once it can be used again. An answer that came before its request was all written, or that
    /// closes the connection, leaves it not ready for a moment.
    fn give_back(&self, mut lease: Lease<L>, mut link: L, deadline: Instant) {
        if !self.is_young(&link) {
            return;
        }
        if link.is_ready() {
            lease.put(link);
            return;
        }
        tokio::spawn(async move {
            if timeout_at(deadline, link.ready()).await == Ok(true) {
                lease.put(link);
            }
        });
    }
}

impl<L: Link> Pooled<L> {
    /// As [`Client::send`](super::Client::send).
    pub(in crate::load) async fn send(
        &self,
        request: &mut Outgoing,
        deadline: Instant,
    ) -> Exchange {
        let mut progress = Progress::default();
        let result = timeout_at(deadline, self.exchange(request, deadline, &mut progress)).await;
        Exchange {
            status: progress.status,
            headers: progress.headers,
            result: result.unwrap_or_else(|_| Err(progress.phase.at_deadline())),
        }
    }

    /// As [`Client::notes`](super::Client::notes).
    pub(in crate::load) fn notes(&self) -> Vec<String> {
        let mut notes = L::notes(&self.opener);
        let retried = self.retried.load(Ordering::Relaxed);
        if retried > 0 {
            notes.push(format!(
                "{retried} requests were sent a second time: the connection they reused had died (stale_retry)"
            ));
        }
        notes
    }
}
