//! Pacing by tokio's clock.

use std::ops::Range;

use async_trait::async_trait;

use super::{Pacer, Slots};

/// Paces by tokio's clock, to its millisecond; a paused clock paces, too.
#[derive(Debug)]
pub struct ClockPacer {
    slots: Slots,
    next: u64,
}

impl ClockPacer {
    /// A pacer of these slots.
    #[must_use]
    pub fn new(slots: Slots) -> Self {
        Self { slots, next: 0 }
    }
}

#[async_trait]
impl Pacer for ClockPacer {
    async fn next(&mut self) -> Option<Range<u64>> {
        let due = self.slots.due_us(self.next);
        tokio::time::sleep_until(self.slots.clock().instant(due)).await;
        let begin = self.next;
        self.next = self.slots.not_due(begin);
        (begin < self.next).then_some(begin..self.next)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::pacer::testing::{all, slots};

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

    #[tokio::test(start_paused = true)]
    async fn an_empty_load_still_lasts() {
        let slots = slots(0.0, Duration::from_secs(3));
        assert_eq!(all(&mut ClockPacer::new(slots.clone()), &slots).await, 0);
    }
}
