//! What is known of the requests while the run goes on.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use hdrhistogram::Histogram;

use crate::model::{Outcome, RequestRecord};

use super::event::NameTable;
use super::tally::{LastGood, Trailing};

/// Answers are remembered by the first and the last of each such stretch.
const STRETCH_US: i64 = 100_000;
const SECOND_US: i64 = 1_000_000;
/// Seconds of which the figures are kept.
const SECONDS_KEPT: i64 = 5;

/// Requests counted by how they ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// All that became due and ended in any way.
    pub asked: u64,
    /// Good ones.
    pub good: u64,
    /// Bad ones.
    pub bad: u64,
    /// Each outcome that occurred.
    pub by_outcome: BTreeMap<Outcome, u64>,
}

impl Totals {
    fn add(&mut self, r: &RequestRecord) {
        self.asked += 1;
        self.good += u64::from(r.outcome.counts() && r.good);
        self.bad += u64::from(r.bad());
        *self.by_outcome.entry(r.outcome).or_default() += 1;
    }
}

/// The requests that ended in one second of the run's clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Second {
    /// Begin of the second, µs since the run's zero.
    pub from_us: i64,
    /// Its requests.
    pub totals: Totals,
    /// Median latency in µs of all but `shed`, `dropped` and `cut`; `None` without any.
    pub p50_us: Option<u64>,
    /// Its 99th percentile.
    pub p99_us: Option<u64>,
}

/// One instance or version that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Its name, as in the answers' header.
    pub name: String,
    /// Completion of its first answer of any kind, µs since the run's zero.
    pub first_us: i64,
    /// Completion of its last answer of any kind so far.
    pub last_us: i64,
}

/// Facts that the conductor asks for while requests come in. Every request is folded in as it is pushed.
#[derive(Debug, Default)]
pub struct Live(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    totals: Totals,
    journeys: Vec<Totals>,
    instances: Vec<Answers>,
    versions: Vec<Answers>,
    /// By the number of the second in which they ended.
    seconds: BTreeMap<i64, OneSecond>,
    watched: Vec<Watched>,
}

/// What is kept up over the requests for somebody who watches it.
#[derive(Debug)]
pub enum Watched {
    /// Counts over the last while.
    Trailing(Trailing),
    /// When a request was last good.
    LastGood(LastGood),
}

#[derive(Debug)]
struct OneSecond {
    totals: Totals,
    latency: Histogram<u64>,
}

/// Answers of one instance or version.
#[derive(Debug)]
struct Answers {
    name: String,
    /// First and last answer of any kind.
    any: Option<(i64, i64)>,
    /// Of a version: when each instance, by its number, last answered as it.
    last_by: BTreeMap<u16, i64>,
    /// Number of a stretch → first and last good answer in it.
    good: BTreeMap<i64, (i64, i64)>,
}

impl Answers {
    fn add(&mut self, r: &RequestRecord) {
        let t = r.done_us;
        let widen = |(first, last): (i64, i64)| (first.min(t), last.max(t));
        self.any = Some(self.any.map_or((t, t), widen));
        let last = self.last_by.entry(r.instance).or_insert(t);
        *last = t.max(*last);
        if r.good {
            let stretch = self.good.entry(t.div_euclid(STRETCH_US)).or_insert((t, t));
            *stretch = widen(*stretch);
        }
    }

    fn first_good_after(&self, t_us: i64) -> Option<i64> {
        let mut stretches = self.good.range(t_us.div_euclid(STRETCH_US)..);
        stretches.find_map(|(_, &(first, last))| [first, last].into_iter().find(|t| *t >= t_us))
    }
}

/// Takes requests in.
pub(super) struct Fold<'a>(MutexGuard<'a, State>);

impl Fold<'_> {
    pub(super) fn add(&mut self, r: &RequestRecord) {
        let state = &mut *self.0;
        state.totals.add(r);
        let journey = usize::from(r.journey);
        if state.journeys.len() <= journey {
            state.journeys.resize_with(journey + 1, Totals::default);
        }
        state.journeys[journey].add(r);
        for (table, id) in [
            (NameTable::Instance, r.instance),
            (NameTable::Version, r.version),
        ] {
            let known = usize::from(id).checked_sub(1);
            if let Some(answers) = known.and_then(|i| state.table(table).get_mut(i)) {
                answers.add(r);
            }
        }
        state.second(r);
        for watched in &mut state.watched {
            match watched {
                Watched::Trailing(trailing) => trailing.add(r),
                Watched::LastGood(last) => last.add(r),
            }
        }
    }
}

impl Live {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves counts that are at worst one request short.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a name; names come in the order of their numbers, from 1.
    pub(super) fn named(&self, table: NameTable, name: &str) {
        self.state().table(table).push(Answers {
            name: name.to_owned(),
            any: None,
            last_by: BTreeMap::new(),
            good: BTreeMap::new(),
        });
    }

    /// The facts to fold requests into, unless another thread has them.
    pub(super) fn try_fold(&self) -> Option<Fold<'_>> {
        match self.0.try_lock() {
            Ok(state) => Some(Fold(state)),
            Err(TryLockError::Poisoned(state)) => Some(Fold(state.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The facts to fold requests into.
    pub(super) fn fold(&self) -> Fold<'_> {
        Fold(self.state())
    }

    /// Keeps these up from here on, in place of what was kept up before; requests that ended earlier are not in them.
    pub fn watch(&self, watched: Vec<Watched>) {
        self.state().watched = watched;
    }

    /// Reads all that is kept up, in the order in which it was asked for.
    #[must_use]
    pub fn watched<T>(&self, read: impl FnMut(&Watched) -> T) -> Vec<T> {
        self.state().watched.iter().map(read).collect()
    }

    /// All requests so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.state().totals.clone()
    }

    /// The requests of journey `index` so far.
    #[must_use]
    pub fn journey(&self, index: u16) -> Totals {
        let state = self.state();
        state
            .journeys
            .get(usize::from(index))
            .cloned()
            .unwrap_or_default()
    }

    /// The last second that was over at `now_us`; empty if nothing ended in it.
    #[must_use]
    pub fn last_second(&self, now_us: i64) -> Second {
        let number = now_us.div_euclid(SECOND_US) - 1;
        let from_us = number * SECOND_US;
        let state = self.state();
        let Some(second) = state.seconds.get(&number) else {
            return Second {
                from_us,
                ..Second::default()
            };
        };
        let quantile =
            |q| (!second.latency.is_empty()).then(|| second.latency.value_at_quantile(q));
        Second {
            from_us,
            totals: second.totals.clone(),
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
        }
    }

    /// Completion of the first good answer at or after `t_us` of an instance whose name satisfies `is`; may be late
    /// by up to 100 ms, never early.
    #[must_use]
    pub fn first_good_after(&self, is: impl Fn(&str) -> bool, t_us: i64) -> Option<i64> {
        let state = self.state();
        let named = state.instances.iter().filter(|a| is(&a.name));
        named.filter_map(|a| a.first_good_after(t_us)).min()
    }

    /// Every instance that answered so far, in the order of their first naming.
    #[must_use]
    pub fn instances(&self) -> Vec<Answered> {
        self.state()
            .instances
            .iter()
            .filter_map(Answers::seen)
            .collect()
    }

    /// Every version that answered so far, in the order of their first naming.
    #[must_use]
    pub fn versions(&self) -> Vec<Answered> {
        self.state()
            .versions
            .iter()
            .filter_map(Answers::seen)
            .collect()
    }

    /// When an instance of such a name last answered as this version, in µs since the run's zero.
    #[must_use]
    pub fn last_answer_as(&self, version: &str, is: impl Fn(&str) -> bool) -> Option<i64> {
        let state = self.state();
        let version = state.versions.iter().find(|v| v.name == version)?;
        let by = version.last_by.iter().filter(|(instance, _)| {
            let named = usize::from(**instance).checked_sub(1);
            let named = named.and_then(|i| state.instances.get(i));
            named.is_some_and(|instance| is(&instance.name))
        });
        by.map(|(_, last)| *last).max()
    }
}

impl Answers {
    fn seen(&self) -> Option<Answered> {
        self.any.map(|(first_us, last_us)| Answered {
            name: self.name.clone(),
            first_us,
            last_us,
        })
    }
}

impl State {
    fn table(&mut self, table: NameTable) -> &mut Vec<Answers> {
        match table {
            NameTable::Instance => &mut self.instances,
            NameTable::Version => &mut self.versions,
        }
    }

    fn second(&mut self, r: &RequestRecord) {
        let number = r.done_us.div_euclid(SECOND_US);
        let second = self.seconds.entry(number).or_insert_with(|| OneSecond {
            totals: Totals::default(),
            latency: Histogram::new(2).expect("two significant digits are within 0 to 5"),
        });
        second.totals.add(r);
        if r.outcome.timed() {
            second
                .latency
                .record(u64::try_from(r.latency_us()).unwrap_or(0))
                .expect("a histogram without bounds grows to take any value");
        }
        if self.seconds.len() > SECONDS_KEPT as usize {
            let newest = self.seconds.last_key_value().map_or(number, |(n, _)| *n);
            self.seconds.retain(|n, _| *n > newest - SECONDS_KEPT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(done_us: i64, outcome: Outcome, instance: u16) -> RequestRecord {
        RequestRecord {
            n: 0,
            journey: 1,
            request: 0,
            user: 0,
            due_us: done_us - 1000,
            left_us: Some(done_us - 1000),
            sent_us: Some(done_us - 1000),
            done_us,
            outcome,
            good: outcome == Outcome::Ok,
            status: 200,
            instance,
            version: 0,
            retried: None,
        }
    }

    #[test]
    fn a_version_of_several_services_is_told_apart_by_who_answered() {
        let live = Live::default();
        live.named(NameTable::Instance, "a");
        live.named(NameTable::Instance, "b");
        live.named(NameTable::Version, "v1");
        for (t, instance) in [(100, 1), (200, 2), (300, 1), (900, 2), (950, 0)] {
            let answer = answer(t, Outcome::Ok, instance);
            live.fold().add(&RequestRecord {
                version: 1,
                ..answer
            });
        }
        assert_eq!(live.last_answer_as("v1", |name| name == "a"), Some(300));
        assert_eq!(live.last_answer_as("v1", |name| name == "c"), None);
        assert_eq!(live.last_answer_as("v2", |_| true), None);
        assert_eq!(live.versions()[0].last_us, 950);
    }

    #[test]
    fn totals_seconds_and_returns_are_known_at_once() {
        let live = Live::default();
        live.named(NameTable::Instance, "a");
        live.named(NameTable::Instance, "b");
        for (t, outcome, instance) in [
            (100_000, Outcome::Ok, 1),
            (1_500_000, Outcome::Http5xx, 2),
            (1_550_000, Outcome::Ok, 2),
            (1_590_000, Outcome::Ok, 2),
            (1_600_000, Outcome::Dropped, 0),
        ] {
            live.fold().add(&answer(t, outcome, instance));
        }
        let totals = live.totals();
        assert_eq!((totals.asked, totals.good, totals.bad), (5, 3, 1));
        assert_eq!(live.journey(1), totals);
        assert_eq!(live.journey(9), Totals::default());
        let second = live.last_second(2_000_000);
        assert_eq!((second.from_us, second.totals.asked), (1_000_000, 4));
        assert_eq!(second.p99_us.map(|us| us / 10), Some(100));
        assert_eq!(live.last_second(9_000_000).p99_us, None);
        let b = |name: &str| name == "b";
        assert_eq!(live.first_good_after(b, 0), Some(1_550_000));
        // Within a stretch only its first and last answers are kept: late, never early.
        assert_eq!(live.first_good_after(b, 1_550_001), Some(1_590_000));
        assert_eq!(live.first_good_after(b, 1_590_001), None);
        let seen = live.instances();
        assert_eq!((seen[1].first_us, seen[1].last_us), (1_500_000, 1_590_000));
    }
}
