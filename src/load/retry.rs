//! Whether a request is tried again, and when.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, Method};

use super::budget::Budget;
use crate::model::Outcome;
use crate::scenario::plan::{RetryMethods, RetryPlan};

/// What the retries of a load go by, shared by all of its shards.
#[derive(Debug)]
pub(super) struct Retries {
    plan: RetryPlan,
    budget: Budget,
    /// Retries that the budget held back.
    held_back: AtomicU64,
}

/// A try that has ended.
#[derive(Debug)]
pub(super) struct Tried<'a> {
    pub(super) method: &'a Method,
    /// How many there were with it.
    pub(super) tries: u32,
    pub(super) outcome: Outcome,
    pub(super) status: u16,
    pub(super) headers: &'a HeaderMap,
    /// Whether a byte of it left.
    pub(super) left: bool,
    /// When it ended, µs since the run's zero.
    pub(super) done_us: i64,
}

impl Retries {
    pub(super) fn new(plan: RetryPlan) -> Self {
        Self {
            budget: Budget::new(plan.budget.get()),
            plan,
            held_back: AtomicU64::new(0),
        }
    }

    /// A request is sent for the first time.
    pub(super) fn request(&self, now_us: i64) {
        self.budget.request(now_us);
    }

    /// Until when a try that begins now may take.
    pub(super) fn until_us(&self, now_us: i64, deadline_us: i64) -> i64 {
        let limit = self.plan.try_timeout;
        limit.map_or(deadline_us, |limit| deadline_us.min(now_us + micros(limit)))
    }

    /// When the request is tried again, µs since the run's zero; `None` where it ends with what it has. `draw` is drawn
    /// from 0 to 1.
    pub(super) fn again_us(&self, tried: &Tried<'_>, draw: f64, deadline_us: i64) -> Option<i64> {
        let plan = &self.plan;
        let repeatable = match plan.methods {
            RetryMethods::Any => true,
            RetryMethods::Idempotent => tried.method.is_idempotent() || !tried.left,
        };
        if tried.tries >= plan.attempts || !repeatable || !plan.is_on(tried.outcome, tried.status) {
            return None;
        }
        let wait = asked_to_wait(tried).unwrap_or_else(|| self.backoff(tried.tries, draw));
        let again_us = tried.done_us.saturating_add(micros(wait));
        if again_us >= deadline_us {
            return None;
        }
        if !self.budget.allows(tried.done_us) {
            self.held_back.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(again_us)
    }

    /// Exponential backoff with full jitter: anything from nothing to a limit that doubles (Brooker, "Exponential Backoff
    /// And Jitter", AWS Architecture Blog, 2015; Envoy does the same).
    fn backoff(&self, tries: u32, draw: f64) -> Duration {
        let doublings = tries.saturating_sub(1).min(31);
        let limit = self.plan.wait.saturating_mul(1 << doublings);
        limit.min(self.plan.max_wait).mul_f64(draw)
    }

    /// What a person should know of them.
    pub(super) fn note(&self) -> Option<String> {
        let held_back = self.held_back.load(Ordering::Relaxed);
        (held_back > 0).then(|| {
            format!(
                "{held_back} retries were not sent: the budget allows {} of the requests of 10 s",
                self.plan.budget
            )
        })
    }
}

/// How long an answer asks to wait before the next try (RFC 9110, section 10.2.3; RFC 6585, section 4).
fn asked_to_wait(tried: &Tried<'_>) -> Option<Duration> {
    matches!(tried.status, 429 | 503)
        .then(|| retry_after(tried.headers))
        .flatten()
}

/// What `Retry-After` says: seconds, or a date, which counts from the answer's own so that no clock but the server's
/// matters. `None` where it says nothing that can be read.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .map(str::trim)
    };
    let after = text(RETRY_AFTER)?;
    if let Ok(seconds) = after.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(after).ok()?;
    let from = httpdate::parse_http_date(text(DATE)?).ok()?;
    Some(until.duration_since(from).unwrap_or_default())
}

fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    /// When a GET that has ended so is tried again, with the longest wait drawn.
    fn again(plan: &RetryPlan, tries: u32, outcome: Outcome, status: u16) -> Option<i64> {
        let tried = Tried {
            method: &Method::GET,
            tries,
            outcome,
            status,
            headers: &HeaderMap::new(),
            left: true,
            done_us: S,
        };
        Retries::new(plan.clone()).again_us(&tried, 1.0, 10 * S)
    }

    #[test]
    fn waits_double_up_to_a_limit_and_end_with_the_tries() {
        let plan = RetryPlan {
            attempts: 7,
            ..RetryPlan::default()
        };
        let waits = (1..=7).map(|tries| again(&plan, tries, Outcome::Refused, 0));
        let waits: Vec<_> = waits.map(|at| at.map(|us| (us - S) / 1000)).collect();
        let all = [100, 200, 400, 800, 1_000, 1_000].map(Some);
        assert_eq!((&waits[..6], waits[6]), (&all[..], None));
        assert_eq!(again(&plan, 1, Outcome::Ok, 200), None);
        assert_eq!(again(&plan, 1, Outcome::Http5xx, 500), None);
        assert_eq!(again(&plan, 1, Outcome::Http5xx, 503), Some(S + S / 10));
    }

    #[test]
    fn only_what_may_be_repeated_is() {
        let retries = Retries::new(RetryPlan::default());
        let post = |left| {
            let tried = Tried {
                method: &Method::POST,
                tries: 1,
                outcome: Outcome::Reset,
                status: 0,
                headers: &HeaderMap::new(),
                left,
                done_us: 0,
            };
            retries.again_us(&tried, 0.0, S)
        };
        assert_eq!((post(true), post(false)), (None, Some(0)));
        let any = RetryPlan {
            methods: RetryMethods::Any,
            ..RetryPlan::default()
        };
        assert!(again(&any, 1, Outcome::Reset, 0).is_some());
    }

    #[test]
    fn who_is_asked_to_wait_waits_or_ends() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let later = "Sun, 06 Nov 1994 08:49:40 GMT";
        for (pairs, wait) in [
            (&[("retry-after", "2")][..], Some(2)),
            (&[("retry-after", " 2 ")], Some(2)),
            (&[("retry-after", later), ("date", date)], Some(3)),
            (&[("retry-after", date), ("date", later)], Some(0)),
            (&[("retry-after", later)], None),
            (&[("retry-after", "soon"), ("date", date)], None),
            (&[], None),
        ] {
            let read = retry_after(&headers(pairs));
            assert_eq!(read, wait.map(Duration::from_secs), "{pairs:?}");
        }
        let retries = Retries::new(RetryPlan::default());
        let again = |status, deadline_us| {
            let tried = Tried {
                method: &Method::GET,
                tries: 1,
                outcome: Outcome::Http5xx,
                status,
                headers: &headers(&[("retry-after", "2")]),
                left: true,
                done_us: 0,
            };
            retries.again_us(&tried, 0.0, deadline_us)
        };
        assert_eq!(again(503, 5 * S), Some(2 * S));
        assert_eq!(again(503, 2 * S), None, "it would be too late");
        assert_eq!(again(502, 5 * S), Some(0), "it says nothing there");
    }

    #[test]
    fn what_the_budget_holds_back_is_said() {
        let retries = Retries::new(RetryPlan::default());
        let tried = Tried {
            method: &Method::GET,
            tries: 1,
            outcome: Outcome::Refused,
            status: 0,
            headers: &HeaderMap::new(),
            left: false,
            done_us: 0,
        };
        assert_eq!(retries.note(), None);
        let sent = (0..15).filter(|_| retries.again_us(&tried, 0.0, S).is_some());
        assert_eq!(sent.count(), 10);
        assert!(
            retries
                .note()
                .unwrap()
                .starts_with("5 retries were not sent")
        );
    }
}
