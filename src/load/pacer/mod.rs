//! When arrivals are let go: at the times of the schedule, whatever the system under test does.

mod by_clock;
mod by_thread;
mod pacing;
mod slots;
mod standing_by;

use std::ops::Range;

use async_trait::async_trait;

pub use by_clock::ClockPacer;
pub use by_thread::ThreadPacer;
pub(super) use pacing::Pacing;
pub use slots::Slots;
pub(super) use standing_by::StandbyPacer;

/// Lets slots go as they fall due.
#[async_trait]
pub trait Pacer: Send {
    /// The next slots that are due, by their place in [`Slots`], in order and without a gap, but for those that another pacer of the
    /// same slots has let go; `None` at the load's end.
    /// Safe to cancel.
    async fn next(&mut self) -> Option<Range<u64>>;
}

#[cfg(test)]
mod testing {
    use std::time::Duration;

    use super::{Pacer, Slots};
    use crate::model::{PaceChange, Rate, Schedule, Stage};
    use crate::timeline::clock::Clock;

    pub(super) fn slots(rate: f64, length: Duration) -> Slots {
        let rate = Rate::per_second(rate).unwrap();
        let stage = Stage {
            from: rate,
            to: rate,
            length,
        };
        Slots::new(
            Schedule::new(Duration::ZERO, &[stage]),
            Clock::start(),
            2_000,
        )
    }

    /// From so long after the load's begin on.
    pub(super) fn change(into: Duration, factor: f64, held: bool) -> PaceChange {
        PaceChange {
            at_us: into.as_micros() as i64,
            factor,
            held,
        }
    }

    /// Makes each of these changes so long after the load's begin, to hold from 100 ms after that.
    pub(super) async fn change_later(slots: &Slots, changes: &[(u64, f64, bool)]) {
        for (at_ms, factor, held) in changes {
            let at_us = slots.started_us() + i64::try_from(at_ms * 1_000).unwrap();
            tokio::time::sleep_until(slots.clock().instant(at_us)).await;
            let into = Duration::from_millis(at_ms + 100);
            slots.pacing().change(&change(into, *factor, *held));
        }
    }

    /// Lets all of them go, and counts them.
    pub(super) async fn all(pacer: &mut dyn Pacer, slots: &Slots) -> u64 {
        let mut next = 0;
        while let Some(batch) = pacer.next().await {
            assert_eq!(batch.start, next, "no slot is left out or let go twice");
            next = batch.end;
            let now = slots.clock().now_us();
            assert!(
                slots.due_us(next - 1) <= now,
                "slot {} let go at {now}",
                next - 1
            );
        }
        assert!(
            slots.clock().now_us() >= slots.end_us(),
            "it ended before the load's end"
        );
        next
    }
}
