//! The loads of a plan taken together: which journeys there are, and how much of each falls due when.

use std::time::Duration;

use super::{JourneyPlan, LoadPlan, Of, Plan};
use crate::model::{Journeys, Pace, Paced, Poisson};

/// Odd, so that no two loads get the same seed: 2^64 divided by the golden ratio (Knuth, The Art of Computer Programming,
/// volume 3, section 6.4).
const FAR_APART: u64 = 0x9E37_79B9_7F4A_7C15;

/// One load of a plan, and where it stands among the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed<'a> {
    /// Its name; `None` for the one of a scenario that has just `load`.
    pub name: Option<&'a str>,
    /// The load.
    pub plan: &'a LoadPlan,
    /// Its arrivals, warm-up included.
    pub schedule: Paced,
    /// How long after the first load it begins: all warm-ups end at the same time.
    pub delay: Duration,
    /// The number of its first journey; those of all loads are numbered one after the other.
    pub first_journey: usize,
}

impl<'a> Placed<'a> {
    /// Its journeys by their numbers.
    pub fn journeys(&self) -> impl Iterator<Item = (usize, &'a JourneyPlan)> + use<'a> {
        (self.first_journey..).zip(&self.plan.journeys)
    }

    /// Its journeys' numbers.
    #[must_use]
    pub fn numbers(&self) -> Journeys {
        Journeys::side_by_side(self.first_journey, self.plan.journeys.len())
    }

    /// The seed of what it draws. Each load draws from numbers of its own.
    #[must_use]
    pub fn seed(&self, of_plan: u64) -> u64 {
        of_plan.wrapping_add(FAR_APART.wrapping_mul(self.first_journey as u64))
    }

    /// The times of its arrivals where they come at random, in a plan of this seed.
    #[must_use]
    pub fn random(&self, of_plan: u64) -> Option<Poisson> {
        let random = self.plan.arrivals.are_random();
        random.then(|| Poisson::new(self.seed(of_plan), self.plan.schedule().slots()))
    }

    /// Planned arrivals per second at `into`, counted from the begin of the first load.
    fn rate_at(&self, into: Duration) -> f64 {
        let own = into.checked_sub(self.delay);
        own.map_or(0.0, |own| self.schedule.rate_at(own))
    }

    /// Arrivals due before `into`, counted from the begin of the first load.
    fn arrivals_until(&self, into: Duration) -> f64 {
        let own = into.saturating_sub(self.delay);
        self.schedule
            .arrivals_until(own.min(self.schedule.length()))
    }
}

/// The shortest time that a schedule tells apart.
const MOMENT: Duration = Duration::from_micros(1);

/// All loads of a plan. Times count from the begin of the first.
#[derive(Debug, Clone, PartialEq)]
pub struct Traffic<'a> {
    loads: Vec<Placed<'a>>,
    warmup: Duration,
}

impl Plan {
    /// Every load, by name where it has one.
    pub fn every_load(&self) -> impl Iterator<Item = (Option<&str>, &LoadPlan)> {
        let named = self.loads.iter();
        let named = named.map(|(name, load)| (Some(name.as_str()), load));
        self.load.iter().map(|load| (None, load)).chain(named)
    }

    /// Its loads taken together, at their pace; `None` where it has none.
    #[must_use]
    pub fn traffic(&self) -> Option<Traffic<'_>> {
        self.traffic_at(&self.pace)
    }

    /// Its loads taken together at another pace, whose times count from the begin of the first.
    #[must_use]
    pub fn traffic_at(&self, pace: &Pace) -> Option<Traffic<'_>> {
        Traffic::paced(self.every_load(), pace)
    }
}

impl<'a> Traffic<'a> {
    /// These loads taken together, as planned; `None` without any.
    pub fn of(loads: impl Iterator<Item = (Option<&'a str>, &'a LoadPlan)>) -> Option<Self> {
        Self::paced(loads, &Pace::default())
    }

    fn paced(
        loads: impl Iterator<Item = (Option<&'a str>, &'a LoadPlan)>,
        pace: &Pace,
    ) -> Option<Self> {
        let loads: Vec<_> = loads.collect();
        let warmup = loads.iter().map(|(_, load)| load.warmup).max()?;
        let mut first_journey = 0;
        let place = |(name, plan): (Option<&'a str>, &'a LoadPlan)| {
            let delay = warmup - plan.warmup;
            let begin_us = i64::try_from(delay.as_micros()).unwrap_or(i64::MAX);
            let placed = Placed {
                name,
                plan,
                schedule: Paced::new(plan.schedule(), pace, begin_us),
                delay,
                first_journey,
            };
            first_journey += plan.journeys.len();
            placed
        };
        Some(Self {
            loads: loads.into_iter().map(place).collect(),
            warmup,
        })
    }

    /// Each of them.
    #[must_use]
    pub fn loads(&self) -> &[Placed<'a>] {
        &self.loads
    }

    /// From the begin of the first to the end of every warm-up: the steps' zero.
    #[must_use]
    pub fn warmup(&self) -> Duration {
        self.warmup
    }

    /// From the steps' zero to the end of the last.
    #[must_use]
    pub fn length(&self) -> Duration {
        let each = self.loads.iter();
        let each = each.map(|l| l.schedule.length().saturating_sub(l.plan.warmup));
        each.max().unwrap_or_default()
    }

    /// Every journey by its number.
    pub fn journeys(&self) -> impl Iterator<Item = (usize, &'a JourneyPlan)> {
        self.loads.iter().flat_map(Placed::journeys)
    }

    /// The journeys that are meant; `None` where there is no such journey or load.
    #[must_use]
    pub fn meant(&self, of: &Of) -> Option<Journeys> {
        match of {
            Of::All => Some(Journeys::ALL),
            Of::Journey(name) => {
                let mut journeys = self.journeys();
                let found = journeys.find(|(_, journey)| journey.name == *name);
                found.map(|(number, _)| Journeys::one(number))
            }
            Of::Load(name) => {
                let load = self.loads.iter().find(|l| l.name == Some(name));
                load.map(Placed::numbers)
            }
        }
    }

    /// Requests due per second of these journeys, as planned at `into`; as at the last moment once all loads are over.
    #[must_use]
    pub fn request_rate(&self, journeys: Journeys, into: Duration) -> f64 {
        let last = (self.warmup + self.length()).saturating_sub(MOMENT);
        let each = self.loads.iter();
        each.map(|load| requests(load, journeys, load.rate_at(into.min(last))))
            .sum()
    }

    /// Requests of these journeys due from `from` to `to`, as planned (a fraction counts).
    #[must_use]
    pub fn due(&self, journeys: Journeys, from: Duration, to: Duration) -> f64 {
        let each = self.loads.iter().map(|load| {
            let arrivals = load.arrivals_until(to) - load.arrivals_until(from);
            requests(load, journeys, arrivals.max(0.0))
        });
        each.sum()
    }

    /// Requests of these journeys that end per second in an outage when arrivals are at their peak: the first of each
    /// journey is also its last then.
    #[must_use]
    pub fn peak_in_outage(&self, journeys: Journeys) -> f64 {
        let each = self.loads.iter().map(|load| {
            let meant = load.journeys().enumerate();
            let shares = meant
                .filter(|(_, (number, _))| contains(journeys, *number))
                .map(|(index, _)| load.plan.share(index));
            load.schedule.peak() * shares.sum::<f64>()
        });
        each.sum()
    }

    /// When the first arrival that may take one of these journeys is due after `last` (at all, without one); `None` where
    /// none is.
    #[must_use]
    pub fn next_due(&self, journeys: Journeys, last: Option<Duration>) -> Option<Duration> {
        let meant = self.loads.iter().filter(|load| {
            load.journeys()
                .any(|(number, _)| contains(journeys, number))
        });
        let next = meant.filter_map(|load| {
            let due = |slot| {
                let us = u64::try_from(load.schedule.due_us(slot)).unwrap_or(0);
                load.delay + Duration::from_micros(us)
            };
            let (mut low, mut high) = (0, load.schedule.slots());
            let slots = high;
            while low < high {
                let middle = low + (high - low) / 2;
                if last.is_none_or(|last| due(middle) > last) {
                    high = middle;
                } else {
                    low = middle + 1;
                }
            }
            (low < slots).then(|| due(low))
        });
        next.min()
    }
}

/// Requests of the journeys meant that so many arrivals of a load make.
fn requests(load: &Placed<'_>, journeys: Journeys, arrivals: f64) -> f64 {
    let meant = load
        .journeys()
        .enumerate()
        .filter(|(_, (number, _))| contains(journeys, *number));
    meant
        .map(|(index, _)| load.plan.request_rate(index, arrivals))
        .sum()
}

fn contains(journeys: Journeys, number: usize) -> bool {
    u16::try_from(number).is_ok_and(|number| journeys.contains(number))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::scenario::{self, Inputs};

    const S: Duration = Duration::from_secs(1);

    fn plan() -> Plan {
        let text = "version: 1
name: traffic
stack: { process: { services: { a: { command: [b] } } } }
loads:
  many:
    base_url: http://127.0.0.1:1
    warmup: 10s
    stages: [ { rate: 100/s, for: 60s } ]
    journeys:
      read: { weight: 3, requests: [ { get: / }, { get: /more } ] }
      write: { weight: 1, requests: [ { post: / } ] }
  few:
    base_url: http://127.0.0.1:1
    warmup: 4s
    stages: [ { rate: 2/s, for: 20s } ]
    request: { get: / }
";
        let none = BTreeMap::new();
        let inputs = Inputs {
            path: Path::new("traffic.yaml"),
            text,
            vars: &none,
            env: &none,
            seed: Some(1),
        };
        scenario::load(&inputs, &|_, _| Ok(())).unwrap().plan
    }

    #[test]
    fn warm_ups_end_together() {
        let plan = plan();
        let traffic = plan.traffic().unwrap();
        assert_eq!((traffic.warmup(), traffic.length()), (10 * S, 60 * S));
        let [many, few] = traffic.loads() else {
            panic!("{traffic:?}")
        };
        assert_eq!((many.delay, few.delay), (Duration::ZERO, 6 * S));
        let names: Vec<_> = traffic
            .journeys()
            .map(|(n, j)| (n, j.name.as_str()))
            .collect();
        assert_eq!(names, [(0, "read"), (1, "write"), (2, "few")]);
    }

    #[test]
    fn what_is_due_of_whom() {
        let plan = plan();
        let traffic = plan.traffic().unwrap();
        let meant = |of: &Of| traffic.meant(of).unwrap();
        let (many, few) = (Of::Load("many".into()), Of::Load("few".into()));
        let write = Of::Journey("write".into());
        assert_eq!(traffic.meant(&Of::Load("none".into())), None);
        assert_eq!(traffic.meant(&Of::Journey("many".into())), None);
        let due = |of: &Of, from: u32, to: u32| traffic.due(meant(of), from * S, to * S).round();
        assert_eq!((due(&many, 0, 10), due(&few, 0, 10)), (1_750.0, 8.0));
        assert_eq!(due(&few, 0, 100), 48.0, "it ends 20 s after the warm-up");
        assert_eq!(
            (due(&write, 10, 20), due(&Of::All, 10, 20)),
            (250.0, 1_770.0)
        );
        let rate = |of: &Of, at: u32| traffic.request_rate(meant(of), at * S);
        assert_eq!((rate(&many, 15), rate(&few, 15)), (175.0, 2.0));
        assert_eq!(
            (rate(&few, 5), rate(&few, 60)),
            (0.0, 0.0),
            "not yet, no longer"
        );
        assert_eq!(rate(&many, 100), 175.0, "as at the last moment");
        assert_eq!(traffic.peak_in_outage(Journeys::ALL), 102.0);
        assert_eq!(traffic.peak_in_outage(meant(&write)), 25.0);
        let next = |of: &Of, last: Option<u32>| traffic.next_due(meant(of), last.map(|s| s * S));
        assert_eq!(
            (next(&Of::All, None), next(&few, None)),
            (Some(Duration::ZERO), Some(6 * S))
        );
        assert_eq!(next(&few, Some(7)), Some(Duration::from_millis(7_500)));
        assert_eq!((next(&few, Some(30)), next(&many, Some(70))), (None, None));
    }
}
