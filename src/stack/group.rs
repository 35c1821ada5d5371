//! What a command starts, ended with it.

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;

/// Kills a child's process group when dropped, unless the child has been awaited: a command that is cut short must not
/// leave behind what it started, which would go on with the fault after its undo.
#[derive(Debug)]
pub struct GroupGuard(Option<Pid>);

impl GroupGuard {
    /// Guards the group of a child that leads one of its own (`process_group(0)`) and has not been awaited yet.
    #[must_use]
    pub fn of(child: &Child) -> Self {
        let leader = child.id().and_then(|id| i32::try_from(id).ok());
        Self(leader.and_then(Pid::from_raw))
    }

    /// The child has ended by itself: its number may belong to somebody else by now.
    pub fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for GroupGuard {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // An error says that nobody of the group is there any more.
            let _gone = kill_process_group(leader, Signal::KILL);
        }
    }
}
