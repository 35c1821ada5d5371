//! What an engine has of a load: a shard of it, or to stand by for the only one.

use std::num::NonZero;
use std::thread;

use super::client::Places;
use super::ledger::Unanswered;
use super::pacer::Slots;
use super::standby::{may_have, share};
use crate::scenario::plan::{Arrivals, LoadPlan};

/// What one engine has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    /// Of `of` shards, that of this number.
    Shard { number: u32, of: u32 },
    /// What the shard before has not let go in time.
    Standby,
}

/// What a shard and its standby share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) slots: Slots,
    pub(super) unanswered: Unanswered,
    pub(super) places: Places,
}

impl Part {
    /// A whole load.
    pub(super) const fn whole() -> Self {
        Self::Shard { number: 0, of: 1 }
    }

    /// The parts of a load on threads of its own, the standby last; and whether its shards pace by ticks.
    pub(super) fn all(plan: &LoadPlan) -> (Vec<Self>, bool) {
        let peak = plan.schedule().peak();
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let wanted = plan.engine.shards(peak, cores);
        // Every shard needs a connection, and in a closed loop a user.
        let most = match plan.arrivals {
            Arrivals::Even | Arrivals::Poisson => plan.connections,
            Arrivals::Closed(users) => plan.connections.min(users),
        };
        let shards = wanted.min(most).max(1);
        let ticks = plan.engine.ticks(peak / f64::from(shards));
        let mut parts: Vec<_> = (0..shards)
            .map(|number| Self::Shard { number, of: shards })
            .collect();
        if shards == 1 && !ticks && cores > 1 && may_have(plan) {
            parts.push(Self::Standby);
        }
        (parts, ticks)
    }

    /// Whether it is to let go what another engine has not.
    pub(super) const fn stands_by(&self) -> bool {
        matches!(self, Self::Standby)
    }

    /// Leaves in the plan what is its own of connections, of requests in flight and of the users of a closed loop.
    pub(super) fn narrow(&self, plan: &mut LoadPlan) {
        match *self {
            Self::Shard { number, of } => {
                let part = |all: u64| {
                    let (number, of) = (u64::from(number), u64::from(of));
                    all / of + u64::from(number < all % of)
                };
                let part_u32 = |all: u32| u32::try_from(part(all.into())).unwrap_or(all);
                plan.connections = part_u32(plan.connections);
                plan.in_flight = part(plan.in_flight);
                if let Arrivals::Closed(users) = &mut plan.arrivals {
                    *users = part_u32(*users);
                }
            }
            // It counts the shard's requests with its own.
            Self::Standby => plan.connections = share(plan.connections),
        }
    }

    /// What it shares: anew, or with the one before it. `plan` is its own, `slots` are the whole load's.
    pub(super) fn shared(&self, plan: &LoadPlan, slots: &Slots, before: Option<Shared>) -> Shared {
        match (*self, before) {
            (Self::Standby, Some(shard)) => shard,
            (Self::Standby, None) => Self::whole().shared(plan, slots, None),
            (Self::Shard { number, of }, _) => Shared {
                slots: slots.of_shard(number.into(), of.into()),
                unanswered: Unanswered::default(),
                places: Places::new(plan.connections as usize),
            },
        }
    }
}
