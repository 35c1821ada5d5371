//! `firedrill load`: the load engine alone, against one address.

mod args;
mod capacity;
mod counting;
mod drive;
mod plan;

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use args::Format;
pub(super) use args::Load;
pub(super) use capacity::Document as CapacityDocument;
use drive::{DriveError, Measured};

use super::exit::Exit;
use super::surface::Surface;
use crate::judge::result::{LoadResult, ObjectiveResult, SCHEMA_VERSION};
use crate::judge::verdict;
use crate::model::Rate;
use crate::report::{self, Style};
use crate::run::Signals;

/// What `--format json` prints: `load` and `objectives` are those of `result.json`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "load")]
pub(super) struct Document<'a> {
    /// Version of this structure.
    schema_version: u32,
    /// The address.
    url: &'a str,
    /// The run's zero: RFC 3339, in UTC, with nanoseconds.
    started_at: &'a str,
    /// `open` or `closed`.
    model: &'static str,
    /// Arrivals a second that were asked for; `null` in a closed loop.
    rate: Option<f64>,
    /// Users of a closed loop; `null` in an open one.
    users: Option<u32>,
    /// The process's exit code.
    exit_code: u8,
    /// What makes it inconclusive.
    reasons: &'a [String],
    /// What a person should know of the generator.
    notes: &'a [String],
    /// What was promised.
    objectives: &'a [ObjectiveResult],
    /// What was asked and came of it.
    load: &'a LoadResult,
}

pub(super) fn load(surface: &Surface, args: &Load) -> Exit {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let done = runtime
        .map_err(DriveError::Runtime)
        .and_then(|runtime| runtime.block_on(carry_out(surface, args)));
    done.unwrap_or_else(|error| surface.failed(&error, error.exit()))
}

async fn carry_out(surface: &Surface, args: &Load) -> Result<Exit, DriveError> {
    let signals = Signals::default();
    signals.listen().map_err(DriveError::Signals)?;
    if let Some(up_to) = args.capacity_up_to {
        return capacity::search(surface, args, up_to, &signals).await;
    }
    let plan = plan::plan(args, args.rate, args.warmup.unwrap_or(Duration::ZERO))?;
    let measured = drive::drive(surface, plan, args.seed, &args.limits(), &signals).await?;
    Ok(tell(surface, args, &measured, signals.heard()))
}

fn tell(surface: &Surface, args: &Load, measured: &Measured, signal: Option<&str>) -> Exit {
    let exit = match signal {
        Some(name) => Exit::of_signal(name),
        None => Exit::of_run(verdict::exit_code(measured.verdict(), None)),
    };
    let last = last_line(exit, args, measured.objectives.is_empty());
    match args.format {
        Format::Json => {
            surface.json(&Document {
                schema_version: SCHEMA_VERSION,
                url: &args.url,
                started_at: &measured.started_at,
                model: if args.closed.is_some() {
                    "closed"
                } else {
                    "open"
                },
                rate: args.rate.map(Rate::get),
                users: args.closed,
                exit_code: exit.code(),
                reasons: &measured.doubts,
                notes: &measured.ended.notes,
                objectives: &measured.objectives,
                load: &measured.result,
            });
            surface.talk(last.trim_end());
        }
        Format::Text if surface.quiet => surface.result(&last),
        Format::Text => {
            let what = match args.rate {
                Some(rate) => format!("{rate}, open loop"),
                None => format!("{} users, closed loop", args.closed.unwrap_or(0)),
            };
            let style = style(surface);
            let more = measured.doubts.iter().chain(&measured.ended.notes);
            let more: String = more
                .map(|line| report::under_generator(line, style.width))
                .collect();
            let text = report::load_text(
                &measured.result,
                &measured.objectives,
                &what,
                &args.url,
                style,
            );
            surface.result(&surface.redactor().redact(&(text + &more + &last)));
        }
    }
    exit
}

fn style(surface: &Surface) -> Style<'static> {
    Style {
        colour: surface.colours_out(),
        width: surface.width(),
        dir: None,
    }
}

/// `exit 0  DONE http://…`, where nothing was promised; else as a run says it.
fn last_line(exit: Exit, args: &Load, promised_nothing: bool) -> String {
    let word = match exit {
        Exit::Pass if promised_nothing => "DONE",
        Exit::Pass => "PASS",
        Exit::Miss => "FAIL",
        Exit::Usage
        | Exit::Inconclusive
        | Exit::LeftBroken
        | Exit::HangUp
        | Exit::Interrupted
        | Exit::Terminated => "INCONCLUSIVE",
    };
    format!("exit {}  {word} {}\n", exit.code(), args.url)
}
