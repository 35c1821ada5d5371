//! One request, as the load engine reports it and the recording keeps it.

use super::Outcome;

/// One request from due time to completion. Times are µs since the run's zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestRecord {
    /// The arrival (slot) it belongs to; slot 0 is the first of the warm-up.
    pub n: u64,
    /// Index of the journey in the plan.
    pub journey: u16,
    /// Index of the request within the journey, thinks not counted.
    pub request: u16,
    /// The simulated user, 0 where the load has none.
    pub user: u32,
    /// When it should have left.
    pub due_us: i64,
    /// When the pacer let it go: to a connection, to the wait for one, or to be shed. `None` if dropped.
    pub left_us: Option<i64>,
    /// When its first byte was written; `None` where never sent.
    pub sent_us: Option<i64>,
    /// Last byte of the answer read and checked, or the error known.
    pub done_us: i64,
    /// How it ended.
    pub outcome: Outcome,
    /// `ok`, and within the request's `within` where set.
    pub good: bool,
    /// Status code, 0 without an answer.
    pub status: u16,
    /// Who answered: a name of the recording's instance table, 0 for unknown.
    pub instance: u16,
    /// Which version answered: a name of the recording's version table, 0 for unknown.
    pub version: u16,
    /// What became of its first try, where that was followed by another. All else of the record but the due time and
    /// when it was let go is of the last.
    pub retried: Option<Retried>,
}

/// The first of several tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retried {
    /// How many tries followed it.
    pub times: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// When, µs since the run's zero.
    pub done_us: i64,
}

impl RequestRecord {
    /// Counts against the system under test.
    #[must_use]
    pub fn bad(&self) -> bool {
        self.outcome.counts() && !self.good
    }

    /// Latency in µs: what a caller who arrived at the due time waited.
    #[must_use]
    pub fn latency_us(&self) -> i64 {
        self.done_us - self.due_us
    }

    /// How often it was tried: not at all if it was shed or dropped, or cut before it was let go.
    #[must_use]
    pub fn tries(&self) -> u64 {
        if self.left_us.is_none() || self.outcome == Outcome::Shed {
            return 0;
        }
        1 + self.retried.map_or(0, |first| u64::from(first.times))
    }

    /// How its first try ended, and when.
    #[must_use]
    pub fn first_try(&self) -> (Outcome, i64) {
        self.retried.map_or((self.outcome, self.done_us), |first| {
            (first.outcome, first.done_us)
        })
    }
}
