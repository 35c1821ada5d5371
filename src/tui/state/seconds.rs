//! What ended in each second.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::model::{Outcome, RequestRecord};

const SECOND_US: i64 = 1_000_000;
/// Seconds whose latencies may still change: answers are told about in the order in which they come.
const OPEN: i64 = 3;

/// The requests that ended in one second of the run's clock.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    pub(crate) asked: u64,
    /// Of which a byte left.
    pub(crate) sent: u64,
    pub(crate) good: u64,
    pub(crate) bad: u64,
    pub(crate) p50_us: Option<u64>,
    pub(crate) p99_us: Option<u64>,
}

/// Every second so far.
#[derive(Debug, Default)]
pub(crate) struct Seconds {
    cells: BTreeMap<i64, Cell>,
    /// Of the seconds that are still open.
    latencies: BTreeMap<i64, Histogram<u64>>,
    /// Classes of the bad ones, of the seconds that are still open.
    classes: BTreeMap<i64, BTreeMap<Outcome, u64>>,
}

impl Seconds {
    pub(super) fn add(&mut self, r: &RequestRecord) {
        let number = r.done_us.div_euclid(SECOND_US);
        let cell = self.cells.entry(number).or_default();
        cell.asked += 1;
        cell.sent += u64::from(r.sent_us.is_some());
        cell.good += u64::from(r.outcome.counts() && r.good);
        cell.bad += u64::from(r.bad());
        if r.bad() {
            let classes = self.classes.entry(number).or_default();
            *classes.entry(r.outcome).or_default() += 1;
        }
        if r.outcome.timed() {
            let latencies = self.latencies.entry(number).or_insert_with(|| {
                Histogram::new(2).expect("two significant digits are within 0 to 5")
            });
            latencies
                .record(u64::try_from(r.latency_us()).unwrap_or(0))
                .expect("a histogram without bounds grows to take any value");
        }
        self.close(number - OPEN);
    }

    /// Settles the latencies of the seconds up to this one.
    fn close(&mut self, last: i64) {
        while let Some(entry) = self.latencies.first_entry()
            && *entry.key() <= last
        {
            let (number, latencies) = entry.remove_entry();
            if let Some(cell) = self.cells.get_mut(&number) {
                (cell.p50_us, cell.p99_us) = quantiles(&latencies);
            }
        }
        self.classes.retain(|number, _| *number > last);
    }

    /// The last second that is over at `now_us`.
    pub(crate) fn last(&self, now_us: i64) -> Cell {
        self.get(now_us.div_euclid(SECOND_US) - 1)
    }

    fn get(&self, number: i64) -> Cell {
        let mut cell = self.cells.get(&number).cloned().unwrap_or_default();
        if let Some(latencies) = self.latencies.get(&number) {
            (cell.p50_us, cell.p99_us) = quantiles(latencies);
        }
        cell
    }

    /// How the bad ones of the last second ended, the most frequent first.
    pub(crate) fn classes(&self, now_us: i64) -> Vec<(Outcome, u64)> {
        let number = now_us.div_euclid(SECOND_US) - 1;
        let classes = self.classes.get(&number).into_iter().flatten();
        let mut classes: Vec<_> = classes.map(|(outcome, count)| (*outcome, *count)).collect();
        classes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        classes
    }

    /// The worst p99 and the bad and good requests of a stretch; `None` where nothing ended in it.
    pub(crate) fn stretch(&self, from_us: i64, to_us: i64) -> Option<Cell> {
        let numbers = from_us.div_euclid(SECOND_US)
            ..to_us
                .div_euclid(SECOND_US)
                .max(from_us.div_euclid(SECOND_US) + 1);
        let mut sum: Option<Cell> = None;
        for (number, _) in self.cells.range(numbers) {
            let cell = self.get(*number);
            let sum = sum.get_or_insert_default();
            sum.asked += cell.asked;
            sum.good += cell.good;
            sum.bad += cell.bad;
            sum.p99_us = sum.p99_us.max(cell.p99_us);
        }
        sum
    }

    /// The worst p99 of any second.
    pub(crate) fn worst_us(&self) -> Option<u64> {
        let settled = self.cells.values().filter_map(|c| c.p99_us);
        settled.max()
    }
}

fn quantiles(latencies: &Histogram<u64>) -> (Option<u64>, Option<u64>) {
    let at = |q| (!latencies.is_empty()).then(|| latencies.value_at_quantile(q));
    (at(0.5), at(0.99))
}
