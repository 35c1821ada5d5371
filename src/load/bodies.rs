//! Bodies that stand in files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::LoadError;
use crate::scenario::plan::{Body, LoadPlan};

/// The files of a load's bodies, all of them in memory.
#[derive(Debug, Default)]
pub(super) struct Bodies(BTreeMap<PathBuf, Bytes>);

impl Bodies {
    /// Reads each file once; relative paths are relative to `folder`.
    pub(super) fn read(plan: &LoadPlan, folder: &Path) -> Result<Self, LoadError> {
        let mut files = BTreeMap::new();
        for request in plan.requests() {
            let path = match &request.body {
                Body::File(path) if !files.contains_key(path) => path,
                Body::File(_) | Body::Empty | Body::Json(_) | Body::Text(_) => continue,
            };
            let full = folder.join(path);
            let body = fs::read(&full).map_err(|error| LoadError::BodyFile {
                path: full.display().to_string(),
                why: error.to_string(),
            })?;
            files.insert(path.clone(), Bytes::from(body));
        }
        Ok(Self(files))
    }

    /// What a file of the same plan holds.
    pub(super) fn of(&self, path: &Path) -> Bytes {
        self.0.get(path).cloned().unwrap_or_default()
    }
}
