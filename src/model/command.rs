//! What an operator asks of a run that goes on.

/// What an operator asks of a run that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Heal everything that is broken, now, and end the run.
    Abort,
    /// As Ctrl-C: the first heals and reports, the second skips the report, never the healing.
    Interrupt,
}
