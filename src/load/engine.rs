//! The engine: lets journeys go as the pacer says, and sees every one of them to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::Ended;
use super::journey::Course;
use super::ledger::Identity;
use super::login::Door;
use super::pacer::{Pacer, Slots};
use super::run_delay::{RunDelay, Waits};
use super::standby::Room;
use super::workers::Workers;

/// A load, or one shard of it, about to run.
pub(super) struct Engine {
    pub(super) course: Arc<Course>,
    pub(super) slots: Slots,
    /// In a closed loop, how many users arrive again and again.
    pub(super) closed: Option<u32>,
    pub(super) abort: CancellationToken,
    /// Who logs users in again, and who asks for it.
    pub(super) door: Option<(Door, mpsc::UnboundedReceiver<u32>)>,
    /// The threads that send, as far as their waiting for a CPU is counted.
    pub(super) threads: Vec<RunDelay>,
    /// Journeys under way.
    pub(super) under_way: Arc<AtomicU64>,
    /// Of one that stands by; its pacer takes it.
    pub(super) room: Option<Room>,
}

/// Why slots are no longer let go.
enum Stopped {
    AtTheEnd,
    Aborted,
    Failed(String),
}

impl Engine {
    /// Runs the load on the runtime that polls this.
    pub(super) async fn run(mut self, mut pacer: Box<dyn Pacer>) -> Ended {
        let mut helpers = JoinSet::new();
        if let Some((door, asked)) = self.door.take() {
            let course = Arc::clone(&self.course);
            helpers
                .spawn(async move { door.serve(asked, || course.program(), &course.notes).await });
        }
        let waits = Waits::default();
        let threads = std::mem::take(&mut self.threads);
        let (clock, started_us) = (self.slots.clock(), self.slots.started_us());
        helpers.spawn(waits.clone().watch(threads, clock, started_us));
        let mut workers = Workers::counting(Arc::clone(&self.under_way));
        let mut stopped = match self.closed {
            None => self.let_go(pacer.as_mut(), &mut workers).await,
            Some(users) => {
                self.admit(users, &mut workers);
                self.until_over(pacer.as_mut()).await
            }
        };
        if matches!(stopped, Stopped::AtTheEnd) {
            stopped = self.drain(&mut workers).await;
        }
        // Whoever is still under way is cut: dropping a journey closes its entry.
        workers.shutdown().await;
        if matches!(stopped, Stopped::Aborted) {
            self.cut_due();
        }
        helpers.shutdown().await;
        if let Some(note) = waits.note() {
            self.course.notes.once(note);
        }
        self.ended(stopped)
    }

    async fn let_go(&self, pacer: &mut dyn Pacer, workers: &mut Workers) -> Stopped {
        loop {
            tokio::select! {
                biased;
                () = self.abort.cancelled() => return Stopped::Aborted,
                due = pacer.next() => match due {
                    Some(due) => {
                        self.slots.let_go(due.end);
                        for n in due {
                            self.course.ledger.arrival();
                            let (number, due_us) = (self.slots.number(n), self.slots.due_us(n));
                            workers.carry_out(&self.course, number, due_us);
                        }
                    },
                    None if self.slots.gone() == self.slots.count() => return Stopped::AtTheEnd,
                    None => return Stopped::Failed(format!(
                        "the pacer ended at slot {} of {}", self.slots.gone(), self.slots.count()
                    )),
                },
                error = workers.broke_off() => return broke_off(&error),
            }
        }
    }

    /// Lets the users of a closed loop in. Each arrives when the load begins, and again whenever its journey is over.
    fn admit(&self, users: u32, workers: &mut Workers) {
        let next = Arc::new(AtomicU64::new(0));
        for _ in 0..users {
            let (course, slots, next) = (
                Arc::clone(&self.course),
                self.slots.clone(),
                Arc::clone(&next),
            );
            workers.admit(async move {
                let clock = slots.clock();
                sleep_until(clock.instant(slots.started_us())).await;
                loop {
                    let due_us = clock.now_us();
                    if due_us >= slots.end_us() {
                        return;
                    }
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    course.ledger.arrival();
                    course.run(slots.number(place), due_us).await;
                    // A journey that could send nothing has waited for nothing.
                    tokio::task::consume_budget().await;
                }
            });
        }
    }

    /// Waits for the end of a load that needs no letting go.
    async fn until_over(&self, pacer: &mut dyn Pacer) -> Stopped {
        tokio::select! {
            biased;
            () = self.abort.cancelled() => Stopped::Aborted,
            _none_due = pacer.next() => Stopped::AtTheEnd,
        }
    }

    /// Awaits the journeys under way: each ends by its requests' deadlines.
    async fn drain(&self, workers: &mut Workers) -> Stopped {
        tokio::select! {
            biased;
            () = self.abort.cancelled() => Stopped::Aborted,
            finished = workers.finish() => match finished {
                Ok(()) => Stopped::AtTheEnd,
                Err(error) => broke_off(&error),
            },
        }
    }

    /// Slots that were due when the load was aborted, but not let go yet, were asked all the same.
    fn cut_due(&self) {
        if self.closed.is_some() {
            return;
        }
        for n in self.slots.take_due().into_iter().flatten() {
            let number = self.slots.number(n);
            let drawn = self.course.draw.of(number);
            let identity = Identity {
                n: number,
                journey: self.course.number(drawn.journey),
                request: 0,
                user: self.course.logins.user_of(number),
            };
            let program = self.course.program();
            let requests = program
                .journeys
                .get(drawn.journey)
                .map_or(0, |j| j.requests);
            self.course.ledger.arrival();
            if requests > 0 {
                drop(self.course.ledger.open(identity, self.slots.due_us(n)));
                self.course.ledger.never_reached(requests - 1);
            }
        }
    }

    fn ended(&self, stopped: Stopped) -> Ended {
        self.course.ledger.flush();
        let counts = self.course.ledger.counts();
        if counts.unsendable > 0 {
            self.course.notes.once(format!(
                "{} requests could not be sent for want of sockets or local ports on this machine: raise `ulimit -n`, \
                 lower connections.max, or lower the rate",
                counts.unsendable
            ));
        }
        for note in self.course.client.notes() {
            self.course.notes.once(note);
        }
        Ended {
            arrivals: counts.arrivals,
            asked: counts.asked,
            not_reached: counts.not_reached,
            aborted: matches!(stopped, Stopped::Aborted),
            failed: match stopped {
                Stopped::Failed(why) => Some(why),
                Stopped::AtTheEnd | Stopped::Aborted => None,
            },
            notes: self.course.notes.all(),
        }
    }
}

fn broke_off(error: &JoinError) -> Stopped {
    Stopped::Failed(format!("a journey broke off: {error}"))
}
