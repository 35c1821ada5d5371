//! `recover`, and the guardian that does the same by itself when the run dies.

use std::io::{self, Read, Write};
use std::path::Path;

use super::args::{Guard, Recover};
use super::context::context;
use super::exit::Exit;
use super::surface::Surface;
use crate::restore::{Ledger, Owed, Recovered, left_owed, mend_left};
use crate::stack::{self, StackError, stay_hands};
use crate::timeline::event::Event;
use crate::timeline::{Journal, Recorder, RunDir, RunLock, TimelineError};

/// What the runner writes to its guardian when it is no longer needed.
pub(super) const OVER: &[u8] = b"over\n";
/// What the guardian writes once it watches.
pub(super) const WATCHING: &str = "watching\n";

/// Why a run could not be looked after.
#[derive(Debug, thiserror::Error)]
enum RecoverError {
    #[error(transparent)]
    Timeline(#[from] TimelineError),
    #[error(transparent)]
    Stack(#[from] StackError),
    #[error("{what}: {source}")]
    System {
        what: &'static str,
        source: io::Error,
    },
}

impl RecoverError {
    fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}

/// Waits for the end of the run whose directory this is, and puts right what it left owed if it died.
pub(super) fn guard(surface: &Surface, args: &Guard) -> Exit {
    // Out of the terminal's reach: what ends the run's session must not end its guardian. It fails where the guardian
    // leads a session already, which is as good.
    let _leads = rustix::process::setsid();
    let done = watch(&args.run).and_then(|orphaned| {
        if !orphaned {
            return Ok(Exit::Pass);
        }
        surface.talk("the run has died; its guardian mends what it left");
        let recovered = put_right(surface, &args.run, "guardian", RunLock::wait)?;
        let (told, exit) = account(&args.run, &recovered);
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

/// Puts right what a run left owed. `lock` gets the right to do so.
fn put_right(
    surface: &Surface,
    run: &Path,
    by: &str,
    lock: impl FnOnce(&RunDir) -> Result<RunLock, TimelineError>,
) -> Result<Recovered, RecoverError> {
    let dir = RunDir::open(run)?;
    let lock = lock(&dir)?;
    // Read under the lock: the runner, or another guardian, may have mended in the meantime.
    let journal = match Journal::read(&dir.journal()) {
        // Its first record comes before anything is done.
        Err(TimelineError::NotOpened { .. }) => None,
        read => Some(read?),
    };
    let owing = journal.filter(|j| !left_owed(j).is_empty() || !j.damage.is_empty());
    let Some(journal) = owing else {
        lock.release()?;
        return Ok(Recovered::default());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(RecoverError::system("start the runtime"))?;
    let recovered = runtime.block_on(async {
        let context = context(surface, &journal.opened, &dir)
            .map_err(RecoverError::system("find this binary"))?;
        let killed = stay_hands(&context.run).await.unwrap_or_else(|error| {
            surface.talk(&format!(
                "warning: what may still act for the run could not be looked for: {error}"
            ));
            0
        });
        let recorder = Recorder::resume(&dir, &journal, context.redactor.clone())?;
        let by = by.to_owned();
        recorder.record(Event::Recovering {
            by,
            pid: std::process::id(),
            hands: killed,
        });
        let ledger = Ledger::of_journal(recorder.clone(), &journal);
        let stack = stack::open(&journal.opened.stack, context.clone())?;
        let mut recovered = mend_left(&ledger, &journal, &*stack, &*context.secrets).await;
        for (_, why) in &mut recovered.broken {
            // It may quote what the system under test said, and that may be a secret.
            *why = context.redactor.redact(why).into_owned();
        }
        Ok::<_, RecoverError>((recovered, recorder.abandon().await))
    });
    runtime.shutdown_background();
    let (recovered, written) = recovered?;
    // What the journal could not be told counts as owed: whoever recovers looks again.
    match written {
        Ok(()) if recovered.clean() => lock.release()?,
        Ok(()) => {}
        Err(error) => surface.talk(&format!("warning: {error}")),
    }
    Ok(recovered)
}

/// Puts right what runs left owed: the one named, or every one that was not mended.
pub(super) fn recover(surface: &Surface, args: &Recover) -> Exit {
    let runs = match &args.run {
        Some(run) => RunDir::find(&args.out, run).map(|dir| vec![dir]),
        None => RunDir::all(&args.out).map(|all| all.into_iter().filter(RunDir::is_open).collect()),
    };
    let runs = match runs {
        Ok(runs) => runs,
        Err(error) => return surface.failed(&error, Exit::Usage),
    };
    if runs.is_empty() {
        surface.result(&format!(
            "nothing to recover: every run in {} has been mended\n",
            args.out.display()
        ));
    }
    let mut exit = Exit::Pass;
    for dir in runs {
        let of_one = match put_right(surface, dir.path(), "recover", RunLock::take) {
            Ok(recovered) => {
                let (told, exit) = account(dir.path(), &recovered);
                surface.result(&told);
                exit
            }
            Err(RecoverError::Timeline(error @ TimelineError::Busy { .. })) => {
                surface.failed(&error, Exit::Inconclusive)
            }
            Err(error) => {
                surface.talk(&format!("{}:", dir.path().display()));
                surface.failed(&error, Exit::LeftBroken)
            }
        };
        exit = exit.worse(of_one);
    }
    exit
}

/// What became of a run's debts, in words.
fn account(run: &Path, recovered: &Recovered) -> (String, Exit) {
    let run = run.display();
    let what = |owed: &Owed| {
        let step = owed.step.as_deref().unwrap_or("the stack");
        format!("{step}: {}", owed.undo)
    };
    let mended = recovered.mended.iter();
    let mut lines: Vec<String> = mended
        .map(|o| format!("mended       {}", what(o)))
        .collect();
    let left = recovered.broken.iter();
    lines.extend(left.map(|(o, why)| format!("LEFT BROKEN  {}: {why}", what(o))));
    let damage = recovered.damage.iter();
    lines.extend(damage.map(|d| format!("DAMAGED      {d}: what stood there may still be broken")));
    let (mended, broken) = (recovered.mended.len(), recovered.broken.len());
    if !recovered.damage.is_empty() {
        lines.push(format!(
            "{run}: look at the stack yourself, then remove {run}/run.lock"
        ));
    }
    lines.push(match (mended, broken) {
        (0, 0) => format!("{run}: nothing was owed"),
        (_, 0) => format!("{run}: {mended} put right, nothing else is known to be owed"),
        (_, _) => format!(
            "{run}: {mended} put right, {broken} could not be; mend the cause and recover again"
        ),
    });
    let exit = if recovered.clean() {
        Exit::Pass
    } else {
        Exit::LeftBroken
    };
    (lines.join("\n") + "\n", exit)
}
