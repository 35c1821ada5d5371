//! Which arrivals there are, and when each is due.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::pacing::{Now, Pacing};
use crate::model::{Poisson, Schedule};
use crate::timeline::clock::Clock;

/// The slots of a load, or those of one of its shards, and when they are due. A slot's place counts from 0 without gaps;
/// its number is unique in the whole load. Of `m` shards, shard `s` has the slots whose number is `s` modulo `m`.
#[derive(Debug, Clone)]
pub struct Slots {
    pacing: Arc<Pacing>,
    clock: Clock,
    started_us: i64,
    shard: u64,
    shards: u64,
    /// Where arrivals come at random.
    poisson: Option<Arc<Poisson>>,
    /// Those before this place have been let go; shared by all clones.
    gone: Arc<AtomicU64>,
}

impl Slots {
    /// The slots of `schedule`, slot 0 due at `started_us` (µs since `clock`'s zero).
    #[must_use]
    pub fn new(schedule: Schedule, clock: Clock, started_us: i64) -> Self {
        Self::paced(Arc::new(Pacing::new(schedule, None)), clock, started_us)
    }

    /// The slots of a load whose pace others may change, too.
    pub(in crate::load) fn paced(pacing: Arc<Pacing>, clock: Clock, started_us: i64) -> Self {
        Self {
            poisson: pacing.poisson().map(Arc::new),
            pacing,
            clock,
            started_us,
            shard: 0,
            shards: 1,
            gone: Arc::default(),
        }
    }

    /// The same slots at random times, drawn by this seed: a Poisson process whose rate is the schedule's.
    #[must_use]
    pub fn at_random(self, seed: u64) -> Self {
        let pacing = Pacing::new(self.pacing.planned().clone(), Some(seed));
        Self {
            poisson: pacing.poisson().map(Arc::new),
            pacing: Arc::new(pacing),
            ..self
        }
    }

    /// Those of one of `shards` shards.
    pub(in crate::load) fn of_shard(&self, shard: u64, shards: u64) -> Self {
        Self {
            shard,
            shards: shards.max(1),
            // A shard's own, so that shards need not wait for each other.
            poisson: self.poisson.as_ref().map(|p| Arc::new(p.again())),
            gone: Arc::default(),
            ..self.clone()
        }
    }

    /// The clock that they are due by.
    pub(in crate::load) fn clock(&self) -> Clock {
        self.clock
    }

    /// When the load begins, in µs since the run's zero.
    pub(in crate::load) fn started_us(&self) -> i64 {
        self.started_us
    }

    /// Tells whoever waits for a slot that its time may be another.
    pub(super) fn changes(&self) -> watch::Receiver<Now> {
        self.pacing.changes()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.pacing
            .by(|_, all| self.own(all), |changed| self.own(changed.count()))
    }

    /// How many are its own, of all slots of the load.
    fn own(&self, all: u64) -> u64 {
        all.saturating_sub(self.shard).div_ceil(self.shards)
    }

    /// The number, in the whole load, of the slot at `place`.
    #[must_use]
    pub fn number(&self, place: u64) -> u64 {
        place * self.shards + self.shard
    }

    /// When the slot at `place` is due, in µs since the run's zero; the load's end for places past the last.
    #[must_use]
    pub fn due_us(&self, place: u64) -> i64 {
        let number = self.number(place);
        let into_us = self.pacing.by(
            |schedule, all| {
                if place >= self.own(all) {
                    return micros(schedule.length());
                }
                match &self.poisson {
                    None => schedule.due_us(number),
                    Some(poisson) => schedule.due_at(poisson.place(number)),
                }
            },
            |changed| {
                if place >= self.own(changed.count()) {
                    return micros(changed.paced().length());
                }
                changed.paced().due_of(number, self.poisson.as_deref())
            },
        );
        self.started_us.saturating_add(into_us)
    }

    /// End of the load, in µs since the run's zero.
    #[must_use]
    pub fn end_us(&self) -> i64 {
        let length = self.pacing.by(
            |schedule, _| schedule.length(),
            |changed| changed.paced().length(),
        );
        self.started_us.saturating_add(micros(length))
    }

    #[cfg(test)]
    pub(super) fn pacing(&self) -> &Pacing {
        &self.pacing
    }

    /// Whether the load's end is past.
    pub(super) fn is_over(&self) -> bool {
        self.clock.now_us() >= self.end_us()
    }

    /// The first place that nobody has let go.
    pub(in crate::load) fn gone(&self) -> u64 {
        self.gone.load(Ordering::Acquire)
    }

    /// All before this place have been let go.
    pub(in crate::load) fn let_go(&self, end: u64) {
        self.gone.fetch_max(end, Ordering::AcqRel);
    }

    /// How many are due and let go by nobody.
    pub(super) fn due(&self) -> u64 {
        let gone = self.gone();
        self.not_due(gone) - gone
    }

    /// Takes all that are due and that nobody has let go, for whoever asks to do so; `None` if there are none.
    pub(in crate::load) fn take_due(&self) -> Option<Range<u64>> {
        self.take_some_due(u64::MAX)
    }

    /// Takes so many of them at most.
    pub(super) fn take_some_due(&self, most: u64) -> Option<Range<u64>> {
        let mut begin = self.gone();
        loop {
            let end = self.not_due(begin).min(begin.saturating_add(most));
            if begin == end {
                return None;
            }
            match self
                .gone
                .compare_exchange(begin, end, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return Some(begin..end),
                Err(now) => begin = now,
            }
        }
    }

    /// The first place from `next` on that is not due yet.
    pub(super) fn not_due(&self, next: u64) -> u64 {
        let now = self.clock.now_us();
        let count = self.count();
        let mut place = next;
        while place < count && self.due_us(place) <= now {
            place += 1;
        }
        place
    }
}

fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use crate::load::pacer::testing::slots;

    proptest! {
        #[test]
        fn shards_share_out_every_slot_once(rate in 1.0..900.0f64, shards in 1u64..9, random: bool) {
            let even = slots(rate, Duration::from_millis(700));
            let whole = if random { even.at_random(7) } else { even };
            let mut seen: Vec<_> = (0..shards)
                .map(|shard| whole.of_shard(shard, shards))
                .flat_map(|of| (0..of.count()).map(move |at| (of.number(at), of.due_us(at))).collect::<Vec<_>>())
                .collect();
            seen.sort_unstable();
            let all: Vec<_> = (0..whole.count()).map(|n| (n, whole.due_us(n))).collect();
            prop_assert_eq!(seen, all);
        }
    }
}
