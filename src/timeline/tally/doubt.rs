//! What the harness itself may have caused, and how to judge it both ways.

use std::collections::BTreeMap;

use crate::model::{Journeys, Outcome, RequestRecord};

const SECOND_US: i64 = 1_000_000;
/// A request left on time if no later than this.
const ON_TIME_US: i64 = 10_000;
/// Share of a slice's requests that must leave on time.
const ON_TIME_SHARE: f64 = 0.99;

/// The slices of a run in which the generator or its machine may have spoilt what was seen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Doubt {
    /// Suspect slices `[from, to)` in µs since the run's zero, in order and apart.
    pub slices: Vec<(i64, i64)>,
    /// Those seconds of them in which the generator was late, in order and apart.
    pub late: Vec<(i64, i64)>,
    /// When the generator paused ([`Punctuality::pauses`]).
    pub pauses: Vec<(i64, i64)>,
    /// Slots that became due.
    pub slots: u64,
}

/// Due and on time in one second.
#[derive(Debug, Clone, Copy, Default)]
struct Slice {
    due: u64,
    on_time: u64,
}

impl Slice {
    fn add(&mut self, on_time: bool) {
        self.due += 1;
        self.on_time += u64::from(on_time);
    }

    fn late(self) -> bool {
        (self.on_time as f64) < ON_TIME_SHARE * self.due as f64
    }
}

/// Whether the generator kept to its times, second by second from the load's start.
#[derive(Debug, Clone)]
pub struct Punctuality {
    started_us: i64,
    /// By the number of the second: its slots, and all its requests. Slots are looked at on their own too, or the many
    /// later requests of journeys would hide late slots.
    seconds: BTreeMap<i64, [Slice; 2]>,
    /// The stretches in which late requests were let go, one soon after the other, by when they begin.
    late: BTreeMap<i64, Late>,
}

/// A stretch in which late requests were let go.
#[derive(Debug, Clone, Copy)]
struct Late {
    /// When the last of them was.
    to_us: i64,
    /// When the first of them was due.
    due_us: i64,
}

impl Punctuality {
    /// Of a load whose slot 0 is due at `started_us`.
    #[must_use]
    pub fn new(started_us: i64) -> Self {
        Self {
            started_us,
            seconds: BTreeMap::new(),
            late: BTreeMap::new(),
        }
    }

    /// Takes a request in; their order does not matter.
    pub fn add(&mut self, r: &RequestRecord) {
        let second = r
            .due_us
            .saturating_sub(self.started_us)
            .div_euclid(SECOND_US);
        let on_time = r.left_us.is_some_and(|left| left - r.due_us <= ON_TIME_US);
        let [slots, all] = self.seconds.entry(second).or_default();
        if r.request == 0 {
            slots.add(on_time);
        }
        all.add(on_time);
        if !on_time {
            let let_go_us = r.left_us.unwrap_or(r.done_us);
            let (to_us, due_us) = (let_go_us, r.due_us);
            self.let_go_late(let_go_us, Late { to_us, due_us });
        }
    }

    /// Takes in a stretch of late requests from `from_us` on: one with all that are no farther than a request may be late.
    fn let_go_late(&mut self, mut from_us: i64, mut stretch: Late) {
        while let Some((&begin, &near)) = self.late.range(..=stretch.to_us + ON_TIME_US).next_back()
            && near.to_us + ON_TIME_US >= from_us
        {
            self.late.remove(&begin);
            from_us = from_us.min(begin);
            stretch = Late {
                to_us: stretch.to_us.max(near.to_us),
                due_us: stretch.due_us.min(near.due_us),
            };
        }
        self.late.insert(from_us, stretch);
    }

    /// When the generator paused, `[from, to)` in order and apart: stretches of over 10 ms in which something was due and
    /// nothing was let go. What it then let go late is behind them: a generator that catches up is at work.
    #[must_use]
    pub fn pauses(&self) -> Vec<(i64, i64)> {
        let mut at_work_until = i64::MIN;
        let stretches = self.late.iter().map(|(&let_go_us, stretch)| {
            let from_us = stretch.due_us.max(at_work_until);
            at_work_until = stretch.to_us;
            (from_us, let_go_us)
        });
        stretches
            .filter(|(from, to)| to - from > ON_TIME_US)
            .collect()
    }

    /// Takes in what another shard of the same load kept to.
    pub fn merge(&mut self, other: &Self) {
        for (second, theirs) in &other.seconds {
            let ours = self.seconds.entry(*second).or_default();
            for (ours, theirs) in ours.iter_mut().zip(theirs) {
                ours.due += theirs.due;
                ours.on_time += theirs.on_time;
            }
        }
        for (from_us, stretch) in &other.late {
            self.let_go_late(*from_us, *stretch);
        }
    }

    /// The suspect slices `[from, to)`, in order and apart: the seconds of which under 99 % of the due slots (or of all
    /// due requests) left the pacer within 10 ms of their time, and the `starved` seconds, given by their begin.
    #[must_use]
    pub fn suspect(&self, starved: &[i64]) -> Vec<(i64, i64)> {
        seconds(self.late().chain(starved.iter().copied()))
    }

    /// Begins of the seconds in which too little left on time.
    fn late(&self) -> impl Iterator<Item = i64> {
        let late = self.seconds.iter();
        let late = late.filter(|(_, of)| of.iter().any(|s| s.late()));
        late.map(|(second, _)| self.started_us + second * SECOND_US)
    }

    /// Requests due, and those that left on time, in the seconds that `[from_us, to_us)` touches.
    #[must_use]
    pub fn within(&self, from_us: i64, to_us: i64) -> (u64, u64) {
        let second = |us: i64| (us - self.started_us).div_euclid(SECOND_US);
        let touched = self.seconds.range(second(from_us)..=second(to_us - 1));
        touched.fold((0, 0), |(due, on_time), (_, [_, all])| {
            (due + all.due, on_time + all.on_time)
        })
    }
}

/// The seconds that begin so, `[from, to)` in order and apart.
fn seconds(begins: impl Iterator<Item = i64>) -> Vec<(i64, i64)> {
    apart(begins.map(|from| (from, from + SECOND_US)))
}

/// These stretches `[from, to)` in order, those that overlap as one.
fn apart(stretches: impl Iterator<Item = (i64, i64)>) -> Vec<(i64, i64)> {
    let mut found: Vec<_> = stretches.filter(|(from, to)| from < to).collect();
    found.sort_unstable();
    let mut slices: Vec<(i64, i64)> = Vec::new();
    for (from, to) in found {
        match slices.last_mut() {
            Some(last) if from < last.1 => last.1 = last.1.max(to),
            _ => slices.push((from, to)),
        }
    }
    slices
}

impl Doubt {
    /// Finds the suspect slices ([`Punctuality::suspect`]) of loads of which the first began at `started_us`. Each is looked
    /// at on its own, or a busy one would hide that a light one was late: a second is suspect as a whole in which one was.
    #[must_use]
    pub fn new(
        requests: &[RequestRecord],
        loads: &[Journeys],
        started_us: i64,
        starved: &[i64],
    ) -> Self {
        let mut each = vec![Punctuality::new(started_us); loads.len().max(1)];
        for r in requests {
            let load = loads.iter().position(|load| load.contains(r.journey));
            each[load.unwrap_or(0)].add(r);
        }
        let late = || each.iter().flat_map(Punctuality::late);
        let slices = seconds(late().chain(starved.iter().copied()));
        let late = seconds(late());
        let mut all = Punctuality::new(started_us);
        each.iter().for_each(|load| all.merge(load));
        Self {
            slices,
            late,
            pauses: all.pauses(),
            slots: requests.iter().filter(|r| r.request == 0).count() as u64,
        }
    }

    /// The same, and suspect in these stretches `[from, to)`, too.
    #[must_use]
    pub fn with(mut self, stretches: impl IntoIterator<Item = (i64, i64)>) -> Self {
        let slices = std::mem::take(&mut self.slices);
        self.slices = apart(slices.into_iter().chain(stretches));
        self
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
        let doubt = Doubt::new(&requests, &[], zero, &[]);
        assert_eq!(doubt.slices, [(1_500_000, 2_500_000)]);
        let suspect = requests.iter().filter(|r| doubt.suspects(r)).count();
        assert_eq!((suspect, doubt.slots), (100, 300));
        // A starved second that overlaps makes one slice of both.
        let doubt = Doubt::new(&requests, &[], zero, &[2_000_000, 9_000_000]);
        assert_eq!(
            doubt.slices,
            [(1_500_000, 3_000_000), (9_000_000, 10_000_000)]
        );
        assert_eq!(doubt.late, [(1_500_000, 2_500_000)]);
        // So does any other stretch; an empty one makes none.
        let doubt = doubt.with([(9_500_000, 12_000_000), (2_000_000, 2_100_000), (5, 5)]);
        assert_eq!(
            doubt.slices,
            [(1_500_000, 3_000_000), (9_000_000, 12_000_000)]
        );
        assert_eq!(doubt.late, [(1_500_000, 2_500_000)]);
    }

    #[test]
    fn a_pause_begins_with_what_it_held_up_first_and_ends_when_that_is_let_go() {
        let mut requests: Vec<_> = (0..1_000)
            .map(|i| request(i * 1_000, 100, Outcome::Ok))
            .collect();
        for r in &mut requests {
            let held = [(200_000, 700_000), (900_000, 950_000)]
                .into_iter()
                .find(|(from, to)| (*from..*to).contains(&r.due_us));
            // Afterwards it catches up, 50 µs for each.
            r.left_us = held.map_or(r.left_us, |(from, to)| Some(to + (r.due_us - from) / 20));
        }
        let mut backwards = Punctuality::new(0);
        requests.iter().rev().for_each(|r| backwards.add(r));
        let mut halves = [Punctuality::new(0), Punctuality::new(0)];
        for (i, r) in requests.iter().enumerate() {
            halves[i % 2].add(r);
        }
        let [mut merged, other] = halves;
        merged.merge(&other);
        let expected = [(200_000, 700_000), (900_000, 950_000)];
        assert_eq!(Doubt::new(&requests, &[], 0, &[]).pauses, expected);
        assert_eq!(backwards.pauses(), expected);
        assert_eq!(merged.pauses(), expected);
    }

    #[test]
    fn late_slots_do_not_hide_behind_later_requests() {
        let mut requests: Vec<_> = second(0, 2).collect();
        requests.extend(second(0, 0).map(|r| RequestRecord { request: 1, ..r }));
        requests.sort_by_key(|r| r.due_us);
        assert_eq!(Doubt::new(&requests, &[], 0, &[]).slices.len(), 1);
    }

    #[test]
    fn suspects_count_both_ways_and_cut_ones_never() {
        let mut dropped = request(0, 0, Outcome::Dropped);
        dropped.left_us = None;
        let doubt = Doubt::new(&[dropped], &[], 0, &[]);
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

    #[test]
    fn a_busy_load_hides_no_late_one() {
        let mut requests: Vec<_> = (0..2_000)
            .map(|n| request(n * 1_000, 500, Outcome::Ok))
            .collect();
        for r in requests
            .iter_mut()
            .filter(|r| (1_000_000..1_005_000).contains(&r.due_us))
        {
            r.journey = 1;
            r.left_us = Some(r.due_us + 50_000);
        }
        let together = Doubt::new(&requests, &[], 0, &[]);
        assert!(together.slices.is_empty(), "5 of 1,000 are few");
        let loads = [Journeys::one(0), Journeys::one(1)];
        let apart = Doubt::new(&requests, &loads, 0, &[]);
        assert_eq!(apart.slices, [(1_000_000, 2_000_000)]);
        assert_eq!(
            (apart.pauses, apart.slots),
            (together.pauses, together.slots)
        );
    }
}
