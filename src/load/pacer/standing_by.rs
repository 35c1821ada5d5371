//! Pacing what another engine should have let go, and has not.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until};

use super::pacing::Now;
use super::{Pacer, Slots};
use crate::load::standby::{GRACE, Room, Whereabouts};

/// Until it looks again where there was no room for what is due.
const AGAIN: Duration = Duration::from_millis(1);

/// Lets slots go that are still there some time after they fell due, by the timers of the runtime that sends.
#[derive(Debug)]
pub(in crate::load) struct StandbyPacer {
    slots: Slots,
    changes: watch::Receiver<Now>,
    /// Of the engine that should have.
    first: Whereabouts,
    room: Room,
}

impl StandbyPacer {
    /// Of slots that the engine that is there lets go.
    pub(in crate::load) fn new(slots: Slots, first: Whereabouts, room: Room) -> Self {
        Self {
            changes: slots.changes(),
            slots,
            first,
            room,
        }
    }
}

#[async_trait]
impl Pacer for StandbyPacer {
    async fn next(&mut self) -> Option<Range<u64>> {
        loop {
            self.first.keep_away();
            let next = self.slots.gone();
            let due = self.slots.clock().instant(self.slots.due_us(next));
            tokio::select! {
                biased;
                () = sleep_until(due + GRACE) => {
                    if self.slots.gone() > next {
                        continue;
                    }
                    // In this order: what falls due after the look is not the last.
                    let over = self.slots.is_over();
                    let due = self.slots.due();
                    let room = self.room.make(due);
                    match self.slots.take_some_due(room) {
                        Some(due) => return Some(due),
                        None if due > 0 => sleep(AGAIN).await,
                        None if over => return None,
                        None => {}
                    }
                }
                Ok(()) = self.changes.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::load::client::Places;
    use crate::load::pacer::testing::{all, change_later, slots};
    use crate::load::pacer::{ClockPacer, ThreadPacer};

    /// One with room for that many journeys.
    fn standby(slots: &Slots, first: Whereabouts, room: u32) -> StandbyPacer {
        let room = Room::new(Places::new(1_000), room, Arc::default());
        StandbyPacer::new(slots.clone(), first, room)
    }

    #[tokio::test(start_paused = true)]
    async fn without_room_it_leaves_slots_to_the_first() {
        let slots = slots(100.0, Duration::from_secs(2));
        let under_way = Arc::new(AtomicU64::new(2));
        let room = Room::new(Places::new(16), 2, Arc::clone(&under_way));
        let mut pacer = StandbyPacer::new(slots.clone(), Whereabouts::default(), room);
        let nothing = tokio::time::timeout(Duration::from_secs(1), pacer.next()).await;
        assert!(nothing.is_err(), "{nothing:?}");
        under_way.store(1, Ordering::Relaxed);
        assert_eq!(pacer.next().await, Some(0..1));
        slots.let_go(slots.count());
        assert_eq!(pacer.next().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_lets_go_goes_a_little_late() {
        let slots = slots(100.0, Duration::from_secs(5));
        let mut pacer = standby(&slots, Whereabouts::default(), 100);
        let mut seen = 0;
        while let Some(batch) = pacer.next().await {
            let late = slots.clock().now_us() - slots.due_us(batch.start);
            assert!((5_000..=6_000).contains(&late), "{batch:?}: {late} µs late");
            seen = batch.end;
        }
        assert_eq!(seen, 500);
    }

    #[tokio::test(start_paused = true)]
    async fn it_follows_changes_to_a_later_end() {
        let slots = slots(100.0, Duration::from_secs(2));
        let mut pacer = standby(&slots, Whereabouts::default(), 100);
        // Doubled at 1 s, held from 1.9 to 60 s.
        let changes = [(900, 2.0, false), (1_800, 2.0, true), (59_900, 2.0, false)];
        let (seen, ()) = tokio::join!(all(&mut pacer, &slots), change_later(&slots, &changes));
        assert_eq!((seen, slots.count()), (11_920, 11_920));
    }

    #[tokio::test]
    async fn of_two_exactly_one_lets_each_slot_go() {
        let slots = slots(500.0, Duration::from_millis(800));
        let whereabouts = Whereabouts::default();
        let first = ThreadPacer::start(slots.clone()).unwrap();
        let mut first = first.stood_by(whereabouts.clone());
        let mut stands_by = standby(&slots, whereabouts, 1_000);
        let mut by_first = Vec::new();
        let letting_go = async {
            while let Some(batch) = first.next().await {
                by_first.extend(batch);
                if by_first.len() == 100 {
                    // Whoever paces is not asked for a while.
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        };
        let mut by_standby = Vec::new();
        let standing_by = async {
            while let Some(batch) = stands_by.next().await {
                by_standby.extend(batch);
            }
        };
        tokio::join!(letting_go, standing_by);
        assert!(by_standby.len() >= 50, "{by_standby:?}");
        let mut each = [by_first, by_standby].concat();
        each.sort_unstable();
        assert_eq!(each, (0..slots.count()).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn where_the_other_is_on_time_it_has_nothing_to_do() {
        let slots = slots(300.0, Duration::from_secs(5));
        let mut first = ClockPacer::new(slots.clone());
        let mut stands_by = standby(&slots, Whereabouts::default(), 100);
        let letting_go = async {
            while let Some(batch) = first.next().await {
                slots.let_go(batch.end);
            }
        };
        let (none, ()) = tokio::join!(stands_by.next(), letting_go);
        assert_eq!(none, None);
    }
}
