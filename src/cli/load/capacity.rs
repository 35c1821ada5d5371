//! The highest rate at which every promise is kept.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::args::{Format, Load as Args};
use super::drive::{DriveError, Measured, drive};
use super::plan::{PlanError, plan};
use super::{last_line, style};
use crate::cli::exit::Exit;
use crate::cli::surface::Surface;
use crate::judge::result::{LoadResult, ObjectiveResult, SCHEMA_VERSION};
use crate::judge::{Verdict, number, verdict};
use crate::model::Rate;
use crate::report::{self, Probed};
use crate::run::Signals;

/// Where a search begins.
const FIRST: f64 = 100.0;
/// The slowest rate that is tried.
const SLOWEST: f64 = 1.0;
/// How close the rate kept and the rate missed come.
const CLOSE: f64 = 1.05;
/// Asked before each measurement, so that connections stand and caches are warm.
const WARMUP: Duration = Duration::from_secs(2);
/// Times that a rate is tried at which the generator was in trouble.
const TRIES: u32 = 2;

/// What `--format json` prints of a search.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "capacity")]
pub(in crate::cli) struct Document<'a> {
    /// Version of this structure.
    schema_version: u32,
    /// The address.
    url: &'a str,
    /// `open`.
    model: &'static str,
    /// The process's exit code.
    exit_code: u8,
    /// The highest rate at which every promise was kept, per second; `null` if at none.
    capacity: Option<f64>,
    /// The lowest rate at which one was not, per second; `null` if at none that could be measured.
    missed: Option<f64>,
    /// Every rate that was tried, in order.
    probes: Vec<ProbeDocument<'a>>,
}

/// One rate that was tried.
#[derive(Debug, Serialize, JsonSchema)]
struct ProbeDocument<'a> {
    /// Arrivals a second.
    rate: f64,
    /// Whether every promise was kept at it.
    verdict: Verdict,
    /// What makes it inconclusive.
    reasons: &'a [String],
    /// What was promised.
    objectives: &'a [ObjectiveResult],
    /// What was asked and came of it.
    load: &'a LoadResult,
}

/// One rate that was tried.
struct Probe {
    rate: f64,
    measured: Measured,
}

/// What is known of the rates.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Range {
    up_to: f64,
    /// The highest at which every promise was kept.
    kept: Option<f64>,
    /// The lowest at which one was not, or that the generator could not drive.
    over: Option<f64>,
}

impl Range {
    /// The rate to try next, to a tenth; `None` once it is known closely enough.
    fn next(self, first: f64) -> Option<f64> {
        let next = match (self.kept, self.over) {
            (None, None) => Some(first.min(self.up_to)),
            (Some(kept), None) => (kept < self.up_to).then(|| (kept * 2.0).min(self.up_to)),
            (None, Some(over)) => (over > SLOWEST).then(|| (over / 2.0).max(SLOWEST)),
            // Halfway by ratio: rates differ by factors.
            (Some(kept), Some(over)) => (over / kept > CLOSE).then(|| (kept * over).sqrt()),
        };
        // Slow rates may lie closer together than a tenth: what is known is not tried again.
        let next = next.map(|rate| (rate * 10.0).round() / 10.0);
        next.filter(|rate| Some(*rate) != self.kept && Some(*rate) != self.over)
    }
}

pub(super) async fn search(
    surface: &Surface,
    args: &Args,
    up_to: Rate,
    signals: &Signals,
) -> Result<Exit, DriveError> {
    let limits = args.limits();
    if limits.is_empty() {
        return Err(PlanError::NoPromise.into());
    }
    let first = args.rate.map_or(FIRST.min(up_to.get()), Rate::get);
    if first > up_to.get() {
        let first = Rate::per_second(first).unwrap_or(up_to);
        return Err(PlanError::Capacity(up_to, first).into());
    }
    let mut range = Range {
        up_to: up_to.get(),
        kept: None,
        over: None,
    };
    let (mut probes, mut missed, mut tries) = (Vec::<Probe>::new(), None::<f64>, 0);
    while let Some(rate) = range.next(first) {
        let plan = plan(args, Rate::per_second(rate), args.warmup.unwrap_or(WARMUP))?;
        surface.talk(&format!("trying {}/s", number::count(rate.round() as u64)));
        let measured = drive(surface, plan, args.seed, &limits, signals).await?;
        if signals.heard().is_some() {
            break;
        }
        tries += 1;
        let verdict = measured.verdict();
        probes.push(Probe { rate, measured });
        match verdict {
            Verdict::Pass => range.kept = Some(rate),
            Verdict::Fail => {
                range.over = Some(rate);
                missed = Some(missed.map_or(rate, |m| m.min(rate)));
            }
            Verdict::Inconclusive | Verdict::LeftBroken if tries < TRIES => continue,
            Verdict::Inconclusive | Verdict::LeftBroken => range.over = Some(rate),
        }
        tries = 0;
    }
    let found = Found {
        kept: range.kept,
        missed,
        bounded: range.over.is_some() && range.over != missed,
        probes,
    };
    Ok(tell(surface, args, &found, signals.heard()))
}

/// What a search came to.
struct Found {
    kept: Option<f64>,
    missed: Option<f64>,
    /// It was the generator, or a lack of evidence, that ended it.
    bounded: bool,
    probes: Vec<Probe>,
}

impl Found {
    fn verdict(&self) -> Verdict {
        match (self.kept, self.bounded) {
            (Some(_), false) => Verdict::Pass,
            (None, false) if self.missed.is_some() => Verdict::Fail,
            (Some(_) | None, _) => Verdict::Inconclusive,
        }
    }

    fn sentence(&self) -> String {
        let rate = |r: f64| format!("{}/s", number::count(r.round() as u64));
        match (self.kept, self.missed) {
            _ if self.probes.is_empty() => "nothing was measured".to_owned(),
            (Some(kept), _) if self.bounded => format!(
                "at least {}: above it nothing could be proven, for the reasons given",
                rate(kept)
            ),
            (Some(kept), Some(missed)) => {
                format!("{}: at {} a promise was not kept", rate(kept), rate(missed))
            }
            (Some(kept), None) => format!("at least {}: more was not asked for", rate(kept)),
            (None, Some(missed)) => format!("none: not even {} kept every promise", rate(missed)),
            (None, None) => "unknown: no rate could be measured".to_owned(),
        }
    }
}

fn tell(surface: &Surface, args: &Args, found: &Found, signal: Option<&str>) -> Exit {
    let exit = match signal {
        Some(name) => Exit::of_signal(name),
        None => Exit::of_run(verdict::exit_code(found.verdict(), None)),
    };
    let last = last_line(exit, args, false);
    match args.format {
        Format::Json => {
            let probes = found.probes.iter().map(|probe| ProbeDocument {
                rate: probe.rate,
                verdict: probe.measured.verdict(),
                reasons: &probe.measured.doubts,
                objectives: &probe.measured.objectives,
                load: &probe.measured.result,
            });
            surface.json(&Document {
                schema_version: SCHEMA_VERSION,
                url: &args.url,
                model: "capacity",
                exit_code: exit.code(),
                capacity: found.kept,
                missed: found.missed,
                probes: probes.collect(),
            });
            surface.talk(last.trim_end());
        }
        Format::Text if surface.quiet => surface.result(&last),
        Format::Text => {
            let probes = found.probes.iter().map(|probe| Probed {
                rate: probe.rate,
                verdict: probe.measured.verdict(),
                objectives: &probe.measured.objectives,
                load: &probe.measured.result,
            });
            let probes: Vec<_> = probes.collect();
            let text = report::capacity_text(&probes, &found.sentence(), &args.url, style(surface));
            surface.result(&surface.redactor().redact(&(text + &last)));
        }
    }
    exit
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rates tried on a system that keeps its promises up to `capacity`.
    fn tried(first: f64, up_to: f64, capacity: f64) -> (Vec<f64>, Range) {
        let (mut range, mut tried) = (
            Range {
                up_to,
                kept: None,
                over: None,
            },
            Vec::new(),
        );
        while let Some(rate) = range.next(first) {
            tried.push(rate);
            if rate <= capacity {
                range.kept = Some(rate);
            } else {
                range.over = Some(rate);
            }
        }
        (tried, range)
    }

    #[test]
    fn it_doubles_and_then_closes_in() {
        let (tried, range) = tried(100.0, 1e6, 1_000.0);
        assert_eq!(tried[..5], [100.0, 200.0, 400.0, 800.0, 1_600.0]);
        assert!(tried.len() < 12, "{tried:?}");
        let (kept, over) = (range.kept.unwrap(), range.over.unwrap());
        assert!(kept <= 1_000.0 && over > 1_000.0 && over / kept <= CLOSE);
    }

    #[test]
    fn slow_rates_come_to_an_end() {
        for capacity in [1.0, 1.04, 1.3, 2.7, 9.9] {
            let (tried, range) = tried(1.0, 50.0, capacity);
            assert!(tried.len() < 12, "{capacity}: {tried:?}");
            assert!(range.kept.is_some_and(|kept| kept <= capacity), "{range:?}");
        }
    }

    #[test]
    fn it_stays_within_what_was_asked_for() {
        let (up, range) = tried(100.0, 350.0, 1e9);
        assert_eq!(up, [100.0, 200.0, 350.0]);
        assert_eq!((range.kept, range.over), (Some(350.0), None));
        let (down, range) = tried(100.0, 350.0, 0.0);
        assert_eq!(down.last(), Some(&SLOWEST));
        assert_eq!((range.kept, range.over), (None, Some(SLOWEST)));
        assert_eq!(
            tried(100.0, 1_000.0, 30.0).1.kept.map(|r| r <= 30.0),
            Some(true)
        );
    }
}
