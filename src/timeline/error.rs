//! What can go wrong with a recording.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a recording could not be written or read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TimelineError {
    /// The run's directory or a file in it could not be made.
    #[error(
        "cannot create {path}: {source}; choose another directory with --out, or make room there"
    )]
    Create {
        /// What was to be made.
        path: PathBuf,
        /// The system's answer.
        source: Arc<io::Error>,
    },
    /// The recording cannot be continued.
    #[error("cannot write {path}: {source}; what happens from here on is not recorded")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: Arc<io::Error>,
    },
    /// Entries came faster than the disk takes them.
    #[error("the disk holding {path} is too slow: {lost} records had to be given up")]
    Overrun {
        /// The file.
        path: PathBuf,
        /// How many so far.
        lost: u64,
    },
    /// The thread that writes is gone, or the recording was closed.
    #[error("{path} is closed: nothing more can be recorded in it")]
    Closed {
        /// The file.
        path: PathBuf,
    },
    /// Another process acts for the run.
    #[error(
        "the run in {path} is going on, or is being mended by another process; wait for its end"
    )]
    Busy {
        /// The run's directory.
        path: PathBuf,
    },
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: Arc<io::Error>,
    },
    /// Not a run's directory.
    #[error(
        "no run at {path}; name a run's directory (reports/SCENARIO/START-ID), its id, or a scenario"
    )]
    NoRun {
        /// What was asked for.
        path: PathBuf,
    },
    /// The journal's first record, without which the rest cannot be placed, is missing or damaged.
    #[error("{path} does not begin with the record of the run's start; it cannot be read ({why})")]
    NotOpened {
        /// The journal.
        path: PathBuf,
        /// What its first line is.
        why: String,
    },
    /// Written by another version.
    #[error(
        "{path} has format version {found}, this firedrill reads {supported}; read it with the version that wrote it"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        supported: u32,
    },
}

impl TimelineError {
    pub(super) fn create(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Create {
            path: path.into(),
            source: Arc::new(source),
        }
    }

    pub(super) fn write(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Write {
            path: path.into(),
            source: Arc::new(source),
        }
    }

    pub(super) fn read(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Read {
            path: path.into(),
            source: Arc::new(source),
        }
    }
}
