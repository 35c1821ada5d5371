//! Who stands behind what bears a run's marks.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::process::Stat;

/// What the marks on a platform tell of their run, so that somebody who has nothing but the marks knows whether it
/// still lives, where its journal was, and what its undos refer to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Name of the machine that the run was started on.
    pub host: String,
    /// Id of that machine's boot.
    pub boot_id: String,
    /// The process id namespace in which `pid` means something (pid_namespaces(7)).
    pub pid_namespace: String,
    /// Process id of the runner.
    pub pid: u32,
    /// Its start, in clock ticks after boot.
    pub pid_start: u64,
    /// The run's directory, absolute.
    pub run_dir: PathBuf,
    /// The folder of the scenario file, absolute.
    pub scenario_dir: PathBuf,
    /// Whether the run takes its stack down at its end.
    pub takes_down: bool,
    /// Names of the secrets that its undos refer to.
    pub secrets: Vec<String>,
}

/// Whether a run still acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Its runner or its guardian runs.
    Lives,
    /// Neither does.
    Over,
    /// It was started where processes cannot be seen from here: on another machine or in another container, or before
    /// the machine was booted last.
    Unknown,
}

impl Owner {
    /// This machine's name, and the process id namespace that this process is in.
    #[must_use]
    pub fn here() -> (String, String) {
        let host = rustix::system::uname();
        let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        (
            host.nodename().to_string_lossy().into_owned(),
            namespace.display().to_string(),
        )
    }

    /// The mark: JSON.
    #[must_use]
    pub fn mark(&self) -> String {
        // Paths that are no text cannot be written so; the run's id, which is beside it, still is.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether the run still acts, as far as can be seen from here.
    #[must_use]
    pub fn life(&self) -> Life {
        let (host, namespace) = Self::here();
        let here = host == self.host
            && namespace == self.pid_namespace
            && super::process::boot().is_ok_and(|boot| boot == self.boot_id);
        if !here {
            return Life::Unknown;
        }
        let runner = i32::try_from(self.pid).ok().and_then(Stat::of);
        let runs = runner.is_some_and(|stat| stat.began(self.pid_start) && stat.again().is_some());
        if runs || guarded(&self.run_dir) {
            Life::Lives
        } else {
            Life::Over
        }
    }
}

/// Whether a guardian watches over the run of this directory: `firedrill guard DIR`.
fn guarded(run_dir: &Path) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.into_iter().any(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|b| *b == 0).collect();
        matches!(words.get(1..3), Some([b"guard", dir]) if *dir == run_dir.as_os_str().as_encoded_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(pid: u32, pid_start: u64) -> Owner {
        let (host, pid_namespace) = Owner::here();
        Owner {
            host,
            boot_id: super::super::process::boot().unwrap(),
            pid_namespace,
            pid,
            pid_start,
            run_dir: "/nowhere".into(),
            ..Owner::default()
        }
    }

    #[test]
    fn a_process_of_that_id_and_start_is_the_runner_and_no_other_is() {
        let pid = std::process::id();
        let stat = Stat::of(i32::try_from(pid).unwrap()).unwrap();
        let (_, start) = stat
            .handle()
            .split_once(':')
            .map(|(p, s)| (p.to_owned(), s.to_owned()))
            .unwrap();
        let start: u64 = start.parse().unwrap();
        assert_eq!(owner(pid, start).life(), Life::Lives);
        assert_eq!(owner(pid, start + 1).life(), Life::Over);
    }

    #[test]
    fn nobody_knows_of_another_machine() {
        let elsewhere = Owner {
            host: "elsewhere.example".into(),
            ..owner(1, 1)
        };
        assert_eq!(elsewhere.life(), Life::Unknown);
        let before_the_boot = Owner {
            boot_id: "another".into(),
            ..owner(1, 1)
        };
        assert_eq!(before_the_boot.life(), Life::Unknown);
    }
}
