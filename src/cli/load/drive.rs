//! One load, driven from its first slot to its last answer.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::counting::Counting;
use super::plan::PlanError;
use crate::cli::exit::Exit;
use crate::cli::surface::Surface;
use crate::judge::result::{LoadResult, ObjectiveResult};
use crate::judge::{self, LoadDoubts, LoadLimits, Verdict, number};
use crate::load::{self as engine, ClientChoice, Ended, LoadError, LoadSpec, Values};
use crate::model::Outcome;
use crate::run::Signals;
use crate::scenario::plan::LoadPlan;
use crate::stack::SecretStore;
use crate::timeline::clock::Clock;
use crate::timeline::event::Event;
use crate::timeline::tally::LoadTally;

/// Time for the threads to start, so that slot 0 can be met.
const HEAD_START_US: i64 = 50_000;

/// Why there was no load.
#[derive(Debug, thiserror::Error)]
pub(super) enum DriveError {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("the runtime could not be started: {0}")]
    Runtime(std::io::Error),
    #[error("signals cannot be listened to: {0}")]
    Signals(std::io::Error),
}

impl DriveError {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Load(LoadError::Thread { .. }) | Self::Runtime(_) | Self::Signals(_) => {
                Exit::Inconclusive
            }
            Self::Plan(_) | Self::Load(_) => Exit::Usage,
        }
    }
}

/// What was measured.
pub(super) struct Measured {
    pub(super) result: LoadResult,
    /// The run's zero, as a report writes it.
    pub(super) started_at: String,
    pub(super) ended: Ended,
    /// What keeps it from being believed.
    pub(super) doubts: Vec<String>,
    /// What became of the promises.
    pub(super) objectives: Vec<ObjectiveResult>,
}

impl Measured {
    /// What it comes to.
    pub(super) fn verdict(&self) -> Verdict {
        let worst = self
            .objectives
            .iter()
            .map(|o| o.verdict)
            .max_by_key(|v| match v {
                Verdict::Pass => 0,
                Verdict::Inconclusive => 1,
                Verdict::Fail => 2,
                Verdict::LeftBroken => 3,
            });
        match worst {
            Some(verdict) if verdict != Verdict::Pass => verdict,
            Some(_) | None if self.doubts.is_empty() => Verdict::Pass,
            Some(_) | None => Verdict::Inconclusive,
        }
    }
}

/// Drives a load and judges it. A signal ends it early.
pub(super) async fn drive(
    surface: &Surface,
    plan: LoadPlan,
    seed: u64,
    limits: &LoadLimits,
    signals: &Signals,
) -> Result<Measured, DriveError> {
    let here = PathBuf::from(".");
    let secrets = SecretStore::new(surface.environment(), here.clone());
    let values: Values = Arc::new(secrets.telling(surface.redactor().clone()));
    let warmup_us = i64::try_from(plan.warmup.as_micros()).unwrap_or(i64::MAX);
    let retries = plan.retry.is_some();
    let spec = LoadSpec::alone(plan, seed, here);
    let load = engine::Load::prepare(spec, &values, ClientChoice::Http)?;

    let clock = Clock::start();
    let started_us = clock.now_us() + HEAD_START_US;
    let slots = load.slots(clock, started_us);
    let steps_zero_us = started_us + warmup_us;
    let mut counting = Counting::new(LoadTally::new(started_us, steps_zero_us));
    let mut running = load.start(clock, started_us, || counting.sink())?;

    let starved = Mutex::new(Vec::new());
    let pressure = engine::watch_pressure(clock, |event| match event {
        Event::Starved { from_us, .. } => {
            starved
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(from_us);
        }
        Event::Note { text, .. } => surface.talk(&format!("warning: {text}")),
        _ => {}
    });
    let watching = async {
        tokio::join!(pressure, heartbeat(surface, &counting, clock, started_us));
    };
    let mut ended = tokio::select! {
        ended = running.join() => ended,
        () = watching => running.join().await,
        () = signals.first() => {
            running.abort();
            running.join().await
        }
    };
    for note in &mut ended.notes {
        *note = surface.redactor().redact(note).into_owned();
    }
    let starved = starved.into_inner().unwrap_or_else(PoisonError::into_inner);
    let end_us = if ended.aborted {
        clock.now_us().min(slots.end_us())
    } else {
        slots.end_us()
    };
    let span = judge::LoadSpan {
        started_us,
        steps_zero_us,
        end_us,
        arrivals: ended.arrivals,
        not_reached: ended.not_reached,
        retries,
    };
    let tally = counting.total();
    let result = judge::load_alone(&tally, span, &starved);
    let doubts = LoadDoubts::of(&result, ended.failed.as_deref());
    Ok(Measured {
        objectives: limits.judge(&tally, &doubts),
        result,
        started_at: judge::started_at(clock.zero_wall_ns()),
        doubts: doubts.all(),
        ended,
    })
}

/// A line every second where a person watches, else every ten.
async fn heartbeat(surface: &Surface, counting: &Counting, clock: Clock, started_us: i64) {
    let terminal = std::io::stderr().is_terminal();
    let every = Duration::from_secs(if terminal { 1 } else { 10 });
    let mut next = clock.instant(started_us) + every;
    let mut before = 0;
    loop {
        tokio::time::sleep_until(next).await;
        next += every;
        if surface.quiet {
            continue;
        }
        let total = counting.total();
        let asked = total.asked();
        let bad: Vec<String> = [&total.warmup, &total.run]
            .into_iter()
            .flat_map(|counts| &counts.by_outcome)
            .filter(|(outcome, _)| **outcome != Outcome::Ok)
            .fold(std::collections::BTreeMap::new(), |mut sum, (o, n)| {
                *sum.entry(*o).or_insert(0u64) += n;
                sum
            })
            .into_iter()
            .map(|(outcome, n)| format!("{outcome} {}", number::count(n)))
            .collect();
        let bad = if bad.is_empty() {
            "none bad".to_owned()
        } else {
            bad.join(", ")
        };
        surface.talk(&format!(
            "{:<8} {} ended ({}/s), {bad}",
            number::moment(clock.now_us() - started_us),
            number::count(asked),
            number::count((asked - before) / every.as_secs()),
        ));
        before = asked;
    }
}
