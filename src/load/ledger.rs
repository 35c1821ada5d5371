//! The books: every request that became due is opened once and closed once, whatever happens to it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Sink;
use super::client::Sent;
use crate::model::{Outcome, RequestRecord, Retried};
use crate::timeline::clock::Clock;
use crate::timeline::event::NameTable;

/// Counts and records of one load.
pub(super) struct Ledger {
    clock: Clock,
    unanswered: Unanswered,
    books: Mutex<Books>,
}

/// How many requests are asked and not closed: of one set of books, or of several together.
pub(super) type Unanswered = Arc<AtomicU64>;

struct Books {
    sink: Box<dyn Sink>,
    counts: Counts,
}

/// What is counted beside the records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Slots that became due.
    pub(super) arrivals: u64,
    /// Requests that became due.
    pub(super) asked: u64,
    /// Requests whose journey stopped before them.
    pub(super) not_reached: u64,
    /// Requests that this machine had no socket or port for.
    pub(super) unsendable: u64,
}

/// Which request it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity {
    pub(super) n: u64,
    pub(super) journey: u16,
    pub(super) request: u16,
    pub(super) user: u32,
}

/// What is known of an answer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Answered<'a> {
    pub(super) status: u16,
    pub(super) instance: Option<&'a str>,
    pub(super) version: Option<&'a str>,
}

impl Ledger {
    pub(super) fn new(clock: Clock, sink: Box<dyn Sink>, unanswered: Unanswered) -> Arc<Self> {
        Arc::new(Self {
            clock,
            unanswered,
            books: Mutex::new(Books {
                sink,
                counts: Counts::default(),
            }),
        })
    }

    pub(super) fn now_us(&self) -> i64 {
        self.clock.now_us()
    }

    pub(super) fn counts(&self) -> Counts {
        self.books().counts
    }

    /// Nothing is to come any more: the records go where they belong.
    pub(super) fn flush(&self) {
        self.books().sink.flush();
    }

    /// A slot became due.
    pub(super) fn arrival(&self) {
        self.books().counts.arrivals += 1;
    }

    /// A request became due. The entry closes as `cut` unless it is closed otherwise.
    pub(super) fn open(self: &Arc<Self>, identity: Identity, due_us: i64) -> Entry {
        self.books().counts.asked += 1;
        Entry {
            ledger: Arc::clone(self),
            others: self.unanswered.fetch_add(1, Ordering::Relaxed),
            identity,
            due_us,
            left_us: None,
            sent: Sent::default(),
            retried: None,
            open: true,
        }
    }

    /// `count` requests will never be reached.
    pub(super) fn never_reached(&self, count: u64) {
        self.books().counts.not_reached += count;
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that became due.
pub(super) struct Entry {
    ledger: Arc<Ledger>,
    identity: Identity,
    due_us: i64,
    /// Requests that were unanswered when this one became due.
    pub(super) others: u64,
    /// When the pacer let it go.
    pub(super) left_us: Option<i64>,
    /// When the first byte of its last try was written.
    pub(super) sent: Sent,
    /// What became of its first try, once another is made.
    retried: Option<Retried>,
    open: bool,
}

impl Entry {
    /// Which request it is.
    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// It is tried again, its last try having ended so.
    pub(super) fn again(&mut self, outcome: Outcome, done_us: i64) {
        self.sent = Sent::default();
        match &mut self.retried {
            Some(first) => first.times = first.times.saturating_add(1),
            None => {
                self.retried = Some(Retried {
                    times: 1,
                    outcome,
                    done_us,
                });
            }
        }
    }

    /// Closes it: the one record of this request.
    pub(super) fn close(
        mut self,
        outcome: Outcome,
        good: bool,
        done_us: i64,
        answered: Answered<'_>,
    ) {
        self.record(outcome, good, done_us, answered);
    }

    fn record(&mut self, outcome: Outcome, good: bool, done_us: i64, answered: Answered<'_>) {
        self.open = false;
        let sent_us = self.sent.at().map(|at| self.ledger.clock.at_us(at));
        let mut books = self.ledger.books();
        self.ledger.unanswered.fetch_sub(1, Ordering::Relaxed);
        if outcome == Outcome::Dropped && self.left_us.is_some() {
            books.counts.unsendable += 1;
        }
        let mut number =
            |table, name: Option<&str>| name.map_or(0, |name| books.sink.name(table, name));
        let record = RequestRecord {
            n: self.identity.n,
            journey: self.identity.journey,
            request: self.identity.request,
            user: self.identity.user,
            due_us: self.due_us,
            left_us: self.left_us.filter(|_| outcome != Outcome::Dropped),
            sent_us,
            done_us,
            outcome,
            good,
            status: answered.status,
            instance: number(NameTable::Instance, answered.instance),
            version: number(NameTable::Version, answered.version),
            retried: self.retried,
        };
        books.sink.push(record);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.open {
            let now = self.ledger.now_us();
            self.record(Outcome::Cut, false, now, Answered::default());
        }
    }
}
