//! How requests are tried again.

use std::time::Duration;

use super::Checker;
use crate::scenario::error::Problem;
use crate::scenario::file::load::Retry;
use crate::scenario::plan::{MOST_ATTEMPTS, RetryOn, RetryPlan};
use crate::scenario::shape::At;

impl Checker<'_> {
    /// Of a load whose requests have this long.
    pub(super) fn retry(&mut self, written: &At<Retry>, timeout: Duration) -> RetryPlan {
        let retry = &written.value;
        let usual = RetryPlan::default();
        if let Some(attempts) = retry.attempts
            && !(2..=MOST_ATTEMPTS).contains(&attempts.value)
        {
            let message = "`attempts` counts the first try too: 2 to 100 of them";
            let problem = Problem::invalid(attempts.at, message);
            self.problems
                .push(problem.help("leave `retry` out to try every request once"));
        }
        let wait = retry.wait.map_or(usual.wait, |wait| wait.value.0);
        let longest = RetryPlan::longest(wait);
        if let Some(max) = retry.max_wait.filter(|max| max.value.0 < wait) {
            self.problems.push(Problem::invalid(
                max.at,
                "`max_wait` is shorter than `wait`, which it limits",
            ));
        }
        if let Some(none) = retry.budget.filter(|budget| budget.value.0.get() == 0.0) {
            let problem = Problem::invalid(none.at, "a budget of nothing allows no retry");
            self.problems
                .push(problem.help("leave it out for 20%, or `retry` for no retries"));
        }
        let try_timeout = self.not_zero(retry.try_timeout, "no try is answered in no time");
        if let (Some(at), Some(limit)) = (retry.try_timeout, try_timeout)
            && limit >= timeout
        {
            self.problems.push(Problem::invalid(
                at.at,
                "a try cannot take as long as its request may: nothing would be left to try again in",
            ));
        }
        let plan = RetryPlan {
            attempts: retry.attempts.map_or(usual.attempts, |n| n.value),
            wait,
            max_wait: retry.max_wait.map_or(longest, |max| max.value.0),
            on: retry.on.as_ref().map_or(usual.on, |on| self.retry_on(on)),
            methods: retry.methods.unwrap_or_default(),
            budget: retry.budget.map_or(usual.budget, |share| share.value.0),
            try_timeout,
        };
        if plan.lacks_try_timeout() && retry.try_timeout.is_none() {
            let at = retry.on.as_ref().map_or(written.at, |on| on.at);
            let problem = Problem::invalid(at, "a request that timed out has no time left");
            self.problems
                .push(problem.help("give each try a limit: `try_timeout: 500ms`"));
        }
        plan
    }

    fn retry_on(&mut self, written: &At<Vec<At<String>>>) -> Vec<RetryOn> {
        if written.value.is_empty() {
            let problem = Problem::invalid(written.at, "`on` names nothing to try again on");
            self.problem_unless_broken(written.at, problem.help("leave it out for the usual"));
        }
        let mut on = Vec::new();
        for text in &written.value {
            match text.value.parse() {
                Ok(end) => on.push(end),
                Err(why) => {
                    let why: String = why;
                    self.problems.push(
                        Problem::invalid(text.at, why)
                            .help("write outcomes and statuses, as in `[refused, eof, http_503]`"),
                    );
                }
            }
        }
        on
    }
}
