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
use tokio::sync::mpsc;

use super::{Pacer, Slots};
use crate::load::precedence::go_first;
use crate::load::run_delay::RunDelay;

/// Paces from a thread that sleeps to absolute times.
#[derive(Debug)]
pub struct ThreadPacer {
    due: mpsc::UnboundedReceiver<Range<u64>>,
    stop: Arc<AtomicBool>,
    /// What its thread waits for a CPU.
    run_delay: Option<RunDelay>,
}

/// The longest sleep, so that the thread soon sees that it is to stop, or that times have changed.
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
        let (tell, told) = blocking::channel();
        thread::Builder::new()
            .name("firedrill-pacer".to_owned())
            .spawn(move || {
                go_first();
                // Whoever started this waits for it.
                let _ = tell.send(RunDelay::here());
                pace(&slots, &out, &stopped);
            })?;
        let run_delay = told.recv().ok().flatten();
        Ok(Self {
            due,
            stop,
            run_delay,
        })
    }

    /// What its thread waits for a CPU, where that is counted; for the first who asks.
    pub(in crate::load) fn run_delay(&mut self) -> Option<RunDelay> {
        self.run_delay.take()
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
        let wait = u64::try_from(slots.due_us(next) - slots.clock().now_us()).unwrap_or(0);
        if wait > 0 {
            sleep(Duration::from_micros(wait).min(LONGEST_SLEEP));
            continue;
        }
        let begin = next;
        next = slots.not_due(begin);
        let over = begin == next && slots.is_over();
        if over || (begin < next && out.send(begin..next).is_err()) {
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
