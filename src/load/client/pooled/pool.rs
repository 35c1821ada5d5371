//! The connections: never more than the limit, few opened at a time, idle ones reused, and a first-come queue beyond them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Link, Places};
use crate::load::client::Destination;

/// All connections of one client.
#[derive(Debug)]
pub(in crate::load) struct Pool<L: Link> {
    max: usize,
    /// Of all clients that share a limit.
    places: Places,
    /// Most that are opened at a time.
    most_opening: usize,
    state: Mutex<State<L>>,
}

#[derive(Debug)]
struct State<L: Link> {
    /// How long an exchange is expected to take, a connection made for it included.
    expected: Duration,
    /// Longest time that anybody had for one.
    longest: Duration,
    /// Places taken: by idle connections and by leases.
    taken: usize,
    /// Turns taken: connections that are being opened.
    opening: usize,
    /// Oldest first.
    idle: Vec<L>,
    /// Oldest first: by their deadlines. Some may have given up.
    waiting: VecDeque<Waiter<L>>,
    /// Those who have a place and want to open another connection on it, oldest first. Some may have given up.
    reopening: VecDeque<oneshot::Sender<Turn<L>>>,
}

#[derive(Debug)]
struct Waiter<L: Link> {
    to: Arc<Destination>,
    deadline: Instant,
    grant: oneshot::Sender<Lease<L>>,
}

impl<L: Link> State<L> {
    /// Who is next: the oldest who still has the time that an exchange is expected to take; where nobody has, who has most.
    fn next(&mut self) -> Option<usize> {
        if self.waiting.is_empty() {
            return None;
        }
        let now = Instant::now();
        while self.waiting.front().is_some_and(|w| w.deadline <= now) {
            self.waiting.pop_front();
        }
        let last = now + self.expected;
        let at = self.waiting.partition_point(|w| w.deadline < last);
        let newest = self.waiting.len().checked_sub(1)?;
        Some(at.min(newest))
    }

    /// A place for a connection that is yet to be opened, made from an idle one to elsewhere if need be.
    fn room(&mut self, max: usize, places: &Places) -> Option<Option<L>> {
        if self.taken < max && places.take() {
            self.taken += 1;
            Some(None)
        } else if self.idle.is_empty() {
            None
        } else {
            Some(Some(self.idle.remove(0)))
        }
    }
}

/// One's turn to open a connection. Handed on when dropped.
#[derive(Debug)]
struct Turn<L: Link> {
    /// None once the turn went to somebody else.
    pool: Option<Arc<Pool<L>>>,
}

impl<L: Link> Drop for Turn<L> {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.hand_turn_on();
        }
    }
}

/// A place among the connections, with or without one on it. Given back when dropped, with what is on it.
#[derive(Debug)]
pub(super) struct Lease<L: Link> {
    pool: Arc<Pool<L>>,
    since: Instant,
    connection: Option<L>,
    turn: Option<Turn<L>>,
    /// False once the place went to somebody else.
    held: bool,
}

impl<L: Link> Lease<L> {
    /// When it was given.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// The connection on it; the place is kept.
    pub(super) fn take(&mut self) -> Option<L> {
        self.connection.take()
    }

    /// Waits until a connection may be opened on it.
    pub(super) async fn may_open(&mut self) {
        if self.turn.is_some() {
            return;
        }
        let granted = {
            let mut state = self.pool.state();
            if state.opening < self.pool.most_opening {
                state.opening += 1;
                drop(state);
                self.turn = Some(self.pool.turn());
                return;
            }
            let (grant, granted) = oneshot::channel();
            state.reopening.push_back(grant);
            granted
        };
        // The pool outlives this, and hands on every turn.
        self.turn = granted.await.ok();
    }

    /// It was opened, or could not be.
    pub(super) fn opened(&mut self) {
        self.turn = None;
    }

    /// Puts a connection that can be used again on it.
    pub(super) fn put(&mut self, connection: L) {
        self.connection = Some(connection);
    }
}

impl<L: Link> Drop for Lease<L> {
    fn drop(&mut self) {
        self.opened();
        if self.held {
            let connection = self.connection.take();
            self.pool.give(connection);
        }
    }
}

impl<L: Link> Pool<L> {
    /// A pool of at most `max` connections, at least one, of which at most `most_opening` are opened at a time; each takes one of
    /// these places.
    pub(super) fn new(max: usize, most_opening: usize, places: Places) -> Arc<Self> {
        Arc::new(Self {
            max: max.max(1),
            places,
            most_opening: most_opening.max(1),
            state: Mutex::new(State {
                expected: Duration::ZERO,
                longest: Duration::ZERO,
                taken: 0,
                opening: 0,
                idle: Vec::new(),
                waiting: VecDeque::new(),
                reopening: VecDeque::new(),
            }),
        })
    }

    /// A place for a connection to `to`, with an idle one on it where there is one. Beyond the limits it waits, oldest
    /// first. Who has so little left until its `deadline` that an answer can hardly come in time goes after those who have
    /// enough: it would take a place from one of them, and leave behind a connection to be made anew.
    pub(super) async fn lease(
        self: &Arc<Self>,
        to: &Arc<Destination>,
        deadline: Instant,
    ) -> Lease<L> {
        let granted = {
            let mut state = self.state();
            let now = Instant::now();
            let left = deadline.saturating_duration_since(now);
            state.longest = state.longest.max(left);
            // The youngest idle connection is the least likely to be closed by the peer meanwhile.
            if let Some(at) = state.idle.iter().rposition(|c| c.leads_to(to)) {
                let connection = state.idle.remove(at);
                return self.place(Some(connection), now);
            }
            if state.opening < self.most_opening
                && let Some(elsewhere) = state.room(self.max, &self.places)
            {
                state.opening += 1;
                drop(state);
                drop(elsewhere);
                return self.place(None, now);
            }
            let (grant, granted) = oneshot::channel();
            let to = Arc::clone(to);
            // A request that is tried again is as old as it was.
            let at = state.waiting.partition_point(|w| w.deadline <= deadline);
            let waiter = Waiter {
                to,
                deadline,
                grant,
            };
            state.waiting.insert(at, waiter);
            granted
        };
        match granted.await {
            Ok(lease) => lease,
            // Given up with its deadline, which is over.
            Err(_) => std::future::pending().await,
        }
    }

    /// An exchange took so long.
    pub(super) fn took(&self, time: Duration) {
        let mut state = self.state();
        state.expected = (state.expected * 9 + time) / 10;
    }

    /// An exchange was given up at its deadline after so long: the next may take longer, but nobody is passed over who has
    /// most of his time left. While nothing is answered at all, those with less would only leave more connections behind,
    /// each of which the server has to accept and to see closed before it comes to anybody who still waits.
    pub(super) fn gave_up(&self, time: Duration) {
        let mut state = self.state();
        let longer = (time * 2).min(state.longest.mul_f64(0.9));
        state.expected = state.expected.max(longer);
    }

    /// A connection has ended: if it was idle, its place is free.
    pub(in crate::load::client) fn ended(self: &Arc<Self>, id: u64) {
        let dead = {
            let mut state = self.state();
            let at = state.idle.iter().position(|c| c.id() == id);
            at.map(|at| state.idle.remove(at))
        };
        if dead.is_some() {
            drop(dead);
            self.give(None);
        }
    }

    /// Hands a place on to the oldest who still waits, or keeps it.
    fn give(self: &Arc<Self>, mut connection: Option<L>) {
        loop {
            let (waiter, lease) = {
                let mut state = self.state();
                let next = state.next();
                let fits = next.is_some_and(|at| {
                    let to = &state.waiting[at].to;
                    connection.as_ref().is_some_and(|c| c.leads_to(to))
                });
                // Without one that fits, another has to be opened.
                let may = fits || state.opening < self.most_opening;
                let waiter = next.filter(|_| may).and_then(|at| state.waiting.remove(at));
                let Some(waiter) = waiter else {
                    match connection.filter(|c| !c.is_closed()) {
                        Some(connection) => state.idle.push(connection),
                        None => self.vacate(&mut state),
                    }
                    return;
                };
                state.opening += usize::from(!fits);
                drop(state);
                (
                    waiter,
                    self.place(connection.take().filter(|_| fits), Instant::now()),
                )
            };
            match waiter.grant.send(lease) {
                Ok(()) => return,
                Err(mut lease) => {
                    lease.held = false;
                    connection = lease.take();
                }
            }
        }
    }

    /// Somebody is done opening a connection: the next one may, on his own place or on a free one.
    fn hand_turn_on(self: &Arc<Self>) {
        loop {
            let mut state = self.state();
            if let Some(grant) = state.reopening.pop_front() {
                drop(state);
                match grant.send(self.turn()) {
                    Ok(()) => return,
                    Err(mut turn) => turn.pool = None,
                }
                continue;
            }
            let next = state.next();
            let room = next.and_then(|_| state.room(self.max, &self.places));
            let waiter = next.filter(|_| room.is_some());
            let Some(waiter) = waiter.and_then(|at| state.waiting.remove(at)) else {
                state.opening -= 1;
                return;
            };
            drop(state);
            drop(room);
            match waiter.grant.send(self.place(None, Instant::now())) {
                Ok(()) => return,
                Err(mut lease) => {
                    lease.held = false;
                    if let Some(turn) = &mut lease.turn {
                        turn.pool = None;
                    }
                    self.vacate(&mut self.state());
                }
            }
        }
    }

    /// A place is free.
    fn vacate(&self, state: &mut State<L>) {
        state.taken -= 1;
        self.places.give();
    }

    /// A turn that was counted.
    fn turn(self: &Arc<Self>) -> Turn<L> {
        Turn {
            pool: Some(Arc::clone(self)),
        }
    }

    /// A place, given at `since`. One without a connection is there to open one, and that it does was counted.
    fn place(self: &Arc<Self>, connection: Option<L>, since: Instant) -> Lease<L> {
        Lease {
            since,
            pool: Arc::clone(self),
            turn: connection.is_none().then(|| self.turn()),
            connection,
            held: true,
        }
    }

    fn state(&self) -> MutexGuard<'_, State<L>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
