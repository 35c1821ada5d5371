//! firedrill is killed at random points of every fault; afterwards the stack is what it was before.
#![expect(
    clippy::unwrap_used,
    reason = "what a test needs and does not get fails it"
)]

mod commands;
mod compose;
mod cuts;
mod processes;
mod scan;

use std::fmt::Debug;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use firedrill::restore::left_owed;
use firedrill::timeline::Journal;
use firedrill::timeline::event::Event;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

use crate::binary::{Folder, Running, until};

/// The latest of a run's guardians.
pub(crate) fn guardian(run: &Path) -> Pid {
    let journal = Journal::read(&run.join("journal.ndjson")).unwrap();
    let guarded = journal.entries.iter().rev().find_map(|e| match e.event {
        Event::Guarded { pid } => Some(pid),
        _ => None,
    });
    Pid::from_raw(i32::try_from(guarded.unwrap()).unwrap()).unwrap()
}

/// Whether a run's journal holds this text yet.
pub(crate) fn told(run: &Path, text: &str) -> bool {
    fs::read_to_string(run.join("journal.ndjson")).is_ok_and(|journal| journal.contains(text))
}

/// Whether a process runs no more; its parent may not have asked for its end yet.
pub(crate) fn gone(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.map_or(true, |stat| stat.contains(") Z "))
}

/// Longest that mending takes on any machine.
const MENDED: Duration = Duration::from_secs(60);

/// Kills the run of `drill` with SIGKILL at a random point of its step `break`, waits until its guardian has left, and
/// demands that the stack is then as it was. Logs the time from the kill until `state` first was what it had been.
fn kill_and_compare<S: PartialEq + Debug>(
    folder: &Folder,
    mut drill: Running<'_>,
    (scenario, fault): (&str, &str),
    within: Duration,
    state: impl Fn() -> S,
) {
    let run = folder.latest(scenario);
    let mut comes_to = |what: &str, text: &str| {
        until(what, || {
            drill.goes_on();
            told(&run, text)
        });
    };
    comes_to("the load", "\"load_started\"");
    let before = state();
    comes_to("the step", "\"step\":\"break\"");
    let random = uuid::Uuid::new_v4().as_u128() % within.as_micros();
    let delay = Duration::from_micros(u64::try_from(random).unwrap());
    std::thread::sleep(delay);
    let watching = guardian(&run);
    drill.signal(Signal::KILL);
    let begun = Instant::now();
    let _killed = drill.end();
    while state() != before && begun.elapsed() < MENDED {
        std::thread::sleep(Duration::from_millis(10));
    }
    let took = begun.elapsed();
    until("the guardian's leave", || gone(watching));
    let told = || {
        let tail = |file: &str| fs::read_to_string(run.join(file)).unwrap_or_default();
        format!(
            "killed {delay:?} after the undo was written down\n{}\n{}",
            tail("journal.ndjson"),
            tail("run.log")
        )
    };
    assert_eq!(state(), before, "{}", told());
    let journal = Journal::read(&run.join("journal.ndjson")).unwrap();
    assert_eq!(
        left_owed(&journal),
        [],
        "killed {delay:?} after the undo was written down"
    );
    assert_eq!(
        journal.damage,
        [],
        "killed {delay:?} after the undo was written down"
    );
    assert_eq!(
        state(),
        before,
        "killed {delay:?} after the undo was written down"
    );
    assert!(!run.join("run.lock").exists());
    log(fault, took);
}

/// Kills a process that is not a child of this one.
pub(crate) fn kill(pid: Pid) {
    kill_process(pid, Signal::KILL).unwrap();
    until("its end", || gone(pid));
}

/// How often each fault is killed: `usual` times so often as `FIREDRILL_KILLS` says, once without it.
fn rounds(usual: usize) -> usize {
    let times = std::env::var("FIREDRILL_KILLS").map_or(1, |n| n.parse().unwrap());
    usual * times
}

/// Adds a kill to the log that `FIREDRILL_KILL_LOG` names: the fault, and the ms until the stack was what it had been.
fn log(fault: &str, took: Duration) {
    let Some(path) = std::env::var_os("FIREDRILL_KILL_LOG") else {
        return;
    };
    let mut file = fs::File::options()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    let line = format!("{fault}\t{:.1}\n", took.as_secs_f64() * 1e3);
    // One write: tests are processes side by side.
    file.write_all(line.as_bytes()).unwrap();
}
