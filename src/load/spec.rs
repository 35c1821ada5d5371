//! A load: prepared, its users logged in, started.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::ClientConfig;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::arrival::Draw;
use super::bodies::Bodies;
use super::client::{
    Client, Connects, Dialer, Http1, Http2, Manners, Names, Places, Raw1, Reqwest, Sources, Speaker,
};
use super::data::Rows;
use super::driver::{manners, tls};
use super::engine::Engine;
use super::journey::Course;
use super::ledger::Ledger;
use super::login::{Door, Logins};
use super::notes::Notes;
use super::pacer::{ClockPacer, Pacer, Pacing, Slots, StandbyPacer, ThreadPacer};
use super::part::{Part, Shared};
use super::precedence::go_first;
use super::program::Program;
use super::retry::Retries;
use super::run_delay::RunDelay;
use super::running::{Known, Paces, Shard};
use super::standby::{Room, Whereabouts};
use super::{Ended, LoadError, Running, Sink};
use crate::model::Lookup;
use crate::scenario::plan::{Arrivals, Driver, LoadPlan, Placed};
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
    /// How long after the common start it begins.
    pub delay: Duration,
    /// The number that records give its first journey.
    pub first_journey: usize,
}

impl LoadSpec {
    /// Of a load that is alone.
    #[must_use]
    pub fn alone(plan: LoadPlan, seed: u64, scenario_dir: PathBuf) -> Self {
        Self {
            plan,
            seed,
            scenario_dir,
            delay: Duration::ZERO,
            first_journey: 0,
        }
    }

    /// Of one of the loads of a plan, which is drawn by this seed.
    #[must_use]
    pub fn placed(load: &Placed<'_>, seed: u64, scenario_dir: PathBuf) -> Self {
        Self {
            plan: load.plan.clone(),
            seed: load.seed(seed),
            scenario_dir,
            delay: load.delay,
            first_journey: load.first_journey,
        }
    }
}

/// What sends the requests.
#[derive(Clone)]
pub enum ClientChoice {
    /// HTTP by the driver of the plan, on threads of the engine's own.
    Http,
    /// Another client, driven by the caller's runtime and its (possibly paused) clock.
    Fake(Arc<dyn Client>),
}

/// A load that is ready to start.
pub struct Load {
    plan: LoadPlan,
    /// How its schedule is walked.
    pacing: Arc<Pacing>,
    delay: Duration,
    first_journey: usize,
    draw: Draw,
    rows: Arc<Rows>,
    bodies: Arc<Bodies>,
    program: Arc<Program>,
    client: ClientChoice,
    dialer: Dialer,
    /// TLS as the driver speaks it, where it does.
    tls: Option<Arc<ClientConfig>>,
    manners: Manners,
    names: Arc<Names>,
    connects: Arc<Connects>,
    logins: Arc<Logins>,
    retries: Option<Arc<Retries>>,
    /// Users to log in again; whoever sees to that takes it.
    wanted: Option<mpsc::UnboundedReceiver<u32>>,
    logged_in: AtomicBool,
}

/// One shard of a load that is about to run, and where it says how it ended.
type Begun = (Engine, oneshot::Sender<Ended>);

/// Files that firedrill needs open beside the connections.
pub const OTHER_FILES: u64 = 256;

impl Load {
    /// Compiles the requests and reads the data rows and the bodies.
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
            delay,
            first_journey,
        } = spec;
        let rows = plan
            .data
            .as_ref()
            .map(|table| Rows::read(table, &scenario_dir));
        let rows = Arc::new(rows.transpose()?.unwrap_or_default());
        let bodies = Arc::new(Bodies::read(&plan, &scenario_dir)?);
        let program = Arc::new(Program::compile(&plan, values, &rows, &bodies)?);
        let draw =
            Draw::new(seed, plan.journeys.iter().map(|j| j.weight)).ok_or(LoadError::NoJourney)?;
        let names = Arc::new(Names::new(plan.engine.dns));
        let sources = Sources::new(&plan.engine.sources).map_err(|(address, error)| {
            let why = error.to_string();
            LoadError::Source { address, why }
        })?;
        let tls = tls(&plan.engine, program.speaks_tls(), &scenario_dir)?;
        let manners = manners(&plan.engine, values)?;
        let connects = Arc::<Connects>::default();
        let dialer = Dialer::new(
            tls.clone(),
            Arc::clone(&names),
            sources,
            Arc::clone(&connects),
        );
        let (logins, wanted) = Logins::new(plan.users.as_ref());
        let random = plan.arrivals.are_random().then_some(seed);
        Ok(Self {
            logged_in: AtomicBool::new(program.login.is_empty()),
            retries: plan.retry.clone().map(|plan| Arc::new(Retries::new(plan))),
            pacing: Arc::new(Pacing::new(plan.schedule(), random)),
            plan,
            delay,
            first_journey,
            draw,
            rows,
            bodies,
            program,
            client,
            dialer,
            tls,
            manners,
            names,
            connects,
            logins,
            wanted: Some(wanted),
        })
    }

    /// Logs the users in, one by one, at most five a second; a 429 waits its `Retry-After`. Belongs before the
    /// load's start and outside `asked`. Does nothing without users or without a login.
    ///
    /// # Errors
    /// [`LoadError::Login`].
    pub async fn login(&self) -> Result<(), LoadError> {
        if !self.program.login.is_empty() {
            self.door()?.all(&self.program).await?;
            self.logged_in.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Starts the load. Slot *n* is due at `started_us` + its delay + `Schedule::due_us(n)`; `started_us` is an offset on
    /// `clock` in the near future, so that slot 0 can be met. A fake client runs on the caller's runtime, paced by
    /// its clock; HTTP on threads of its own, each paced by another. `sink` is asked for one sink for each of them.
    ///
    /// # Errors
    /// [`LoadError::Thread`], [`LoadError::NotLoggedIn`].
    pub fn start(
        self,
        clock: Clock,
        started_us: i64,
        mut sink: impl FnMut() -> Box<dyn Sink>,
    ) -> Result<Running, LoadError> {
        let slots = self.slots(clock, started_us);
        if let ClientChoice::Fake(_) = self.client {
            let pacer = Box::new(ClockPacer::new(slots));
            return self.start_here(pacer, clock, started_us, sink());
        }
        allow_files(self.files() + OTHER_FILES);
        let (parts, ticks) = Part::all(&self.plan);
        let (begun, running) = self.build(&slots, &parts, sink)?;
        let stood_by = parts.iter().any(Part::stands_by);
        let whereabouts = Whereabouts::default();
        for ((mut engine, report), part) in begun.into_iter().zip(parts) {
            let failed = |thread| move |source| LoadError::Thread { thread, source };
            let slots = engine.slots.clone();
            let pacer: Box<dyn Pacer> = if let Some(room) = engine.room.take() {
                Box::new(StandbyPacer::new(slots, whereabouts.clone(), room))
            } else if ticks {
                Box::new(ClockPacer::new(slots))
            } else {
                let mut pacer = ThreadPacer::start(slots).map_err(failed("pacer"))?;
                engine.threads.extend(pacer.run_delay());
                if stood_by {
                    pacer = pacer.stood_by(whereabouts.clone());
                }
                Box::new(pacer)
            };
            thread::Builder::new()
                .name("firedrill-load".to_owned())
                .spawn(move || {
                    if !part.stands_by() {
                        engine.threads.extend(RunDelay::here());
                    }
                    drive(engine, pacer, report);
                })
                .map_err(failed("engine"))?;
        }
        Ok(running)
    }

    /// Starts several loads, each as long after `started_us` as its delay says: see [`Load::start`].
    ///
    /// # Errors
    /// As of [`Load::start`]; then none of them goes on.
    pub fn start_all(
        loads: Vec<Self>,
        clock: Clock,
        started_us: i64,
        mut sink: impl FnMut() -> Box<dyn Sink>,
    ) -> Result<Running, LoadError> {
        allow_files(loads.iter().map(Self::files).sum::<u64>() + OTHER_FILES);
        let mut all = Running::nothing();
        for load in loads {
            all.join_in(load.start(clock, started_us, &mut sink)?);
        }
        Ok(all)
    }

    /// Files that it may need open. A connection whose name is being asked for holds two: for its IPv4 and its IPv6
    /// addresses.
    fn files(&self) -> u64 {
        u64::from(self.plan.connections) * 2
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
        let slots = self.slots(clock, started_us);
        let mut sink = Some(sink);
        let (mut begun, running) = self.build(&slots, &[Part::whole()], || {
            sink.take().expect("one shard asks once")
        })?;
        let (engine, report) = begun.pop().expect("one shard was asked for");
        tokio::spawn(async move {
            // Nobody waits for the report of a load that was dropped.
            let _ = report.send(engine.run(pacer).await);
        });
        Ok(running)
    }

    /// The slots of this load, were it started so.
    #[must_use]
    pub fn slots(&self, clock: Clock, started_us: i64) -> Slots {
        let delay_us = i64::try_from(self.delay.as_micros()).unwrap_or(i64::MAX);
        let started_us = started_us.saturating_add(delay_us);
        Slots::paced(Arc::clone(&self.pacing), clock, started_us)
    }

    fn build(
        mut self,
        slots: &Slots,
        parts: &[Part],
        mut sink: impl FnMut() -> Box<dyn Sink>,
    ) -> Result<(Vec<Begun>, Running), LoadError> {
        if !self.logged_in.load(Ordering::Relaxed) {
            return Err(LoadError::NotLoggedIn);
        }
        let abort = CancellationToken::new();
        let door = (!self.program.login.is_empty()).then(|| self.door());
        let door = door.transpose()?;
        // One of them sees to all logins.
        let mut door = door.zip(self.wanted.take());
        let (mut begun, mut under_way) = (Vec::new(), Vec::new());
        let mut before = None;
        for part in parts {
            let mut plan = self.plan.clone();
            part.narrow(&mut plan);
            let shared = part.shared(&plan, slots, before);
            let Shared {
                slots,
                unanswered,
                places,
            } = shared.clone();
            before = Some(shared);
            let closed = match plan.arrivals {
                Arrivals::Even | Arrivals::Poisson => None,
                Arrivals::Closed(users) => Some(users),
            };
            let journeys = Arc::default();
            let room = part
                .stands_by()
                .then(|| Room::new(places.clone(), plan.connections, Arc::clone(&journeys)));
            let places = room.as_ref().map_or(places, Room::places);
            let course = Arc::new(Course {
                clock: slots.clock(),
                ledger: Ledger::new(slots.clock(), sink(), unanswered),
                client: self.client(plan.connections, places)?,
                program: RwLock::new(Arc::clone(&self.program)),
                rows: Arc::clone(&self.rows),
                bodies: Arc::clone(&self.bodies),
                draw: self.draw.clone(),
                first_journey: self.first_journey,
                logins: Arc::clone(&self.logins),
                retries: self.retries.clone(),
                notes: Notes::default(),
                plan,
            });
            let (report, ended) = oneshot::channel();
            under_way.push(Shard {
                ended,
                course: Arc::downgrade(&course),
            });
            let engine = Engine {
                course,
                slots,
                closed,
                abort: abort.clone(),
                door: door.take(),
                threads: Vec::new(),
                under_way: journeys,
                room,
            };
            begun.push((engine, report));
        }
        let known = Known {
            names: self.names,
            connects: self.connects,
            connections: self.plan.connections,
            logins: self.logins,
            retries: self.retries,
            pacing: Paces {
                pacing: self.pacing,
                started_us: slots.started_us(),
                by_rate: !self.plan.arrivals.are_closed(),
            },
        };
        Ok((begun, Running::new(abort, under_way, known)))
    }

    fn client(&self, connections: u32, places: Places) -> Result<Speaker, LoadError> {
        let (engine, dialer) = (&self.plan.engine, self.dialer.clone());
        let connecting = engine.connecting();
        Ok(match (&self.client, engine.driver) {
            (ClientChoice::Fake(client), _) => Speaker::Given(Arc::clone(client)),
            (ClientChoice::Http, Driver::Hyper1) => Speaker::Http1(Http1::over(
                connections,
                connecting,
                places,
                dialer,
                engine.reuse,
            )),
            (ClientChoice::Http, Driver::Raw1) => Speaker::Raw1(Raw1::over(
                connections,
                connecting,
                places,
                dialer,
                engine.reuse,
            )),
            (ClientChoice::Http, Driver::Hyper2) => Speaker::Http2(Http2::new(
                connections,
                engine.streams(),
                connecting,
                dialer,
                engine.reuse,
            )),
            (ClientChoice::Http, Driver::Reqwest) => {
                let tls = self.tls.clone().expect("it is made ready for this driver");
                let names = Arc::clone(&self.names);
                let client = Reqwest::new(connections, &self.manners, tls, names);
                Speaker::Reqwest(client.map_err(|why| LoadError::Client { why })?)
            }
        })
    }

    /// Logins have a connection of their own: they never wait for the load's, nor the load for theirs.
    fn door(&self) -> Result<Door, LoadError> {
        Ok(Door {
            logins: Arc::clone(&self.logins),
            client: self.client(1, Places::new(1))?,
            rows: Arc::clone(&self.rows),
            draw: self.draw.clone(),
            timeout: self.plan.timeout,
        })
    }
}

/// The engine's thread.
fn drive(engine: Engine, pacer: Box<dyn Pacer>, report: oneshot::Sender<Ended>) {
    // A closed loop keeps no times, and never rests: it would take the whole core from the others.
    if engine.closed.is_none() {
        go_first();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(engine.run(pacer));
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
