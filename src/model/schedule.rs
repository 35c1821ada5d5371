//! The arrival schedule: when slot *n* is due is a function of *n* alone.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Rate;

/// A stretch of load. `from` is the rate at its start, `to` at its end; they are equal in a constant stage.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Arrival rate at the stage's start.
    pub from: Rate,
    /// Arrival rate at the stage's end.
    pub to: Rate,
    /// How long it lasts.
    pub length: Duration,
}

impl Stage {
    /// Arrivals of the first `t` seconds: the integral of the rate.
    fn arrivals(&self, t: f64) -> f64 {
        let slope = (self.to.get() - self.from.get()) / self.length.as_secs_f64().max(1e-9);
        self.from.get() * t + slope * t * t / 2.0
    }

    /// Seconds into the stage at which `count` arrivals have come: the integral inverted, in the form of the
    /// quadratic's solution that does not cancel for small slopes.
    fn seconds_until(&self, count: f64) -> f64 {
        let from = self.from.get();
        let slope = (self.to.get() - from) / self.length.as_secs_f64().max(1e-9);
        let root = (from * from + 2.0 * slope * count).max(0.0).sqrt();
        if from + root > 0.0 {
            2.0 * count / (from + root)
        } else {
            0.0
        }
    }
}

/// All stages of a load, warm-up first. Slot *n* is due when the integral of the rate reaches *n*.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    stages: Vec<Placed>,
    warmup: Duration,
}

#[derive(Debug, Clone, PartialEq)]
struct Placed {
    stage: Stage,
    /// Seconds from the load's start.
    begins: f64,
    /// Arrivals before the stage.
    before: f64,
}

impl Schedule {
    /// A schedule of a warm-up at the first stage's rate, then the stages.
    #[must_use]
    pub fn new(warmup: Duration, stages: &[Stage]) -> Self {
        let first = stages.first().map(|s| Stage {
            from: s.from,
            to: s.from,
            length: warmup,
        });
        let (mut begins, mut before) = (0.0, 0.0);
        let stages = first
            .into_iter()
            .chain(stages.iter().copied())
            .map(|stage| {
                let placed = Placed {
                    stage,
                    begins,
                    before,
                };
                begins += stage.length.as_secs_f64();
                before += stage.arrivals(stage.length.as_secs_f64());
                placed
            })
            .collect();
        Self { stages, warmup }
    }

    /// Length of the warm-up.
    #[must_use]
    pub fn warmup(&self) -> Duration {
        self.warmup
    }

    /// Length of the whole load, warm-up included.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.stages.iter().map(|p| p.stage.length).sum()
    }

    /// Number of slots: those due before the end.
    #[must_use]
    pub fn slots(&self) -> u64 {
        // A slot due exactly at the end is not part of the load; the margin absorbs rounding of the integral.
        (self.arrivals_until(self.length()) - 1e-6).ceil().max(0.0) as u64
    }

    /// When slot `n` is due, in µs since the load's start; the end of the load for slots past it.
    #[must_use]
    pub fn due_us(&self, n: u64) -> i64 {
        self.due_at(n as f64)
    }

    /// When the integral of the rate reaches `n` arrivals (a fraction counts), in µs since the load's start; the end of the
    /// load where it never does.
    #[must_use]
    pub fn due_at(&self, n: f64) -> i64 {
        (self.seconds_at(n) * 1e6).round() as i64
    }

    /// As [`Self::due_at`], in seconds.
    pub(super) fn seconds_at(&self, n: f64) -> f64 {
        let holder = self.stages.iter().rev().find(|p| p.before <= n + 1e-9);
        let Some(placed) = holder else { return 0.0 };
        let t = placed.begins + placed.stage.seconds_until(n - placed.before);
        t.min(self.length().as_secs_f64())
    }

    /// Arrivals (a fraction counts) due in the first `t` of the load.
    #[must_use]
    pub fn arrivals_until(&self, t: Duration) -> f64 {
        self.arrivals_in(t.as_secs_f64())
    }

    /// As [`Self::arrivals_until`], `t` in seconds.
    pub(super) fn arrivals_in(&self, t: f64) -> f64 {
        let holder = self.stages.iter().rev().find(|p| p.begins <= t);
        holder.map_or(0.0, |p| {
            p.before
                + p.stage
                    .arrivals((t - p.begins).min(p.stage.length.as_secs_f64()))
        })
    }

    /// Planned arrival rate `t` after the load's start; 0 outside it.
    #[must_use]
    pub fn rate_at(&self, t: Duration) -> f64 {
        self.rate_after(t.as_secs_f64())
    }

    /// As [`Self::rate_at`], `t` in seconds.
    pub(super) fn rate_after(&self, t: f64) -> f64 {
        let holder = self
            .stages
            .iter()
            .find(|p| t >= p.begins && t < p.begins + p.stage.length.as_secs_f64());
        holder.map_or(0.0, |p| {
            let share = (t - p.begins) / p.stage.length.as_secs_f64();
            p.stage.from.get() + (p.stage.to.get() - p.stage.from.get()) * share
        })
    }

    /// The highest planned rate, per second.
    #[must_use]
    pub fn peak(&self) -> f64 {
        self.stages
            .iter()
            .map(|p| p.stage.from.get().max(p.stage.to.get()))
            .fold(0.0, f64::max)
    }

    /// The highest planned rate, per second, between these moments, in seconds.
    pub(super) fn peak_between(&self, from: f64, to: f64) -> f64 {
        let peaks = self.stages.iter().filter_map(|p| {
            let length = p.stage.length.as_secs_f64();
            let (from, to) = (from.max(p.begins), to.min(p.begins + length));
            let (low, high) = (p.stage.from.get(), p.stage.to.get());
            let at = |t: f64| low + (high - low) * (t - p.begins) / length;
            (from < to).then(|| at(from).max(at(to)))
        });
        peaks.fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(from: f64, to: f64, secs: u64) -> Stage {
        Stage {
            from: Rate::per_second(from).unwrap(),
            to: Rate::per_second(to).unwrap(),
            length: Duration::from_secs(secs),
        }
    }

    #[test]
    fn constant_rates_are_n_over_rate() {
        let s = Schedule::new(Duration::from_secs(1), &[stage(300.0, 300.0, 10)]);
        assert_eq!(s.slots(), 3300);
        for n in [0, 1, 299, 300, 301, 3299] {
            assert_eq!(
                s.due_us(n),
                (n as f64 / 300.0 * 1e6).round() as i64,
                "slot {n}"
            );
        }
    }

    #[test]
    fn ramps_invert_the_integral() {
        let s = Schedule::new(
            Duration::ZERO,
            &[stage(0.0, 100.0, 10), stage(100.0, 0.0, 10)],
        );
        assert_eq!(s.slots(), 1000);
        assert_eq!(s.due_us(0), 0);
        assert_eq!(s.due_us(500), 10_000_000);
        // Half of the arrivals of a ramp from 0 come after 1/√2 of its length.
        assert_eq!(s.due_us(250), 7_071_068);
        assert!((s.rate_at(Duration::from_secs(5)) - 50.0).abs() < 1e-9);
    }

    proptest::proptest! {
        #[test]
        fn slots_are_in_order_and_inside(a in 0.0..2000.0f64, b in 0.0..2000.0f64, c in 0.1..2000.0f64, w in 0u64..3) {
            let s = Schedule::new(Duration::from_secs(w), &[stage(a, b, 3), stage(c, c, 2)]);
            let mut last = -1;
            for n in 0..s.slots() {
                let due = s.due_us(n);
                proptest::prop_assert!(due >= last && due <= s.length().as_micros() as i64, "slot {n} at {due} after {last}");
                last = due;
            }
        }
    }
}
