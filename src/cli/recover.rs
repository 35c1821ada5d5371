//! `recover`: what a run left owed, by its journal, and with `--scan` by the marks on the platforms.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::args::Recover;
use super::context::{context, scan};
use super::exit::Exit;
use super::marks::{self, Whose};
use super::surface::Surface;
use crate::restore::{Ledger, Owed, Recovered, in_flight_since, left_owed, mend_left};
use crate::stack::{self, Scan, StackError, stay_hands};
use crate::timeline::event::Event;
use crate::timeline::{Journal, Recorder, RunDir, RunLock, TimelineError};

/// Why a run could not be looked after.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecoverError {
    /// The run's files.
    #[error(transparent)]
    Timeline(#[from] TimelineError),
    /// The platform.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// The system.
    #[error("{what}: {source}")]
    System {
        /// What was to be done.
        what: &'static str,
        /// Its answer.
        source: io::Error,
    },
}

impl RecoverError {
    pub(super) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}

/// Puts right what a run left owed. `lock` gets the right to do so.
pub(super) fn put_right(
    surface: &Surface,
    run: &Path,
    by: &str,
    lock: impl FnOnce(&RunDir) -> Result<RunLock, TimelineError>,
) -> Result<Recovered, RecoverError> {
    let dir = RunDir::open(run)?;
    let lock = lock(&dir)?;
    let runtime = runtime()?;
    // Read under the lock: the runner, or another guardian, may have mended in the meantime.
    let journal = match Journal::read(&dir.journal()) {
        // Its first record comes before anything is done; but a file may be cut short afterwards.
        Err(TimelineError::NotOpened { .. }) => {
            let recovered = runtime.block_on(marks::of_run(surface, &dir.id()))?;
            if recovered.clean() {
                give_back(surface, lock);
            }
            return Ok(recovered);
        }
        read => read?,
    };
    if left_owed(&journal).is_empty() && journal.damage.is_empty() {
        give_back(surface, lock);
        return Ok(Recovered::default());
    }
    let recovered = runtime.block_on(async {
        let context = context(surface, &journal.opened, &dir)
            .map_err(RecoverError::system("find this binary"))?;
        let since_ns = in_flight_since(&journal.entries).map(|us| {
            journal
                .opened
                .boottime_ns
                .saturating_add(us.saturating_mul(1000))
        });
        let killed = match since_ns {
            Some(since_ns) => stay_hands(&context.run, since_ns).await,
            None => Ok(0),
        };
        let killed = killed.unwrap_or_else(|error| {
            surface.talk(&format!(
                "warning: what may still act for the run could not be looked for: {error}"
            ));
            0
        });
        let recorder = match Recorder::resume(&dir, &journal, context.redactor.clone()) {
            Ok(recorder) => Ok(recorder),
            Err(error) => {
                surface.talk(&format!("warning: {error}; all is mended all the same"));
                Err(error)
            }
        };
        let ledger = match &recorder {
            Ok(recorder) => {
                recorder.record(Event::Recovering {
                    by: by.to_owned(),
                    pid: std::process::id(),
                    hands: killed,
                });
                Ledger::of_journal(recorder.clone(), &journal)
            }
            Err(_) => Ledger::unrecorded(left_owed(&journal)),
        };
        let stack = stack::open(&journal.opened.stack, context.clone())?;
        let mut recovered = mend_left(&ledger, &journal, &*stack, &*context.secrets).await;
        for (_, why) in &mut recovered.broken {
            // It may quote what the system under test said, and that may be a secret.
            *why = context.redactor.redact(why).into_owned();
        }
        let written = match recorder {
            Ok(recorder) => recorder.abandon().await,
            Err(error) => Err(error),
        };
        Ok::<_, RecoverError>((recovered, written))
    });
    runtime.shutdown_background();
    let (recovered, written) = recovered?;
    // What the journal could not be told counts as owed: whoever recovers looks again.
    match written {
        Ok(()) if recovered.clean() => give_back(surface, lock),
        Ok(()) => {}
        Err(error) => surface.talk(&format!("warning: {error}")),
    }
    Ok(recovered)
}

/// A run that owes nothing says so; where it cannot, it is looked at again some day, and found mended.
fn give_back(surface: &Surface, lock: RunLock) {
    if let Err(error) = lock.release() {
        surface.talk(&format!("warning: {error}"));
    }
}

/// A runtime for mending.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, RecoverError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(RecoverError::system("start the runtime"))
}

/// Puts right what runs left owed: the one named, or every one that was not mended.
pub(super) fn recover(surface: &Surface, args: &Recover) -> Exit {
    let (mut dirs, mut whose) = (BTreeSet::new(), Whose::All);
    match &args.run {
        Some(run) => match RunDir::find(&args.reports.out, run) {
            Ok(dir) => {
                whose = Whose::Of(dir.id());
                dirs.insert(dir.path().to_owned());
            }
            Err(TimelineError::NoRun { .. }) if args.scan => whose = Whose::Of(id_in(run)),
            Err(error @ TimelineError::NoRun { .. }) => {
                let exit = surface.failed(&error, Exit::Usage);
                surface.talk(
                    "if its files are lost, `firedrill recover --scan` goes by what it marked",
                );
                return exit;
            }
            Err(error) => return surface.failed(&error, Exit::Usage),
        },
        None => match RunDir::all(&args.reports.out) {
            Ok(all) => {
                let open = all.into_iter().filter(RunDir::is_open);
                dirs.extend(open.map(|dir| dir.path().to_owned()));
            }
            Err(error) => return surface.failed(&error, Exit::Usage),
        },
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return surface.failed(&error, Exit::LeftBroken),
    };
    let look = || runtime.block_on(scan(surface));
    if args.scan {
        // A journal knows more than marks do, wherever it is.
        dirs.extend(journals(&look(), &whose));
    }
    let (mut exit, mut told) = (Exit::Pass, !dirs.is_empty());
    let mut busy = BTreeSet::new();
    for dir in dirs {
        let (of_one, is_busy) = by_journal(surface, &dir);
        exit = exit.worse(of_one);
        if is_busy && let Ok(dir) = RunDir::open(&dir) {
            busy.insert(dir.id());
        }
    }
    if args.scan {
        let mut scan = look();
        // Who acts for them knows more than their marks do.
        scan.strays.retain(|stray| !busy.contains(&stray.run));
        let (by_marks, found) = runtime.block_on(marks::recover(surface, scan, &whose, args.yes));
        exit = exit.worse(by_marks);
        told |= found;
    }
    if !told {
        let place = if args.scan {
            ", and nothing bears the marks of a run that does"
        } else {
            ""
        };
        surface.result(&format!(
            "nothing to recover: no run in {} owes anything{place}\n",
            args.reports.out.display()
        ));
    }
    exit
}

/// The id in what a person names a run by: the last part of a directory's name, or the whole.
fn id_in(run: &str) -> String {
    let name = Path::new(run)
        .file_name()
        .unwrap_or(run.as_ref())
        .to_string_lossy();
    name.rsplit_once('-')
        .map_or(&*name, |(_, id)| id)
        .to_owned()
}

/// Directories of unmended runs that left marks, wherever they are.
fn journals(scan: &Scan, whose: &Whose) -> Vec<PathBuf> {
    let wanted = scan.strays.iter().filter(|stray| whose.has(&stray.run));
    let dirs = wanted.filter_map(|stray| {
        let dir = RunDir::open(&stray.owner.as_ref()?.run_dir).ok()?;
        (dir.id() == stray.run && ours(dir.path()) && dir.is_open()).then(|| dir.path().to_owned())
    });
    dirs.collect()
}

/// Whether a directory is the user's own: what stands in another's journal is not to be run with this one's rights.
fn ours(dir: &Path) -> bool {
    let owner = std::fs::metadata(dir).map(|m| std::os::unix::fs::MetadataExt::uid(&m));
    owner.is_ok_and(|uid| uid == rustix::process::geteuid().as_raw())
}

/// Also whether another process acts for the run.
fn by_journal(surface: &Surface, dir: &Path) -> (Exit, bool) {
    match put_right(surface, dir, "recover", RunLock::take) {
        Ok(recovered) => {
            let (told, exit) = account(&dir.display().to_string(), &recovered);
            surface.result(&told);
            (exit, false)
        }
        Err(RecoverError::Timeline(error @ TimelineError::Busy { .. })) => {
            (surface.failed(&error, Exit::Inconclusive), true)
        }
        Err(error) => {
            surface.talk(&format!("{}:", dir.display()));
            (surface.failed(&error, Exit::LeftBroken), false)
        }
    }
}

/// What became of a run's debts, in words.
pub(super) fn account(run: &str, recovered: &Recovered) -> (String, Exit) {
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
