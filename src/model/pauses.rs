//! A schedule that stands still from time to time.

/// When an operator had the schedule stand still, in µs since the run's zero.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pauses {
    over: Vec<(i64, i64)>,
    since_us: Option<i64>,
}

impl Pauses {
    /// It stands still from here on. False where it does already.
    pub fn begin(&mut self, at_us: i64) -> bool {
        let begins = self.since_us.is_none();
        self.since_us.get_or_insert(at_us);
        begins
    }

    /// It goes on from here. False where it does already.
    pub fn end(&mut self, at_us: i64) -> bool {
        let since = self.since_us.take();
        self.over.extend(since.map(|since| (since, at_us)));
        since.is_some()
    }

    /// Since when it stands still, if it does.
    #[must_use]
    pub fn since_us(&self) -> Option<i64> {
        self.since_us
    }

    /// When the schedule is so far after `from_us`; `None` as long as it stands still before that.
    #[must_use]
    pub fn due_us(&self, from_us: i64, wait_us: i64) -> Option<i64> {
        let mut due_us = from_us.saturating_add(wait_us);
        for (begin, end) in &self.over {
            if *end > from_us && *begin < due_us {
                due_us = due_us.saturating_add(end - (*begin).max(from_us));
            }
        }
        self.since_us
            .is_none_or(|since| since >= due_us)
            .then_some(due_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_later_comes_later_by_the_pauses() {
        let mut pauses = Pauses::default();
        assert_eq!(pauses.due_us(100, 50), Some(150));
        assert!(pauses.begin(120));
        assert!(!pauses.begin(125));
        assert_eq!(pauses.due_us(100, 50), None);
        assert_eq!(pauses.due_us(100, 20), Some(120), "due before it");
        assert!(pauses.end(130));
        assert!(!pauses.end(140));
        assert_eq!(pauses.due_us(100, 50), Some(160));
        assert_eq!(pauses.due_us(125, 50), Some(180), "in the middle of it");
        assert_eq!(pauses.due_us(130, 50), Some(180), "after it");
        pauses.begin(155);
        pauses.end(255);
        assert_eq!(
            pauses.due_us(100, 50),
            Some(260),
            "one pause reaches the next"
        );
    }
}
