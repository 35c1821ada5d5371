//! Exit codes. They are part of the public interface.

use std::process::ExitCode;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exit {
    /// Every objective met, everything mended; or a command without a verdict did what it was asked.
    Pass,
    /// An objective missed, or a stop condition met.
    Miss,
    /// Usage error, or an invalid scenario or Compose file: nothing was touched.
    Usage,
    /// Inconclusive: it could not be tested.
    Inconclusive,
    /// A fault or a stack could not be mended or taken down.
    LeftBroken,
    /// Hang-up, after everything was mended.
    HangUp,
    /// Ctrl-C, after everything was mended.
    Interrupted,
    /// SIGTERM, after everything was mended.
    Terminated,
}

impl Exit {
    /// The number.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Miss => 1,
            Self::Usage => 2,
            Self::Inconclusive => 3,
            Self::LeftBroken => 4,
            Self::HangUp => 129,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The exit of a judged run; a code that no verdict has counts as inconclusive.
    pub(super) fn of_run(code: u8) -> Self {
        [
            Self::Pass,
            Self::Miss,
            Self::LeftBroken,
            Self::HangUp,
            Self::Interrupted,
            Self::Terminated,
        ]
        .into_iter()
        .find(|e| e.code() == code)
        .unwrap_or(Self::Inconclusive)
    }

    /// The exit of a command that a signal ended.
    pub(super) fn of_signal(name: &str) -> Self {
        Self::of_run(crate::judge::verdict::exit_code(
            crate::judge::Verdict::Inconclusive,
            Some(name),
        ))
    }

    /// Of several runs: the first of 4, 129/130/143, 1, 3 that occurred.
    pub(super) fn worse(self, other: Self) -> Self {
        let rank = |e: Self| match e {
            Self::LeftBroken => 0,
            Self::HangUp | Self::Interrupted | Self::Terminated => 1,
            Self::Miss => 2,
            Self::Inconclusive => 3,
            Self::Usage => 4,
            Self::Pass => 5,
        };
        if rank(other) < rank(self) {
            other
        } else {
            self
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_several_runs_wins() {
        let order = [
            Exit::LeftBroken,
            Exit::Interrupted,
            Exit::Miss,
            Exit::Inconclusive,
            Exit::Usage,
            Exit::Pass,
        ];
        for (i, worse) in order.iter().enumerate() {
            for better in &order[i..] {
                assert_eq!(worse.worse(*better), *worse);
                assert_eq!(better.worse(*worse), *worse);
            }
        }
    }

    #[test]
    fn an_unheard_of_code_is_never_a_pass() {
        assert_eq!(Exit::of_run(77), Exit::Inconclusive);
        assert_eq!(Exit::of_run(0), Exit::Pass);
        assert_eq!(Exit::of_run(130), Exit::Interrupted);
        assert_eq!(Exit::of_signal("SIGHUP"), Exit::HangUp);
        assert_eq!(Exit::of_signal("SIGINT"), Exit::Interrupted);
        assert_eq!(Exit::of_signal("SIGTERM"), Exit::Terminated);
    }
}
