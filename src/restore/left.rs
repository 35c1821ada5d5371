//! Mending what a run left owed, by somebody else than the run.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::time::Instant;

use super::ledger::{Ledger, Owed};
use super::mend::{Patience, mend};
use super::order::{mend_all, newest_first};
use super::reach::superseded;
use crate::model::Undo;
use crate::stack::{Resolve, Stack, Verified};
use crate::timeline::event::{Event, Phase};
use crate::timeline::{Damage, Entry, Journal};

/// How long a call that was on its way when its caller died may take to land, at least,
const LANDING: Duration = Duration::from_secs(1);
/// in answers of a platform that is slow,
const ANSWERS: u32 = 20;
/// and at most.
const LONGEST: Duration = Duration::from_secs(30);
/// How long is tried what will be tried again.
const BRIEF: Patience = Patience {
    deadline: Duration::from_secs(10),
    call: Duration::from_secs(30),
};
/// Between two looks whether it has landed.
const LOOK: Duration = Duration::from_millis(200);

/// What became of what a run left owed.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Recovered {
    /// What was put right, in the order in which that began.
    pub mended: Vec<Owed>,
    /// What was not, and why.
    pub broken: Vec<(Owed, String)>,
    /// What of the journal could not be read: something may have been owed there.
    pub damage: Vec<Damage>,
}

impl Recovered {
    /// Whether nothing is owed any more.
    #[must_use]
    pub fn clean(&self) -> bool {
        self.broken.is_empty() && self.damage.is_empty()
    }
}

/// What of a journal has to be put right by another than its run: the stack itself only where the run was to take it
/// down.
#[must_use]
pub fn left_owed(journal: &Journal) -> Vec<Owed> {
    let mut owed = Owed::left_by(&journal.entries);
    if !journal.opened.takes_down {
        owed.retain(|o| o.undo != Undo::Down);
    } else if stood_up(journal) && owed.iter().all(|o| o.undo != Undo::Down) {
        // Nothing of the stack is there any more, so nothing of it is broken; what it stood on may be.
        let stack = &journal.opened.stack;
        owed.retain(|o| {
            let own = matches!(o.undo, Undo::Http { .. } | Undo::Command { .. });
            own || o.undo.component().is_some_and(|id| stack.leaves(id))
        });
    }
    owed
}

/// Puts right what a run left owed by its journal: faults first, then the stack. What fails stays owed, and the stack is
/// taken down all the same.
pub async fn mend_left(
    ledger: &Ledger,
    journal: &Journal,
    stack: &dyn Stack,
    values: &dyn Resolve,
) -> Recovered {
    let in_flight = in_flight_since(&journal.entries).is_some();
    let recovered = mend_open(ledger, in_flight, stack, values).await;
    Recovered {
        damage: journal.damage.clone(),
        ..recovered
    }
}

/// Puts right what a ledger holds of a run that has ended, in the same way. `in_flight` says whether a call that makes a
/// fault may still be on its way.
pub async fn mend_open(
    ledger: &Ledger,
    in_flight: bool,
    stack: &dyn Stack,
    values: &dyn Resolve,
) -> Recovered {
    let (faults, down): (Vec<_>, Vec<_>) = ledger
        .open()
        .into_iter()
        .partition(|o| o.undo != Undo::Down);
    let mut recovered = Recovered::default();
    for (phase, owed) in [(Phase::Mending, faults), (Phase::TakingDown, down)] {
        if owed.is_empty() {
            continue;
        }
        ledger.record(Event::Phase(phase));
        if in_flight {
            until_landed(&owed, stack, values).await;
        }
        let done = mend_all(ledger, &owed, stack, values).await;
        for (owed, done) in owed.into_iter().zip(done) {
            match done {
                Ok(()) => recovered.mended.push(owed),
                Err(why) => recovered.broken.push((owed, why)),
            }
        }
    }
    recovered
}

/// Mends at once, and again whatever a call breaks that lands only now, until none can be on its way any more. What fails
/// is told by whoever mends after this.
async fn until_landed(owed: &[Owed], stack: &dyn Stack, values: &dyn Resolve) {
    let begun = Instant::now();
    let mend_these = |these: Vec<Owed>| async move {
        newest_first(&these, |o, tried| async move {
            let called = move |_| tried.cancel();
            let mending = mend(stack, &o.undo, values, BRIEF, called);
            let _again = AssertUnwindSafe(mending).catch_unwind().await;
        })
        .await;
    };
    let owed: Vec<Owed> = owed
        .iter()
        .filter(|o| !superseded(o, owed.iter()))
        .cloned()
        .collect();
    mend_these(owed.clone()).await;
    let asked = Instant::now();
    let _answer = tokio::time::timeout(LONGEST, stack.components()).await;
    let landing = (asked.elapsed() * ANSWERS).clamp(LANDING, LONGEST);
    while begun.elapsed() < landing {
        tokio::time::sleep(LOOK).await;
        let looks = owed.iter().map(|o| async move {
            let look = tokio::time::timeout(LONGEST, stack.verify(&o.undo)).await;
            matches!(look, Ok(Ok(Verified::Not(_)))).then(|| o.clone())
        });
        let broken: Vec<Owed> = join_all(looks).await.into_iter().flatten().collect();
        mend_these(broken).await;
    }
}

/// Whether the run began to stand its stack up.
fn stood_up(journal: &Journal) -> bool {
    let down = |e: &Entry| {
        matches!(
            e.event,
            Event::Owed {
                undo: Undo::Down,
                ..
            }
        )
    };
    journal.entries.iter().any(down)
}

/// Since when a call that makes a fault, or stands the stack up, may have been on its way when the journal ends, µs since
/// the run's zero; `None` if none was.
#[must_use]
pub fn in_flight_since(entries: &[Entry]) -> Option<i64> {
    let mut dispatched = BTreeMap::new();
    let mut standing_up = None;
    for entry in entries {
        match &entry.event {
            // On disk before the call goes out; the dispatch itself may not be.
            Event::Owed {
                step: Some(step), ..
            } => {
                dispatched.entry(step).or_insert(entry.at_us);
            }
            Event::Acknowledged { step, .. } | Event::NotDispatched { step, .. } => {
                dispatched.remove(step);
            }
            Event::Phase(phase) => {
                standing_up = (*phase == Phase::StandingUp).then_some(entry.at_us);
            }
            _ => {}
        }
    }
    dispatched.into_values().chain(standing_up).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ComponentId, MachinesSpec, NODE, ProcessSpec, StackSpec, SwarmSpec};
    use crate::timeline::event::Opened;

    fn journal(events: Vec<Event>) -> Journal {
        let opened = Opened::on(StackSpec::Process(ProcessSpec {
            services: std::collections::BTreeMap::new(),
            ready: None,
        }));
        let entries = (1..).zip(events).map(|(seq, event)| Entry {
            seq,
            at_us: 0,
            event,
        });
        Journal {
            opened,
            entries: entries.collect(),
            damage: Vec::new(),
        }
    }

    fn owed(id: u64, undo: Undo) -> Event {
        let step = (undo != Undo::Down).then(|| "break".to_owned());
        Event::Owed { id, step, undo }
    }

    fn unpaused() -> Undo {
        Undo::Unpaused {
            component: ComponentId::new("backend", 1),
        }
    }

    #[test]
    fn nothing_of_a_stack_that_was_taken_down_is_broken() {
        let command = Undo::Command {
            run: Vec::new(),
            folder: "/".to_owned(),
        };
        let left = |events: Vec<Event>| {
            let left = left_owed(&journal(events));
            left.into_iter().map(|o| o.id).collect::<Vec<_>>()
        };
        let broken = vec![owed(1, Undo::Down), owed(2, unpaused()), owed(3, command)];
        assert_eq!(left(broken.clone()), [1, 2, 3]);
        let mut gone = broken;
        gone.push(Event::Mended { id: 1, attempts: 1 });
        assert_eq!(left(gone), [3], "the user's own is anywhere");
    }

    #[test]
    fn the_machines_of_a_cluster_outlive_the_stack_on_it() {
        let events = || {
            vec![
                owed(1, Undo::Down),
                owed(2, unpaused()),
                owed(
                    3,
                    Undo::Unpaused {
                        component: ComponentId::new(NODE, 5),
                    },
                ),
                Event::Mended { id: 1, attempts: 1 },
            ]
        };
        let left = |machines: Option<MachinesSpec>| {
            let mut journal = journal(events());
            journal.opened.stack = StackSpec::Swarm(Box::new(SwarmSpec {
                file: "stack.yml".into(),
                env: BTreeMap::new(),
                images: Vec::new(),
                machines,
                manager: None,
                outside: None,
                ready: None,
                services: Vec::new(),
                global: Vec::new(),
            }));
            let left = left_owed(&journal);
            left.into_iter().map(|o| o.id).collect::<Vec<_>>()
        };
        let machines = |keep| MachinesSpec {
            file: "cluster.yml".into(),
            name: "drill".to_owned(),
            env: BTreeMap::new(),
            keep,
            base: None,
        };
        assert_eq!(left(Some(machines(true))), [3], "they are kept");
        assert_eq!(left(None), [3], "they were there before");
        assert_eq!(left(Some(machines(false))), [0u64; 0], "they went, too");
    }

    #[test]
    fn a_call_is_on_its_way_from_the_moment_its_undo_is_on_disk() {
        let in_flight = |events: Vec<Event>| in_flight_since(&journal(events).entries).is_some();
        let step = || "break".to_owned();
        let mut events = vec![
            Event::Phase(Phase::StandingUp),
            owed(1, Undo::Down),
            Event::Phase(Phase::Drill),
        ];
        assert!(in_flight(events[..2].to_vec()));
        assert!(!in_flight(events.clone()));
        events.push(owed(2, unpaused()));
        assert!(in_flight(events.clone()));
        events.push(Event::Acknowledged {
            step: step(),
            error: None,
        });
        assert!(!in_flight(events));
    }
}
