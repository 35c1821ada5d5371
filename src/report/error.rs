//! Why a report could not be written.

use std::io;
use std::path::{Path, PathBuf};

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The disk or the reader at the other end refused.
    #[error(
        "cannot write {path}: {source}; `firedrill report RUN` writes every report again from the recording"
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The figures do not fit the format.
    #[error("cannot put {path} into its format: {why}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What the format objects to.
        why: String,
    },
}

impl ReportError {
    pub(super) fn write(path: &Path, source: io::Error) -> Self {
        Self::Write {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn format(path: &Path, why: impl ToString) -> Self {
        Self::Format {
            path: path.to_owned(),
            why: why.to_string(),
        }
    }
}
