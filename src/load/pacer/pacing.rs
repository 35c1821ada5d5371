//! The pace of a load that is under way: what its shards and pacers share of it.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::model::{PaceChange, Paced, Poisson, Schedule};

/// How a load walks its schedule. Until somebody changes that, nobody has to wait for anybody.
#[derive(Debug)]
pub(in crate::load) struct Pacing {
    schedule: Schedule,
    /// Slots of the schedule.
    planned: u64,
    /// Seed of arrivals at random times.
    seed: Option<u64>,
    changed: AtomicBool,
    now: watch::Sender<Now>,
}

/// The schedule as it is walked.
#[derive(Debug, Clone)]
pub(in crate::load) struct Now {
    paced: Paced,
    /// Slots of the whole load.
    count: u64,
}

impl Now {
    pub(super) fn paced(&self) -> &Paced {
        &self.paced
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }
}

impl Pacing {
    /// As planned; at random times by `seed`, where there is one.
    pub(in crate::load) fn new(schedule: Schedule, seed: Option<u64>) -> Self {
        let planned = schedule.slots();
        let (now, _) = watch::channel(Now {
            paced: Paced::as_planned(schedule.clone()),
            count: planned,
        });
        Self {
            schedule,
            planned,
            seed,
            changed: AtomicBool::new(false),
            now,
        }
    }

    /// The schedule as planned.
    pub(super) fn planned(&self) -> &Schedule {
        &self.schedule
    }

    /// The times that arrivals come at, where they come at random.
    pub(super) fn poisson(&self) -> Option<Poisson> {
        self.seed.map(|seed| Poisson::new(seed, self.planned))
    }

    /// Takes in a change that is later than all before, its time counted from the load's start.
    pub(in crate::load) fn change(&self, change: &PaceChange) {
        let poisson = self.poisson();
        // First, so that who is told of the change sees it.
        self.changed.store(true, Ordering::Release);
        self.now.send_modify(|now| {
            now.paced.change(change);
            now.count = now.paced.count(poisson.as_ref());
        });
    }

    /// Asks the schedule and its slots where nothing has been changed, otherwise what was made of them.
    pub(super) fn by<T>(
        &self,
        planned: impl FnOnce(&Schedule, u64) -> T,
        changed: impl FnOnce(&Now) -> T,
    ) -> T {
        if self.changed.load(Ordering::Acquire) {
            changed(&self.now.borrow())
        } else {
            planned(&self.schedule, self.planned)
        }
    }

    /// Tells of every change.
    pub(super) fn changes(&self) -> watch::Receiver<Now> {
        self.now.subscribe()
    }
}
