//! One arrival: its journey from the slot to its end.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::HeaderMap;
use tokio::time::sleep_until;

use super::arrival::{Arrival, Draw};
use super::bodies::Bodies;
use super::checks::wants_login;
use super::client::{Exchange, Outgoing, Speaker};
use super::data::Rows;
use super::ledger::{Answered, Entry, Identity, Ledger};
use super::login::Logins;
use super::notes::Notes;
use super::program::{Item, Program, Request};
use super::retry::{Retries, Tried};
use super::{LoadError, Values};
use crate::model::Outcome;
use crate::scenario::plan::LoadPlan;
use crate::timeline::clock::Clock;

/// How late a slot may be let go by a generator that counts as on time.
pub(super) const ON_TIME_US: i64 = 10_000;

/// What all journeys of a load share.
pub(super) struct Course {
    pub(super) clock: Clock,
    pub(super) ledger: Arc<Ledger>,
    pub(super) client: Speaker,
    pub(super) program: RwLock<Arc<Program>>,
    pub(super) rows: Arc<Rows>,
    pub(super) bodies: Arc<Bodies>,
    pub(super) draw: Draw,
    /// The number that records give the first journey.
    pub(super) first_journey: usize,
    pub(super) logins: Arc<Logins>,
    /// `None` where no request is tried again.
    pub(super) retries: Option<Arc<Retries>>,
    pub(super) plan: LoadPlan,
    pub(super) notes: Notes,
}

/// The requests of a journey that are not reached yet; those left when it ends never will be.
struct Ahead<'a> {
    ledger: &'a Ledger,
    requests: u64,
}

impl Drop for Ahead<'_> {
    fn drop(&mut self) {
        if self.requests > 0 {
            self.ledger.never_reached(self.requests);
        }
    }
}

/// How a request left its journey.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Went {
    /// Good: the journey goes on from this offset.
    On(i64),
    /// The journey stops.
    Stop,
}

/// How a try ended.
struct Ending {
    outcome: Outcome,
    /// When, µs since the run's zero.
    done_us: i64,
    exchange: Exchange,
}

impl Course {
    /// The number that records give a journey.
    pub(super) fn number(&self, journey: usize) -> u16 {
        u16::try_from(self.first_journey + journey).unwrap_or(u16::MAX)
    }

    /// The program in force.
    pub(super) fn program(&self) -> Arc<Program> {
        Arc::clone(&self.program.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Compiles the program anew with these values. Its shape stays the same: it comes from the same plan.
    pub(super) fn readdress(&self, values: &Values) -> Result<(), LoadError> {
        let program = Program::compile(&self.plan, values, &self.rows, &self.bodies)?;
        *self.program.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(program);
        Ok(())
    }

    /// Runs arrival `n`, due at `due_us`, to the end of its journey.
    pub(super) async fn run(&self, n: u64, due_us: i64) {
        let drawn = self.draw.of(n);
        let user = self.logins.user_of(n);
        let mut arrival = Arrival {
            n,
            user,
            unique: drawn.unique,
            login: self.logins.known(user),
            named: Vec::new(),
        };
        let program = self.program();
        let Some(journey) = program.journeys.get(drawn.journey) else {
            return;
        };
        let mut ahead = Ahead {
            ledger: &self.ledger,
            requests: journey.requests,
        };
        let (mut due_us, mut number) = (due_us, 0);
        for (place, item) in journey.items.iter().enumerate() {
            match item {
                Item::Think(time) => {
                    due_us += micros(*time);
                    sleep_until(self.clock.instant(due_us)).await;
                }
                Item::Request(_) => {
                    let identity = Identity {
                        n,
                        journey: self.number(drawn.journey),
                        request: number,
                        user,
                    };
                    number += 1;
                    ahead.requests -= 1;
                    let entry = self.ledger.open(identity, due_us);
                    // Addresses may have changed since the journey began.
                    let program = self.program();
                    let Some(request) = program.request(drawn.journey, place) else {
                        return;
                    };
                    match self.ask(request, entry, due_us, &mut arrival).await {
                        Went::On(done_us) => due_us = done_us,
                        Went::Stop => return,
                    }
                }
            }
        }
    }

    /// Sees one request that became due to its record.
    async fn ask(
        &self,
        request: &Request,
        mut entry: Entry,
        due_us: i64,
        arrival: &mut Arrival,
    ) -> Went {
        let timeout_us = micros(self.plan.timeout);
        let deadline_us = due_us.saturating_add(timeout_us);
        let now = self.ledger.now_us();
        let late = now - due_us > ON_TIME_US;
        if now >= deadline_us || (late && entry.others >= self.plan.in_flight) {
            entry.close(Outcome::Dropped, false, now, Answered::default());
            return Went::Stop;
        }
        entry.left_us = Some(now);
        if entry.others >= self.plan.in_flight {
            entry.close(Outcome::Shed, false, now, Answered::default());
            return Went::Stop;
        }
        let mut outgoing = match request.fill(arrival, &self.rows) {
            Ok(outgoing) => outgoing,
            Err(error) => {
                self.notes.once(error.to_string());
                entry.close(Outcome::Assertion, false, now, Answered::default());
                return Went::Stop;
            }
        };
        outgoing.jar = self.logins.jar(arrival.user);
        let ending = match &self.retries {
            None => {
                outgoing.sent = entry.sent.clone();
                self.try_once(request, &mut outgoing, deadline_us, arrival)
                    .await
            }
            Some(retries) => {
                retries.request(now);
                let (sent, entry) = (&outgoing, &mut entry);
                self.try_until(retries, request, sent, entry, deadline_us, arrival)
                    .await
            }
        };
        let Ending {
            outcome,
            done_us,
            exchange,
        } = ending;
        let outcome = at_the_end(outcome, done_us > deadline_us);
        let slow = request
            .checks
            .within
            .is_some_and(|w| done_us - due_us > micros(w));
        let good = outcome == Outcome::Ok && !slow;
        let names = self.plan.served_by.as_ref();
        let answered = Answered {
            status: exchange.status,
            instance: names.and_then(|s| header(&exchange.headers, s.instance.as_deref())),
            version: names.and_then(|s| header(&exchange.headers, s.version.as_deref())),
        };
        entry.close(outcome, good, done_us, answered);
        if wants_login(exchange.status) {
            self.logins.again(arrival.user, &arrival.login);
        }
        if good { Went::On(done_us) } else { Went::Stop }
    }

    /// Sends a request once.
    async fn try_once(
        &self,
        request: &Request,
        outgoing: &mut Outgoing,
        until_us: i64,
        arrival: &mut Arrival,
    ) -> Ending {
        let until = self.clock.instant(until_us);
        let exchange = self.client.send(outgoing, until).await;
        let outcome = match &exchange.result {
            Ok(body) => request
                .checks
                .judge(exchange.status, body, arrival, &self.rows),
            Err(outcome) => *outcome,
        };
        Ending {
            outcome,
            done_us: self.ledger.now_us(),
            exchange,
        }
    }

    /// Sends a request until it ends well, or is not to be tried again.
    async fn try_until(
        &self,
        retries: &Retries,
        request: &Request,
        outgoing: &Outgoing,
        entry: &mut Entry,
        deadline_us: i64,
        arrival: &mut Arrival,
    ) -> Ending {
        let identity = entry.identity();
        let mut tries = 0;
        loop {
            tries += 1;
            let mut this = outgoing.clone();
            this.sent = entry.sent.clone();
            let until_us = retries.until_us(self.ledger.now_us(), deadline_us);
            let ending = self.try_once(request, &mut this, until_us, arrival).await;
            let tried = Tried {
                method: &outgoing.method,
                tries,
                outcome: ending.outcome,
                status: ending.exchange.status,
                headers: &ending.exchange.headers,
                left: entry.sent.at().is_some(),
                done_us: ending.done_us,
            };
            let draw = self.draw.wait_after(identity.n, identity.request, tries);
            let Some(again_us) = retries.again_us(&tried, draw, deadline_us) else {
                return ending;
            };
            sleep_until(self.clock.instant(again_us)).await;
            entry.again(ending.outcome, ending.done_us);
        }
    }
}

/// What is not complete by its deadline is a timeout, however it ends a moment later; what the client gave up for
/// the deadline says by itself what it was waiting for.
fn at_the_end(outcome: Outcome, too_late: bool) -> Outcome {
    match outcome {
        Outcome::Timeout | Outcome::ConnectTimeout | Outcome::Dns | Outcome::Dropped => outcome,
        _ if too_late => Outcome::Timeout,
        _ => outcome,
    }
}

fn header<'a>(headers: &'a HeaderMap, name: Option<&str>) -> Option<&'a str> {
    let value = headers.get(name?)?.to_str().ok()?;
    (!value.is_empty()).then_some(value)
}

fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}
