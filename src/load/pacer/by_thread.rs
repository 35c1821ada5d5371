//! Pacing from a thread of its own, closer than tokio's timers can.

use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as blocking;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use rustix::thread::{ClockId, Timespec, clock_nanosleep_absolute, set_current_timer_slack};
use rustix::time::clock_gettime;
use tokio::sync::Notify;
use tokio::time::sleep_until;

use super::{Pacer, Slots};
use crate::load::precedence::go_first;
use crate::load::run_delay::RunDelay;
use crate::load::standby::Whereabouts;

/// Paces from a thread that sleeps to absolute times, and calls whoever asks for slots when some are due.
#[derive(Debug)]
pub struct ThreadPacer {
    slots: Slots,
    bell: Arc<Bell>,
    /// What its thread waits for a CPU.
    run_delay: Option<RunDelay>,
    /// Where another engine learns on which CPU this one runs.
    whereabouts: Option<Whereabouts>,
}

/// Between the thread and whoever it paces.
#[derive(Debug, Default)]
struct Bell {
    /// Slots are due, or there will be no more.
    rings: Notify,
    /// There will be no more calls.
    ended: AtomicBool,
    /// Nobody waits any more.
    stop: AtomicBool,
}

/// The longest sleep, so that the thread soon sees that it is to stop, or that times have changed.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// How long after a slot's time its engine lets it go without a call.
const WITHOUT: Duration = Duration::from_millis(2);

/// How late the kernel may wake the thread to save energy; its default of 50 µs would show in every latency.
const TIMER_SLACK_NS: NonZeroU64 = NonZeroU64::MIN;

impl ThreadPacer {
    /// Starts the thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(slots: Slots) -> io::Result<Self> {
        let bell = Arc::<Bell>::default();
        let (of_thread, shared) = (slots.clone(), Arc::clone(&bell));
        let (tell, told) = blocking::channel();
        thread::Builder::new()
            .name("firedrill-pacer".to_owned())
            .spawn(move || {
                go_first();
                // Whoever started this waits for it.
                let _ = tell.send(RunDelay::here());
                pace(&of_thread, &shared);
            })?;
        let run_delay = told.recv().ok().flatten();
        Ok(Self {
            slots,
            bell,
            run_delay,
            whereabouts: None,
        })
    }

    /// Tells the one that stands by where it runs, and does without its thread where that is late.
    pub(in crate::load) fn stood_by(mut self, whereabouts: Whereabouts) -> Self {
        self.whereabouts = Some(whereabouts);
        self
    }

    /// Waits for a call.
    async fn called(&self) {
        let rings = self.bell.rings.notified();
        let Some(whereabouts) = &self.whereabouts else {
            return rings.await;
        };
        // The thread may be on the CPU that has stopped, too, and this one and the standby's cannot both be elsewhere on a machine
        // of two.
        let (due_us, clock) = (self.slots.due_us(self.slots.gone()), self.slots.clock());
        let without = clock.instant(due_us) + WITHOUT;
        tokio::select! {
            biased;
            () = rings => {}
            () = sleep_until(without) => {}
        }
        whereabouts.are_here();
    }

    /// What its thread waits for a CPU, where that is counted; for the first who asks.
    pub(in crate::load) fn run_delay(&mut self) -> Option<RunDelay> {
        self.run_delay.take()
    }
}

impl Drop for ThreadPacer {
    fn drop(&mut self) {
        self.bell.stop.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl Pacer for ThreadPacer {
    async fn next(&mut self) -> Option<Range<u64>> {
        // Slots are taken here and not by the thread that calls: where this one is held up, another can have them.
        loop {
            // In this order: what falls due after the look is not the last.
            let over = self.slots.is_over() || self.bell.ended.load(Ordering::Acquire);
            if let Some(due) = self.slots.take_due() {
                return Some(due);
            }
            if over {
                return None;
            }
            self.called().await;
        }
    }
}

fn pace(slots: &Slots, bell: &Bell) {
    // Without it wake-ups come some 50 µs later, which the recording shows; nothing else depends on it.
    let _ = set_current_timer_slack(Some(TIMER_SLACK_NS));
    let mut called = 0;
    while !bell.stop.load(Ordering::Relaxed) {
        // Those that somebody has let go need no call.
        let next = slots.gone().max(called);
        let now = slots.clock().now_us();
        let wait = u64::try_from(slots.due_us(next) - now).unwrap_or(0);
        if wait > 0 {
            sleep(Duration::from_micros(wait).min(LONGEST_SLEEP));
            continue;
        }
        called = slots.not_due(next);
        if called == next && slots.is_over() {
            bell.ended.store(true, Ordering::Release);
            bell.rings.notify_one();
            return;
        }
        if next < called {
            bell.rings.notify_one();
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
    use crate::load::pacer::testing::{all, change_later, slots};

    #[tokio::test]
    async fn the_thread_lets_every_slot_go_never_early() {
        let slots = slots(2_000.0, Duration::from_millis(300));
        let mut pacer = ThreadPacer::start(slots.clone()).unwrap();
        assert_eq!(all(&mut pacer, &slots).await, 600);
    }

    #[tokio::test]
    async fn the_thread_notices_changes_while_it_sleeps() {
        let slots = slots(500.0, Duration::from_millis(600));
        // Doubled at 300 ms, held from 500 to 800 ms: it would have been over by then.
        let changes = [(200, 2.0, false), (400, 2.0, true), (700, 2.0, false)];
        let mut pacer = ThreadPacer::start(slots.clone()).unwrap();
        let (seen, ()) = tokio::join!(all(&mut pacer, &slots), change_later(&slots, &changes));
        assert_eq!((seen, slots.count()), (150 + 600, 150 + 600));
        assert_eq!(slots.end_us(), 2_000 + 900_000);
    }
}
