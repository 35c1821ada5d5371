//! Whether callers are hurt, by journey.

use std::collections::VecDeque;

use crate::judge::number;
use crate::model::RequestRecord;
use crate::scenario::plan::Plan;

/// Stretch over which the share of bad requests is told.
const LATELY_US: i64 = 1_000_000;

/// Callers of one journey.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) name: String,
    pub(crate) good: u64,
    pub(crate) bad: u64,
    hurt: Option<Hurt>,
    /// Ends of the last requests, and whether they were bad.
    lately: VecDeque<(i64, bool)>,
}

/// A stretch in which callers were hurt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hurt {
    /// When its first bad request was due.
    pub(crate) from_us: i64,
    /// When its last one ended so far.
    pub(crate) last_us: i64,
    /// Bad requests of it.
    pub(crate) bad: u64,
    /// Whether it goes on.
    pub(crate) open: bool,
}

/// The callers of every journey.
#[derive(Debug)]
pub(crate) struct Callers {
    journeys: Vec<Caller>,
    /// Quiet time after which a stretch is over.
    settle_us: i64,
}

impl Callers {
    pub(super) fn new(plan: &Plan) -> Self {
        let traffic = plan.traffic();
        let journeys = traffic.iter().flat_map(|t| t.journeys());
        let several = plan.loads.len() > 1;
        let load_of = |number: usize| {
            let loads = traffic.iter().flat_map(|t| t.loads().iter());
            let of = loads.into_iter().find(|l| {
                l.numbers()
                    .contains(u16::try_from(number).unwrap_or(u16::MAX))
            });
            of.and_then(|l| l.name)
        };
        Self {
            settle_us: number::micros(plan.recovery.settle),
            journeys: journeys
                .map(|(number, journey)| Caller {
                    name: match load_of(number).filter(|_| several) {
                        Some(load) => format!("{load}/{}", journey.name),
                        None => journey.name.clone(),
                    },
                    good: 0,
                    bad: 0,
                    hurt: None,
                    lately: VecDeque::new(),
                })
                .collect(),
        }
    }

    pub(super) fn add(&mut self, r: &RequestRecord) {
        let Some(caller) = self.journeys.get_mut(usize::from(r.journey)) else {
            return;
        };
        if !r.outcome.counts() {
            return;
        }
        let bad = r.bad();
        caller.good += u64::from(!bad);
        caller.bad += u64::from(bad);
        caller.lately.push_back((r.done_us, bad));
        while let Some((done, _)) = caller.lately.front()
            && r.done_us - done > LATELY_US
        {
            caller.lately.pop_front();
        }
        if bad {
            match &mut caller.hurt {
                Some(hurt) if r.due_us - hurt.last_us <= self.settle_us => {
                    hurt.last_us = hurt.last_us.max(r.done_us);
                    hurt.from_us = hurt.from_us.min(r.due_us);
                    hurt.bad += 1;
                }
                hurt => {
                    *hurt = Some(Hurt {
                        from_us: r.due_us,
                        last_us: r.done_us,
                        bad: 1,
                        open: true,
                    });
                }
            }
        }
    }

    /// Each journey's.
    pub(crate) fn all(&self) -> &[Caller] {
        &self.journeys
    }

    /// All requests that were good or bad, and the bad ones.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let bad = self.bad();
        (self.journeys.iter().map(|c| c.good).sum::<u64>() + bad, bad)
    }

    /// All bad requests.
    pub(super) fn bad(&self) -> u64 {
        self.journeys.iter().map(|c| c.bad).sum()
    }

    /// The last stretch in which this caller was hurt.
    pub(crate) fn hurt(&self, caller: &Caller, now_us: i64) -> Option<Hurt> {
        caller.hurt.map(|hurt| Hurt {
            open: now_us - hurt.last_us <= self.settle_us,
            ..hurt
        })
    }
}

impl Caller {
    /// Share of the requests of the last second that were bad; `None` without any.
    pub(crate) fn bad_share(&self, now_us: i64) -> Option<f64> {
        let lately = self
            .lately
            .iter()
            .filter(|(done, _)| now_us - done <= LATELY_US);
        let (bad, all) = lately.fold((0u64, 0u64), |(bad, all), (_, is)| {
            (bad + u64::from(*is), all + 1)
        });
        (all > 0).then(|| bad as f64 / all as f64)
    }
}
