//! The schedule as it was walked: an operator may change a running load's rate by a factor, or hold its schedule still.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Poisson, Schedule};

/// From a moment on, how a load walks its schedule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PaceChange {
    /// When it begins to hold: µs since the run's zero; in a plan, since the begin of the first load.
    pub at_us: i64,
    /// The rate, in parts of the planned one.
    pub factor: f64,
    /// The schedule stands still: the rate stays what it is where it stands.
    pub held: bool,
}

impl PaceChange {
    /// As planned.
    const PLANNED: Self = Self {
        at_us: i64::MIN,
        factor: 1.0,
        held: false,
    };

    /// What it asks for, whoever wrote it down.
    fn state(&self) -> (f64, bool) {
        (self.factor.clamp(0.0, MOST), self.held)
    }
}

/// More than any machine can do, and a number that can still be multiplied.
const MOST: f64 = 1e9;

/// Every change of a load's pace, in the order of their times. Each takes the place of the one before it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<PaceChange>", into = "Vec<PaceChange>")]
pub struct Pace(Vec<PaceChange>);

impl Pace {
    /// Whether all goes as planned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The changes.
    #[must_use]
    pub fn changes(&self) -> &[PaceChange] {
        &self.0
    }

    /// What holds after all of them.
    #[must_use]
    pub fn last(&self) -> PaceChange {
        self.0.last().copied().unwrap_or(PaceChange::PLANNED)
    }

    /// Takes in one more.
    pub fn push(&mut self, change: PaceChange) {
        let place = self.0.partition_point(|c| c.at_us <= change.at_us);
        self.0.insert(place, change);
    }

    /// The same changes, their times counted from this moment.
    #[must_use]
    pub fn counted_from(&self, zero_us: i64) -> Self {
        let each = self.0.iter().map(|change| PaceChange {
            at_us: change.at_us.saturating_sub(zero_us),
            ..*change
        });
        each.collect()
    }

    /// The same; where the schedule is held at last, it goes on at this moment.
    #[must_use]
    pub fn resumed_at(&self, at_us: i64) -> Self {
        let (mut pace, last) = (self.clone(), self.last());
        if last.held {
            pace.push(PaceChange {
                at_us: at_us.max(last.at_us),
                held: false,
                ..last
            });
        }
        pace
    }
}

impl From<Vec<PaceChange>> for Pace {
    fn from(mut changes: Vec<PaceChange>) -> Self {
        changes.sort_by_key(|c| c.at_us);
        Self(changes)
    }
}

impl From<Pace> for Vec<PaceChange> {
    fn from(pace: Pace) -> Self {
        pace.0
    }
}

impl FromIterator<PaceChange> for Pace {
    fn from_iter<I: IntoIterator<Item = PaceChange>>(changes: I) -> Self {
        Self::from(changes.into_iter().collect::<Vec<_>>())
    }
}

/// How long a load lasts whose schedule is held at last, in seconds: ten years, which can still be added to any moment.
const ENDLESS: f64 = 315_360_000.0;

/// A schedule and how it is walked: at *t* since the load's start it stands at τ(*t*), and the rate is the factor in force
/// times the planned one there. Slot *n* is due when the integral of that rate reaches *n*: a change moves no slot that is
/// due before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Paced {
    schedule: Schedule,
    /// In order; the first begins with the load.
    stretches: Vec<Stretch>,
}

/// From one change to the next. Times are seconds since the load's start.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stretch {
    from: f64,
    /// Where the schedule stands at its begin.
    stands: f64,
    /// Arrivals before it.
    before: f64,
    factor: f64,
    /// Arrivals per second while the schedule is held.
    held: Option<f64>,
}

impl Stretch {
    /// Where the schedule stands at `t`.
    fn stands_at(&self, t: f64) -> f64 {
        match self.held {
            Some(_) => self.stands,
            None => self.stands + (t - self.from),
        }
    }

    /// Arrivals due before `t`.
    fn arrivals(&self, schedule: &Schedule, t: f64) -> f64 {
        let own = match self.held {
            Some(rate) => rate * (t - self.from),
            None => {
                let walked = schedule.arrivals_in(self.stands_at(t));
                self.factor * (walked - schedule.arrivals_in(self.stands))
            }
        };
        self.before + own.max(0.0)
    }

    /// When the integral of the rate reaches `n` arrivals, if nothing changes any more.
    fn seconds_at(&self, schedule: &Schedule, n: f64) -> f64 {
        let own = n - self.before;
        let rate = self.held.unwrap_or(self.factor);
        if rate <= 0.0 {
            return f64::INFINITY;
        }
        match self.held {
            Some(rate) => self.from + own / rate,
            None => {
                let walked = schedule.arrivals_in(self.stands) + own / self.factor;
                self.from + (schedule.seconds_at(walked) - self.stands)
            }
        }
    }
}

impl Paced {
    /// A schedule that is walked as planned.
    #[must_use]
    pub fn as_planned(schedule: Schedule) -> Self {
        let first = Stretch {
            from: 0.0,
            stands: 0.0,
            before: 0.0,
            factor: 1.0,
            held: None,
        };
        Self {
            schedule,
            stretches: vec![first],
        }
    }

    /// The schedule of a load that begins at `started_us`, on the clock of the changes. Those before it hold from its begin,
    /// those after its end change nothing.
    #[must_use]
    pub fn new(schedule: Schedule, pace: &Pace, started_us: i64) -> Self {
        let mut paced = Self::as_planned(schedule);
        for change in pace.changes() {
            paced.change(&PaceChange {
                at_us: change.at_us.saturating_sub(started_us),
                ..*change
            });
        }
        paced
    }

    /// Takes in a change that is later than all before, its time counted from the load's start.
    pub fn change(&mut self, change: &PaceChange) {
        let (factor, held) = change.state();
        let last = *self.last();
        let at = (change.at_us.max(0) as f64 / 1e6).max(last.from);
        let stands = last.stands_at(at);
        let same = (factor, held) == (last.factor, last.held.is_some());
        if same || stands >= self.schedule.length().as_secs_f64() - 1e-9 {
            return;
        }
        if at == last.from {
            self.stretches.pop();
        }
        self.stretches.push(Stretch {
            from: at,
            stands,
            before: last.arrivals(&self.schedule, at),
            factor,
            held: held.then(|| factor * self.schedule.rate_after(stands)),
        });
    }

    fn last(&self) -> &Stretch {
        self.stretches
            .last()
            .expect("there is a first one, and none is taken away without another in its place")
    }

    /// Whether no change changed anything.
    #[must_use]
    pub fn is_as_planned(&self) -> bool {
        let last = self.last();
        self.stretches.len() == 1 && last.factor == 1.0 && last.held.is_none()
    }

    /// Whether it is held, and nobody has said until when.
    #[must_use]
    pub fn is_endless(&self) -> bool {
        self.last().held.is_some()
    }

    /// Length of the warm-up as planned: people count from its end, whatever becomes of the rate.
    #[must_use]
    pub fn warmup(&self) -> Duration {
        self.schedule.warmup()
    }

    /// Length of the whole load, warm-up included; ten years where it is held at last.
    #[must_use]
    pub fn length(&self) -> Duration {
        if self.is_as_planned() {
            self.schedule.length()
        } else {
            Duration::from_micros((self.end() * 1e6).round() as u64)
        }
    }

    /// When it ends, in seconds.
    fn end(&self) -> f64 {
        let last = self.last();
        match last.held {
            Some(_) => last.from + ENDLESS,
            None => last.from + (self.schedule.length().as_secs_f64() - last.stands),
        }
    }

    /// Number of slots of even arrivals: those due before the end.
    #[must_use]
    pub fn slots(&self) -> u64 {
        if self.is_as_planned() {
            return self.schedule.slots();
        }
        // As of the schedule: a slot due exactly at the end is not part of the load.
        (self.arrivals_in(self.end()) - 1e-6).ceil().max(0.0) as u64
    }

    /// Number of arrivals; `random` where they come at random.
    #[must_use]
    pub fn count(&self, random: Option<&Poisson>) -> u64 {
        match random {
            Some(random) if !self.is_as_planned() => random.before(self.arrivals_in(self.end())),
            Some(_) | None => self.slots(),
        }
    }

    /// When arrival `n` is due, in µs since the load's start; `random` where they come at random.
    #[must_use]
    pub fn due_of(&self, n: u64, random: Option<&Poisson>) -> i64 {
        match random {
            Some(random) => self.due_at(random.place(n)),
            None => self.due_us(n),
        }
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
        let after = self.stretches.partition_point(|s| s.before <= n);
        let holder = &self.stretches[after.saturating_sub(1)];
        let until = self.stretches.get(after.max(1)).map(|s| s.from);
        let t = holder.seconds_at(&self.schedule, n);
        let t = t.min(until.unwrap_or_else(|| self.end())).max(holder.from);
        (t * 1e6).round() as i64
    }

    /// Arrivals (a fraction counts) due in the first `t` of the load.
    #[must_use]
    pub fn arrivals_until(&self, t: Duration) -> f64 {
        self.arrivals_in(t.as_secs_f64())
    }

    fn arrivals_in(&self, t: f64) -> f64 {
        self.at(t).arrivals(&self.schedule, t)
    }

    /// The stretch that `t` lies in.
    fn at(&self, t: f64) -> &Stretch {
        let after = self.stretches.partition_point(|s| s.from <= t);
        &self.stretches[after.saturating_sub(1)]
    }

    /// Arrival rate `t` after the load's start; 0 outside it.
    #[must_use]
    pub fn rate_at(&self, t: Duration) -> f64 {
        let t = t.as_secs_f64();
        let at = self.at(t);
        at.held
            .unwrap_or_else(|| at.factor * self.schedule.rate_after(at.stands_at(t)))
    }

    /// The highest rate, per second.
    #[must_use]
    pub fn peak(&self) -> f64 {
        let ends = self.stretches.iter().skip(1).map(|s| s.from);
        let ends = ends.chain([self.end()]);
        let peaks = self.stretches.iter().zip(ends).map(|(stretch, end)| {
            let walked = self
                .schedule
                .peak_between(stretch.stands, stretch.stands_at(end));
            stretch.held.unwrap_or(stretch.factor * walked)
        });
        peaks.fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests;
