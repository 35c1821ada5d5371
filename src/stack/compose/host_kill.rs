//! Killing a container's main process behind the engine's back. `docker kill` with any signal switches the restart
//! policy off until the next start, so a drill of that policy must come from outside.

use std::fs;

use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal as Native, pidfd_open, pidfd_send_signal};

use super::engine::Project;
use crate::model::Signal;
use crate::stack::StackError;
use crate::stack::docker::Container;

/// What needs the container's process itself.
pub(super) const UNREVIVED: &str = "a kill without a `hold`, which leaves the restart policy on,";

/// Kills it.
///
/// # Errors
/// [`StackError::Unsupported`] where its process is out of reach, [`StackError::Call`] where the kernel refuses.
pub(super) fn kill(
    project: &Project,
    container: &Container,
    signal: Signal,
) -> Result<(), StackError> {
    let process = reach(project, container, UNREVIVED)?;
    pidfd_send_signal(&process, native(signal)).map_err(|e| StackError::Call {
        call: "kill by process id".to_owned(),
        component: container.id.to_string(),
        why: format!(
            "{e}; signalling a container's process from outside takes its user's rights or root's"
        ),
    })
}

/// Holds on to the container's main process, and makes sure that it is its own: process ids are reused, and those of
/// an engine in another namespace mean nothing here. Its control group names the container.
pub(super) fn reach(
    project: &Project,
    container: &Container,
    action: &str,
) -> Result<OwnedFd, StackError> {
    let out_of_reach = |why: &str| StackError::Unsupported {
        action: action.to_owned(),
        platform: container.id.to_string(),
        why: why.to_owned(),
    };
    if !project.endpoint.is_local() {
        return Err(out_of_reach("the engine is on another machine"));
    }
    let state = container.inspect.state.as_ref();
    let number = state
        .and_then(|s| s.pid)
        .and_then(|pid| i32::try_from(pid).ok())
        .unwrap_or(0);
    let pid = Pid::from_raw(number).ok_or_else(|| out_of_reach("it does not run"))?;
    let gone = |_| {
        out_of_reach(
            "its process id means nothing here: firedrill does not share the engine's processes",
        )
    };
    let process = pidfd_open(pid, PidfdFlags::empty()).map_err(gone)?;
    let groups = fs::read_to_string(format!("/proc/{number}/cgroup")).unwrap_or_default();
    if groups.contains(container.handle()) {
        Ok(process)
    } else {
        Err(out_of_reach(
            "its process id belongs to something else here",
        ))
    }
}

fn native(signal: Signal) -> Native {
    match signal {
        Signal::SigKill => Native::KILL,
        Signal::SigTerm => Native::TERM,
        Signal::SigInt => Native::INT,
        Signal::SigQuit => Native::QUIT,
        Signal::SigHup => Native::HUP,
        Signal::SigAbrt => Native::ABORT,
        Signal::SigUsr1 => Native::USR1,
        Signal::SigUsr2 => Native::USR2,
    }
}
