//! Pacing by tokio's clock: by ticks of a millisecond.

use std::ops::Range;

use async_trait::async_trait;
use tokio::sync::watch;

use super::pacing::Now;
use super::{Pacer, Slots};

/// Paces by the timers of the runtime that sends, which go by the millisecond: all that fell due in one goes at once, and no
/// other thread has to be woken. A paused clock paces, too.
#[derive(Debug)]
pub struct ClockPacer {
    slots: Slots,
    next: u64,
    changes: watch::Receiver<Now>,
}

impl ClockPacer {
    /// A pacer of these slots.
    #[must_use]
    pub fn new(slots: Slots) -> Self {
        Self {
            changes: slots.changes(),
            slots,
            next: 0,
        }
    }
}

#[async_trait]
impl Pacer for ClockPacer {
    async fn next(&mut self) -> Option<Range<u64>> {
        loop {
            let begin = self.next;
            let due = self.slots.due_us(begin);
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(self.slots.clock().instant(due)) => {
                    self.next = self.slots.not_due(begin);
                    if begin < self.next {
                        return Some(begin..self.next);
                    }
                    if self.slots.is_over() {
                        return None;
                    }
                }
                Ok(()) = self.changes.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::pacer::testing::{all, change_later, slots};

    #[tokio::test(start_paused = true)]
    async fn a_paused_clock_paces_within_a_millisecond() {
        let slots = slots(3_000.0, Duration::from_secs(5));
        let mut pacer = ClockPacer::new(slots.clone());
        let mut seen = 0;
        while let Some(batch) = pacer.next().await {
            let late = slots.clock().now_us() - slots.due_us(batch.start);
            assert!(
                (0..=1_000).contains(&late),
                "slot {} is {late} µs late",
                batch.start
            );
            seen = batch.end;
        }
        assert_eq!(seen, 15_000);
    }

    #[tokio::test]
    async fn many_go_at_once_and_none_early() {
        let slots = slots(20_000.0, Duration::from_millis(300));
        let mut pacer = ClockPacer::new(slots.clone());
        let (mut next, mut batches) = (0, 0);
        while let Some(batch) = pacer.next().await {
            assert_eq!(batch.start, next);
            (next, batches) = (batch.end, batches + 1);
            assert!(slots.due_us(next - 1) <= slots.clock().now_us());
        }
        assert_eq!(next, 6_000);
        assert!(batches <= 303, "{batches} wake-ups in 300 ms");
    }

    #[tokio::test(start_paused = true)]
    async fn it_notices_changes_while_it_waits() {
        // One in 10 s, doubled, then held past its end and let go.
        let slow = slots(0.1, Duration::from_secs(20));
        let changes = [(900, 4.0, false), (18_900, 4.0, true), (59_900, 4.0, false)];
        let mut pacer = ClockPacer::new(slow.clone());
        let (seen, ()) = tokio::join!(all(&mut pacer, &slow), change_later(&slow, &changes));
        // 0.1 in the first second, 0.4 in each of the other 19 and of the 41 that it is held.
        assert_eq!(seen, 25, "{}", slow.count());
        assert_eq!(slow.count(), 25);
        assert_eq!(slow.end_us(), 61_002_000);
    }

    #[tokio::test(start_paused = true)]
    async fn random_arrivals_follow_and_those_before_stay() {
        let planned = slots(100.0, Duration::from_secs(10)).at_random(7);
        let was: Vec<_> = (0..planned.count()).map(|n| planned.due_us(n)).collect();
        let mut pacer = ClockPacer::new(planned.clone());
        let changes = [(3_900, 3.0, false)];
        let (seen, ()) = tokio::join!(all(&mut pacer, &planned), change_later(&planned, &changes));
        assert_eq!(seen, planned.count());
        assert!((2_150..2_250).contains(&seen), "{seen}");
        let changed_us = 4_002_000;
        for (n, was) in (0..).zip(was) {
            let is = planned.due_us(n);
            assert!(if was < changed_us {
                is == was
            } else {
                is >= changed_us
            });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_load_still_lasts() {
        let slots = slots(0.0, Duration::from_secs(3));
        assert_eq!(all(&mut ClockPacer::new(slots.clone()), &slots).await, 0);
    }
}
