//! One run from standing the stack up to taking it down.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt, future::BoxFuture};
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use super::around::Around;
use super::awaiting::{await_alerts, await_pending, collect_order};
use super::bench::Bench;
use super::driving::drive;
use super::engine;
use super::guardian::{Guardian, GuardianCommand, GuardianError};
use super::heal::heal;
use super::interrupt::Interrupt;
use super::leftovers::mend_rest;
use super::milestones::Milestones;
use super::operator::{Operator, Stage, Wanted};
use super::pacing::Pacing;
use super::preflight::guards_hold;
use super::step;
use super::stop::{self, StopWatch};
use super::taken::Taken;
use super::victims::Victims;
use crate::load::{ClientChoice, Load, LoadError, LoadSpec, Values};
use crate::model::{Act, Undo};
use crate::observe::{ObserveError, Observers};
use crate::restore::{Ledger, told};
use crate::scenario::plan::{Plan, Traffic};
use crate::stack::{Stack, StackContext, StackError};
use crate::timeline::event::{Event, Level, Moment, Phase};
use crate::timeline::{Recorder, RunDir, TimelineError};

/// Between the order to start the load and its first slot: enough for its threads to be there.
const LEAD: Duration = Duration::from_millis(300);

/// How long an abort waits for all steps to be ready to be healed in their order. A step that is not by then is healed when
/// it is: the faults of the others are not kept for it.
const GRACE: Duration = Duration::from_millis(500);

/// Which steps are left out by flag.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// `--only`: these and no others; all where empty.
    pub only: Vec<String>,
    /// `--skip`.
    pub skip: Vec<String>,
    /// `--no-faults`: a control run.
    pub no_faults: bool,
}

impl Selection {
    /// The flag that leaves a step out, if one does.
    #[must_use]
    pub fn leaves_out(&self, step: &str) -> Option<&'static str> {
        if self.no_faults {
            Some("--no-faults")
        } else if self.skip.iter().any(|s| s == step) {
            Some("--skip")
        } else if !self.only.is_empty() && !self.only.iter().any(|s| s == step) {
            Some("--only")
        } else {
            None
        }
    }

    /// Whether it leaves any step of a plan in.
    #[must_use]
    pub fn dispatches_any(&self, plan: &Plan) -> bool {
        let mut steps = plan.steps.iter();
        steps.any(|step| self.leaves_out(&step.name).is_none())
    }
}

/// All that a run needs.
pub struct Order {
    /// What is to be done.
    pub plan: Plan,
    /// Where it is recorded. The journal is open and holds its first record.
    pub dir: RunDir,
    /// The recording.
    pub recorder: Recorder,
    /// The system under test, not stood up yet.
    pub stack: Arc<dyn Stack>,
    /// Where the stack and its secrets are.
    pub context: StackContext,
    /// How requests are sent.
    pub client: ClientChoice,
    /// Steps left out.
    pub selection: Selection,
    /// Whether the stack is left standing (`--keep-stack`).
    pub keep_stack: bool,
    /// What ends it early.
    pub interrupt: Interrupt,
    /// How its guardian is started; `None` for a stack that ends with this process.
    pub guardian: Option<GuardianCommand>,
    /// Folder of the scenario file.
    pub scenario_dir: PathBuf,
    /// What an operator asks for while it goes on; `None` where nobody can.
    pub acts: Option<mpsc::UnboundedReceiver<Act>>,
}

/// Why a run could not be carried through. Whatever it is, what was broken has been mended or recorded as left.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The stack.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// The load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Monitoring.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// The recording.
    #[error(transparent)]
    Timeline(#[from] TimelineError),
    /// The steady state did not hold.
    #[error("the steady state does not hold, so nothing was broken: {0}")]
    NotSteady(String),
    /// By what its platform keeps, another run is breaking the stack, or has left it broken.
    #[error(
        "the run {run} is going on on the same stack, or was never mended; if it is over, put it right first: firedrill recover {run} --scan"
    )]
    Unmended {
        /// Its id.
        run: String,
    },
    /// A stop condition is not answered.
    #[error("the stop condition `{condition}` is not answered, so nothing was broken: {why}")]
    Unwatched {
        /// The condition.
        condition: String,
        /// Why.
        why: String,
    },
    /// A guard forbids it.
    #[error("nothing was broken: {0}")]
    Guarded(String),
    /// Nobody would mend if this process died.
    #[error(transparent)]
    Guardian(#[from] GuardianError),
    /// Ended early.
    #[error("the run was aborted")]
    Aborted,
    /// The recording could not be completed, whatever else happened.
    #[error("{source}; {}", if *left == 0 {
        "all that was broken is mended all the same, though the files cannot show it"
    } else {
        "not all that was broken could be mended"
    })]
    Unrecorded {
        /// Why.
        source: TimelineError,
        /// What was mended all the same, and may be missing from the files.
        mended: Vec<Event>,
        /// How many undos are still owed.
        left: usize,
    },
    /// A bug.
    #[error("firedrill itself failed: {0}; please report it")]
    Panic(String),
}

/// Carries the order out. The recording is closed when this returns; the verdict is the judge's.
///
/// # Errors
/// [`RunError`] where the drill could not be carried through. It is in the recording too.
pub async fn conduct(mut order: Order) -> Result<(), RunError> {
    let recorder = order.recorder.clone();
    let (operator, wanted) = Operator::new(
        recorder.clone(),
        order.plan.clone(),
        !order.selection.no_faults,
    );
    let operator = Arc::new(operator);
    let acts = order.acts.take();
    let ledger = Arc::new(Ledger::new(recorder.clone()));
    let guardian = match &order.guardian {
        Some(command) => {
            let abort = order.interrupt.abort.clone();
            Guardian::start(command.clone(), recorder.clone(), abort)
                .await
                .map(Some)
        }
        None => Ok(None),
    };
    let drilled = AssertUnwindSafe(async {
        match &guardian {
            Ok(guardian) => tokio::select! {
                drilled = drill(&order, &ledger, guardian.as_ref(), &operator, wanted) => drilled,
                never = operator.serve(acts) => match never {},
            },
            Err(error) => Err(error.clone().into()),
        }
    })
    .catch_unwind()
    .await;
    let result = drilled.unwrap_or_else(|panic| Err(RunError::Panic(told(&*panic))));
    if let Err(error) = &result {
        recorder.record(Event::Note {
            level: Level::Error,
            text: error.to_string(),
        });
    }
    mend_rest(&order, &ledger).await;
    let closed = recorder.close().await;
    if let Ok(Some(guardian)) = guardian {
        guardian.dismiss().await;
    }
    match closed {
        Ok(()) => result,
        Err(source) => Err(RunError::Unrecorded {
            source,
            mended: ledger.struck_off(),
            left: ledger.open().len(),
        }),
    }
}

async fn drill(
    order: &Order,
    ledger: &Arc<Ledger>,
    guardian: Option<&Guardian>,
    operator: &Arc<Operator>,
    wanted: mpsc::UnboundedReceiver<Wanted>,
) -> Result<(), RunError> {
    let (recorder, stack, plan) = (&order.recorder, &order.stack, &order.plan);
    let phase = |phase| recorder.record(Event::Phase(phase));

    phase(Phase::StandingUp);
    // On a platform that cannot even be asked nothing gets started, and nothing is owed.
    unless_aborted(order, stack.reachable()).await??;
    let owing = unless_aborted(order, stack.owed_to_others()).await??;
    if let Some(run) = owing.into_iter().next() {
        return Err(RunError::Unmended { run });
    }
    ledger.owe(None, Undo::Down).await?;
    let standing = unless_aborted(order, stack.up()).await??;
    for text in standing.notes {
        recorder.record(Event::Note {
            level: Level::Info,
            text,
        });
    }
    let components = unless_aborted(order, stack.components()).await??;
    recorder.record(Event::Components(components.clone()));
    let skew_ns = unless_aborted(order, stack.skew_ns()).await??;
    recorder.record(Event::Skew {
        source: "engine".into(),
        skew_us: skew_ns / 1000,
        error_us: 0,
    });
    let (steps, _) = broadcast::channel(4096);
    let around = Around::gather(order.context.clone(), Arc::clone(stack), plan.variables());
    let around = Arc::new(unless_aborted(order, around).await??);
    let following = engine::follow(recorder, skew_ns, steps.clone(), Arc::clone(&around));
    let _following = unless_aborted(order, following).await??;

    phase(Phase::Preparing);
    let observers = Observers::start(&plan.observe, &*around, recorder.clone());
    let observers = unless_aborted(order, observers).await??;
    let checks = async {
        for (index, check) in plan.steady_state.iter().enumerate() {
            let seen = observers.steady(check, &*around).await;
            let (held, observed) = (seen.held, seen.observed);
            recorder.record(Event::Steady {
                check: index,
                moment: Moment::Before,
                held,
                observed: observed.clone(),
            });
            if !held {
                return Err(RunError::NotSteady(observed));
            }
        }
        Ok(())
    };
    unless_aborted(order, checks).await??;
    let answered = stop::answered(plan, &observers, &*around);
    let answered = unless_aborted(order, answered).await?;
    answered.map_err(|(condition, why)| RunError::Unwatched { condition, why })?;
    unless_aborted(order, guards_hold(order, &components, &observers)).await??;
    let traffic = plan.traffic();
    let mut loaded = Vec::new();
    for load in traffic.iter().flat_map(Traffic::loads) {
        let spec = LoadSpec::placed(load, plan.seed, order.scenario_dir.clone());
        let values: Values = around.clone();
        let load = Load::prepare(spec, &values, order.client.clone())?;
        unless_aborted(order, load.login()).await??;
        loaded.push(load);
    }

    let started_us = recorder.clock().now_us() + i64::try_from(LEAD.as_micros()).unwrap_or(0);
    let warmup = traffic.as_ref().map_or(Duration::ZERO, Traffic::warmup);
    let bench = Bench {
        plan: plan.clone(),
        stack: Arc::clone(stack),
        recorder: recorder.clone(),
        ledger: Arc::clone(ledger),
        values: around.clone(),
        milestones: Milestones::new(&plan.steps),
        victims: Victims::default(),
        guarded: guardian.map(Guardian::guarded).unwrap_or_default(),
        taken: Taken::default(),
        operator: Arc::clone(operator),
        alerts: observers.alerts(),
        engine: steps,
        aborted: order.interrupt.abort.child_token(),
        load_over: CancellationToken::new(),
        steps_zero_us: started_us + i64::try_from(warmup.as_micros()).unwrap_or(0),
        pacing: Pacing::default(),
        run: order.context.run.clone(),
        scenario_dir: order.scenario_dir.clone(),
    };
    load_and_break(
        order, &bench, &around, &observers, loaded, started_us, wanted,
    )
    .await;
    let looking_back = look_back(&bench, &around, observers, started_us);
    unless_aborted(order, looking_back).await
}

/// What is only known after the load.
async fn look_back(bench: &Bench, around: &Around, observers: Observers, started_us: i64) {
    let phase = |phase| bench.recorder.record(Event::Phase(phase));
    phase(Phase::Awaiting);
    await_alerts(bench, &observers).await;
    phase(Phase::Collecting);
    for (index, check) in bench.plan.steady_state.iter().enumerate() {
        let seen = observers.steady(check, around).await;
        bench.recorder.record(Event::Steady {
            check: index,
            moment: Moment::After,
            held: seen.held,
            observed: seen.observed,
        });
    }
    await_pending(bench, &observers).await;
    observers.collect(collect_order(bench, started_us)).await;
    observers.stop().await;
}

/// The work's end, or the abort: then the work is dropped where it stands, so it may not leave a fault behind.
async fn unless_aborted<T>(order: &Order, work: impl Future<Output = T>) -> Result<T, RunError> {
    tokio::select! {
        biased;
        () = order.interrupt.abort.cancelled() => Err(RunError::Aborted),
        done = work => Ok(done),
    }
}

/// The drill itself: the load and every step, side by side, until both are through, and what the end of the load found
/// open is mended.
async fn load_and_break(
    order: &Order,
    bench: &Bench,
    around: &Arc<Around>,
    observers: &Observers,
    loads: Vec<Load>,
    started_us: i64,
    mut wanted: mpsc::UnboundedReceiver<Wanted>,
) {
    let recorder = &bench.recorder;
    let mut steps: FuturesUnordered<BoxFuture<'_, step::LeftOpen>> = FuturesUnordered::new();
    for planned in &bench.plan.steps {
        if let Some(flag) = order.selection.leaves_out(&planned.name) {
            recorder.record(Event::LeftOut {
                step: planned.name.clone(),
                flag: flag.to_owned(),
            });
            bench.milestones.end(&planned.name);
            bench.operator.enter(&planned.name, Stage::Over);
        } else {
            steps.push(step::live(bench, planned).boxed());
        }
    }
    let driving = async {
        if !loads.is_empty() {
            drive(bench, around, loads, &order.client, started_us).await;
        }
        bench.operator.drilling(false);
        bench.load_over.cancel();
    };
    tokio::pin!(driving);
    let watch = StopWatch::begin(bench, observers, around, started_us);
    let (mut left, mut driven, mut stopped) = (Vec::new(), false, false);
    {
        let breach = watch.breach();
        let waited = async {
            bench.aborted.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::pin!(breach, waited);
        // Once aborted, neither the load's end nor a step that cannot end holds up the healing.
        while !(bench.aborted.is_cancelled() && steps.is_empty()) {
            let going_on = !driven || !steps.is_empty();
            tokio::select! {
                biased;
                () = bench.aborted.cancelled(), if !bench.load_over.is_cancelled() => {
                    bench.operator.drilling(false);
                    bench.load_over.cancel();
                }
                () = unrecordable(recorder), if !bench.load_over.is_cancelled() => order.interrupt.abort.cancel(),
                breach = &mut breach, if going_on && !bench.aborted.is_cancelled() => {
                    recorder.record(breach.event(&bench.plan));
                    stopped = true;
                    bench.aborted.cancel();
                }
                () = &mut driving, if !driven => driven = true,
                Some(open) = steps.next(), if !steps.is_empty() => left.extend(open),
                Some(wanted) = wanted.recv(), if !bench.load_over.is_cancelled() => match wanted {
                    Wanted::Step(planned) => {
                        steps.push(async move { step::live(bench, &planned).await }.boxed());
                    }
                    Wanted::Pace(act) => match bench.repace_by(&act) {
                        Ok(()) => bench.operator.paced(act),
                        Err(why) => bench.operator.unpaced(why),
                    },
                },
                () = &mut waited, if going_on => break,
                else => break,
            }
        }
    }
    if !stopped {
        watch.over();
    }
    // What was asked for as the load ended.
    while let Ok(wanted) = wanted.try_recv() {
        if let Wanted::Step(planned) = wanted {
            recorder.record(Event::NotDispatched {
                step: planned.name,
                code: "load_ended".to_owned(),
                why: "the load ended before it could be made".to_owned(),
            });
        }
    }
    // Undo numbers grow with time: the newest fault goes first.
    left.sort_by_key(|due| std::cmp::Reverse(due.owed.first().map(|o| o.id)));
    let healing = async {
        if !left.is_empty() {
            recorder.record(Event::Phase(Phase::Mending));
            heal(bench, left).await;
        }
    };
    let late = steps.for_each_concurrent(None, |open| async {
        if let Some(due) = open {
            heal(bench, vec![due]).await;
        }
    });
    let driving = async {
        if !driven {
            driving.await;
        }
    };
    tokio::join!(healing, late, driving);
}

/// Returns when the recording has failed (a full disk): what is not recorded cannot be judged, so all is healed.
async fn unrecordable(recorder: &Recorder) {
    while recorder.failure().is_none() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
