//! From a verdict and its recording to what people and machines read: no network, no clock, no randomness.

mod action;
mod after_action;
mod callers;
mod error;
mod export;
mod github;
mod health;
mod hlog;
mod json;
mod junit;
mod layout;
mod load;
mod markdown;
mod row;
mod story;
#[cfg(test)]
mod tests;
mod text;
mod timeline_csv;

use std::fs;
use std::path::Path;

pub use error::ReportError;
pub use export::export;
pub use github::github;
pub use hlog::hlog;
pub use json::json;
pub use junit::junit;
pub use layout::Style;
pub use load::{Probed, capacity_text, load_text, under_generator};
pub use markdown::markdown;
pub use text::{text, verdict_line};
pub use timeline_csv::timeline_csv;

use crate::judge::result::Judgement;
use crate::scenario::plan::Plan;
use crate::timeline::{Recording, RunDir};

/// Writes every report file of a run's directory: `result.json`, `summary.md`, `junit.xml`, `latency.hlog` and
/// `timeline.csv`. Files of an earlier judgement are replaced.
///
/// # Errors
/// [`ReportError`] for the first file that cannot be written; `result.json` is the first of all.
pub fn write_all(
    dir: &RunDir,
    plan: &Plan,
    judgement: &Judgement,
    recording: &Recording,
) -> Result<(), ReportError> {
    put(&dir.result(), json(judgement).as_bytes())?;
    put(
        &dir.summary(),
        markdown(plan, judgement, recording).as_bytes(),
    )?;
    let xml = junit(judgement).map_err(|e| ReportError::format(&dir.junit(), e))?;
    put(&dir.junit(), xml.as_bytes())?;
    let mut log = Vec::new();
    hlog(plan, judgement, recording, &mut log)
        .map_err(|e| ReportError::format(&dir.latency(), e))?;
    put(&dir.latency(), &log)?;
    let mut seconds = Vec::new();
    timeline_csv(recording, &mut seconds).map_err(|e| ReportError::format(&dir.timeline(), e))?;
    put(&dir.timeline(), &seconds)
}

/// Replaces a file as a whole, so that a reader never finds half of it.
fn put(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    let refused = |e| ReportError::write(path, e);
    let fresh = path.with_extension("part");
    fs::write(&fresh, bytes).map_err(refused)?;
    fs::rename(&fresh, path).map_err(refused)
}
