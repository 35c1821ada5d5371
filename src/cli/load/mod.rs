//! `firedrill load`: the load engine alone, against one address.

mod args;
mod counting;
mod plan;

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

use serde::Serialize;

use args::Format;
pub(super) use args::Load;
use counting::Counting;
use plan::PlanError;

use super::exit::Exit;
use super::surface::Surface;
use crate::judge::result::{LoadResult, SCHEMA_VERSION};
use crate::judge::{self, number};
use crate::load::{self as engine, ClientChoice, Ended, LoadError, LoadSpec, Values};
use crate::model::Outcome;
use crate::report;
use crate::run::Signals;
use crate::stack::SecretStore;
use crate::timeline::clock::Clock;
use crate::timeline::event::Event;
use crate::timeline::tally::LoadTally;

/// Time for the threads to start, so that slot 0 can be met.
const HEAD_START_US: i64 = 50_000;

#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("the runtime could not be started: {0}")]
    Runtime(std::io::Error),
    #[error("signals cannot be listened to: {0}")]
    Signals(std::io::Error),
}

impl CommandError {
    fn exit(&self) -> Exit {
        match self {
            Self::Plan(_) => Exit::Usage,
            Self::Load(LoadError::Thread { .. }) | Self::Runtime(_) | Self::Signals(_) => {
                Exit::Inconclusive
            }
            Self::Load(_) => Exit::Usage,
        }
    }
}

/// What `--format json` prints: `load` is that of `result.json`.
#[derive(Debug, Serialize)]
struct Document<'a> {
    schema_version: u32,
    url: &'a str,
    /// `open` or `closed`.
    model: &'static str,
    /// Arrivals a second that were asked for; `null` in a closed loop.
    rate: Option<f64>,
    /// Users of a closed loop; `null` in an open one.
    users: Option<u32>,
    exit_code: u8,
    /// What makes it inconclusive.
    reasons: &'a [String],
    /// What a person should know of the generator.
    notes: &'a [String],
    load: &'a LoadResult,
}

/// What was measured.
struct Measured {
    result: LoadResult,
    ended: Ended,
    signal: Option<&'static str>,
}

pub(super) fn load(surface: &Surface, args: &Load) -> Exit {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let measured = runtime
        .map_err(CommandError::Runtime)
        .and_then(|runtime| runtime.block_on(measure(surface, args)));
    match measured {
        Ok(measured) => tell(surface, args, &measured),
        Err(error) => surface.failed(&error, error.exit()),
    }
}

async fn measure(surface: &Surface, args: &Load) -> Result<Measured, CommandError> {
    let plan = plan::plan(args)?;
    let here = std::path::PathBuf::from(".");
    let secrets = SecretStore::new(surface.environment(), here.clone());
    let values: Values = std::sync::Arc::new(secrets.telling(surface.redactor().clone()));
    let spec = LoadSpec {
        plan: plan.clone(),
        seed: args.seed,
        scenario_dir: here,
    };
    let load = engine::Load::prepare(spec, &values, ClientChoice::Http)?;
    let signals = Signals::default();
    signals.listen().map_err(CommandError::Signals)?;

    let clock = Clock::start();
    let started_us = clock.now_us() + HEAD_START_US;
    let slots = load.slots(clock, started_us);
    let steps_zero_us = started_us + micros(args.warmup);
    let mut counting = Counting::new(LoadTally::new(started_us, steps_zero_us));
    let mut running = load.start(clock, started_us, || counting.sink())?;

    let starved = Mutex::new(Vec::new());
    let pressure = engine::watch_pressure(clock, |event| match event {
        Event::Starved { from_us, .. } => starved
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(from_us),
        Event::Note { text, .. } => surface.talk(&format!("warning: {text}")),
        _ => {}
    });
    let watching = async {
        tokio::join!(pressure, heartbeat(surface, &counting, clock, started_us));
    };
    let ended = tokio::select! {
        ended = running.join() => ended,
        () = watching => running.join().await,
        () = signals.first() => {
            running.abort();
            running.join().await
        }
    };
    let starved = starved
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
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
    };
    Ok(Measured {
        result: judge::load_alone(&counting.total(), span, &starved),
        ended,
        signal: signals.heard(),
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

fn tell(surface: &Surface, args: &Load, measured: &Measured) -> Exit {
    let Measured {
        result,
        ended,
        signal,
    } = measured;
    let reasons = judge::load_doubts(result, ended.failed.as_deref());
    let exit = match signal {
        Some(name) => Exit::of_signal(name),
        None if reasons.is_empty() => Exit::Pass,
        None => Exit::Inconclusive,
    };
    let word = match exit {
        Exit::Pass => "DONE",
        _ => "INCONCLUSIVE",
    };
    let last = format!("exit {}  {word} {}\n", exit.code(), args.url);
    match args.format {
        Format::Json => {
            surface.json(&Document {
                schema_version: SCHEMA_VERSION,
                url: &args.url,
                model: if args.closed.is_some() {
                    "closed"
                } else {
                    "open"
                },
                rate: args.rate.map(crate::model::Rate::get),
                users: args.closed,
                exit_code: exit.code(),
                reasons: &reasons,
                notes: &ended.notes,
                load: result,
            });
            surface.talk(last.trim_end());
        }
        Format::Text if surface.quiet => surface.result(&last),
        Format::Text => {
            let what = match args.rate {
                Some(rate) => format!("{rate}, open loop"),
                None => format!("{} users, closed loop", args.closed.unwrap_or(0)),
            };
            let said: String = reasons
                .iter()
                .chain(&ended.notes)
                .map(|line| report::under_generator(line, surface.width()))
                .collect();
            let text = report::load_text(result, &what, &args.url) + &said + &last;
            surface.result(&surface.redactor().redact(&text));
        }
    }
    exit
}

fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}
