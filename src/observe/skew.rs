//! Another machine's clock, compared with ours.

use std::time::Duration;

use crate::timeline::clock::Clock;
use crate::timeline::event::Event;

use super::error::AskError;

/// How a clock is read from afar.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// Readings are rounded down to this many µs.
    pub(super) resolution_us: i64,
    /// How often it is read.
    pub(super) rounds: u32,
    /// Time between two readings; shorter than the resolution, so that they see its edge.
    pub(super) pause: Duration,
}

/// A clock less ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Skew {
    pub(super) skew_us: i64,
    /// It may be off by this much.
    pub(super) error_us: i64,
}

impl Skew {
    /// What to take off that clock's times, in ns: nothing where the difference may well be none.
    pub(super) fn ns(self) -> i64 {
        if self.skew_us.abs() > self.error_us {
            self.skew_us * 1000
        } else {
            0
        }
    }

    /// As the journal keeps it.
    pub(super) fn event(self, source: &str) -> Event {
        Event::Skew {
            source: source.to_owned(),
            skew_us: self.skew_us,
            error_us: self.error_us,
        }
    }
}

/// Reads a clock (ns since 1970) several times over and says how far it is off.
///
/// # Errors
/// The first of `read`.
pub(super) async fn compare<F: Future<Output = Result<i64, AskError>>>(
    clock: Clock,
    how: Reading,
    read: impl Fn() -> F,
) -> Result<Skew, AskError> {
    let look = async || {
        let asked_us = clock.now_us();
        let read_us = clock.wall_us(read().await?, 0);
        let between = (asked_us, clock.now_us());
        Ok(Bounds::of(read_us, how.resolution_us, between))
    };
    let mut known = look().await?;
    for _ in 1..how.rounds {
        tokio::time::sleep(how.pause).await;
        known = known.narrowed(look().await?);
    }
    Ok(known.skew())
}

/// What a clock less ours can be, in µs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    low_us: i64,
    high_us: i64,
}

impl Bounds {
    /// From a reading that was made somewhere between asking and being answered (Cristian's method), and rounded down.
    fn of(read_us: i64, resolution_us: i64, (asked_us, answered_us): (i64, i64)) -> Self {
        Self {
            low_us: read_us - answered_us,
            high_us: read_us + resolution_us - asked_us,
        }
    }

    /// With what another reading leaves possible; that reading alone if the clock was set in between.
    fn narrowed(self, other: Self) -> Self {
        let both = Self {
            low_us: self.low_us.max(other.low_us),
            high_us: self.high_us.min(other.high_us),
        };
        if both.low_us <= both.high_us {
            both
        } else {
            other
        }
    }

    fn skew(self) -> Skew {
        let skew_us = i64::midpoint(self.low_us, self.high_us);
        Skew {
            skew_us,
            error_us: self.high_us - skew_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truth_lies_within_and_more_readings_narrow_it() {
        // A clock 3.2 s ahead that shows whole seconds, read every 150 ms with answers after 4 ms.
        let mut known: Option<Bounds> = None;
        let mut last = i64::MAX;
        for asked in (0..1_000_000).step_by(150_000) {
            let read = (asked + 2_000 + 3_200_000) / 1_000_000 * 1_000_000;
            let seen = Bounds::of(read, 1_000_000, (asked, asked + 4_000));
            let bounds = known.map_or(seen, |k| k.narrowed(seen));
            assert!((bounds.low_us..=bounds.high_us).contains(&3_200_000));
            assert!(bounds.skew().error_us <= last);
            last = bounds.skew().error_us;
            known = Some(bounds);
        }
        assert!(last <= 77_000, "{last}");
        let skew = known.unwrap().skew();
        assert!((skew.skew_us - 3_200_000).abs() <= skew.error_us);
        assert_eq!(skew.ns(), skew.skew_us * 1000);
    }

    #[test]
    fn a_difference_within_the_error_is_none() {
        let near = Bounds::of(1_000, 1_000, (0, 4_000)).skew();
        assert_eq!((near.skew_us, near.error_us, near.ns()), (-500, 2_500, 0));
    }

    #[test]
    fn a_clock_that_was_set_is_read_anew() {
        let (before, after) = (
            Bounds::of(0, 1_000, (0, 1_000)),
            Bounds::of(9_000_000, 1_000, (2_000, 3_000)),
        );
        assert_eq!(before.narrowed(after), after);
    }
}
