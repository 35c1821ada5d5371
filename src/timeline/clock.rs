//! The run's one clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::model::When;

/// The run's clock. Zero is the start of the run; the wall clock is read once, beside it, and never again.
/// It follows tokio's clock, so a paused runtime pauses it too.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    zero: Instant,
    zero_wall_ns: i64,
    zero_boottime_ns: i64,
}

impl Clock {
    /// A clock whose zero is now.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one reading of the wall clock"
    )]
    pub fn start() -> Self {
        let zero = Instant::now();
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Self {
            zero,
            zero_wall_ns: i64::try_from(wall.as_nanos()).unwrap_or(i64::MAX),
            zero_boottime_ns: boot.tv_sec * 1_000_000_000 + boot.tv_nsec,
        }
    }

    /// The clock of a run that another process began. On the same boot it goes on to the microsecond; after another it is
    /// placed by the wall clock.
    #[must_use]
    pub fn resume(zero_wall_ns: i64, zero_boottime_ns: i64, same_boot: bool) -> Self {
        let now = Self::start();
        let since_ns = if same_boot {
            now.zero_boottime_ns - zero_boottime_ns
        } else {
            now.zero_wall_ns - zero_wall_ns
        };
        let since = Duration::from_nanos(u64::try_from(since_ns).unwrap_or(0));
        Self {
            zero: now.zero.checked_sub(since).unwrap_or(now.zero),
            zero_wall_ns,
            zero_boottime_ns,
        }
    }

    /// µs since zero.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        self.at_us(Instant::now())
    }

    /// µs since zero of an instant; negative before it.
    #[must_use]
    pub fn at_us(&self, instant: Instant) -> i64 {
        match instant.checked_duration_since(self.zero) {
            Some(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            None => -i64::try_from((self.zero - instant).as_micros()).unwrap_or(i64::MAX),
        }
    }

    /// The instant at an offset; zero's for offsets before it.
    #[must_use]
    pub fn instant(&self, at_us: i64) -> Instant {
        self.zero + Duration::from_micros(u64::try_from(at_us).unwrap_or(0))
    }

    /// Wall clock of zero, ns since 1970.
    #[must_use]
    pub fn zero_wall_ns(&self) -> i64 {
        self.zero_wall_ns
    }

    /// `CLOCK_BOOTTIME` at zero, ns: places the run for a later reader on the same boot.
    #[must_use]
    pub fn zero_boottime_ns(&self) -> i64 {
        self.zero_boottime_ns
    }

    /// Offset of a wall-clock time; `skew_ns` is that clock less ours.
    #[must_use]
    pub fn wall_us(&self, wall_ns: i64, skew_ns: i64) -> i64 {
        (wall_ns - skew_ns - self.zero_wall_ns) / 1000
    }

    /// Wall-clock time (ns since 1970) of an offset.
    #[must_use]
    pub fn wall_ns(&self, at_us: i64) -> i64 {
        self.zero_wall_ns + at_us * 1000
    }

    /// Offset of an engine's event.
    #[must_use]
    pub fn when_us(&self, when: When, skew_ns: i64) -> i64 {
        match when {
            When::Here(instant) => self.at_us(instant),
            When::Wall(ns) => self.wall_us(ns, skew_ns),
        }
    }
}
