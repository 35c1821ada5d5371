//! Whether a backend is given requests: passive checks (what requests meet) and active ones (what probes meet).
//!
//! Passive checks follow nginx' `max_fails` and `fail_timeout`
//! (<https://nginx.org/en/docs/http/ngx_http_upstream_module.html#server>): so many failures inside the window take the
//! backend out for as long; then one request tries it, and decides. Active checks count in a row, as HAProxy's `rise`
//! and `fall` do (<https://docs.haproxy.org/2.8/configuration.html#5.2-fall>). A backend serves while neither holds it out.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

/// Passive health checks: failed requests take a backend out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passive {
    /// How many failures inside `fail_timeout` take it out.
    pub max_fails: NonZeroU32,
    /// The window in which they count, and how long it stays out.
    pub fail_timeout: Duration,
}

/// Active health checks: a `GET` now and then, on a connection of its own; 2xx is healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Active {
    /// From one check of a backend to its next.
    pub interval: Duration,
    /// How long a check may take before it has failed.
    pub timeout: Duration,
    /// What is asked for, with its leading `/`.
    pub path: String,
    /// Checks passed in a row that bring a backend back.
    pub rise: NonZeroU32,
    /// Checks failed in a row that take it out.
    pub fall: NonZeroU32,
}

/// What is known of one backend's health. Starts healthy.
#[derive(Debug)]
pub(super) struct Health {
    passive: Option<Passive>,
    window: Option<Window>,
    out_until: Option<Instant>,
    checked_out: bool,
    streak: u32,
}

/// Failures since one of them opened the window.
#[derive(Debug)]
struct Window {
    opened: Instant,
    fails: u32,
}

/// How a request was let through to a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// The backend is healthy.
    Regular,
    /// The backend was out and its time has passed: this request decides whether it is back.
    Trial,
}

impl Health {
    pub(super) fn new(passive: Option<Passive>) -> Self {
        Self {
            passive,
            window: None,
            out_until: None,
            checked_out: false,
            streak: 0,
        }
    }

    /// Whether a request may go to this backend now.
    pub(super) fn is_open(&self, now: Instant) -> bool {
        !self.checked_out && self.out_until.is_none_or(|until| now >= until)
    }

    /// Lets a request through if it may go; of those after a time out only one, until it is known how it ended.
    pub(super) fn admit(&mut self, now: Instant) -> Option<Admission> {
        if !self.is_open(now) {
            return None;
        }
        match (self.out_until, self.passive) {
            (Some(_), Some(passive)) => {
                // If its end is never heard of, the next trial comes as late as after a failure.
                self.out_until = Some(now + passive.fail_timeout);
                Some(Admission::Trial)
            }
            (None, _) | (Some(_), None) => Some(Admission::Regular),
        }
    }

    /// A request was answered.
    pub(super) fn answered(&mut self, admission: Admission) {
        match admission {
            // An answer to a request sent before the time out says nothing of how the backend is.
            Admission::Regular => {}
            Admission::Trial => self.forgive(),
        }
    }

    /// A request failed.
    pub(super) fn failed(&mut self, admission: Admission, now: Instant) {
        let Some(passive) = self.passive else { return };
        let fails = match &mut self.window {
            Some(window) if now < window.opened + passive.fail_timeout => {
                window.fails += 1;
                window.fails
            }
            _ => {
                self.window = Some(Window {
                    opened: now,
                    fails: 1,
                });
                1
            }
        };
        if fails >= passive.max_fails.get() || admission == Admission::Trial {
            self.window = None;
            self.out_until = Some(now + passive.fail_timeout);
        }
    }

    /// An active check passed.
    pub(super) fn check_passed(&mut self, rules: &Active) {
        if !self.checked_out {
            self.streak = 0;
            return;
        }
        self.streak += 1;
        if self.streak >= rules.rise.get() {
            self.checked_out = false;
            self.streak = 0;
            // So many checks outweigh the failures of before.
            self.forgive();
        }
    }

    /// An active check failed.
    pub(super) fn check_failed(&mut self, rules: &Active) {
        if self.checked_out {
            self.streak = 0;
            return;
        }
        self.streak += 1;
        if self.streak >= rules.fall.get() {
            self.checked_out = true;
            self.streak = 0;
        }
    }

    fn forgive(&mut self) {
        self.window = None;
        self.out_until = None;
    }
}

#[cfg(test)]
mod tests {
    use super::Admission::{Regular, Trial};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn times(count: u32) -> NonZeroU32 {
        NonZeroU32::new(count).unwrap()
    }

    fn passive() -> Health {
        Health::new(Some(Passive {
            max_fails: times(3),
            fail_timeout: 10 * SECOND,
        }))
    }

    fn rules() -> Active {
        let path = "/health".to_owned();
        Active {
            interval: SECOND,
            timeout: SECOND,
            path,
            rise: times(2),
            fall: times(3),
        }
    }

    #[tokio::test]
    async fn failures_in_the_window_take_out_and_one_trial_brings_back() {
        let mut health = passive();
        let now = Instant::now();
        health.failed(Regular, now);
        health.failed(Regular, now + SECOND);
        assert_eq!(health.admit(now + 2 * SECOND), Some(Regular));
        health.failed(Regular, now + 2 * SECOND);
        assert_eq!(health.admit(now + 11 * SECOND), None, "out until 12 s");
        assert_eq!(health.admit(now + 12 * SECOND), Some(Trial));
        assert_eq!(health.admit(now + 12 * SECOND), None, "one trial at a time");
        health.answered(Regular);
        assert!(
            !health.is_open(now + 12 * SECOND),
            "an answer to an older request"
        );
        health.answered(Trial);
        assert_eq!(health.admit(now + 12 * SECOND), Some(Regular));
    }

    #[tokio::test]
    async fn a_failed_trial_costs_another_time_out() {
        let mut health = passive();
        let now = Instant::now();
        (0..3).for_each(|_| health.failed(Regular, now));
        assert_eq!(health.admit(now + 10 * SECOND), Some(Trial));
        health.failed(Trial, now + 11 * SECOND);
        assert!(!health.is_open(now + 20 * SECOND));
        assert!(health.is_open(now + 21 * SECOND));
    }

    #[tokio::test]
    async fn failures_further_apart_than_the_window_do_not_add_up() {
        let mut health = passive();
        let now = Instant::now();
        for turn in 0..9 {
            health.failed(Regular, now + turn * 5 * SECOND);
        }
        assert!(health.is_open(now + 40 * SECOND));
    }

    #[tokio::test]
    async fn without_passive_checks_failures_change_nothing() {
        let mut health = Health::new(None);
        let now = Instant::now();
        (0..100).for_each(|_| health.failed(Regular, now));
        assert_eq!(health.admit(now), Some(Regular));
    }

    #[tokio::test]
    async fn active_checks_fall_and_rise_in_a_row() {
        let (mut health, rules, now) = (Health::new(None), rules(), Instant::now());
        for check in [false, false, true, false, false] {
            if check {
                health.check_passed(&rules)
            } else {
                health.check_failed(&rules)
            }
        }
        assert!(health.is_open(now), "never three in a row");
        health.check_failed(&rules);
        assert!(!health.is_open(now));
        health.check_passed(&rules);
        health.check_failed(&rules);
        health.check_passed(&rules);
        assert!(!health.is_open(now), "never two in a row");
        health.check_passed(&rules);
        assert!(health.is_open(now));
    }

    #[tokio::test]
    async fn a_rise_ends_a_passive_time_out() {
        let (mut health, rules, now) = (passive(), rules(), Instant::now());
        (0..3).for_each(|_| health.failed(Regular, now));
        (0..3).for_each(|_| health.check_failed(&rules));
        (0..2).for_each(|_| health.check_passed(&rules));
        assert_eq!(health.admit(now), Some(Regular));
    }
}
