//! The engine: lets journeys go as the pacer says, and sees every one of them to its end.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::Ended;
use super::journey::Course;
use super::ledger::Identity;
use super::login::Door;
use super::pacer::{Pacer, Slots};

/// A load about to run.
pub(super) struct Engine {
    pub(super) course: Arc<Course>,
    pub(super) slots: Slots,
    pub(super) abort: CancellationToken,
    /// Who logs users in again, and who asks for it.
    pub(super) door: Option<(Door, mpsc::UnboundedReceiver<u32>)>,
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
        let mut journeys = JoinSet::new();
        let mut next = 0;
        let mut stopped = self.let_go(pacer.as_mut(), &mut journeys, &mut next).await;
        if matches!(stopped, Stopped::AtTheEnd) {
            stopped = self.drain(&mut journeys).await;
        }
        // Whoever is still under way is cut: dropping a journey closes its entry.
        journeys.shutdown().await;
        if matches!(stopped, Stopped::Aborted) {
            self.cut_due(next);
        }
        helpers.shutdown().await;
        self.ended(stopped)
    }

    async fn let_go(
        &self,
        pacer: &mut dyn Pacer,
        journeys: &mut JoinSet<()>,
        next: &mut u64,
    ) -> Stopped {
        loop {
            tokio::select! {
                biased;
                () = self.abort.cancelled() => return Stopped::Aborted,
                due = pacer.next() => match due {
                    Some(due) => for n in due {
                        self.course.ledger.arrival();
                        journeys.spawn(Arc::clone(&self.course).run(n, self.slots.due_us(n)));
                        *next = n + 1;
                    },
                    None if *next == self.slots.count() => return Stopped::AtTheEnd,
                    None => return Stopped::Failed(format!(
                        "the pacer ended at slot {next} of {}", self.slots.count()
                    )),
                },
                Some(done) = journeys.join_next() => if let Err(error) = done {
                    return broke_off(&error);
                },
            }
        }
    }

    /// Awaits the journeys under way: each ends by its requests' deadlines.
    async fn drain(&self, journeys: &mut JoinSet<()>) -> Stopped {
        loop {
            tokio::select! {
                biased;
                () = self.abort.cancelled() => return Stopped::Aborted,
                done = journeys.join_next() => match done {
                    Some(Ok(())) => {}
                    Some(Err(error)) => return broke_off(&error),
                    None => return Stopped::AtTheEnd,
                },
            }
        }
    }

    /// Slots that were due when the load was aborted, but not let go yet, were asked all the same.
    fn cut_due(&self, next: u64) {
        let now = self.course.ledger.now_us();
        let due = (next..self.slots.count()).take_while(|&n| self.slots.due_us(n) <= now);
        for n in due {
            let drawn = self.course.draw.of(n);
            let identity = Identity {
                n,
                journey: u16::try_from(drawn.journey).unwrap_or(u16::MAX),
                request: 0,
                user: self.course.logins.user_of(n),
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
