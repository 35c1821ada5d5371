//! When arrivals are let go: at the times of the schedule, whatever the system under test does.

use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use rustix::thread::{ClockId, Timespec, clock_nanosleep_absolute, set_current_timer_slack};
use rustix::time::clock_gettime;
use tokio::sync::mpsc;

use super::precedence::go_first;
use crate::model::Schedule;
use crate::timeline::clock::Clock;

/// The slots of a load and when they are due.
#[derive(Debug, Clone)]
pub struct Slots {
    schedule: Schedule,
    clock: Clock,
    started_us: i64,
}

impl Slots {
    /// The slots of `schedule`, slot 0 due at `started_us` (µs since `clock`'s zero).
    #[must_use]
    pub fn new(schedule: Schedule, clock: Clock, started_us: i64) -> Self {
        Self {
            schedule,
            clock,
            started_us,
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.schedule.slots()
    }

    /// When slot `n` is due, in µs since the run's zero; the load's end for slots past the last.
    #[must_use]
    pub fn due_us(&self, n: u64) -> i64 {
        if n < self.count() {
            self.started_us + self.schedule.due_us(n)
        } else {
            self.end_us()
        }
    }

    /// End of the load, in µs since the run's zero.
    #[must_use]
    pub fn end_us(&self) -> i64 {
        let length = self.schedule.length().as_micros();
        self.started_us + i64::try_from(length).unwrap_or(i64::MAX)
    }

    /// The first slot from `next` on that is not due yet.
    fn not_due(&self, next: u64) -> u64 {
        let now = self.clock.now_us();
        let count = self.count();
        let mut slot = next;
        while slot < count && self.due_us(slot) <= now {
            slot += 1;
        }
        slot
    }
}

/// Lets slots go as they fall due.
#[async_trait]
pub trait Pacer: Send {
    /// The next slots that are due, in order and without a gap; `None` at the load's end. Safe to cancel.
    async fn next(&mut self) -> Option<Range<u64>>;
}

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
        tokio::time::sleep_until(self.slots.clock.instant(due)).await;
        let begin = self.next;
        self.next = self.slots.not_due(begin);
        (begin < self.next).then_some(begin..self.next)
    }
}

/// Paces from a thread of its own that sleeps to absolute times, closer than tokio's timers can.
#[derive(Debug)]
pub struct ThreadPacer {
    due: mpsc::UnboundedReceiver<Range<u64>>,
    stop: Arc<AtomicBool>,
}

/// The longest sleep, so that the thread soon sees that it is to stop.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// How late the kernel may wake the thread to save energy; its default of 50 µs would show in every latency.
const TIMER_SLACK_NS: NonZeroU64 = NonZeroU64::MIN;

impl ThreadPacer {
    /// Starts the thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(slots: Slots) -> io::Result<Self> {
        let (out, due) = mpsc::unbounded_channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        thread::Builder::new()
            .name("firedrill-pacer".to_owned())
            .spawn(move || {
                go_first();
                pace(&slots, &out, &stopped);
            })?;
        Ok(Self { due, stop })
    }
}

impl Drop for ThreadPacer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl Pacer for ThreadPacer {
    async fn next(&mut self) -> Option<Range<u64>> {
        self.due.recv().await
    }
}

fn pace(slots: &Slots, out: &mpsc::UnboundedSender<Range<u64>>, stop: &AtomicBool) {
    // Without it wake-ups come some 50 µs later, which the recording shows; nothing else depends on it.
    let _ = set_current_timer_slack(Some(TIMER_SLACK_NS));
    let mut next = 0;
    while !stop.load(Ordering::Relaxed) {
        let due = slots.due_us(next);
        let wait = u64::try_from(due - slots.clock.now_us()).unwrap_or(0);
        if wait > 0 {
            sleep(Duration::from_micros(wait).min(LONGEST_SLEEP));
            continue;
        }
        let begin = next;
        next = slots.not_due(begin);
        if begin == next || out.send(begin..next).is_err() {
            return;
        }
    }
}

/// Sleeps to an absolute time, so that being interrupted does not add up.
fn sleep(length: Duration) {
    let now = clock_gettime(ClockId::Monotonic);
    let nanos = now.tv_nsec + i64::from(length.subsec_nanos());
    let until = Timespec {
        tv_sec: now.tv_sec + i64::try_from(length.as_secs()).unwrap_or(0) + nanos / 1_000_000_000,
        tv_nsec: nanos % 1_000_000_000,
    };
    // Interrupted or not, the loop looks at the clock again.
    let _ = clock_nanosleep_absolute(ClockId::Monotonic, &until);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Rate, Stage};

    fn slots(rate: f64, length: Duration) -> Slots {
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

    async fn all(pacer: &mut dyn Pacer, slots: &Slots) -> u64 {
        let mut next = 0;
        while let Some(batch) = pacer.next().await {
            assert_eq!(batch.start, next, "no slot is left out or let go twice");
            next = batch.end;
            let now = slots.clock.now_us();
            assert!(
                slots.due_us(next - 1) <= now,
                "slot {} let go at {now}",
                next - 1
            );
        }
        assert!(
            slots.clock.now_us() >= slots.end_us(),
            "it ended before the load's end"
        );
        next
    }

    #[tokio::test(start_paused = true)]
    async fn a_paused_clock_paces_within_a_millisecond() {
        let slots = slots(3_000.0, Duration::from_secs(5));
        let mut pacer = ClockPacer::new(slots.clone());
        let mut seen = 0;
        while let Some(batch) = pacer.next().await {
            let late = slots.clock.now_us() - slots.due_us(batch.start);
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
    async fn the_thread_lets_every_slot_go_never_early() {
        let slots = slots(2_000.0, Duration::from_millis(300));
        let mut pacer = ThreadPacer::start(slots.clone()).unwrap();
        assert_eq!(all(&mut pacer, &slots).await, 600);
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_load_still_lasts() {
        let slots = slots(0.0, Duration::from_secs(3));
        assert_eq!(all(&mut ClockPacer::new(slots.clone()), &slots).await, 0);
    }
}
