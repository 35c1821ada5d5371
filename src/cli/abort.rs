//! `firedrill abort`: heal all that a run has broken, now.

use std::path::Path;
use std::thread;
use std::time::Duration;

use super::args::Abort;
use super::exit::Exit;
use super::surface::Surface;
use crate::judge::number;
use crate::restore::{Owed, left_owed};
use crate::run::{Runner, RunnerState};
use crate::timeline::clock::Clock;
use crate::timeline::event::Event;
use crate::timeline::{Journal, RunDir, TimelineError, boot_id};

/// Between two looks at the run's journal.
const LOOK: Duration = Duration::from_millis(50);
/// How long a runner may do nothing about it before that is said.
const REACTION_US: i64 = 3_000_000;
/// How long until it is no longer waited for.
const GIVEN_UP_US: i64 = 15_000_000;
/// Between two lines for whoever waits.
const BEAT_US: i64 = 10_000_000;

/// Why a run could not be aborted.
#[derive(Debug, thiserror::Error)]
enum AbortError {
    #[error(transparent)]
    Timeline(#[from] TimelineError),
    #[error(
        "no run is going on in {out}; a run with another --out is aborted with that --out, or by its directory"
    )]
    None { out: String },
    #[error("several runs are going on, so name one of them:{}", listed(runs))]
    Several { runs: Vec<String> },
    #[error(
        "{run} may not be reached: process {pid} refuses the signal ({source}); abort it as the user who started it"
    )]
    Refused {
        run: String,
        pid: u32,
        source: std::io::Error,
    },
    #[error("what becomes of the run cannot be followed: {0}")]
    Unfollowed(TimelineError),
    #[error("{run}: {why}")]
    NotHealed { run: String, why: String },
}

fn listed(runs: &[String]) -> String {
    let line = |run: &String| format!("\n  firedrill abort {run}");
    runs.iter().map(line).collect()
}

impl AbortError {
    fn exit(&self) -> Exit {
        match self {
            Self::None { .. } | Self::Several { .. } | Self::Timeline(_) => Exit::Usage,
            Self::Refused { .. } | Self::Unfollowed(_) | Self::NotHealed { .. } => Exit::LeftBroken,
        }
    }
}

pub(super) fn abort(surface: &Surface, args: &Abort) -> Exit {
    let done = meant(args).and_then(|dir| aborted(surface, &dir));
    match done {
        Ok(()) => Exit::Pass,
        Err(error) => surface.failed(&error, error.exit()),
    }
}

/// The run that is meant.
fn meant(args: &Abort) -> Result<RunDir, AbortError> {
    if let Some(run) = &args.run {
        return Ok(RunDir::find(&args.reports.out, run)?);
    }
    let mut going_on = Vec::new();
    for dir in RunDir::all(&args.reports.out)? {
        if dir.is_acted_for()? {
            going_on.push(dir);
        }
    }
    match going_on.len() {
        0 => {
            // One that died is more urgent than one that is over.
            let all = RunDir::all(&args.reports.out)?;
            let left = all.into_iter().rev().find(RunDir::is_open);
            left.ok_or_else(|| AbortError::None {
                out: args.reports.out.display().to_string(),
            })
        }
        1 => Ok(going_on.remove(0)),
        _ => Err(AbortError::Several {
            runs: going_on.iter().map(|dir| shown(dir.path())).collect(),
        }),
    }
}

fn shown(run: &Path) -> String {
    run.display().to_string()
}

fn aborted(surface: &Surface, dir: &RunDir) -> Result<(), AbortError> {
    let run = shown(dir.path());
    if !dir.is_open() {
        surface.result(&format!("{run} is over, and nothing of it is broken\n"));
        return Ok(());
    }
    let opened = Journal::read(&dir.journal())?.opened;
    let runner = Runner::of(&opened);
    let same_boot = boot_id() == opened.boot_id;
    let clock = Clock::resume(opened.started_ns, opened.boottime_ns, same_boot);
    let asked_us = clock.now_us();
    let asked = runner.ask_to_abort();
    let asked = asked.map_err(|source| AbortError::Refused {
        run: run.clone(),
        pid: runner.pid(),
        source,
    })?;
    let mut waiting = Waiting {
        surface,
        run,
        runner,
        asked,
        asked_us,
        healed: false,
        warned: false,
        beat_us: asked_us,
        acted_for_us: asked_us,
    };
    if !asked {
        surface.talk("its runner is gone; waiting for its guardian to mend what it left");
    }
    loop {
        let open = dir.is_open();
        let acted_for = dir.is_acted_for().map_err(AbortError::Unfollowed)?;
        // Read after the lock was asked: who gave it up has written all that it had to say.
        let journal = Journal::read(&dir.journal()).map_err(AbortError::Unfollowed)?;
        if waiting.look(&journal, clock.now_us(), open, acted_for)? {
            return Ok(());
        }
        thread::sleep(LOOK);
    }
}

/// What is waited for.
struct Waiting<'a> {
    surface: &'a Surface,
    run: String,
    runner: Runner,
    /// Whether the runner got the signal.
    asked: bool,
    asked_us: i64,
    healed: bool,
    warned: bool,
    beat_us: i64,
    /// When somebody was last seen to act for the run.
    acted_for_us: i64,
}

impl Waiting<'_> {
    /// Whether all is mended and the run over.
    fn look(
        &mut self,
        journal: &Journal,
        now_us: i64,
        open: bool,
        acted_for: bool,
    ) -> Result<bool, AbortError> {
        let reacted = journal.entries.iter().any(|e| {
            matches!(
                e.event,
                Event::Aborted { .. }
                    | Event::Stopped { .. }
                    | Event::Recovering { .. }
                    | Event::Closed { .. }
            )
        });
        let owed = left_owed(journal);
        let broken = owed.iter().filter(|o| o.step.is_some()).count();
        if (reacted || !open) && broken == 0 && !self.healed {
            self.healed = true;
            self.surface.result(&self.account(journal));
        }
        if !open {
            let took = number::length(now_us - self.asked_us);
            self.surface.result(&format!(
                "{}: over after {took}, nothing of it is left broken\n",
                self.run
            ));
            return Ok(true);
        }
        let waited_us = now_us - self.asked_us;
        if acted_for {
            self.acted_for_us = now_us;
        }
        if now_us - self.acted_for_us > REACTION_US {
            return Err(self.not_healed(unmended(&owed, &self.run)));
        }
        if !reacted && waited_us > GIVEN_UP_US {
            return Err(self.not_healed(format!("not aborted: {}", self.inert())));
        }
        if !reacted && waited_us > REACTION_US && !self.warned {
            self.warned = true;
            self.surface
                .talk(&format!("{}: {}", self.run, self.inert()));
        }
        if now_us - self.beat_us > BEAT_US {
            self.beat_us = now_us;
            let what = owed
                .last()
                .map_or_else(String::new, |o| format!(": {}", o.undo));
            self.surface
                .talk(&format!("still to be mended: {}{what}", owed.len()));
        }
        Ok(false)
    }

    /// `healed in 0.4 s, verified`, by the run's own clock.
    fn account(&self, journal: &Journal) -> String {
        let faults = |id: u64| {
            journal.entries.iter().any(
                |e| matches!(&e.event, Event::Owed { id: owed, step: Some(_), .. } if *owed == id),
            )
        };
        let mended = journal.entries.iter().filter_map(|e| match e.event {
            Event::Mended { id, .. } if faults(id) => Some(e.at_us),
            _ => None,
        });
        match mended.max().filter(|at| *at >= self.asked_us) {
            Some(at) => format!(
                "healed in {}, verified\n",
                number::length(at - self.asked_us)
            ),
            None => "nothing was broken\n".to_owned(),
        }
    }

    /// Why nothing happens, and what to do.
    fn inert(&self) -> String {
        let pid = self.runner.pid();
        match self.runner.state() {
            RunnerState::Frozen => format!(
                "its runner, process {pid}, is stopped (SIGSTOP or Ctrl-Z) and heals once it goes on: kill -CONT {pid}; or let its guardian heal: kill -KILL {pid}"
            ),
            RunnerState::Running => format!(
                "its runner, process {pid}, does not react; let its guardian heal: kill -KILL {pid}"
            ),
            RunnerState::Gone if self.asked => format!(
                "its runner, process {pid}, has died, and its guardian has not begun to mend yet"
            ),
            RunnerState::Gone => {
                "its runner is no process of this machine that can be seen from here: abort it where it runs".to_owned()
            }
        }
    }

    fn not_healed(&self, why: String) -> AbortError {
        AbortError::NotHealed {
            run: self.run.clone(),
            why,
        }
    }
}

/// What is left when nobody acts for a run any more.
fn unmended(owed: &[Owed], run: &str) -> String {
    let what = |o: &Owed| {
        let step = o.step.as_deref().unwrap_or("the stack");
        format!("\n  LEFT BROKEN  {step}: {}", o.undo)
    };
    let left: String = owed.iter().map(what).collect();
    format!("nobody mends what it left; put it right: firedrill recover {run}{left}")
}
