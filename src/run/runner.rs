//! The process that carries a run out, as another process finds it: by its id and start time, for ids are reused.

use std::fs;
use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::timeline::boot_id;
use crate::timeline::event::Opened;

/// The signal by which a runner is asked to abort: one that no terminal and no service manager sends by itself.
pub(super) const ASKED: Signal = Signal::USR1;

/// The process that carries a run out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runner {
    pid: u32,
    start: u64,
    boot_id: String,
}

/// What can be said of it from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunnerState {
    /// It runs.
    Running,
    /// It was stopped (SIGSTOP, Ctrl-Z, a debugger) and does nothing until it is continued.
    Frozen,
    /// It has ended, or was never of this machine.
    Gone,
}

impl Runner {
    /// The runner that a journal's first record names.
    #[must_use]
    pub fn of(opened: &Opened) -> Self {
        Self {
            pid: opened.pid,
            start: opened.pid_start,
            boot_id: opened.boot_id.clone(),
        }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What it does now.
    #[must_use]
    pub fn state(&self) -> RunnerState {
        match Stat::of(self.pid).filter(|stat| self.is(stat)) {
            None => RunnerState::Gone,
            Some(stat) => match stat.state {
                'T' | 't' => RunnerState::Frozen,
                'Z' | 'X' => RunnerState::Gone,
                _ => RunnerState::Running,
            },
        }
    }

    /// Asks it to heal everything and end. False if it is gone.
    ///
    /// No other process can get the signal: it goes to a handle that was open before the start time was compared.
    ///
    /// # Errors
    /// The system's: most likely the run is another user's.
    pub fn ask_to_abort(&self) -> io::Result<bool> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let Some(pid) = pid else { return Ok(false) };
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => handle,
            Err(Errno::SRCH) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        if self.state() == RunnerState::Gone {
            return Ok(false);
        }
        match pidfd_send_signal(&handle, ASKED) {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn is(&self, stat: &Stat) -> bool {
        self.start != 0 && stat.start == self.start && boot_id() == self.boot_id
    }
}

/// The start time of a process of this machine, in clock ticks after boot; `None` if there is none.
#[must_use]
pub fn start_of(pid: u32) -> Option<u64> {
    Stat::of(pid).map(|stat| stat.start)
}

/// What `/proc/<pid>/stat` says (proc_pid_stat(5)).
struct Stat {
    state: char,
    start: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the name in brackets, which may hold spaces and brackets.
        let (_, after) = text.rsplit_once(')')?;
        let mut fields = after.split_ascii_whitespace();
        Some(Self {
            state: fields.next()?.chars().next()?,
            start: fields.nth(18)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").spawn().unwrap()
    }

    fn runner(child: &Child) -> Runner {
        Runner {
            pid: child.id(),
            start: start_of(child.id()).unwrap(),
            boot_id: boot_id(),
        }
    }

    #[test]
    fn a_process_that_is_not_the_runner_gets_no_signal() {
        let mut child = sleeper();
        let right = runner(&child);
        let another_start = Runner {
            start: right.start - 1,
            ..right.clone()
        };
        let unknown_start = Runner {
            start: 0,
            ..right.clone()
        };
        let another_boot = Runner {
            boot_id: "another".to_owned(),
            ..right.clone()
        };
        for wrong in [another_start, unknown_start, another_boot] {
            assert_eq!(wrong.state(), RunnerState::Gone);
            assert!(!wrong.ask_to_abort().unwrap());
        }
        assert_eq!(child.try_wait().unwrap(), None);
        assert_eq!(right.state(), RunnerState::Running);
        // It has no handler for it, and ends by it.
        assert!(right.ask_to_abort().unwrap());
        assert!(!child.wait().unwrap().success());
        assert_eq!(right.state(), RunnerState::Gone);
        assert!(!right.ask_to_abort().unwrap());
    }

    #[test]
    fn a_stopped_runner_is_known_for_one() {
        let mut child = sleeper();
        let right = runner(&child);
        let pid = Pid::from_child(&child);
        rustix::process::kill_process(pid, Signal::STOP).unwrap();
        while right.state() != RunnerState::Frozen {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
