//! How many retries a load may send, so that they do not become the outage (Finagle's and Envoy's retry budgets).

use std::sync::{Mutex, PoisonError};

/// Seconds whose requests count.
const SECONDS: usize = 10;
/// Retries in that time that are always allowed, so that a slow load can try again too.
const ALWAYS: f64 = 10.0;
const SECOND_US: i64 = 1_000_000;

/// A budget, shared by all shards of a load.
#[derive(Debug)]
pub(super) struct Budget {
    /// Retries for each request; `None` for as many as there are.
    share: Option<f64>,
    seconds: Mutex<[Second; SECONDS]>,
}

/// What was sent in one second.
#[derive(Debug, Clone, Copy, Default)]
struct Second {
    /// Which: since the run's zero.
    at: i64,
    requests: u64,
    retries: u64,
}

impl Budget {
    /// At most this share of the requests of the last seconds; all of them is no limit.
    pub(super) fn new(share: f64) -> Self {
        Self {
            share: (share < 1.0).then_some(share),
            seconds: Mutex::default(),
        }
    }

    /// A request was sent for the first time. Times are µs since the run's zero.
    pub(super) fn request(&self, now_us: i64) {
        if self.share.is_some() {
            self.on(now_us, |second, _| second.requests += 1);
        }
    }

    /// Whether one may be sent again; if so, it counts.
    pub(super) fn allows(&self, now_us: i64) -> bool {
        let Some(share) = self.share else {
            return true;
        };
        self.on(now_us, |second, (requests, retries)| {
            let allowed = (retries + 1) as f64 <= ALWAYS.max(share * requests as f64);
            second.retries += u64::from(allowed);
            allowed
        })
    }

    /// Calls `with` on the present second, and on the requests and retries of all that count.
    fn on<T>(&self, now_us: i64, with: impl FnOnce(&mut Second, (u64, u64)) -> T) -> T {
        let now = now_us.div_euclid(SECOND_US);
        let mut seconds = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        let span = SECONDS as i64;
        let counting = seconds.iter().filter(|s| now - s.at < span);
        let sums = counting.fold((0, 0), |(requests, retries), s| {
            (requests + s.requests, retries + s.retries)
        });
        let place = usize::try_from(now.rem_euclid(span)).unwrap_or(0);
        let second = &mut seconds[place];
        if second.at < now {
            *second = Second {
                at: now,
                ..Second::default()
            };
        }
        with(second, sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(budget: &Budget, at_us: i64) -> usize {
        (0..10_000).take_while(|_| budget.allows(at_us)).count()
    }

    #[test]
    fn retries_are_a_share_of_what_was_asked_lately() {
        let budget = Budget::new(0.2);
        assert_eq!(allowed(&budget, 0), 10, "a slow load can try again too");
        let budget = Budget::new(0.2);
        for n in 0..1_000 {
            budget.request(n * 10_000);
        }
        assert_eq!(allowed(&budget, 9 * SECOND_US), 200);
        assert_eq!(allowed(&budget, 9 * SECOND_US), 0);
        // Ten seconds on, neither those requests nor those retries count.
        assert_eq!(allowed(&budget, 19 * SECOND_US), 10);
    }

    #[test]
    fn all_of_them_is_no_limit() {
        assert_eq!(allowed(&Budget::new(1.0), 0), 10_000);
    }
}
