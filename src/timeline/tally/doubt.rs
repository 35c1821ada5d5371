//! What the harness itself may have caused, and how to judge it both ways.

use crate::model::{Outcome, RequestRecord};

const SECOND_US: i64 = 1_000_000;
/// A request left on time if no later than this.
const ON_TIME_US: i64 = 10_000;
/// Share of a slice's requests that must leave on time.
const ON_TIME_SHARE: f64 = 0.99;

/// The slices of a run in which the generator or its machine may have spoilt the measurement.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Doubt {
    /// Suspect slices `[from, to)` in µs since the run's zero, in order and apart.
    pub slices: Vec<(i64, i64)>,
    /// Slots that became due.
    pub slots: u64,
    /// Slots that were dropped.
    pub dropped: u64,
}

/// Due and on time in one second.
#[derive(Clone, Copy, Default)]
struct Slice {
    due: u64,
    on_time: u64,
}

impl Slice {
    fn late(self) -> bool {
        (self.on_time as f64) < ON_TIME_SHARE * self.due as f64
    }
}

impl Doubt {
    /// Finds the suspect slices: the seconds from `started_us` of which under 99 % of the due slots (or of all due
    /// requests) left the pacer within 10 ms of their time, and the `starved` seconds, given by their begin.
    #[must_use]
    pub fn new(requests: &[RequestRecord], started_us: i64, starved: &[i64]) -> Self {
        let second = |due_us: i64| due_us.saturating_sub(started_us).div_euclid(SECOND_US);
        let mut found: Vec<_> = starved
            .iter()
            .map(|from| (*from, from + SECOND_US))
            .collect();
        for slice in requests.chunk_by(|a, b| second(a.due_us) == second(b.due_us)) {
            // Slots are looked at on their own too, or the many later requests of journeys would hide late slots.
            let [mut slots, mut all] = [Slice::default(); 2];
            for r in slice {
                let on_time = r.left_us.is_some_and(|left| left - r.due_us <= ON_TIME_US);
                for count in [(r.request == 0).then_some(&mut slots), Some(&mut all)]
                    .into_iter()
                    .flatten()
                {
                    count.due += 1;
                    count.on_time += u64::from(on_time);
                }
            }
            if slots.late() || all.late() {
                let from = started_us + second(slice[0].due_us) * SECOND_US;
                found.push((from, from + SECOND_US));
            }
        }
        found.sort_unstable();
        let mut slices: Vec<(i64, i64)> = Vec::new();
        for (from, to) in found {
            match slices.last_mut() {
                Some(last) if from < last.1 => last.1 = last.1.max(to),
                _ => slices.push((from, to)),
            }
        }
        let slots = requests.iter().filter(|r| r.request == 0);
        Self {
            slices,
            slots: slots.clone().count() as u64,
            dropped: slots.filter(|r| r.outcome == Outcome::Dropped).count() as u64,
        }
    }

    /// Whether the harness may have caused how this request ended: it was due in a suspect slice, or dropped.
    #[must_use]
    pub fn suspects(&self, r: &RequestRecord) -> bool {
        let next = self.slices.partition_point(|(from, _)| *from <= r.due_us);
        let within = next
            .checked_sub(1)
            .is_some_and(|i| r.due_us < self.slices[i].1);
        within || r.outcome == Outcome::Dropped
    }

    /// Share of the slots that were dropped.
    #[must_use]
    pub fn dropped_share(&self) -> f64 {
        self.dropped as f64 / self.slots.max(1) as f64
    }
}

/// How to take suspect requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// As they ended.
    AsRecorded,
    /// All good.
    SuspectsGood,
    /// All bad.
    SuspectsBad,
}

/// What a request counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Good.
    Good,
    /// Bad.
    Bad,
    /// Neither: it stands outside every share.
    Neither,
}

/// A way to look at the requests of a run.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// What is suspect.
    pub doubt: &'a Doubt,
    /// How that is taken.
    pub reading: Reading,
}

impl View<'_> {
    /// Whether it is suspect, and this reading asks.
    fn suspects(self, r: &RequestRecord) -> bool {
        self.reading != Reading::AsRecorded && r.outcome != Outcome::Cut && self.doubt.suspects(r)
    }

    /// What a caller waited, µs: none at all where the generator may have made the wait.
    #[must_use]
    pub fn latency_us(self, r: &RequestRecord) -> i64 {
        if self.suspects(r) { 0 } else { r.latency_us() }
    }

    /// What a request counts as. `cut` is neither in every reading: no harness made it end so late.
    #[must_use]
    pub fn of(self, r: &RequestRecord) -> Standing {
        match (self.reading, self.suspects(r)) {
            (Reading::SuspectsGood, true) => Standing::Good,
            (Reading::SuspectsBad, true) => Standing::Bad,
            (Reading::AsRecorded | Reading::SuspectsGood | Reading::SuspectsBad, _) => {
                if !r.outcome.counts() {
                    Standing::Neither
                } else if r.good {
                    Standing::Good
                } else {
                    Standing::Bad
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::tally::dossier::testing::request;

    fn second(from_us: i64, late: usize) -> impl Iterator<Item = RequestRecord> {
        (0..100).map(move |i| {
            let mut r = request(from_us + i * 10_000, 100, Outcome::Ok);
            let lag = if (i as usize) < late { 10_001 } else { 10_000 };
            r.left_us = Some(r.due_us + lag);
            r
        })
    }

    #[test]
    fn a_second_with_under_99_percent_on_time_is_suspect() {
        let zero = 500_000;
        let requests: Vec<_> = second(zero, 1)
            .chain(second(zero + SECOND_US, 2))
            .chain(second(zero + 2 * SECOND_US, 0))
            .collect();
        let doubt = Doubt::new(&requests, zero, &[]);
        assert_eq!(doubt.slices, [(1_500_000, 2_500_000)]);
        let suspect = requests.iter().filter(|r| doubt.suspects(r)).count();
        assert_eq!((suspect, doubt.slots, doubt.dropped), (100, 300, 0));
        // A starved second that overlaps makes one slice of both.
        let doubt = Doubt::new(&requests, zero, &[2_000_000, 9_000_000]);
        assert_eq!(
            doubt.slices,
            [(1_500_000, 3_000_000), (9_000_000, 10_000_000)]
        );
    }

    #[test]
    fn late_slots_do_not_hide_behind_later_requests() {
        let mut requests: Vec<_> = second(0, 2).collect();
        requests.extend(second(0, 0).map(|r| RequestRecord { request: 1, ..r }));
        requests.sort_by_key(|r| r.due_us);
        assert_eq!(Doubt::new(&requests, 0, &[]).slices.len(), 1);
    }

    #[test]
    fn suspects_count_both_ways_and_cut_ones_never() {
        let mut dropped = request(0, 0, Outcome::Dropped);
        dropped.left_us = None;
        let doubt = Doubt::new(&[dropped], 0, &[]);
        assert_eq!(doubt.dropped_share(), 1.0);
        let standing = |r: &RequestRecord| {
            [
                Reading::AsRecorded,
                Reading::SuspectsGood,
                Reading::SuspectsBad,
            ]
            .map(|reading| {
                View {
                    doubt: &doubt,
                    reading,
                }
                .of(r)
            })
        };
        assert_eq!(
            standing(&dropped),
            [Standing::Neither, Standing::Good, Standing::Bad]
        );
        assert_eq!(
            standing(&request(5, 1, Outcome::Reset)),
            [Standing::Bad, Standing::Good, Standing::Bad]
        );
        assert_eq!(
            standing(&request(5, 1, Outcome::Cut)),
            [Standing::Neither; 3]
        );
        assert_eq!(
            standing(&request(SECOND_US, 1, Outcome::Ok)),
            [Standing::Good; 3]
        );
    }
}
