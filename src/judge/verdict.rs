//! The verdict lattice, and what it means for the exit code.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an objective or a run came to. The order is from best to worst, and the worst of several wins.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Proven to be met.
    Pass,
    /// Neither met nor missed could be proven.
    Inconclusive,
    /// Proven to be missed.
    Fail,
    /// Something that firedrill broke or started could not be put back (runs only).
    LeftBroken,
}

impl Verdict {
    /// Its name in every output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Inconclusive => "inconclusive",
            Self::Fail => "fail",
            Self::LeftBroken => "left_broken",
        }
    }

    /// The word a person reads first.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::Fail => "FAIL",
            Self::LeftBroken => "LEFT_BROKEN",
        }
    }

    /// What two judgements of the same objective under opposite assumptions amount to: agreement stands.
    #[must_use]
    pub fn agreed(self, other: Self) -> Self {
        if self == other {
            self
        } else {
            Self::Inconclusive
        }
    }

    /// A pass that lacks evidence is inconclusive; a miss stays a miss.
    #[must_use]
    pub fn without_evidence(self) -> Self {
        self.max(Self::Inconclusive)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The exit code of a run: the first that holds of 4, a signal's, 1, 3; else 0.
#[must_use]
pub fn exit_code(verdict: Verdict, aborted_by: Option<&str>) -> u8 {
    let by_signal = aborted_by.and_then(|by| match by {
        "SIGHUP" => Some(129),
        "SIGINT" => Some(130),
        "SIGTERM" => Some(143),
        _ => None,
    });
    match (verdict, by_signal) {
        (Verdict::LeftBroken, _) => 4,
        (_, Some(code)) => code,
        (Verdict::Fail, None) => 1,
        (Verdict::Inconclusive, None) => 3,
        (Verdict::Pass, None) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_wins() {
        use Verdict::{Fail, Inconclusive, LeftBroken, Pass};
        assert_eq!([Pass, Fail, Inconclusive].into_iter().max(), Some(Fail));
        assert_eq!([LeftBroken, Fail].into_iter().max(), Some(LeftBroken));
        assert_eq!(Pass.without_evidence(), Inconclusive);
        assert_eq!(Fail.without_evidence(), Fail);
        assert_eq!(Pass.agreed(Fail), Inconclusive);
        assert_eq!(Fail.agreed(Fail), Fail);
    }

    #[test]
    fn exit_codes_have_an_order() {
        assert_eq!(exit_code(Verdict::Pass, None), 0);
        assert_eq!(exit_code(Verdict::Fail, None), 1);
        assert_eq!(exit_code(Verdict::Inconclusive, None), 3);
        assert_eq!(exit_code(Verdict::LeftBroken, Some("SIGINT")), 4);
        assert_eq!(exit_code(Verdict::Fail, Some("SIGINT")), 130);
        assert_eq!(exit_code(Verdict::Inconclusive, Some("SIGTERM")), 143);
        assert_eq!(exit_code(Verdict::Inconclusive, Some("SIGHUP")), 129);
        assert_eq!(exit_code(Verdict::Inconclusive, Some("operator")), 3);
    }
}
