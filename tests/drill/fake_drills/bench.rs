//! A whole drill on the stack in memory: from a scenario's text to its verdict, on tokio's paused clock.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use firedrill::judge::result::LoadResult;
use firedrill::judge::{self, Judgement};
use firedrill::load::ClientChoice;
use firedrill::load::client::FakeClient;
use firedrill::model::{Act, FakeSpec, Redactor, StackSpec};
use firedrill::run::{Interrupt, Order, RunError, Selection, conduct};
use firedrill::scenario::{self, Inputs, Plan};
use firedrill::stack::{
    DockerEnv, FakeStack, FakeWorld, OwnedThing, Owner, SecretStore, Stack, StackContext,
};
use firedrill::timeline::clock::Clock;
use firedrill::timeline::event::{Event, JOURNAL_VERSION, Opened};
use firedrill::timeline::{Recorder, Recording, RunDir};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::moody::{Call, Mood, Moods, MoodyStack};

/// 30 s of load on three backends; `lose-one` takes one of them from +10 s to +16 s.
pub(crate) const LOSE_ONE: &str = "
steps:
  - { name: lose-one, at: 10s, kill: { target: backend }, hold: 6s }
objectives:
  availability: { at_least: 95% }
  failover: { lose-one: 2s }
  lost: { lose-one: 1s }
";

/// A drill before it begins.
pub(crate) struct FakeDrill {
    pub(crate) plan: Plan,
    pub(crate) world: FakeWorld,
    pub(crate) selection: Selection,
    pub(crate) keep_stack: bool,
    pub(crate) interrupt: Interrupt,
    /// What an operator does, and how long after the run's zero.
    pub(crate) acts: Vec<(Duration, Act)>,
    /// After the last of that nobody is there any more.
    pub(crate) deserted: bool,
    /// Which calls of the stack hang, fail badly or come late.
    pub(crate) moods: Option<Moods>,
    /// Where the user's own commands run.
    pub(crate) scenario_dir: PathBuf,
    /// The wall clock at the run's zero, ns since 1970; the machine's where `None`.
    pub(crate) wall_ns: Option<i64>,
}

/// A drill that is over.
pub(crate) struct Drilled {
    _reports: TempDir,
    pub(crate) dir: RunDir,
    pub(crate) plan: Plan,
    pub(crate) ended: Result<(), RunError>,
    pub(crate) recording: Recording,
    pub(crate) judgement: Judgement,
    /// What still stands.
    pub(crate) left: Vec<OwnedThing>,
}

impl FakeDrill {
    /// The drill of these steps, objectives and guards, on three backends behind an edge that needs 1 s to notice a loss.
    pub(crate) fn new(method: &str) -> Self {
        let text = format!(
            "version: 1
name: fake
seed: 7
stack: {{ process: {{ services: {{ backend: {{ command: [none], replicas: 3 }} }} }} }}
load:
  base_url: http://${{addr:backend}}
  warmup: 2s
  stages: [ {{ rate: 100/s, for: 30s }} ]
  timeout: 1s
  served_by: {{ instance: X-Backend, version: X-Version }}
  request: {{ get: / }}
recovery: {{ settle: 2s, bad: 0 }}
{method}"
        );
        let (vars, env) = (BTreeMap::new(), BTreeMap::new());
        let inputs = Inputs {
            path: Path::new("fake.yaml"),
            text: &text,
            vars: &vars,
            env: &env,
            seed: None,
        };
        let mut plan = scenario::load(&inputs, &|_, _| Ok(()))
            .unwrap_or_else(|p| panic!("{}", p.render(scenario::Colour::Off)))
            .plan;
        let spec = FakeSpec {
            services: [("backend".to_owned(), 3)].into(),
            effect_after: Duration::from_millis(40),
            failover_after: Duration::from_secs(1),
        };
        plan.stack = StackSpec::Fake(spec.clone());
        Self {
            plan,
            world: FakeWorld::new(spec),
            selection: Selection::default(),
            keep_stack: false,
            interrupt: Interrupt::default(),
            acts: Vec::new(),
            deserted: false,
            moods: None,
            scenario_dir: PathBuf::from("/nowhere"),
            wall_ns: None,
        }
    }

    /// The drill on a stack with moods.
    pub(crate) fn moody(
        mut self,
        moods: impl Fn(Call<'_>) -> Mood + Send + Sync + 'static,
    ) -> Self {
        self.moods = Some(Arc::new(moods));
        self
    }

    /// Aborts the run so long after its zero.
    pub(crate) fn aborted_after(self, length: Duration) -> Self {
        let abort = self.interrupt.abort.clone();
        tokio::spawn(async move {
            tokio::time::sleep(length).await;
            abort.cancel();
        });
        self
    }

    /// An operator does this so long after the run's zero.
    pub(crate) fn with(mut self, after: Duration, act: Act) -> Self {
        self.acts.push((after, act));
        self
    }

    /// Carries it out and judges it.
    pub(crate) async fn run(self) -> Drilled {
        let reports = tempfile::tempdir().unwrap();
        let clock = match (Clock::start(), self.wall_ns) {
            (now, None) => now,
            (now, Some(wall_ns)) => Clock::resume(wall_ns, now.zero_boottime_ns(), true),
        };
        let run = uuid::Uuid::new_v4().simple().to_string();
        let dir =
            RunDir::create(reports.path(), &self.plan.name, clock.zero_wall_ns(), &run).unwrap();
        let recorder = Recorder::create(&dir, clock, Redactor::default()).unwrap();
        let opened = self.opened(&run, clock);
        recorder
            .record_synced(Event::Opened(Box::new(opened)))
            .await
            .unwrap();
        let scenario_dir = self.scenario_dir.clone();
        let context = StackContext {
            run,
            owner: Owner::default(),
            run_dir: dir.path().to_owned(),
            scenario_dir: scenario_dir.clone(),
            state_dir: None,
            firedrill: PathBuf::new(),
            ports: BTreeMap::new(),
            secrets: Arc::new(SecretStore::new(BTreeMap::new(), scenario_dir.clone())),
            redactor: Redactor::default(),
            docker: DockerEnv::default(),
        };
        let honest: Arc<dyn Stack> = Arc::new(FakeStack::new(self.world.clone(), context.clone()));
        let stack = match self.moods {
            Some(moods) => Arc::new(MoodyStack::new(Arc::clone(&honest), moods)),
            None => Arc::clone(&honest),
        };
        let served_by = {
            let mut loads = self.plan.every_load();
            loads.find_map(|(_, load)| load.served_by.clone())
        };
        let client = FakeClient::new(self.world.clone(), served_by.as_ref());
        let (asks, acts) = mpsc::unbounded_channel();
        for (after, act) in self.acts {
            let asks = asks.clone();
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                // A run that is over takes no more.
                drop(asks.send(act));
            });
        }
        let staying = (!self.deserted).then_some(asks);
        let ended = conduct(Order {
            plan: self.plan.clone(),
            dir: dir.clone(),
            recorder,
            stack,
            context,
            client: ClientChoice::Fake(Arc::new(client)),
            selection: self.selection,
            keep_stack: self.keep_stack,
            interrupt: self.interrupt,
            guardian: None,
            scenario_dir,
            acts: Some(acts),
        })
        .await;
        drop(staying);
        let recording = Recording::read(dir.path()).unwrap();
        Drilled {
            judgement: judge::judge(&self.plan, &recording),
            left: honest.owned().await.unwrap(),
            _reports: reports,
            plan: self.plan,
            dir,
            ended,
            recording,
        }
    }

    fn opened(&self, run: &str, clock: Clock) -> Opened {
        Opened {
            journal_version: JOURNAL_VERSION,
            firedrill: env!("CARGO_PKG_VERSION").to_owned(),
            run: run.to_owned(),
            scenario: self.plan.name.clone(),
            seed: self.plan.seed,
            started_ns: clock.zero_wall_ns(),
            boottime_ns: clock.zero_boottime_ns(),
            boot_id: String::new(),
            pid: std::process::id(),
            pid_start: 0,
            stack: self.plan.stack.clone(),
            takes_down: !self.keep_stack,
            scenario_dir: String::new(),
            ports: BTreeMap::new(),
            secrets: vec![],
        }
    }
}

impl Drilled {
    /// What its one load did.
    pub(crate) fn load(&self) -> &LoadResult {
        let loads = self.judgement.load.as_ref().expect("it was under load");
        loads.named(None).expect("it has one load")
    }

    /// What makes the run no pass, by code.
    pub(crate) fn codes(&self) -> Vec<&str> {
        self.judgement
            .reasons
            .iter()
            .map(|r| r.code.as_str())
            .collect()
    }

    /// The events of this kind.
    pub(crate) fn events<T>(&self, pick: impl Fn(&Event) -> Option<T>) -> Vec<T> {
        self.recording
            .entries
            .iter()
            .filter_map(|e| pick(&e.event))
            .collect()
    }
}
