//! The guardian: mends what a run broke when the run dies.

use std::io::{self, Read, Write};
use std::path::Path;

use super::args::Guard;
use super::exit::Exit;
use super::marks;
use super::recover::{RecoverError, account, put_right, runtime};
use super::surface::Surface;
use crate::timeline::{Journal, RunDir, RunLock};

/// What the runner writes to its guardian when it is no longer needed.
pub(super) const OVER: &[u8] = b"over\n";
/// What the guardian writes once it watches.
pub(super) const WATCHING: &str = "watching\n";

/// Waits for the end of the run whose directory this is, and puts right what it left owed if it died.
pub(super) fn guard(surface: &Surface, args: &Guard) -> Exit {
    // Out of the terminal's reach: what ends the run's session must not end its guardian. It fails where the guardian
    // leads a session already, which is as good.
    let _leads = rustix::process::setsid();
    let id = RunDir::open(&args.run)
        .map(|dir| dir.id())
        .unwrap_or_default();
    let done = watch(&args.run).and_then(|orphaned| {
        if !orphaned {
            return Ok(Exit::Pass);
        }
        surface.talk("the run has died; its guardian mends what it left");
        let recovered = match put_right(surface, &args.run, "guardian", RunLock::wait) {
            // Its files are gone, or cannot be read: what it marked is still there.
            Err(RecoverError::Timeline(error)) => {
                surface.talk(&format!("warning: {error}; what it marked is put right"));
                runtime()?.block_on(marks::of_run(surface, &id))?
            }
            mended => mended?,
        };
        let (told, exit) = account(&args.run.display().to_string(), &recovered);
        surface.talk(told.trim_end());
        Ok(exit)
    });
    match done {
        Ok(exit) => exit,
        Err(error) => surface.failed(&error, Exit::LeftBroken),
    }
}

/// Blocks until the runner says that the run is over (false) or is gone (true).
fn watch(run: &Path) -> Result<bool, RecoverError> {
    // Read once beforehand: a guardian that cannot read the journal is none.
    Journal::read(&RunDir::open(run)?.journal())?;
    let mut stdout = io::stdout();
    stdout
        .write_all(WATCHING.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(RecoverError::system("tell the runner"))?;
    let mut said = Vec::new();
    io::stdin()
        .read_to_end(&mut said)
        .map_err(RecoverError::system("listen to the runner"))?;
    Ok(said != OVER)
}
