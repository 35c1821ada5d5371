//! A load whose pace is changed on its way, by tokio's paused clock: from the order to the verdict.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::judge::{Judgement, Verdict, as_run, judge};
use crate::load::client::FakeClient;
use crate::load::{ClientChoice, Load, LoadSpec};
use crate::model::{FakeSpec, Redactor, StackSpec};
use crate::observe::Observers;
use crate::restore::Ledger;
use crate::run::around::Around;
use crate::run::driving::drive;
use crate::run::milestones::Milestones;
use crate::run::operator::Operator;
use crate::scenario::{self, Inputs, Plan};
use crate::stack::{DockerEnv, FakeStack, FakeWorld, Owner, SecretStore, Stack, StackContext};
use crate::timeline::clock::Clock;
use crate::timeline::event::Opened;
use crate::timeline::{Recorder, Recording, RunDir};

const S: i64 = 1_000_000;
/// Slot 0 of the first load is due; 2 s of warm-up follow.
const STARTED: i64 = S;
const ZERO: i64 = STARTED + 2 * S;

/// 100/s for 30 s of two requests each, on three backends; in a second load 10/s for 20 s at random times.
fn plan() -> Plan {
    let text = "version: 1
name: paced
seed: 7
stack: { process: { services: { backend: { command: [none], replicas: 3 } } } }
loads:
  many:
    base_url: http://${addr:backend}
    warmup: 2s
    stages: [ { rate: 100/s, for: 30s } ]
    journeys:
      two: { requests: [ { get: / }, { get: /more } ] }
  few:
    base_url: http://${addr:backend}
    warmup: 1s
    stages: [ { rate: 10/s, for: 20s } ]
    arrivals: poisson
    request: { get: / }
objectives: { availability: { at_least: 95% } }
";
    let none = BTreeMap::new();
    let inputs = Inputs {
        path: Path::new("paced.yaml"),
        text,
        vars: &none,
        env: &none,
        seed: None,
    };
    let mut plan = scenario::load(&inputs, &|_, _| Ok(())).unwrap().plan;
    plan.stack = StackSpec::Fake(FakeSpec {
        services: [("backend".to_owned(), 3)].into(),
        effect_after: Duration::ZERO,
        failover_after: Duration::from_secs(1),
    });
    plan
}

/// A load about to run.
struct Drill {
    folder: TempDir,
    bench: Bench,
    around: Arc<Around>,
    client: ClientChoice,
}

impl Drill {
    async fn new() -> Self {
        let (plan, folder) = (plan(), tempfile::tempdir().unwrap());
        let clock = Clock::start();
        let dir = RunDir::create(folder.path(), "paced", clock.zero_wall_ns(), "run").unwrap();
        let recorder = Recorder::create(&dir, clock, Redactor::default()).unwrap();
        let opened = Opened {
            run: "run".to_owned(),
            seed: plan.seed,
            ..Opened::on(plan.stack.clone())
        };
        let opened = Event::Opened(Box::new(opened));
        recorder.record_synced(opened).await.unwrap();
        let here = PathBuf::from("/nowhere");
        let context = StackContext {
            run: "run".to_owned(),
            owner: Owner::default(),
            run_dir: dir.path().to_owned(),
            scenario_dir: here.clone(),
            state_dir: None,
            firedrill: PathBuf::new(),
            ports: BTreeMap::new(),
            secrets: Arc::new(SecretStore::new(BTreeMap::new(), here.clone())),
            redactor: Redactor::default(),
            docker: DockerEnv::default(),
        };
        let StackSpec::Fake(spec) = &plan.stack else {
            panic!("{:?}", plan.stack)
        };
        let world = FakeWorld::new(spec.clone());
        let stack: Arc<dyn Stack> = Arc::new(FakeStack::new(world.clone(), context.clone()));
        stack.up().await.unwrap();
        let around = Around::gather(context, Arc::clone(&stack), plan.variables());
        let around = Arc::new(around.await.unwrap());
        let observers = Observers::start(&plan.observe, &*around, recorder.clone());
        let bench = Bench {
            stack,
            ledger: Arc::new(Ledger::new(recorder.clone())),
            values: around.clone(),
            milestones: Milestones::new(&plan.steps),
            victims: Default::default(),
            guarded: Default::default(),
            taken: Default::default(),
            operator: Arc::new(Operator::new(recorder.clone(), plan.clone(), true).0),
            alerts: observers.await.unwrap().alerts(),
            engine: broadcast::channel(16).0,
            aborted: CancellationToken::new(),
            load_over: CancellationToken::new(),
            steps_zero_us: ZERO,
            pacing: Pacing::default(),
            recorder,
            run: "run".to_owned(),
            scenario_dir: here,
            plan,
        };
        Self {
            folder,
            client: ClientChoice::Fake(Arc::new(FakeClient::new(world, None))),
            bench,
            around,
        }
    }

    /// Drives the load to its end, with these orders on its way: at so many µs, what to ask for.
    async fn run(self, orders: &[(i64, Option<f64>, Option<bool>)]) -> Done {
        let traffic = self.bench.plan.traffic().unwrap();
        let loads = traffic.loads().iter().map(|load| {
            let bench = &self.bench;
            let spec = LoadSpec::placed(load, bench.plan.seed, bench.scenario_dir.clone());
            Load::prepare(spec, &(self.around.clone() as _), self.client.clone()).unwrap()
        });
        let loads: Vec<_> = loads.collect();
        let ordering = async {
            for (at_us, factor, held) in orders {
                self.bench.until(*at_us).await;
                self.bench.repace(*factor, *held).unwrap();
            }
        };
        assert!(self.bench.repace(Some(2.0), None).is_err(), "not begun");
        let driving = drive(&self.bench, &self.around, loads, &self.client, STARTED);
        tokio::join!(driving, ordering);
        let over = self.bench.repace(None, Some(true)).unwrap_err();
        assert_eq!(over, "the load is over");
        self.bench.recorder.close().await.unwrap();
        let dir = std::fs::read_dir(self.folder.path().join("paced")).unwrap();
        let mut dirs = dir.map(|d| d.unwrap().path());
        let dir = dirs.find(|d| d.join("journal.ndjson").exists()).unwrap();
        let recording = Recording::read(&dir).unwrap();
        Done {
            judgement: judge(&self.bench.plan, &recording),
            plan: self.bench.plan,
            recording,
        }
    }
}

struct Done {
    plan: Plan,
    recording: Recording,
    judgement: Judgement,
}

impl Done {
    /// Arrivals of the first load due in this stretch after the end of warm-up.
    fn arrivals(&self, from_s: i64, to_s: i64) -> usize {
        let due = |us: i64| (ZERO + from_s * S..ZERO + to_s * S).contains(&us);
        let requests = self.recording.requests.iter();
        requests
            .filter(|r| r.request == 0 && r.journey == 0 && due(r.due_us))
            .count()
    }

    fn codes(&self) -> Vec<&str> {
        let reasons = self.judgement.reasons.iter();
        reasons.map(|r| r.code.as_str()).collect()
    }

    /// What was asked is what was recorded, request by request, and as many as the plan says.
    fn balanced(&self) {
        let ended = self.recording.entries.iter().find_map(|e| match &e.event {
            Event::LoadEnded {
                arrivals,
                asked,
                not_reached,
                aborted: false,
            } => Some((*arrivals, *asked, *not_reached)),
            _ => None,
        });
        let (arrivals, asked, not_reached) = ended.unwrap();
        let loads = self.judgement.load.as_ref().unwrap();
        let outcomes = loads.each().map(|(_, load)| {
            let windows = ["warmup", "run"].map(|w| load.window(w).unwrap());
            let each = windows.iter().flat_map(|w| w.all.by_outcome.values());
            each.sum::<u64>()
        });
        assert_eq!(outcomes.sum::<u64>(), asked);
        assert_eq!(self.recording.requests.len() as u64, asked);
        let plan = as_run(&self.plan, &self.recording);
        let traffic = plan.traffic().unwrap();
        let [many, few] = traffic.loads() else {
            panic!("two loads")
        };
        let few = few.schedule.count(few.random(plan.seed).as_ref());
        assert_eq!(many.schedule.slots() + few, arrivals);
        assert_eq!(many.schedule.slots() * 2 + few, asked + not_reached);
        assert!(
            !self.codes().contains(&"requests_missing"),
            "{:?}",
            self.judgement.reasons
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_raised_and_held_rate_is_what_is_asked_and_no_doubt() {
    let raise = (ZERO + 10 * S - 300_000, Some(2.0), None);
    let hold = (ZERO + 28 * S - 300_000, None, Some(true));
    let go_on = (ZERO + 33 * S - 300_000, Some(1.0), Some(false));
    let done = Drill::new().await.run(&[raise, hold, go_on]).await;
    done.balanced();
    // Held from +28 s to +33 s at twice the rate; the last 2 s of the schedule follow at the planned one.
    let counts =
        [(0, 10), (10, 28), (28, 33), (33, 35), (35, 90)].map(|(a, b)| done.arrivals(a, b));
    assert_eq!(counts, [1_000, 3_600, 1_000, 200, 0]);
    let changes = done.recording.entries.iter();
    let changes = changes.filter(|e| matches!(e.event, Event::Repaced(_)));
    assert_eq!(changes.count(), 3);
    assert_eq!(done.codes(), ["pace_changed"; 2]);
    assert_eq!(done.judgement.objectives[0].verdict, Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn a_lowered_rate_is_a_doubt() {
    let lower = (ZERO + 20 * S - 300_000, Some(0.5), None);
    let done = Drill::new().await.run(&[lower]).await;
    done.balanced();
    assert_eq!((done.arrivals(0, 20), done.arrivals(20, 30)), (2_000, 500));
    let reason = done
        .judgement
        .reasons
        .iter()
        .find(|r| r.code == "pace_changed");
    assert!(
        reason
            .unwrap()
            .message
            .contains("at 50 % of its rate, by hand, from +20.0 s on")
    );
}

#[tokio::test(start_paused = true)]
async fn what_asks_for_nothing_new_or_nonsense_changes_nothing() {
    let drill = Drill::new().await;
    let done = drill
        .run(&[(ZERO, Some(1.0), Some(false)), (ZERO, None, None)])
        .await;
    done.balanced();
    assert!(
        !done
            .recording
            .entries
            .iter()
            .any(|e| matches!(e.event, Event::Repaced(_)))
    );
    assert_eq!(done.arrivals(0, 90), 3_000);
}

#[tokio::test(start_paused = true)]
async fn a_load_that_is_held_at_its_end_goes_on_until_it_may_end() {
    let hold = (ZERO + 29 * S, None, Some(true));
    let go_on = (ZERO + 100 * S, None, Some(false));
    let done = Drill::new().await.run(&[hold, go_on]).await;
    done.balanced();
    assert_eq!(done.arrivals(0, 101), 3_000 + 7_100);
}
