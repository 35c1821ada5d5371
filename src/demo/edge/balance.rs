//! Which backend takes a request: of the healthy ones, that with the fewest requests in its hands.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::Instant;

use super::upstream::{Lease, Upstream};

/// The backends, in the order in which they were given.
#[derive(Debug)]
pub(super) struct Balance {
    upstreams: Vec<Arc<Upstream>>,
    turn: AtomicUsize,
}

impl Balance {
    pub(super) fn new(upstreams: Vec<Arc<Upstream>>) -> Self {
        Self {
            upstreams,
            turn: AtomicUsize::new(0),
        }
    }

    pub(super) fn upstreams(&self) -> &[Arc<Upstream>] {
        &self.upstreams
    }

    /// A place at the least busy healthy backend that `tried` does not hold; equals take turns.
    pub(super) fn pick(&self, tried: &[String]) -> Option<Lease> {
        let now = Instant::now();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.upstreams.len();
        let (before, from) = self.upstreams.split_at(turn);
        let mut open: Vec<_> = from
            .iter()
            .chain(before)
            .filter(|one| !tried.contains(&one.address))
            .collect();
        // The sort is stable: equals stay in the order of the turn.
        open.sort_by_key(|upstream| upstream.active());
        open.into_iter()
            .find_map(|upstream| Lease::take(upstream, now))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::super::health::Passive;
    use super::*;

    fn balance() -> Balance {
        let passive = Passive {
            max_fails: NonZeroU32::MIN,
            fail_timeout: Duration::from_secs(60),
        };
        let named = |name: &str| Arc::new(Upstream::new(name.to_owned(), Some(passive)));
        Balance::new(["a:1", "b:1", "c:1"].map(named).into())
    }

    fn address(lease: &Lease) -> &str {
        &lease.upstream().address
    }

    #[tokio::test]
    async fn the_least_busy_takes_the_next_request() {
        let balance = balance();
        let mut held: Vec<_> = (0..30).map(|_| balance.pick(&[]).unwrap()).collect();
        assert!(
            balance
                .upstreams()
                .iter()
                .all(|upstream| upstream.active() == 10)
        );
        let freed = address(&held.pop().unwrap()).to_owned();
        assert_eq!(address(&balance.pick(&[]).unwrap()), freed);
    }

    #[tokio::test]
    async fn equals_take_turns() {
        let balance = balance();
        let picked: Vec<_> = (0..6)
            .map(|_| address(&balance.pick(&[]).unwrap()).to_owned())
            .collect();
        assert_eq!(picked, ["a:1", "b:1", "c:1", "a:1", "b:1", "c:1"]);
    }

    #[tokio::test]
    async fn the_tried_and_the_unhealthy_are_passed_over() {
        let balance = balance();
        let tried = ["a:1".to_owned()];
        balance.upstreams()[1]
            .health()
            .failed(super::super::health::Admission::Regular, Instant::now());
        for _ in 0..6 {
            assert_eq!(address(&balance.pick(&tried).unwrap()), "c:1");
        }
        assert!(
            balance
                .pick(&["a:1".to_owned(), "c:1".to_owned()])
                .is_none()
        );
    }
}
