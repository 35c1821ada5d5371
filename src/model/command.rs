//! What an operator asks of a run that goes on.

use super::Act;

/// What an operator asks of a run that goes on.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Heal everything that is broken, now, and end the run.
    Abort,
    /// As Ctrl-C: the first heals and reports, the second skips the report, never the healing.
    Interrupt,
    /// Something that the run goes on after.
    Act(Act),
}
