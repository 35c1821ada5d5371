//! Putting right what runs left by the marks on the platforms alone.

use std::collections::BTreeSet;
use std::fs::{self, File};

use super::context::{context_of_marks, scan};
use super::exit::Exit;
use super::recover::{RecoverError, account};
use super::surface::Surface;
use crate::model::Undo;
use crate::restore::{Ledger, Owed, Recovered, mend_open};
use crate::stack::{Life, Owner, Scan, StackContext, Stray, stay_hands};
use crate::timeline::event::Event;
use crate::timeline::{Journal, RunDir};

/// Whose marks count.
pub(super) enum Whose {
    /// Every run's.
    All,
    /// This run's.
    Of(String),
}

impl Whose {
    /// Whether this run's do.
    pub(super) fn has(&self, run: &str) -> bool {
        match self {
            Self::All => true,
            Self::Of(id) => id == run,
        }
    }
}

/// Puts right what the runs left that are over, and says so. `yes`: those of which nothing can be known are over, too. Also
/// whether anything was said.
pub(super) async fn recover(
    surface: &Surface,
    scan: Scan,
    whose: &Whose,
    yes: bool,
) -> (Exit, bool) {
    let (mut exit, mut told) = (Exit::Pass, false);
    for error in &scan.unasked {
        exit = exit.worse(surface.failed(error, Exit::Inconclusive));
    }
    for what in &scan.absent {
        surface.talk(&format!("{what}: nothing was looked for there"));
    }
    for stray in scan.strays.iter().filter(|s| whose.has(&s.run)) {
        told = true;
        let place = format!("run {} ({})", stray.run, stray.place());
        if let Err(why) = over(stray, yes) {
            surface.talk(&format!("{place}: {why}"));
            exit = exit.worse(Exit::Inconclusive);
            continue;
        }
        if stray.owner.is_none() && !stray.things.is_empty() {
            surface.result(&format!(
                "LEFT BROKEN  {place}: {} things of a run that does not say whether it keeps them: look at the stack yourself\n",
                stray.things.len()
            ));
            exit = exit.worse(Exit::LeftBroken);
        }
        if owed(stray).is_empty() && stray.owed.is_empty() && stray.unreadable.is_empty() {
            let kept = stray.things.len();
            surface.talk(&format!(
                "{place}: {kept} things were kept (--keep-stack), and nothing is owed"
            ));
            continue;
        }
        let one = match mend(surface, stray).await {
            Ok(recovered) => {
                let (text, exit) = account(&place, &recovered);
                surface.result(&text);
                exit
            }
            Err(error) => {
                surface.talk(&format!("{place}:"));
                surface.failed(&error, Exit::LeftBroken)
            }
        };
        exit = exit.worse(one);
        for why in &stray.unreadable {
            surface.result(&format!(
                "DAMAGED      {place}: {why}: look at the stack yourself\n"
            ));
            exit = exit.worse(Exit::LeftBroken);
        }
    }
    (exit, told)
}

/// Puts right what one run left, which is known to be over.
///
/// # Errors
/// The platform cannot be asked, or this process cannot do it.
pub(super) async fn of_run(surface: &Surface, run: &str) -> Result<Recovered, RecoverError> {
    let scan = scan(surface).await;
    let mut all = Recovered::default();
    let mut failed = None;
    for stray in scan.strays.iter().filter(|s| s.run == run) {
        match mend(surface, stray).await {
            Ok(one) => {
                all.mended.extend(one.mended);
                all.broken.extend(one.broken);
            }
            Err(error) => failed = failed.or(Some(error)),
        }
        all.broken.extend(stray.unreadable.iter().map(|why| {
            let owed = Owed {
                id: 0,
                step: None,
                undo: Undo::Nothing,
            };
            (owed, why.clone())
        }));
    }
    // Nothing is known of what is left on a platform that could not be asked.
    let unasked = scan.unasked.into_iter().next().map(RecoverError::Stack);
    match failed.or(unasked) {
        Some(error) => Err(error),
        None => Ok(all),
    }
}

/// Whether the run is over; else what to do.
fn over(stray: &Stray, yes: bool) -> Result<(), String> {
    let run = &stray.run;
    let confirm = format!("if it is over: firedrill recover {run} --scan --yes");
    match stray.owner.as_ref().map(|owner| (owner, owner.life())) {
        Some((_, Life::Over)) => Ok(()),
        Some((owner, Life::Lives)) => Err(format!(
            "is going on, or is being mended by its guardian (process {}); left alone",
            owner.pid
        )),
        Some((_, Life::Unknown)) | None if yes => Ok(()),
        Some((owner, Life::Unknown)) => Err(format!(
            "was started on {}, and cannot be seen from here; {confirm}",
            owner.host
        )),
        None => Err(format!("does not say who started it; {confirm}")),
    }
}

/// What is to be done by the marks, oldest first.
fn owed(stray: &Stray) -> Vec<Owed> {
    let takes_down = stray.owner.as_ref().is_some_and(|owner| owner.takes_down);
    let mut owed = Vec::new();
    if takes_down && !stray.things.is_empty() {
        owed.push(Owed {
            id: 0,
            step: None,
            undo: Undo::Down,
        });
    }
    if !takes_down {
        // Numbers that no journal gives.
        owed.extend(stray.frozen().iter().zip((1..).map(|n| u64::MAX - n)).map(
            |(component, id)| Owed {
                id,
                step: None,
                undo: Undo::Unpaused {
                    component: component.clone(),
                },
            },
        ));
    }
    let settled = settled(stray);
    let tags = stray.owed.iter().filter(|tag| !settled.contains(&tag.id));
    let tags = tags.map(|tag| Owed {
        id: tag.id,
        step: tag.step.clone(),
        undo: tag.undo.clone(),
    });
    owed.extend(tags);
    if takes_down && stray.things.is_empty() && !stray.stands {
        // Nothing of what it is about is there any more, so nothing of it is broken.
        owed.retain(|o| matches!(o.undo, Undo::Http { .. } | Undo::Command { .. }));
    }
    owed
}

/// What the run's journal, where it is still there, knows as mended: such a mark was only not taken away. Of what the
/// journal does not know, it may have lost the lines.
fn settled(stray: &Stray) -> BTreeSet<u64> {
    let journal = stray.owner.as_ref().and_then(|owner| {
        let dir = RunDir::open(&owner.run_dir).ok()?;
        let journal = Journal::read(&dir.journal()).ok()?;
        (journal.opened.run == stray.run).then_some(journal)
    });
    let entries = journal.map(|journal| journal.entries).unwrap_or_default();
    let mended = entries.iter().filter_map(|entry| match &entry.event {
        Event::Mended { id, .. } => Some(*id),
        _ => None,
    });
    mended.collect()
}

/// Alone, as far as this machine goes: two that mend at once may do by halves what either would do whole.
fn alone(context: &StackContext) -> Result<Option<File>, RecoverError> {
    let Some(folder) = &context.state_dir else {
        return Ok(None);
    };
    let failed = RecoverError::system("lock the run's marks");
    let locked = fs::create_dir_all(folder).and_then(|()| {
        let path = folder.join(format!("{}.lock", context.run));
        let file = File::options().create(true).append(true).open(&path)?;
        file.lock()?;
        // Whoever waits holds the same file; the next one makes another.
        let _left = fs::remove_file(&path);
        Ok(file)
    });
    locked.map(Some).map_err(failed)
}

async fn mend(surface: &Surface, stray: &Stray) -> Result<Recovered, RecoverError> {
    let owner = stray.owner.clone().unwrap_or_else(|| Owner {
        run_dir: "/".into(),
        scenario_dir: "/".into(),
        ..Owner::default()
    });
    let context = context_of_marks(surface, &stray.run, &owner)
        .map_err(RecoverError::system("find this binary"))?;
    if let Err(error) = stay_hands(&stray.run, 0).await {
        surface.talk(&format!(
            "warning: what may still act for the run could not be looked for: {error}"
        ));
    }
    let _alone = alone(&context)?;
    let ledger = Ledger::unrecorded(owed(stray));
    let (secrets, redactor) = (context.secrets.clone(), context.redactor.clone());
    let stack = stray.stack(context)?;
    // Whether a call is still on its way is in the journal alone.
    let mut recovered = mend_open(&ledger, true, &*stack, &*secrets).await;
    for (_, why) in &mut recovered.broken {
        *why = redactor.redact(why).into_owned();
    }
    // What was about a stack that is gone is settled with it.
    for tag in &stray.owed {
        let open = recovered.broken.iter().any(|(owed, _)| owed.id == tag.id);
        if !open && let Err(error) = stack.untag(tag.id).await {
            surface.talk(&format!("warning: {error}"));
        }
    }
    Ok(recovered)
}
