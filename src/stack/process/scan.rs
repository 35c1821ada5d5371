//! What runs left on this machine, by the mark in the environment of processes and by the undos kept in files.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::found::{COMPONENT, OWNER, RUN, Stat, value};
use crate::model::ComponentId;
use crate::stack::scan::Stray;
use crate::stack::{OwnedThing, undo_files};

/// Every living process with the mark of a run, and every undo that is kept in `state_dir`. A process that has shed its
/// environment is only known to its run's book.
///
/// # Errors
/// The system's, where processes or the folder cannot be listed.
pub(in crate::stack) fn strays(state_dir: Option<&Path>) -> io::Result<Vec<Stray>> {
    let us = rustix::process::geteuid().as_raw();
    let mut of_run = BTreeMap::<String, Stray>::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(stat) = name
            .to_str()
            .and_then(|n| n.parse().ok())
            .and_then(Stat::of)
        else {
            continue;
        };
        // Unreadable is another user's, and none that firedrill started.
        let environ = fs::read(format!("/proc/{}/environ", name.display())).unwrap_or_default();
        let (Some(run), Some(component)) = (value(&environ, RUN), value(&environ, COMPONENT))
        else {
            continue;
        };
        // What another user writes into an environment is not to be believed.
        let by_us = fs::metadata(format!("/proc/{}", name.display())).is_ok_and(|m| m.uid() == us);
        if !by_us {
            continue;
        }
        let (Some(now), Ok(component)) = (stat.again(), component.parse::<ComponentId>()) else {
            continue;
        };
        let owner = || value(&environ, OWNER).and_then(|text| serde_json::from_str(text).ok());
        let stray = of_run
            .entry(run.to_owned())
            .or_insert_with(|| Stray::of_processes(run.to_owned(), owner()));
        stray.things.push(OwnedThing {
            run: run.to_owned(),
            kind: "process".to_owned(),
            name: format!("{} ({component})", now.handle()),
        });
        if now.frozen() {
            stray.froze(component);
        }
    }
    let kept = state_dir.map(undo_files::all).transpose()?;
    for kept in kept.unwrap_or_default() {
        let (run, owner, told) = match kept {
            Ok(kept) => (kept.run, Some(kept.owner), Ok(kept.tag)),
            Err((run, why)) => (run, None, Err(why)),
        };
        let stray = of_run
            .entry(run.clone())
            .or_insert_with(|| Stray::of_processes(run, None));
        stray.owner = stray.owner.take().or(owner);
        match told {
            Ok(tag) => stray.owed.push(tag),
            Err(why) => stray.unreadable.push(why),
        }
    }
    let mut strays: Vec<Stray> = of_run.into_values().collect();
    for stray in &mut strays {
        stray.owed.sort_by_key(|tag| tag.id);
    }
    Ok(strays)
}
