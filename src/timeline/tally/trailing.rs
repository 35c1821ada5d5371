//! Counts over the last while, kept up with every request as it ends, in bounded memory.

use crate::model::{Journeys, RequestRecord};

/// Parts that a stretch is counted in: its begin is exact to one of them.
const PARTS: i64 = 200;
/// The shortest part, µs.
const SHORTEST_US: i64 = 10_000;

/// What of a request counts as a hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hit {
    /// It is bad.
    Bad,
    /// It is bad, or took at least so many µs from when it was due.
    Slow {
        /// That time.
        from_us: i64,
    },
}

impl Hit {
    /// Whether this request is one.
    #[must_use]
    pub fn is(self, r: &RequestRecord) -> bool {
        r.bad() || matches!(self, Self::Slow { from_us } if r.latency_us() >= from_us)
    }
}

/// Requests of a trailing stretch, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Begin of the stretch, µs since the run's zero.
    pub from_us: i64,
    /// Good and bad requests that ended in it.
    pub requests: u64,
    /// Hits among them.
    pub hits: u64,
}

impl Counted {
    /// Whether hits are at least this share of the requests.
    #[must_use]
    pub fn reaches(&self, share: f64) -> bool {
        self.hits as f64 >= share * self.requests as f64
    }

    /// Whether the element of nearest rank of a percentile (0.99 for p99) is a hit, where hits are the slowest.
    #[must_use]
    pub fn beyond(&self, percentile: f64) -> bool {
        let rank = (percentile * self.requests as f64).ceil() as u64;
        self.requests > 0 && self.requests - self.hits < rank.clamp(1, self.requests)
    }
}

/// Counts the requests that ended in the last while, of the journeys meant.
#[derive(Debug)]
pub struct Trailing {
    of: Journeys,
    hit: Hit,
    part_us: i64,
    /// One for each part of the stretch and one that is being filled, by the part's number modulo their count.
    parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Part {
    number: i64,
    requests: u64,
    hits: u64,
}

impl Trailing {
    /// A count over stretches of `over_us`.
    #[must_use]
    pub fn new(of: Journeys, hit: Hit, over_us: i64) -> Self {
        let part_us = (over_us / PARTS).max(SHORTEST_US);
        let parts = usize::try_from(over_us.div_euclid(part_us).max(1)).unwrap_or(1);
        Self {
            of,
            hit,
            part_us,
            parts: vec![Part::default(); parts],
        }
    }

    /// Takes in a request that has ended.
    pub fn add(&mut self, r: &RequestRecord) {
        if !r.outcome.counts() || !self.of.contains(r.journey) {
            return;
        }
        let number = r.done_us.div_euclid(self.part_us);
        let part = self.part(number);
        if part.number > number {
            // It comes too late to be of any stretch that is still to be asked for.
            return;
        }
        if part.number < number {
            *part = Part {
                number,
                ..Part::default()
            };
        }
        part.requests += 1;
        let hit = self.hit.is(r);
        self.part(number).hits += u64::from(hit);
    }

    /// What ended in the stretch that ends at `now_us`.
    #[must_use]
    pub fn at(&self, now_us: i64) -> Counted {
        let newest = now_us.div_euclid(self.part_us);
        let oldest = newest - self.parts.len() as i64 + 1;
        let mut counted = Counted {
            from_us: oldest * self.part_us,
            requests: 0,
            hits: 0,
        };
        for part in &self.parts {
            if (oldest..=newest).contains(&part.number) {
                counted.requests += part.requests;
                counted.hits += part.hits;
            }
        }
        counted
    }

    fn part(&mut self, number: i64) -> &mut Part {
        let index = number.rem_euclid(self.parts.len() as i64);
        &mut self.parts[usize::try_from(index).unwrap_or(0)]
    }
}

/// The last good request so far, of the journeys meant.
#[derive(Debug)]
pub struct LastGood {
    of: Journeys,
    done_us: Option<i64>,
}

impl LastGood {
    /// None has ended yet.
    #[must_use]
    pub fn new(of: Journeys) -> Self {
        Self { of, done_us: None }
    }

    /// Takes in a request that has ended.
    pub fn add(&mut self, r: &RequestRecord) {
        if r.good && r.outcome.counts() && self.of.contains(r.journey) {
            self.done_us = self.done_us.max(Some(r.done_us));
        }
    }

    /// Its completion, µs since the run's zero.
    #[must_use]
    pub fn done_us(&self) -> Option<i64> {
        self.done_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Outcome;
    use crate::timeline::tally::dossier::testing::request;

    const S: i64 = 1_000_000;

    /// One request that was due at `due_us` and took `took_us`.
    fn ended(due_us: i64, took_us: i64, outcome: Outcome) -> RequestRecord {
        request(due_us, took_us, outcome)
    }

    #[test]
    fn only_what_ended_lately_counts() {
        let mut bad = Trailing::new(Journeys::ALL, Hit::Bad, 10 * S);
        for second in 0..20 {
            let outcome = if second < 10 {
                Outcome::Ok
            } else {
                Outcome::Http5xx
            };
            bad.add(&ended(second * S, 1000, outcome));
        }
        let at = |s: i64| bad.at(s * S + 500_000);
        assert_eq!((at(19).requests, at(19).hits), (10, 10));
        assert_eq!((at(25).requests, at(25).hits), (4, 4));
        assert_eq!(at(40).requests, 0);
        assert!(at(19).from_us >= 9 * S + 500_000 && at(19).from_us <= 9 * S + 550_000);
    }

    #[test]
    fn memory_is_bounded_and_late_news_is_left_out() {
        let mut bad = Trailing::new(Journeys::ALL, Hit::Bad, 3600 * S);
        assert!(bad.parts.len() as i64 <= PARTS);
        for n in 0..10_000 {
            bad.add(&ended(n * S, 0, Outcome::Refused));
        }
        let before = bad.at(10_000 * S);
        bad.add(&ended(0, 0, Outcome::Refused));
        assert_eq!(bad.at(10_000 * S), before);
        assert!((3570..=3600).contains(&before.requests), "{before:?}");
    }

    #[test]
    fn journeys_and_what_says_nothing_of_the_system_are_told_apart() {
        let of = |journey, outcome| RequestRecord {
            journey,
            ..ended(0, 0, outcome)
        };
        let mut bad = Trailing::new(Journeys::one(1), Hit::Bad, S);
        let mut good = LastGood::new(Journeys::one(1));
        for r in [
            of(0, Outcome::Ok),
            of(1, Outcome::Dropped),
            of(1, Outcome::Cut),
        ] {
            bad.add(&r);
            good.add(&r);
        }
        assert_eq!((bad.at(0).requests, good.done_us()), (0, None));
        bad.add(&of(1, Outcome::Ok));
        good.add(&of(1, Outcome::Ok));
        good.add(&ended(-5, 0, Outcome::Ok));
        assert_eq!((bad.at(0).requests, bad.at(0).hits), (1, 0));
        assert_eq!(good.done_us(), Some(0));
    }

    #[test]
    fn a_percentile_is_by_nearest_rank_and_bad_is_slower_than_any() {
        let mut slow = Trailing::new(Journeys::ALL, Hit::Slow { from_us: 2 * S }, 10 * S);
        for n in 0..100 {
            let (took, outcome) = match n {
                0 => (2 * S, Outcome::Ok),
                1 => (1, Outcome::Http5xx),
                _ => (2 * S - 1, Outcome::Ok),
            };
            slow.add(&ended(3 * S - took, took, outcome));
        }
        let counted = slow.at(3 * S);
        assert_eq!((counted.requests, counted.hits), (100, 2));
        assert!(counted.beyond(0.99) && !counted.beyond(0.98));
        assert!(counted.reaches(0.02) && !counted.reaches(0.021));
        let nothing = slow.at(100 * S);
        assert!(!Counted { hits: 0, ..nothing }.beyond(0.0));
    }
}
