//! The connections: never more than the limit, idle ones reused, and a first-come queue beyond them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Link;
use crate::load::client::Destination;

/// All connections of one client.
#[derive(Debug)]
pub(in crate::load) struct Pool<L: Link> {
    max: usize,
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
    /// Oldest first.
    idle: Vec<L>,
    /// Oldest first. Some may have given up.
    waiting: VecDeque<Waiter<L>>,
}

#[derive(Debug)]
struct Waiter<L: Link> {
    to: Arc<Destination>,
    deadline: Instant,
    grant: oneshot::Sender<Lease<L>>,
}

impl<L: Link> State<L> {
    /// The oldest who still has the time that an exchange is expected to take; where nobody has, who has most.
    fn next(&mut self) -> Option<Waiter<L>> {
        let now = Instant::now();
        while self.waiting.front().is_some_and(|w| w.deadline <= now) {
            self.waiting.pop_front();
        }
        let last = now + self.expected;
        // Deadlines come in the order of due times, but for later requests of journeys: near enough.
        let at = self.waiting.partition_point(|w| w.deadline < last);
        self.waiting.remove(at).or_else(|| self.waiting.pop_back())
    }
}

/// A place among the connections, with or without one on it. Given back when dropped, with what is on it.
#[derive(Debug)]
pub(super) struct Lease<L: Link> {
    pool: Arc<Pool<L>>,
    connection: Option<L>,
    /// False once the place went to somebody else.
    held: bool,
}

impl<L: Link> Lease<L> {
    /// The connection on it; the place is kept.
    pub(super) fn take(&mut self) -> Option<L> {
        self.connection.take()
    }

    /// Puts a connection that can be used again on it.
    pub(super) fn put(&mut self, connection: L) {
        self.connection = Some(connection);
    }
}

impl<L: Link> Drop for Lease<L> {
    fn drop(&mut self) {
        if self.held {
            let connection = self.connection.take();
            self.pool.give(connection);
        }
    }
}

impl<L: Link> Pool<L> {
    /// A pool of at most `max` connections, at least one.
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max: max.max(1),
            state: Mutex::new(State {
                expected: Duration::ZERO,
                longest: Duration::ZERO,
                taken: 0,
                idle: Vec::new(),
                waiting: VecDeque::new(),
            }),
        })
    }

    /// A place for a connection to `to`, with an idle one on it where there is one. Beyond the limit it waits, oldest
    /// first. Who has so little left until its `deadline` that an answer can hardly come in time goes after those who have
    /// enough: it would take a place from one of them, and leave behind a connection to be made anew.
    pub(super) async fn lease(
        self: &Arc<Self>,
        to: &Arc<Destination>,
        deadline: Instant,
    ) -> Lease<L> {
        let granted = {
            let mut state = self.state();
            let left = deadline.saturating_duration_since(Instant::now());
            state.longest = state.longest.max(left);
            // The youngest idle connection is the least likely to be closed by the peer meanwhile.
            if let Some(at) = state.idle.iter().rposition(|c| c.leads_to(to)) {
                let connection = state.idle.remove(at);
                return self.place(Some(connection));
            }
            if state.taken < self.max {
                state.taken += 1;
                return self.place(None);
            }
            if !state.idle.is_empty() {
                // An idle connection to elsewhere makes room.
                let elsewhere = state.idle.remove(0);
                drop(state);
                drop(elsewhere);
                return self.place(None);
            }
            let (grant, granted) = oneshot::channel();
            let to = Arc::clone(to);
            state.waiting.push_back(Waiter {
                to,
                deadline,
                grant,
            });
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
        state.expected = state.expected.mul_f64(0.9) + time.mul_f64(0.1);
    }

    /// An exchange was given up at its deadline after so long: the next may take longer, but nobody is passed over who has
    /// half of his time left.
    pub(super) fn gave_up(&self, time: Duration) {
        let mut state = self.state();
        let longer = (time * 2).min(state.longest / 2);
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
            let waiter = {
                let mut state = self.state();
                match state.next() {
                    Some(waiter) => waiter,
                    None => {
                        match connection.filter(|c| !c.is_closed()) {
                            Some(connection) => state.idle.push(connection),
                            None => state.taken -= 1,
                        }
                        return;
                    }
                }
            };
            let lease = self.place(connection.take().filter(|c| c.leads_to(&waiter.to)));
            match waiter.grant.send(lease) {
                Ok(()) => return,
                Err(mut lease) => {
                    lease.held = false;
                    connection = lease.take();
                }
            }
        }
    }

    fn place(self: &Arc<Self>, connection: Option<L>) -> Lease<L> {
        Lease {
            pool: Arc::clone(self),
            connection,
            held: true,
        }
    }

    fn state(&self) -> MutexGuard<'_, State<L>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;
    use crate::load::client::http1::Connection;

    fn somewhere() -> Arc<Destination> {
        Arc::new(Destination {
            host: "somewhere.invalid".into(),
            port: 80,
            secure: false,
        })
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[tokio::test(start_paused = true)]
    async fn who_can_hardly_be_answered_goes_last() {
        let pool = Pool::<Connection>::new(1);
        let to = somewhere();
        let soon = |ms| Instant::now() + Duration::from_millis(ms);
        let held = pool.lease(&to, soon(1_000)).await;
        pool.gave_up(Duration::from_millis(50));
        let (order, mut first) = tokio::sync::mpsc::unbounded_channel();
        let ask = |ms| {
            let (pool, to, order) = (Arc::clone(&pool), Arc::clone(&to), order.clone());
            let deadline = soon(ms);
            tokio::spawn(async move {
                let lease = pool.lease(&to, deadline).await;
                order.send(ms).unwrap();
                drop(lease);
            })
        };
        let (hopeless, hopeful) = (ask(99), ask(101));
        tokio::task::yield_now().await;
        drop(held);
        assert_eq!(first.recv().await, Some(101));
        assert_eq!(first.recv().await, Some(99), "nobody else wants it");
        hopeless.await.unwrap();
        hopeful.await.unwrap();
        // Answers that come at once bring hope back: the oldest is first again.
        (0..100).for_each(|_| pool.took(Duration::ZERO));
        let held = pool.lease(&to, later()).await;
        let both = [ask(10), ask(1_000)];
        tokio::task::yield_now().await;
        drop(held);
        assert_eq!(
            (first.recv().await, first.recv().await),
            (Some(10), Some(1_000))
        );
        for one in both {
            one.await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn beyond_the_limit_the_oldest_is_first() {
        let pool = Pool::<Connection>::new(1);
        let to = somewhere();
        let first = pool.lease(&to, later()).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let waiting: Vec<_> = (0..5)
            .map(|i| {
                let (pool, to, order) = (Arc::clone(&pool), Arc::clone(&to), Arc::clone(&order));
                tokio::spawn(async move {
                    let lease = pool.lease(&to, later()).await;
                    order.lock().unwrap().push(i);
                    drop(lease);
                })
            })
            .collect();
        tokio::task::yield_now().await;
        assert!(order.lock().unwrap().is_empty());
        drop(first);
        for waiter in waiting {
            waiter.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
        assert_eq!(pool.state().taken, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_that_gave_up_takes_no_place() {
        let pool = Pool::<Connection>::new(1);
        let to = somewhere();
        let first = pool.lease(&to, later()).await;
        for _ in 0..10_000 {
            let waited = timeout(Duration::ZERO, pool.lease(&to, later())).await;
            assert!(waited.is_err());
        }
        drop(first);
        assert_eq!(pool.state().taken, 0);
        // The place is there for the next.
        let again = timeout(Duration::from_secs(1), pool.lease(&to, later())).await;
        assert!(again.is_ok());
    }
}
