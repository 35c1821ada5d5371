//! An outage as it is written: `at=4s for=2s mode=refuse`.
//!
//! | key | meaning |
//! | --- | --- |
//! | `at` (`delay` when triggered) | begin, counted from the start of the process (from the trigger) |
//! | `for` | length |
//! | `mode` | see [`Mode`] |
//! | `share` | share of the requests hit, `0.3` or `30%`; all unless set; not for `refuse` |
//! | `ms` | `slow` only: how much later the answer comes |
//! | `status` | `5xx` only: the status answered, 503 unless set |
//! | `times`, `every` | a flap: so many such outages, each beginning `every` after the one before |

mod text;

use std::time::Duration;

pub(super) use text::Origin;

/// One scripted outage, or a row of equal ones (`times` > 1).
#[derive(Debug, Clone, PartialEq)]
pub struct Outage {
    /// Begin, counted from the backend's `bind` or from the trigger.
    pub at: Duration,
    /// Length of each outage of the row.
    pub lasts: Duration,
    /// What callers meet.
    pub mode: Mode,
    /// Share of the requests that are hit, above 0 and at most 1; drawn at random, request by request.
    pub share: f64,
    /// How many outages the row has, at least 1.
    pub times: u32,
    /// From one begin to the next; longer than `lasts` where `times` > 1.
    pub every: Duration,
}

/// What callers meet while an outage lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The listening socket is closed and every open connection is reset.
    Refuse,
    /// RST before any byte of an answer.
    Reset,
    /// The request is read and never answered, not even after the outage.
    Hang,
    /// Answered when the outage ends.
    Stall,
    /// Answered that much later.
    Slow(Duration),
    /// Answered at once with this 5xx status.
    Status(u16),
    /// The head promises more bytes than the body brings, then FIN.
    Cut,
}

impl Mode {
    /// The word that names the mode in outage texts and in the truth log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Reset => "reset",
            Self::Hang => "hang",
            Self::Stall => "stall",
            Self::Slow(_) => "slow",
            Self::Status(_) => "5xx",
            Self::Cut => "cut",
        }
    }
}

/// Why an outage's text is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseOutageError {
    /// A word without `=`.
    #[error("`{word}` is not of the form key=value, as in `at=4s for=2s mode=refuse`")]
    NotAPair { word: String },
    /// A key that outages do not have.
    #[error(
        "unknown key `{key}`; an outage has {start}, for, mode, share, ms, status, times, every"
    )]
    UnknownKey { key: String, start: &'static str },
    /// A key given twice.
    #[error("`{key}` is given twice")]
    Twice { key: String },
    /// A key that this outage needs and lacks.
    #[error("`{key}` is missing: {why}")]
    Missing {
        key: &'static str,
        why: &'static str,
    },
    /// A value that cannot be read or is out of range.
    #[error("`{key}={value}`: expected {expected}")]
    BadValue {
        key: &'static str,
        value: String,
        expected: &'static str,
    },
    /// A key that means nothing in this mode.
    #[error("`{key}` does not go with mode={mode}: {why}")]
    NotInMode {
        key: &'static str,
        mode: &'static str,
        why: &'static str,
    },
}
