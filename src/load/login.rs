//! The users' logins: one by one, at most five a second, before the load and again on a 401.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::LoadError;
use super::arrival::{Arrival, Draw, Named, Unique};
use super::client::{Jar, Jars, Speaker};
use super::data::Rows;
use super::error::LoginFailure;
use super::notes::Notes;
use super::program::{Program, Request};
use super::retry::retry_after;
use crate::model::Outcome;
use crate::scenario::plan::Users;

/// Time from one login to the next.
const SPACING: Duration = Duration::from_millis(200);

/// A 429 without a readable `Retry-After`.
const DEFAULT_WAIT: Duration = Duration::from_secs(1);

/// The longest wait that a 429 may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How many 429 in a row are waited for.
const PATIENCE: u32 = 20;

/// What is known of the users.
#[derive(Debug)]
pub(super) struct Logins {
    users: Mutex<Vec<User>>,
    count: u32,
    /// Their cookies, where they keep any.
    jars: Option<Arc<Jars>>,
    /// Users to log in again.
    wanted: mpsc::UnboundedSender<u32>,
}

#[derive(Debug, Clone, Default)]
struct User {
    known: Arc<Named>,
    /// A login is under way or asked for.
    pending: bool,
}

impl Logins {
    /// These users; none for a load without. What comes out of the receiver wants a login.
    pub(super) fn new(plan: Option<&Users>) -> (Arc<Self>, mpsc::UnboundedReceiver<u32>) {
        let (wanted, asked) = mpsc::unbounded_channel();
        let count = plan.map_or(0, |users| users.count);
        let jars = plan.filter(|users| users.cookies);
        let users = vec![User::default(); usize::try_from(count).unwrap_or(usize::MAX)];
        let logins = Self {
            users: Mutex::new(users),
            count,
            jars: jars.map(|users| Arc::new(Jars::new(users.count))),
            wanted,
        };
        (Arc::new(logins), asked)
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// The user that arrival `n` draws.
    pub(super) fn user_of(&self, n: u64) -> u32 {
        let user = n.checked_rem(u64::from(self.count)).unwrap_or(0);
        u32::try_from(user).unwrap_or(0)
    }

    /// A user's cookies; `None` where users keep none.
    pub(super) fn jar(&self, user: u32) -> Option<Jar> {
        self.jars.as_ref().map(|jars| jars.of(user))
    }

    /// What a person should know of their cookies.
    pub(super) fn note(&self) -> Option<String> {
        self.jars.as_ref()?.note()
    }

    /// What a user's last login extracted.
    pub(super) fn known(&self, user: u32) -> Arc<Named> {
        let users = self.users();
        users
            .get(user as usize)
            .map(|u| Arc::clone(&u.known))
            .unwrap_or_default()
    }

    /// A request that used `known` was answered 401: asks for a new login, unless one has come since or is under way.
    pub(super) fn again(&self, user: u32, known: &Arc<Named>) {
        let mut users = self.users();
        if let Some(state) = users.get_mut(user as usize)
            && !state.pending
            && Arc::ptr_eq(&state.known, known)
        {
            state.pending = self.wanted.send(user).is_ok();
        }
    }

    fn came(&self, user: u32, known: Option<Named>) {
        if let Some(state) = self.users().get_mut(user as usize) {
            state.pending = false;
            if let Some(known) = known {
                state.known = Arc::new(known);
            }
        }
    }

    fn users(&self) -> MutexGuard<'_, Vec<User>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Logs users in.
pub(super) struct Door {
    pub(super) logins: Arc<Logins>,
    pub(super) client: Speaker,
    pub(super) rows: Arc<Rows>,
    pub(super) draw: Draw,
    pub(super) timeout: Duration,
}

impl Door {
    /// Logs every user in.
    pub(super) async fn all(&self, program: &Program) -> Result<(), LoadError> {
        let mut next = Instant::now();
        for user in 0..self.logins.count() {
            sleep_until(next).await;
            next = Instant::now() + SPACING;
            self.one(user, &program.login).await?;
        }
        Ok(())
    }

    /// Logs in again whoever asks for it, until nobody can ask any more. `program` is read anew for each.
    pub(super) async fn serve(
        &self,
        mut asked: mpsc::UnboundedReceiver<u32>,
        program: impl Fn() -> Arc<Program>,
        notes: &Notes,
    ) {
        while let Some(user) = asked.recv().await {
            let next = Instant::now() + SPACING;
            if let Err(error) = self.one(user, &program().login).await {
                notes.once(format!("after a 401, {error}"));
                self.logins.came(user, None);
            }
            sleep_until(next).await;
        }
    }

    async fn one(&self, user: u32, requests: &[Request]) -> Result<(), LoadError> {
        let mut arrival = Arrival {
            n: u64::from(user),
            user,
            unique: self.unique(user),
            login: Arc::default(),
            named: Vec::new(),
        };
        for request in requests {
            self.ask(request, &mut arrival).await?;
        }
        self.logins.came(user, Some(arrival.named));
        Ok(())
    }

    /// Logins draw from the numbers that no arrival reaches.
    fn unique(&self, user: u32) -> Unique {
        self.draw.of(u64::MAX - u64::from(user)).unique
    }

    async fn ask(&self, request: &Request, arrival: &mut Arrival) -> Result<(), LoadError> {
        let user = arrival.user;
        let failed = |got| LoadError::Login {
            user,
            request: request.label.clone(),
            got,
        };
        for _ in 0..PATIENCE {
            let mut outgoing = request.fill(arrival, &self.rows)?;
            outgoing.jar = self.logins.jar(user);
            let deadline = Instant::now() + self.timeout;
            let exchange = self.client.send(&mut outgoing, deadline).await;
            let status = exchange.status;
            let outcome = match &exchange.result {
                Ok(body) => request.checks.judge(status, body, arrival, &self.rows),
                Err(outcome) => *outcome,
            };
            match outcome {
                Outcome::Ok => return Ok(()),
                Outcome::Http429 => {
                    let wait = retry_after(&exchange.headers).unwrap_or(DEFAULT_WAIT);
                    sleep(wait.min(LONGEST_WAIT)).await;
                }
                outcome => return Err(failed(LoginFailure::Ended { outcome, status })),
            }
        }
        Err(failed(LoginFailure::TooMany { times: PATIENCE }))
    }
}
