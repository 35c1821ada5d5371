//! `firedrill run`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::mpsc;

use super::args::{Run, Ui};
use super::confirm::confirm;
use super::context::context;
use super::exit::Exit;
use super::guard::{OVER, WATCHING};
use super::judge::{Past, print};
use super::progress::Progress;
use super::read::{self, Scenario};
use super::surface::Surface;
use super::tui::{GameDay, drawable};
use super::unmended;
use crate::fault::offers;
use crate::judge;
use crate::load::ClientChoice;
use crate::model::{Redactor, StackSpec, Variable};
use crate::report::{self, ReportError};
use crate::restore::left_owed;
use crate::run::{GuardianCommand, Order, RunError, Selection, Signals, conduct, start_of};
use crate::scenario::guards::Closed;
use crate::stack::{self, StackContext, StackError};
use crate::timeline::clock::Clock;
use crate::timeline::event::{Event, JOURNAL_VERSION, Opened};
use crate::timeline::{Journal, Recorder, Recording, RunDir, RunLock, TimelineError, boot_id};

pub(super) fn run(surface: &Surface, args: &Run) -> Exit {
    if args.ui == Ui::Tui
        && let Err(exit) = drawable(surface, "use --ui plain")
    {
        return exit;
    }
    // All are checked before the first is carried out: a mistake in the last file should not cost the night.
    let mut scenarios = Vec::new();
    let mut unusable = Exit::Pass;
    for file in &args.files {
        match read::read(surface, file, &args.carry.reading)
            .and_then(|s| allowed(surface, args, file, s))
        {
            Ok(scenario) => scenarios.push((file, scenario)),
            Err(exit) => unusable = unusable.worse(exit),
        }
    }
    if unusable != Exit::Pass {
        return unusable;
    }
    let listening = match Listening::begin() {
        Ok(listening) => listening,
        Err(error) => return surface.failed(&NotBegun::Runtime(error), Exit::Inconclusive),
    };
    let mut exit = Exit::Pass;
    for (file, scenario) in scenarios {
        if let Some(by) = listening.signals.heard() {
            surface.talk(&format!("{by}: {} is not begun", file.display()));
            let stopped = Exit::of_signal(by);
            not_begun(surface, stopped, &scenario.checked.plan.name);
            return exit.worse(stopped);
        }
        read::warn(surface, file, &scenario);
        let one = one(surface, args, file, scenario, &listening.signals);
        exit = exit.worse(one);
        if matches!(
            one,
            Exit::HangUp | Exit::Interrupted | Exit::Terminated | Exit::LeftBroken
        ) {
            break;
        }
    }
    exit
}

/// Signals, heard from here on to the end of the command: between two runs, too.
struct Listening {
    signals: Signals,
    _runtime: tokio::runtime::Runtime,
}

impl Listening {
    fn begin() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let signals = Signals::default();
        {
            let _inside = runtime.enter();
            signals.listen()?;
        }
        Ok(Self {
            signals,
            _runtime: runtime,
        })
    }
}

fn not_begun(surface: &Surface, exit: Exit, scenario: &str) {
    surface.result(&format!(
        "exit {}  INCONCLUSIVE {scenario}: not begun\n",
        exit.code()
    ));
}

/// Checks the flags against the scenario, and asks before a stack is broken that firedrill did not start.
fn allowed(
    surface: &Surface,
    args: &Run,
    file: &Path,
    scenario: Scenario,
) -> Result<Scenario, Exit> {
    let plan = &scenario.checked.plan;
    let known = |name: &String| plan.steps.iter().any(|s| s.name == *name);
    if let Some(name) = args
        .carry
        .only
        .iter()
        .chain(&args.carry.skip)
        .find(|n| !known(n))
    {
        let has: Vec<&str> = plan.steps.iter().map(|s| s.name.as_str()).collect();
        surface.talk(&format!(
            "error: {} has no step `{name}`; it has {}",
            file.display(),
            has.join(", ")
        ));
        return Err(Exit::Usage);
    }
    let selection = selection(args);
    // Of a cluster only the nodes are somebody else's: what runs there is the run's own.
    let theirs = match &plan.stack {
        StackSpec::External(_) => selection.dispatches_any(plan),
        StackSpec::Swarm(_)
        | StackSpec::Compose(_)
        | StackSpec::Process(_)
        | StackSpec::Fake(_) => {
            let left_in = plan.steps.iter();
            let mut left_in = left_in.filter(|s| selection.leaves_out(&s.name).is_none());
            left_in.any(|s| plan.stack.is_foreign_to(&s.action))
        }
    };
    if theirs && !args.carry.yes {
        confirm(surface, args, file, plan)?;
    }
    Ok(scenario)
}

/// Which steps are left out by flag.
pub(super) fn selection(args: &Run) -> Selection {
    Selection {
        only: args.carry.only.clone(),
        skip: args.carry.skip.clone(),
        no_faults: args.carry.no_faults,
    }
}

/// Why a run did not even begin.
#[derive(Debug, thiserror::Error)]
enum NotBegun {
    #[error("the run's directory cannot be used: {0}")]
    Recording(#[from] TimelineError),
    #[error(transparent)]
    Stack(#[from] StackError),
    #[error(transparent)]
    Unmended(#[from] unmended::Beside),
    #[error("nothing was touched: {0}")]
    Closed(#[from] Closed),
    #[error("{path}: {source}")]
    Io {
        path: String,
        source: std::io::Error,
    },
    #[error("{0}")]
    Runtime(std::io::Error),
}

fn one(surface: &Surface, args: &Run, file: &Path, scenario: Scenario, signals: &Signals) -> Exit {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let plan = scenario.checked.plan.clone();
    let redactor = surface.redactor().clone();
    let done = runtime.map_err(NotBegun::Runtime).and_then(|runtime| {
        // Dropping it would wait for blocking work that an abort has made pointless.
        let done = runtime.block_on(carry_out(surface, args, file, scenario, redactor, signals));
        runtime.shutdown_background();
        done
    });
    let Done {
        dir,
        ended,
        hurry,
        game_day,
    } = match done {
        Ok(done) => done,
        Err(NotBegun::Stack(error @ StackError::InvalidFile { .. })) => {
            return surface.failed(&error, Exit::Usage);
        }
        Err(error) => {
            let exit = surface.failed(&error, Exit::Inconclusive);
            not_begun(surface, exit, &plan.name);
            return exit;
        }
    };
    if let Some(game_day) = game_day {
        // Where nobody asked for the screen, nobody has to leave it.
        let stays = args.ui == Ui::Tui && args.files.len() == 1;
        game_day.finish(surface, signals, stays);
    }
    if let Err(RunError::Stack(error @ StackError::InvalidFile { .. })) = &ended {
        return surface.failed(error, Exit::Usage);
    }
    if let Err(error) = &ended {
        surface.failed(error, Exit::Inconclusive);
    }
    let mut recording = match Recording::read(dir.path()) {
        Ok(recording) => recording,
        Err(error) => return surface.failed(&error, Exit::Inconclusive),
    };
    if let Err(RunError::Unrecorded { mended, .. }) = ended {
        recording.remember(mended);
    }
    let past = Past {
        dir,
        plan: judge::as_run(&plan, &recording).into_owned(),
        recording,
    };
    let judgement = judge::judge(&past.plan, &past.recording);
    if hurry {
        surface.result(&format!("{}\n", report::verdict_line(&judgement)));
        return Exit::of_run(judgement.exit_code);
    }
    let mut written = report::write_all(&past.dir, &past.plan, &judgement, &past.recording);
    if let (Ok(()), Some(summary)) = (&written, std::env::var_os("GITHUB_STEP_SUMMARY")) {
        written = append(
            Path::new(&summary),
            &report::markdown(&past.plan, &judgement, &past.recording),
        );
    }
    let exit = print(surface, args.carry.format, &past, &judgement);
    match written {
        Ok(()) => exit,
        // A verdict whose report could not be written is not one that a pipeline may rely on.
        Err(error) => exit.worse(surface.failed(&error, Exit::Inconclusive)),
    }
}

/// Adds to the job summary that other steps of the pipeline write too.
fn append(path: &Path, text: &str) -> Result<(), ReportError> {
    let file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path);
    let written = file.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
    written.map_err(|source| ReportError::Write {
        path: path.to_owned(),
        source,
    })
}

/// A run that was carried out, as far as it could be.
struct Done {
    dir: RunDir,
    ended: Result<(), RunError>,
    /// The report is to be skipped.
    hurry: bool,
    game_day: Option<GameDay>,
}

async fn carry_out(
    surface: &Surface,
    args: &Run,
    file: &Path,
    scenario: Scenario,
    redactor: Redactor,
    signals: &Signals,
) -> Result<Done, NotBegun> {
    let file = std::path::absolute(file).map_err(io(file))?;
    let scenario_dir = file.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let plan = &scenario.checked.plan;
    let clock = Clock::start();
    if selection(args).dispatches_any(plan) {
        plan.guards.open_at(clock.zero_wall_ns())?;
    }
    unmended::refuse(&args.carry.reports.out, None, &plan.stack, &scenario_dir)?;
    let run = uuid::Uuid::new_v4().simple().to_string()[..8].to_owned();
    let dir = RunDir::create(
        &args.carry.reports.out,
        &plan.name,
        clock.zero_wall_ns(),
        &run,
    )?;
    let lock = RunLock::take(&dir)?;
    let started = Started {
        dir: dir.clone(),
        clock,
        run,
        scenario_dir,
    };
    let (order, progress, game_day) =
        match ordered(surface, args, scenario, redactor, signals, started).await {
            Ok(ordered) => ordered,
            Err(error) => {
                give_back(surface, lock);
                return Err(error);
            }
        };
    let interrupt = order.interrupt.clone();
    let ended = conduct(order).await;
    // What the journal could not be told counts as owed: whoever recovers looks.
    if Journal::read(&dir.journal()).is_ok_and(|journal| left_owed(&journal).is_empty()) {
        give_back(surface, lock);
    }
    progress.finish().await;
    Ok(Done {
        dir,
        ended,
        hurry: interrupt.hurry.is_cancelled(),
        game_day,
    })
}

/// A run that owes nothing says so.
fn give_back(surface: &Surface, lock: RunLock) {
    if let Err(error) = lock.release() {
        surface.talk(&format!("warning: {error}"));
    }
}

/// What a run is known by.
struct Started {
    dir: RunDir,
    clock: Clock,
    run: String,
    scenario_dir: PathBuf,
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> NotBegun {
    let path = path.display().to_string();
    move |source| NotBegun::Io { path, source }
}

/// Opens the recording, and makes ready all that the run needs. Nothing is started yet.
async fn ordered(
    surface: &Surface,
    args: &Run,
    scenario: Scenario,
    redactor: Redactor,
    signals: &Signals,
    started: Started,
) -> Result<(Order, Progress, Option<GameDay>), NotBegun> {
    let Started {
        dir,
        clock,
        run,
        scenario_dir,
    } = started;
    let plan = scenario.checked.plan;
    let variables = plan.variables();
    let store = |path: PathBuf, text: &str| std::fs::write(&path, text).map_err(io(&path));
    store(dir.scenario(), &redactor.redact(&scenario.text))?;
    store(
        dir.plan(),
        &serde_json::to_string_pretty(&plan).unwrap_or_default(),
    )?;
    let recorder = Recorder::create(&dir, clock, redactor.clone())?;
    let numbers: Vec<u32> = variables
        .iter()
        .filter_map(|v| {
            if let Variable::FreePort(number) = v {
                Some(*number)
            } else {
                None
            }
        })
        .collect();
    let drawn = stack::free_ports(numbers.len()).map_err(|source| NotBegun::Io {
        path: "free ports".into(),
        source,
    })?;
    let ports: std::collections::BTreeMap<u32, u16> = numbers.into_iter().zip(drawn).collect();
    let external = matches!(plan.stack, StackSpec::External(_));
    let opened = Opened {
        journal_version: JOURNAL_VERSION,
        firedrill: env!("CARGO_PKG_VERSION").to_owned(),
        run: run.clone(),
        scenario: plan.name.clone(),
        seed: plan.seed,
        started_ns: clock.zero_wall_ns(),
        boottime_ns: clock.zero_boottime_ns(),
        boot_id: boot_id(),
        pid: std::process::id(),
        pid_start: start_of(std::process::id()).unwrap_or(0),
        stack: plan.stack.clone(),
        takes_down: !args.carry.keep_stack && !external,
        scenario_dir: scenario_dir.display().to_string(),
        ports: ports.clone(),
        secrets: secret_names(&variables),
    };
    recorder
        .record_synced(Event::Opened(Box::new(opened.clone())))
        .await?;
    // Another run may have begun since it was asked the first time; both are on record now, so one of them sees it.
    unmended::refuse(
        &args.carry.reports.out,
        Some(&dir),
        &plan.stack,
        &scenario_dir,
    )?;
    let context = context(surface, &opened, &dir).map_err(io(Path::new("this binary")))?;
    let quiet = Arc::new(AtomicBool::new(surface.quiet));
    let progress = Progress::start(&plan, &recorder, &dir.run_log(), Arc::clone(&quiet))
        .map_err(io(&dir.run_log()))?;
    let interrupt = signals.of_run(&recorder);
    let guardian = guardian(&plan.stack, &context, &dir);
    let stack = stack::open(&plan.stack, context.clone())?;
    let on_screen = match args.ui {
        Ui::Tui => true,
        Ui::Auto => surface.attended(),
        Ui::Plain => false,
    };
    let (game_day, acts) = if on_screen {
        let (asks, acts) = mpsc::unbounded_channel();
        // A control run is one without any, and where nobody was asked whether this stack may be broken, it may not be.
        let asked_for = selection(args).dispatches_any(&plan) || !external;
        let offered = if asked_for && !args.carry.no_faults {
            offers(&plan)
        } else {
            Vec::new()
        };
        let begun = GameDay::begin(surface, &dir, &plan, signals, offered, asks, quiet);
        (
            Some(begun.map_err(io(Path::new("the screen")))?),
            Some(acts),
        )
    } else {
        (None, None)
    };
    let order = Order {
        stack,
        plan,
        dir: dir.clone(),
        recorder,
        context,
        client: ClientChoice::Http,
        selection: selection(args),
        keep_stack: args.carry.keep_stack,
        guardian,
        interrupt,
        scenario_dir,
        acts,
    };
    Ok((order, progress, game_day))
}

fn secret_names(variables: &[Variable]) -> Vec<String> {
    let secret = |v: &&Variable| matches!(v, Variable::SecretEnv(_) | Variable::SecretFile(_));
    variables
        .iter()
        .filter(secret)
        .map(ToString::to_string)
        .collect()
}

/// Every stack but one in memory outlives this process, and what was broken in it does too.
fn guardian(stack: &StackSpec, context: &StackContext, dir: &RunDir) -> Option<GuardianCommand> {
    match stack {
        StackSpec::Fake(_) => None,
        StackSpec::Process(_)
        | StackSpec::Compose(_)
        | StackSpec::Swarm(_)
        | StackSpec::External(_) => Some(GuardianCommand {
            program: context.firedrill.clone(),
            arguments: vec!["guard".into(), context.run_dir.clone().into()],
            log: dir.run_log(),
            watching: WATCHING.to_owned(),
            over: OVER.to_vec(),
        }),
    }
}
