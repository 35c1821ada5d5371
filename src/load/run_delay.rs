//! How long the threads that send waited for a CPU, by the scheduler's own count: what pressure of the whole machine does
//! not tell.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::sleep_until;

use crate::timeline::clock::Clock;

/// Statistics of the thread that opens it (kernel documentation, `scheduler/sched-stats`): time on a CPU and time waiting for
/// one, both in ns, and the number of its timeslices.
const STATISTICS: &str = "/proc/thread-self/schedstat";

const SECOND_US: i64 = 1_000_000;

/// Waiting in a second that is told.
const MUCH_US: i64 = 100_000;

/// The count of one thread.
#[derive(Debug)]
pub(super) struct RunDelay {
    statistics: File,
    /// At the last look.
    before_us: i64,
}

impl RunDelay {
    /// Of the calling thread; `None` on a kernel that does not count.
    pub(super) fn here() -> Option<Self> {
        Self::of(Path::new(STATISTICS)).ok()
    }

    fn of(path: &Path) -> io::Result<Self> {
        let mut delay = Self {
            statistics: File::open(path)?,
            before_us: 0,
        };
        delay.grown_us()?;
        Ok(delay)
    }

    /// Time waited since the last look, in µs.
    fn grown_us(&mut self) -> io::Result<i64> {
        let mut text = [0; 128];
        // From its beginning each time: the kernel writes it anew.
        let length = self.statistics.read_at(&mut text, 0)?;
        let text = std::str::from_utf8(&text[..length]).unwrap_or_default();
        let waited = text.split(' ').nth(1).and_then(|ns| ns.parse::<i64>().ok());
        let waited_us = waited.ok_or(io::ErrorKind::InvalidData)? / 1_000;
        let grown = waited_us - self.before_us;
        self.before_us = waited_us;
        Ok(grown)
    }
}

/// What the threads of one shard waited for a CPU.
#[derive(Debug, Clone, Default)]
pub(super) struct Waits(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    /// Seconds looked at, and those of them in which a thread waited for long.
    seconds: i64,
    long: i64,
    /// The longest wait in a second, and when that began.
    most_us: i64,
    most_from_us: i64,
}

impl Waits {
    /// Looks at the threads at every whole second since `started_us`, for as long as it is polled.
    pub(super) async fn watch(self, mut threads: Vec<RunDelay>, clock: Clock, started_us: i64) {
        let mut from_us = started_us;
        while !threads.is_empty() {
            let passed = (clock.now_us() - from_us).div_euclid(SECOND_US).max(0) + 1;
            sleep_until(clock.instant(from_us + passed * SECOND_US)).await;
            // A watch that was itself held up has slept through several seconds.
            let seconds = (clock.now_us() - from_us).div_euclid(SECOND_US).max(1);
            let mut most_us = 0;
            threads.retain_mut(|thread| match thread.grown_us() {
                Ok(grown_us) => {
                    most_us = most_us.max(grown_us);
                    true
                }
                Err(_) => false,
            });
            self.take(seconds, most_us, from_us - started_us);
            from_us += seconds * SECOND_US;
        }
    }

    fn take(&self, seconds: i64, most_us: i64, from_us: i64) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.seconds += seconds;
        if most_us > MUCH_US {
            seen.long += seconds;
        }
        if most_us > seen.most_us {
            (seen.most_us, seen.most_from_us) = (most_us, from_us);
        }
    }

    /// What a person should know: that one of them waited over 100 ms in a second.
    pub(super) fn note(&self) -> Option<String> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.long > 0).then(|| {
            format!(
                "a thread that sends waited for a CPU for over 100 ms in {} of {} seconds, most from +{:.1} s: {:.3} s; \
                 this machine has too few CPUs for what runs on it",
                seen.long,
                seen.seconds,
                seen.most_from_us as f64 / 1e6,
                seen.most_us as f64 / 1e6
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_of_long_waiting_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
        let write = |path: &Path, waited_us: i64| {
            fs::write(path, format!("77 {} 5\n", waited_us * 1_000)).unwrap();
        };
        write(&one, 5_000_000);
        write(&two, 0);
        let threads = [&one, &two].map(|path| RunDelay::of(path).unwrap());
        let (waits, clock) = (Waits::default(), Clock::start());
        let watching = waits.clone().watch(threads.into(), clock, 500_000);
        tokio::pin!(watching);
        let mut waited = [5_000_000, 0];
        // Each is written half a second before the look that sees it.
        for (second, grown) in [(1, [100_000, 0]), (2, [0, 340_000]), (3, [90_000, 90_000])] {
            let before = clock.instant(second * SECOND_US);
            let _ = tokio::time::timeout_at(before, &mut watching).await;
            for (path, (waited, grown)) in
                [&one, &two].into_iter().zip(waited.iter_mut().zip(grown))
            {
                *waited += grown;
                write(path, *waited);
            }
        }
        let _ = tokio::time::timeout(Duration::from_millis(600), &mut watching).await;
        let told = waits.note().unwrap();
        assert!(
            told.contains("in 1 of 3 seconds, most from +1.0 s: 0.340 s"),
            "{told}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn where_nothing_is_counted_nothing_is_said() {
        assert!(RunDelay::of(Path::new("/nowhere/schedstat")).is_err());
        let waits = Waits::default();
        waits.clone().watch(Vec::new(), Clock::start(), 0).await;
        assert_eq!(waits.note(), None);
    }
}
