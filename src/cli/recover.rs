//! `recover`, and the guardian that does the same by itself when the run dies.

use std::io::{self, Read, Write};
use std::path::Path;

use super::args::{Guard, Recover};
use super::context::context;
use super::exit::Exit;
use super::surface::Surface;
use crate::restore::{Ledger, Owed, Recovered, mend_left};
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
        if orphaned {
            put_right(surface, &args.run, "guardian", |dir| RunLock::wait(dir)).map(|_| ())
        } else {
            Ok(())
        }
    });
    match done {
        Ok(()) => Exit::Pass,
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
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(RecoverError::system("start the runtime"))?;
    let recovered = runtime.block_on(async {
        // Read under the lock: the runner, or another guardian, may have mended in the meantime.
        let journal = Journal::read(&dir.journal())?;
        let context = context(surface, &journal.opened, &dir)
            .map_err(RecoverError::system("find this binary"))?;
        let killed = stay_hands(&context.run)
            .await
            .map_err(RecoverError::system("find what acts for the run"))?;
        let recorder = Recorder::resume(&dir, &journal, context.redactor.clone())?;
        let by = by.to_owned();
        recorder.record(Event::Recovering {
            by,
            pid: std::process::id(),
            hands: killed,
        });
        let ledger = Ledger::of_journal(recorder.clone(), &journal);
        let stack = stack::open(&journal.opened.stack, context.clone())?;
        let recovered = mend_left(&ledger, &journal, &*stack, &*context.secrets).await;
        recorder.abandon().await?;
        Ok::<_, RecoverError>(recovered)
    });
    runtime.shutdown_background();
    let recovered = recovered?;
    if recovered.broken.is_empty() {
        lock.release()?;
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
            Ok(recovered) => tell(surface, &dir, &recovered),
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

fn tell(surface: &Surface, dir: &RunDir, recovered: &Recovered) -> Exit {
    let mut text = String::new();
    let run = dir.path().display();
    let what = |owed: &Owed| {
        let step = owed.step.as_deref().unwrap_or("the stack");
        format!("{step}: {}", owed.undo)
    };
    for owed in &recovered.mended {
        text.push_str(&format!("mended       {}\n", what(owed)));
    }
    for (owed, why) in &recovered.broken {
        text.push_str(&format!("LEFT BROKEN  {}: {why}\n", what(owed)));
    }
    let (mended, broken) = (recovered.mended.len(), recovered.broken.len());
    text.push_str(&match (mended, broken) {
        (0, 0) => format!("{run}: nothing was owed\n"),
        (_, 0) => format!("{run}: {mended} put right, nothing is owed any more\n"),
        (_, _) => format!(
            "{run}: {mended} put right, {broken} could not be; mend the cause and recover again\n"
        ),
    });
    surface.result(&text);
    if broken == 0 {
        Exit::Pass
    } else {
        Exit::LeftBroken
    }
}
