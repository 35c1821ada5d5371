//! A load: prepared, its users logged in, started.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::thread;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::arrival::Draw;
use super::client::{Client, Http1};
use super::data::Rows;
use super::engine::Engine;
use super::journey::Course;
use super::ledger::Ledger;
use super::login::{Door, Logins};
use super::notes::Notes;
use super::pacer::{ClockPacer, Pacer, Slots, ThreadPacer};
use super::precedence::go_first;
use super::program::Program;
use super::{Ended, LoadError, Running, Sink};
use crate::model::Lookup;
use crate::scenario::plan::LoadPlan;
use crate::timeline::clock::Clock;

/// Values of the variables that do not change from arrival to arrival: addresses, ports, secrets, folders.
pub type Values = Arc<dyn Lookup + Send + Sync>;

/// What to generate.
#[derive(Debug, Clone)]
pub struct LoadSpec {
    /// The load of the plan.
    pub plan: LoadPlan,
    /// Seed of every random choice.
    pub seed: u64,
    /// Folder of the scenario file, which the data file's path is relative to.
    pub scenario_dir: PathBuf,
}

/// What sends the requests.
#[derive(Clone)]
pub enum ClientChoice {
    /// HTTP/1.1 over TCP, on a thread of the engine's own.
    Http1,
    /// Another client, driven by the caller's runtime and its (possibly paused) clock.
    Fake(Arc<dyn Client>),
}

/// A load that is ready to start.
pub struct Load {
    plan: LoadPlan,
    draw: Draw,
    rows: Arc<Rows>,
    program: Arc<Program>,
    client: ClientChoice,
    logins: Arc<Logins>,
    wanted: mpsc::UnboundedReceiver<u32>,
    logged_in: AtomicBool,
}

/// Files that firedrill needs open beside the connections.
pub const OTHER_FILES: u64 = 256;

impl Load {
    /// Compiles the requests and reads the data rows.
    ///
    /// # Errors
    /// [`LoadError`] where a request could never be sent as written.
    pub fn prepare(
        spec: LoadSpec,
        values: &Values,
        client: ClientChoice,
    ) -> Result<Self, LoadError> {
        let LoadSpec {
            plan,
            seed,
            scenario_dir,
        } = spec;
        let rows = plan
            .data
            .as_ref()
            .map(|table| Rows::read(table, &scenario_dir));
        let rows = Arc::new(rows.transpose()?.unwrap_or_default());
        let program = Arc::new(Program::compile(&plan, values, &rows)?);
        let draw =
            Draw::new(seed, plan.journeys.iter().map(|j| j.weight)).ok_or(LoadError::NoJourney)?;
        let (logins, wanted) = Logins::new(plan.users.as_ref().map_or(0, |u| u.count));
        Ok(Self {
            logged_in: AtomicBool::new(program.login.is_empty()),
            plan,
            draw,
            rows,
            program,
            client,
            logins,
            wanted,
        })
    }

    /// Logs the users in, one by one, at most five a second; a 429 waits its `Retry-After`. Belongs before the
    /// load's start and outside `asked`. Does nothing without users or without a login.
    ///
    /// # Errors
    /// [`LoadError::Login`].
    pub async fn login(&self) -> Result<(), LoadError> {
        if !self.program.login.is_empty() {
            self.door().all(&self.program).await?;
            self.logged_in.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Starts the load. Slot *n* is due at `started_us` + `Schedule::due_us(n)`; `started_us` is an offset on
    /// `clock` in the near future, so that slot 0 can be met. A fake client runs on the caller's runtime, paced by
    /// its clock; HTTP/1.1 on a thread of its own, paced by another.
    ///
    /// # Errors
    /// [`LoadError::Thread`], [`LoadError::NotLoggedIn`].
    pub fn start(
        self,
        clock: Clock,
        started_us: i64,
        sink: Box<dyn Sink>,
    ) -> Result<Running, LoadError> {
        let slots = self.slots(clock, started_us);
        match self.client {
            ClientChoice::Fake(_) => {
                self.start_here(Box::new(ClockPacer::new(slots)), clock, started_us, sink)
            }
            ClientChoice::Http1 => {
                allow_files(u64::from(self.plan.connections) + OTHER_FILES);
                let (engine, running, report) = self.build(clock, started_us, sink)?;
                let pacer = ThreadPacer::start(slots).map_err(|source| LoadError::Thread {
                    thread: "pacer",
                    source,
                })?;
                thread::Builder::new()
                    .name("firedrill-load".to_owned())
                    .spawn(move || drive(engine, pacer, report))
                    .map_err(|source| LoadError::Thread {
                        thread: "engine",
                        source,
                    })?;
                Ok(running)
            }
        }
    }

    /// Starts the load on the caller's runtime, paced by `pacer`, which must let go the slots of
    /// [`Load::slots`] for the same clock and start.
    ///
    /// # Errors
    /// [`LoadError::NotLoggedIn`].
    pub fn start_here(
        self,
        pacer: Box<dyn Pacer>,
        clock: Clock,
        started_us: i64,
        sink: Box<dyn Sink>,
    ) -> Result<Running, LoadError> {
        let (engine, running, report) = self.build(clock, started_us, sink)?;
        tokio::spawn(async move {
            // Nobody waits for the report of a load that was dropped.
            let _ = report.send(engine.run(pacer).await);
        });
        Ok(running)
    }

    /// The slots of this load, were it started so.
    #[must_use]
    pub fn slots(&self, clock: Clock, started_us: i64) -> Slots {
        Slots::new(self.plan.schedule(), clock, started_us)
    }

    fn build(
        self,
        clock: Clock,
        started_us: i64,
        sink: Box<dyn Sink>,
    ) -> Result<(Engine, Running, oneshot::Sender<Ended>), LoadError> {
        if !self.logged_in.load(Ordering::Relaxed) {
            return Err(LoadError::NotLoggedIn);
        }
        let slots = self.slots(clock, started_us);
        let door = (!self.program.login.is_empty()).then(|| self.door());
        let course = Arc::new(Course {
            clock,
            ledger: Ledger::new(clock, sink),
            client: self.client.client(self.plan.connections),
            program: RwLock::new(self.program),
            rows: self.rows,
            draw: self.draw,
            logins: self.logins,
            notes: Notes::default(),
            plan: self.plan,
        });
        let abort = CancellationToken::new();
        let (report, ended) = oneshot::channel();
        let running = Running::new(abort.clone(), ended, Arc::downgrade(&course));
        let engine = Engine {
            course,
            slots,
            abort,
            door: door.map(|door| (door, self.wanted)),
        };
        Ok((engine, running, report))
    }

    /// Logins have a connection of their own: they never wait for the load's, nor the load for theirs.
    fn door(&self) -> Door {
        Door {
            logins: Arc::clone(&self.logins),
            client: self.client.client(1),
            rows: Arc::clone(&self.rows),
            draw: self.draw.clone(),
            timeout: self.plan.timeout,
        }
    }
}

impl ClientChoice {
    fn client(&self, connections: u32) -> Arc<dyn Client> {
        match self {
            Self::Http1 => Arc::new(Http1::new(connections)),
            Self::Fake(client) => Arc::clone(client),
        }
    }
}

/// The engine's thread.
fn drive(engine: Engine, pacer: ThreadPacer, report: oneshot::Sender<Ended>) {
    go_first();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(engine.run(Box::new(pacer)));
            // A name that is still being resolved must not hold up the end of the run.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Ended {
            failed: Some(format!(
                "the load engine's runtime could not be made: {error}"
            )),
            ..Ended::default()
        },
    };
    // Nobody waits for the report of a load that was dropped.
    let _ = report.send(ended);
}

/// Raises the soft limit on open files where it is too low. If the hard limit is lower, requests beyond it are
/// recorded as `dropped`, and the load says so.
fn allow_files(wanted: u64) {
    let limit = getrlimit(Resource::Nofile);
    let (Some(soft), hard) = (limit.current, limit.maximum) else {
        return;
    };
    let current = hard.map_or(wanted, |hard| wanted.min(hard));
    if soft < current {
        // What cannot be raised shows as `dropped`.
        let _ = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(current),
                maximum: hard,
            },
        );
    }
}
