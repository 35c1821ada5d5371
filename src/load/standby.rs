//! A second engine of a load, on another CPU than the first: it lets go what the first has not when that is held up. A CPU
//! that a hypervisor takes away, or that is busy inside the kernel, stops even real-time threads on it for tens of milliseconds;
//! two of them seldom stop at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::getpid;
use rustix::thread::{sched_getaffinity, sched_getcpu, sched_setaffinity};

use super::client::Places;
use crate::scenario::plan::{Arrivals, Driver, LoadPlan};

/// How long after its time a slot is the standby's, too: half of what makes it late, and far more than the first engine takes.
pub(super) const GRACE: Duration = Duration::from_millis(5);

/// The standby holds one connection in so many at most; a load of fewer has none.
const SHARE: u32 = 8;
/// Fewest connections of a load that has one: so many fewer may be left to the first engine.
const ENOUGH: u32 = 2 * SHARE;

/// Whether a load may have a standby: not a closed loop, which is late for nobody, nor a driver whose connections cannot be
/// counted together, nor a load whose threads, or what each of them may do, were set.
pub(super) fn may_have(plan: &LoadPlan) -> bool {
    let engine = &plan.engine;
    let counts = match engine.driver {
        Driver::Hyper1 | Driver::Raw1 => true,
        Driver::Hyper2 | Driver::Reqwest => false,
    };
    let by_rate = match plan.arrivals {
        Arrivals::Even | Arrivals::Poisson => true,
        Arrivals::Closed(_) => false,
    };
    let set = engine.shards.is_some() || engine.connecting.is_some();
    counts && by_rate && !set && plan.connections >= ENOUGH
}

/// How many of a load's connections its standby may hold.
pub(super) const fn share(connections: u32) -> u32 {
    connections / SHARE
}

/// The standby's connections. It begins no journey without one for it: none waits for a connection that only the first engine,
/// which is held up, could give back.
#[derive(Debug)]
pub(super) struct Room {
    of_load: Places,
    own: Places,
    most: u64,
    /// How many it has had from the load. They stay its own: a journey that closes its connection needs another.
    had: u64,
    /// Its journeys.
    under_way: Arc<AtomicU64>,
}

impl Room {
    /// At most so many of a load's.
    pub(super) fn new(of_load: Places, most: u32, under_way: Arc<AtomicU64>) -> Self {
        Self {
            of_load,
            own: Places::none(),
            most: most.into(),
            had: 0,
            under_way,
        }
    }

    /// What its connections count on.
    pub(super) fn places(&self) -> Places {
        self.own.clone()
    }

    /// For how many journeys more there is a connection each, `wanted` at most.
    pub(super) fn make(&mut self, wanted: u64) -> u64 {
        let under_way = self.under_way.load(Ordering::Relaxed);
        let needed = under_way.saturating_add(wanted).min(self.most);
        while self.had < needed && self.of_load.take() {
            self.own.give();
            self.had += 1;
        }
        wanted.min(self.had.saturating_sub(under_way))
    }
}

/// The CPU that an engine ran on last, for another one to keep away from. Shared by all clones.
#[derive(Debug, Clone, Default)]
pub(super) struct Whereabouts(Arc<AtomicUsize>);

impl Whereabouts {
    /// The calling thread's.
    pub(super) fn are_here(&self) {
        self.0.store(sched_getcpu(), Ordering::Relaxed);
    }

    /// Keeps the calling thread off that CPU. Where that is not allowed, or there is no other, it runs where it may: a standby that
    /// stops with the first engine is no worse than none.
    pub(super) fn keep_away(&self) {
        let there = self.0.load(Ordering::Relaxed);
        if sched_getcpu() != there {
            return;
        }
        let elsewhere = sched_getaffinity(Some(getpid())).and_then(|mut cpus| {
            cpus.unset(there);
            sched_setaffinity(None, &cpus)
        });
        // An empty set is refused.
        let _ = elsewhere;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_as_many_journeys_as_there_are_connections() {
        let of_load = Places::new(4);
        let under_way = Arc::<AtomicU64>::default();
        let mut room = Room::new(of_load.clone(), 3, Arc::clone(&under_way));
        assert_eq!(room.make(2), 2);
        under_way.store(2, Ordering::Relaxed);
        assert_eq!(room.make(2), 1, "3 at most");
        under_way.store(1, Ordering::Relaxed);
        assert_eq!(room.make(9), 2, "a journey that ended leaves its room");
        let own = room.places();
        assert_eq!((0..9).filter(|_| own.take()).count(), 3);
        assert_eq!((0..9).filter(|_| of_load.take()).count(), 1);
    }

    #[test]
    fn where_the_first_has_all_connections_there_is_no_room() {
        let of_load = Places::new(1);
        assert!(of_load.take());
        let mut room = Room::new(of_load.clone(), 2, Arc::default());
        assert_eq!(room.make(5), 0);
        of_load.give();
        assert_eq!(room.make(5), 1);
    }
}
