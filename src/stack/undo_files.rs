//! Undos kept in files of this machine, outside every run's directory, for platforms that have no place of their own.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Owner, StackContext, StackError, UndoTag};

/// A file's contents.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) run: String,
    pub(super) owner: Owner,
    #[serde(flatten)]
    pub(super) tag: UndoTag,
}

/// Keeps an undo, readable by its owner alone; nothing where the user has no folder for such things.
///
/// # Errors
/// [`StackError::Io`].
pub(super) fn keep(context: &StackContext, tag: &UndoTag) -> Result<(), StackError> {
    let Some(folder) = &context.state_dir else {
        return Ok(());
    };
    let path = path(folder, &context.run, tag.id);
    let kept = Kept {
        run: context.run.clone(),
        owner: context.owner.clone(),
        tag: tag.clone(),
    };
    let text = serde_json::to_vec(&kept).map_err(|e| io(&path, e.into()))?;
    let written = fs::create_dir_all(folder).and_then(|()| {
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600);
        file.open(&path)?.write_all(&text)
    });
    written.map_err(|e| io(&path, e))
}

/// Forgets an undo. One that is not there is none.
///
/// # Errors
/// [`StackError::Io`].
pub(super) fn forget(context: &StackContext, id: u64) -> Result<(), StackError> {
    let Some(folder) = &context.state_dir else {
        return Ok(());
    };
    let path = path(folder, &context.run, id);
    match fs::remove_file(&path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(io(&path, e)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Every undo that is kept in a folder; of a file that cannot be read, which and why.
///
/// # Errors
/// The folder's, if it is there.
pub(super) fn all(folder: &Path) -> std::io::Result<Vec<Result<Kept, (String, String)>>> {
    let files = match fs::read_dir(folder) {
        Ok(files) => files,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut all = Vec::new();
    for file in files {
        let path = file?.path();
        let (Some(run), Some("json")) = (run_in(&path), path.extension().and_then(|e| e.to_str()))
        else {
            continue;
        };
        let read = fs::read(&path).map_err(|e| e.to_string());
        let kept = read.and_then(|text| serde_json::from_slice(&text).map_err(|e| e.to_string()));
        all.push(kept.map_err(|why| (run, format!("{}: {why}", path.display()))));
    }
    Ok(all)
}

fn run_in(path: &Path) -> Option<String> {
    let name = path.file_stem()?.to_str()?;
    Some(name.rsplit_once('-')?.0.to_owned())
}

fn path(folder: &Path, run: &str, id: u64) -> PathBuf {
    folder.join(format!("{run}-{id}.json"))
}

fn io(path: &Path, source: std::io::Error) -> StackError {
    StackError::Io {
        path: path.display().to_string(),
        source,
    }
}
