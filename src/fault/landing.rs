//! Calls in flight when a run is aborted.

use std::time::Duration;

use crate::model::{Action, NodeFault};

/// Limit of a call that ends as soon as the platform has done what it asks.
const BRIEF: Duration = Duration::from_secs(5);
/// Enough for a call to reach the platform, where it goes on for as long as what it asks for.
const REACHED: Duration = Duration::from_millis(500);

/// How long the call that makes this fault is awaited when the run is aborted. A call given up may still land, and if
/// it lands after its undo, the fault stays.
///
/// Nothing for updates and the user's own commands: giving those up ends them.
#[must_use]
pub fn landing(action: &Action) -> Duration {
    match action {
        Action::Kill { .. }
        | Action::Pause { .. }
        | Action::Disconnect { .. }
        | Action::Partition { .. }
        | Action::Scale { .. }
        | Action::Http { .. } => BRIEF,
        Action::Node { fault, .. } => match fault {
            NodeFault::Stop { grace } if *grace >= BRIEF => REACHED,
            NodeFault::Kill
            | NodeFault::Stop { .. }
            | NodeFault::Pause
            | NodeFault::Disconnect
            | NodeFault::Partition
            | NodeFault::Drain => BRIEF,
        },
        Action::Stop { grace, .. } | Action::Restart { grace, .. } if *grace < BRIEF => BRIEF,
        Action::Stop { .. } | Action::Restart { .. } | Action::Exec { .. } => REACHED,
        Action::Command { .. } | Action::Update { .. } => Duration::ZERO,
    }
}
