//! Stop conditions that callers decide: shares, percentiles, gaps.

use std::time::Duration;

use crate::judge::number;
use crate::model::Journeys;
use crate::scenario::plan::{Of, Plan, STOP_HITS, STOP_REQUESTS, StopCondition, Traffic};
use crate::timeline::Watched;
use crate::timeline::tally::{Counted, Hit, LastGood, Trailing};

/// What is to be kept up for each condition that callers decide, in the plan's order.
pub(super) fn kept_up(plan: &Plan) -> Vec<Watched> {
    let traffic = plan.traffic();
    // The checker lets no unknown name pass; whom a plan means that was tampered with is not known.
    let meant = |of: &Of| {
        let meant = traffic.as_ref().and_then(|t| t.meant(of));
        meant.unwrap_or(Journeys::ALL)
    };
    let trailing = |of: &Of, hit, over: &Duration| {
        Watched::Trailing(Trailing::new(meant(of), hit, micros(*over)))
    };
    let watched = |condition: &StopCondition| match condition {
        StopCondition::BadShare { over, of, .. } => Some(trailing(of, Hit::Bad, over)),
        StopCondition::Latency {
            at_least, over, of, ..
        } => {
            let from_us = micros(*at_least);
            Some(trailing(of, Hit::Slow { from_us }, over))
        }
        StopCondition::LongestGap { of, .. } => Some(Watched::LastGood(LastGood::new(meant(of)))),
        StopCondition::Promql { .. }
        | StopCondition::Alert { .. }
        | StopCondition::WallClock { .. } => None,
    };
    plan.stop_when.iter().filter_map(watched).collect()
}

/// What is read of one of them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Read {
    Counted(Counted),
    LastGood(Option<i64>),
}

impl Read {
    pub(super) fn of(watched: &Watched, now_us: i64) -> Self {
        match watched {
            Watched::Trailing(trailing) => Self::Counted(trailing.at(now_us)),
            Watched::LastGood(last) => Self::LastGood(last.done_us()),
        }
    }
}

/// What was observed, and since when.
pub(super) type Met = Option<(String, i64)>;

/// The loads that callers come by.
pub(super) struct Callers<'a> {
    traffic: Traffic<'a>,
    started_us: i64,
}

impl<'a> Callers<'a> {
    /// Of loads of which the first begins at `started_us`.
    pub(super) fn new(traffic: Traffic<'a>, started_us: i64) -> Self {
        Self {
            traffic,
            started_us,
        }
    }

    /// Whether a condition is met at `now_us`, by what was read for it.
    pub(super) fn met(&self, condition: &StopCondition, read: Read, now_us: i64) -> Met {
        match (condition, read) {
            (StopCondition::BadShare { at_least, over, .. }, Read::Counted(counted)) => {
                let reached = counted.reaches(at_least.get());
                let bad = number::share(counted.hits as f64 / counted.requests.max(1) as f64);
                let observed = format!("{bad} of {} requests bad", number::count(counted.requests));
                self.counts(counted, *over, now_us, reached, observed)
            }
            (
                StopCondition::Latency {
                    percentile,
                    at_least,
                    over,
                    ..
                },
                Read::Counted(counted),
            ) => {
                let reached = counted.beyond(*percentile);
                let slow = number::share(counted.hits as f64 / counted.requests.max(1) as f64);
                let observed = format!(
                    "{slow} of {} requests bad or slower than {}",
                    number::count(counted.requests),
                    number::limit_of(*at_least)
                );
                self.counts(counted, *over, now_us, reached, observed)
            }
            (StopCondition::LongestGap { at_least, of }, Read::LastGood(last)) => {
                self.gap(micros(*at_least), of, last, now_us)
            }
            _ => None,
        }
    }

    /// A share is judged over a whole stretch of load, and by more than a few requests.
    fn counts(
        &self,
        counted: Counted,
        over: Duration,
        now_us: i64,
        reached: bool,
        observed: String,
    ) -> Met {
        let whole = now_us >= self.started_us.saturating_add(micros(over));
        // Where not one was spared, fewer tell as much.
        let told = counted.requests >= STOP_REQUESTS || counted.hits == counted.requests;
        let enough = told && counted.hits >= STOP_HITS;
        (reached && whole && enough).then_some((observed, counted.from_us))
    }

    /// A gap lasts from when the first request fell due after the last good one: while none is due, nobody waits.
    fn gap(&self, limit_us: i64, of: &Of, last_good_us: Option<i64>, now_us: i64) -> Met {
        let meant = self.traffic.meant(of)?;
        let length = self.traffic.warmup() + self.traffic.length();
        let end = now_us.min(self.started_us + micros(length));
        let into =
            |us: i64| Duration::from_micros(u64::try_from(us - self.started_us).unwrap_or(0));
        let first = self.traffic.next_due(meant, last_good_us.map(into))?;
        let from = self.started_us + micros(first);
        if end - from < limit_us {
            return None;
        }
        let due = self.traffic.due(meant, first, into(end));
        (due >= STOP_HITS as f64).then(|| {
            let observed = format!(
                "no good request for {}, while {due:.0} were due",
                number::length(end - from)
            );
            (observed, from)
        })
    }
}

pub(super) fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::scenario::{self, Inputs};

    const S: i64 = 1_000_000;
    /// When slot 0 is due.
    const STARTED: i64 = 2 * S;

    /// 10/s, of which every fifth writes; nobody comes from +20 s to +30 s.
    fn plan() -> Plan {
        let text = "version: 1
name: stops
stack: { process: { services: { a: { command: [b] } } } }
load:
  base_url: http://127.0.0.1:1
  warmup: 0s
  stages: [ { rate: 10/s, for: 20s }, { rate: 0/s, for: 10s }, { rate: 10/s, for: 20s } ]
  journeys:
    read: { weight: 4, requests: [ { get: / } ] }
    write: { weight: 1, requests: [ { get: / } ] }
";
        let none = BTreeMap::new();
        let inputs = Inputs {
            path: Path::new("stops.yaml"),
            text,
            vars: &none,
            env: &none,
            seed: Some(1),
        };
        let checked = scenario::load(&inputs, &|_, _| Ok(())).unwrap();
        checked.plan
    }

    fn gap(last_good_s: Option<i64>, now_s: i64, of: &Of) -> Met {
        let plan = plan();
        let callers = Callers::new(plan.traffic().unwrap(), STARTED);
        let condition = StopCondition::LongestGap {
            at_least: Duration::from_secs(3),
            of: of.clone(),
        };
        let last = last_good_s.map(|s| STARTED + s * S);
        callers.met(&condition, Read::LastGood(last), STARTED + now_s * S)
    }

    #[test]
    fn a_gap_is_one_only_while_somebody_waits() {
        let all = &Of::All;
        assert_eq!(gap(Some(5), 7, all), None);
        let (observed, from) = gap(Some(5), 9, all).unwrap();
        assert_eq!(from, STARTED + 5 * S + S / 10);
        assert!(observed.contains("while 39 were due"), "{observed}");
        assert!(gap(None, 4, all).is_some(), "none was ever good");
        assert_eq!(gap(None, 2, all), None);
        assert_eq!(
            gap(Some(19), 31, all),
            Some(gap(Some(19), 31, all).unwrap())
        );
        assert_eq!(gap(Some(21), 31, all), None, "nobody came for 10 s");
        assert!(gap(Some(21), 34, all).is_some());
        assert_eq!(gap(Some(49), 90, all), None, "the load is over");
        let write = &Of::Journey("write".to_owned());
        assert_eq!(gap(Some(5), 7, write), None);
        assert!(gap(Some(5), 9, write).is_some());
        assert_eq!(gap(Some(48), 52, write), None, "two are too few");
    }

    #[test]
    fn one_unlucky_request_stops_nothing() {
        let plan = plan();
        let callers = Callers::new(plan.traffic().unwrap(), STARTED);
        let share = StopCondition::BadShare {
            at_least: crate::model::Ratio::new(0.01).unwrap(),
            over: Duration::from_secs(10),
            of: Of::All,
        };
        let slow = StopCondition::Latency {
            name: "p99".to_owned(),
            percentile: 0.99,
            at_least: Duration::from_secs(1),
            over: Duration::from_secs(10),
            of: Of::All,
        };
        for condition in [share, slow] {
            let met = |requests, hits, now_s: i64| {
                let counted = Counted {
                    from_us: 0,
                    requests,
                    hits,
                };
                let now_us = STARTED + now_s * S;
                callers
                    .met(&condition, Read::Counted(counted), now_us)
                    .is_some()
            };
            assert!(!met(0, 0, 12) && !met(4, 4, 12) && !met(19, 18, 12));
            assert!(met(5, 5, 12), "not one was spared");
            assert!(!met(20, 4, 12) && met(20, 5, 12) && met(100, 100, 12));
            assert!(!met(100, 100, 9), "the stretch is not whole yet");
            assert!(!met(1000, 9, 12) && met(1000, 11, 12));
        }
    }
}
