//! `tui`, `replay`, and the screen that `run` puts up.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::mpsc;

use super::args::{Replay, Run, Tui, Ui};
use super::exit::Exit;
use super::judge::past;
use super::surface::Surface;
use crate::judge::number;
use crate::model::{Act, Action, Command};
use crate::run::{Runner, RunnerState, Signals};
use crate::scenario::plan::Plan;
use crate::timeline::event::{ABORT, Event};
use crate::timeline::{Journal, Recording, RunDir};
use crate::tui::{Palette, Screen, Source, Start, Theme, TuiError, terminal_out};

/// How long before a step a replay begins that is to show it.
const BEFORE_US: i64 = 3_000_000;
/// From one look to the next whether a signal came.
const LOOK: Duration = Duration::from_millis(50);

pub(super) fn tui(surface: &Surface, args: Tui) -> Exit {
    match (args.watch, args.file) {
        (Some(run), _) => watch(surface, &args.carry.reports.out, &run),
        (None, Some(file)) => {
            let run = Run {
                files: vec![file],
                ui: Ui::Tui,
                carry: args.carry,
            };
            super::run::run(surface, &run)
        }
        // clap asks for one of the two.
        (None, None) => Exit::Usage,
    }
}

/// Whether there is a terminal to draw on; says so where there is none.
pub(super) fn drawable(surface: &Surface, instead: &str) -> Result<(), Exit> {
    let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    let missing = if dumb {
        "the terminal is a dumb one (TERM)".to_owned()
    } else {
        match terminal_out() {
            Ok(_) => return Ok(()),
            Err(error) => format!("this process has no terminal ({error})"),
        }
    };
    surface.talk(&format!(
        "error: the game day's screen needs a terminal, and {missing}; {instead}"
    ));
    Err(Exit::Usage)
}

fn watch(surface: &Surface, out: &std::path::Path, run: &str) -> Exit {
    if let Err(exit) = drawable(surface, "follow its run.log") {
        return exit;
    }
    let dir = match RunDir::find(out, run) {
        Ok(dir) => dir,
        Err(error) => return surface.failed(&error, Exit::Usage),
    };
    let opened = match Journal::read(&dir.journal()) {
        Ok(journal) => journal.opened,
        Err(error) => return surface.failed(&error, Exit::Inconclusive),
    };
    let plan = match plan_of(&dir) {
        Ok(plan) => plan,
        Err(why) => {
            surface.talk(&format!("error: {}: {why}", dir.plan().display()));
            return Exit::Inconclusive;
        }
    };
    let runner = Runner::of(&opened);
    let source = Source {
        dir,
        plan,
        start: Start::Live {
            alive: Box::new(move || runner.state() != RunnerState::Gone),
            act: None,
            offers: Vec::new(),
        },
    };
    shown(surface, source)
}

fn plan_of(dir: &RunDir) -> Result<Plan, String> {
    let text = std::fs::read_to_string(dir.plan()).map_err(|e| e.to_string())?;
    serde_json::from_str(&text).map_err(|e| e.to_string())
}

pub(super) fn replay(surface: &Surface, args: &Replay) -> Exit {
    if let Err(exit) = drawable(surface, "firedrill report prints what came of it") {
        return exit;
    }
    let dir = match RunDir::find(&args.reports.out, &args.run) {
        Ok(dir) => dir,
        Err(error) => return surface.failed(&error, Exit::Usage),
    };
    let past = match past(surface, dir.path()) {
        Ok(past) => past,
        Err(exit) => return exit,
    };
    let from_us = match args
        .at
        .as_deref()
        .map(|at| moment(at, &past.plan, &past.recording))
    {
        None => 0,
        Some(Ok(from_us)) => from_us,
        Some(Err(why)) => {
            surface.talk(&format!("error: --at: {why}"));
            return Exit::Usage;
        }
    };
    // As it was meant: what became of it while it ran comes with the events.
    let plan = match plan_of(&past.dir) {
        Ok(plan) => plan,
        Err(why) => {
            surface.talk(&format!("error: {}: {why}", past.dir.plan().display()));
            return Exit::Inconclusive;
        }
    };
    let source = Source {
        dir: past.dir,
        plan,
        start: Start::Replay {
            recording: Box::new(past.recording),
            from_us,
            speed: args.speed,
        },
    };
    shown(surface, source)
}

/// A step, or a time, as µs since the end of warm-up.
fn moment(at: &str, plan: &Plan, recording: &Recording) -> Result<i64, String> {
    let zero_us = recording.entries.iter().find_map(|e| match e.event {
        Event::LoadStarted { steps_zero_us, .. } => Some(steps_zero_us),
        _ => None,
    });
    if plan.steps.iter().any(|s| s.name == at) {
        let dispatched = recording.entries.iter().find_map(|e| match &e.event {
            Event::Dispatched { step, .. } if step == at => Some(e.at_us),
            _ => None,
        });
        return dispatched
            .map(|us| us - zero_us.unwrap_or(0) - BEFORE_US)
            .ok_or_else(|| format!("step `{at}` was not dispatched in this run"));
    }
    if let Ok(time) = humantime::parse_duration(at) {
        return Ok(number::micros(time));
    }
    let steps: Vec<&str> = plan.steps.iter().map(|s| s.name.as_str()).collect();
    Err(format!(
        "`{at}` is neither a time (31s) nor a step; the run's steps: {}",
        steps.join(", ")
    ))
}

fn shown(surface: &Surface, source: Source) -> Exit {
    match surface.screen().show(source, theme(surface)) {
        Ok(_) => Exit::Pass,
        Err(error) => surface.failed(&error, Exit::Inconclusive),
    }
}

fn theme(surface: &Surface) -> Theme {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())
        .unwrap_or_default()
        .to_uppercase();
    Theme {
        palette: if surface.colours(true) {
            Palette::Colours
        } else {
            Palette::Mono
        },
        unicode: locale.contains("UTF-8") || locale.contains("UTF8"),
    }
}

/// The screen of a run that this process carries out.
pub(super) struct GameDay {
    screen: Screen,
    thread: JoinHandle<Result<(), TuiError>>,
    /// Hung up when the thread ends, however it does.
    over: Receiver<Infallible>,
}

/// Lines that are not said as long as the screen is up, however it ends.
struct HeldBack {
    quiet: Arc<AtomicBool>,
    was: bool,
}

impl Drop for HeldBack {
    fn drop(&mut self) {
        self.quiet.store(self.was, Ordering::Relaxed);
    }
}

/// How long a screen may take to end.
const ENDING: Duration = Duration::from_secs(1);

impl GameDay {
    /// Puts it up. Whoever leaves it gets lines, which `quiet` held back.
    ///
    /// # Errors
    /// Its thread cannot be started.
    pub(super) fn begin(
        surface: &Surface,
        dir: &RunDir,
        plan: &Plan,
        signals: &Signals,
        offers: Vec<Action>,
        acts: mpsc::UnboundedSender<Act>,
        quiet: Arc<AtomicBool>,
    ) -> io::Result<Self> {
        let obeying = signals.clone();
        let source = Source {
            dir: dir.clone(),
            plan: plan.clone(),
            start: Start::Live {
                alive: Box::new(|| true),
                act: Some(Box::new(move |command| match command {
                    Command::Abort => obeying.abort(),
                    Command::Interrupt => obeying.interrupt(),
                    // Once the drill is over nobody is left to take it, as the screen shows.
                    Command::Act(act) => drop(acts.send(act)),
                })),
                offers,
            },
        };
        let (screen, theme) = (surface.screen().clone(), theme(surface));
        screen.again();
        let held_back = HeldBack {
            was: quiet.swap(true, Ordering::Relaxed),
            quiet,
        };
        let showing = screen.clone();
        let (ends, over) = channel();
        let thread = thread::Builder::new()
            .name("firedrill-screen".to_owned())
            .spawn(move || {
                let _until_it_ends = (ends, held_back);
                showing.show(source, theme).map(|_| ())
            })?;
        Ok(Self {
            screen,
            thread,
            over,
        })
    }

    /// Takes it down: at once, or where it `stays` once the person at the keys has left it or a signal came.
    pub(super) fn finish(self, surface: &Surface, signals: &Signals, stays: bool) {
        let ended = || signals.again() || signals.heard().is_some_and(|by| by != ABORT);
        while stays && !ended() && !self.ends_within(LOOK) {}
        self.screen.stop();
        if !self.ends_within(ENDING) {
            // A terminal that was stopped (Ctrl-S) takes no more, and the report must not wait for it.
            self.screen.free();
        }
        if !self.ends_within(ENDING) {
            return surface
                .talk("warning: the terminal takes nothing, and keeps the game day's screen");
        }
        match self.thread.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => surface.talk(&format!("warning: {error}")),
            // It has been reported as it happened.
            Err(_panic) => {}
        }
    }

    /// Whether its thread ends within so long.
    fn ends_within(&self, patience: Duration) -> bool {
        self.over.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected)
    }
}
