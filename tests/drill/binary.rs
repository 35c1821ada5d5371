//! The binary as its users run it: in a folder of its own, with nothing left behind when the test is over.
#![expect(
    clippy::unwrap_used,
    reason = "what a test needs and does not get fails it"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

/// No drill of these tests takes as long on any machine.
const LIMIT: Duration = Duration::from_secs(150);

/// A folder with scenario files and reports.
pub(crate) struct Folder(TempDir);

/// What a finished command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    /// The binary with these arguments, in this folder, with an environment that says nothing to it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_firedrill")), arguments)
    }

    /// Where it keeps what it has to remember outside of its reports.
    pub(crate) fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    /// Another file of the same binary, in this folder, where every user may run it.
    pub(crate) fn own_binary(&self) -> PathBuf {
        let own = self.path().join("firedrill");
        fs::copy(env!("CARGO_BIN_EXE_firedrill"), &own).unwrap();
        own
    }

    pub(crate) fn command_of(&self, binary: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary);
        command
            .args(arguments)
            .current_dir(self.path())
            .env("XDG_STATE_HOME", self.state())
            .stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("FIREDRILL_")
                || name.starts_with("DOCKER_")
                || name.starts_with("GITHUB_")
            {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs it to its end.
    pub(crate) fn firedrill(&self, arguments: &[&str]) -> Said {
        said(self.command(arguments))
    }

    /// Lets it run.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running<'_> {
        self.start_command(self.command(arguments))
    }

    pub(crate) fn start_command(&self, mut command: Command) -> Running<'_> {
        let log = |name: &str| fs::File::create(self.path().join(name)).unwrap();
        let child = command
            .stdout(log("stdout"))
            .stderr(log("stderr"))
            .spawn()
            .unwrap();
        Running {
            child,
            folder: self,
        }
    }

    /// The latest run of a scenario.
    pub(crate) fn latest(&self, scenario: &str) -> PathBuf {
        self.path().join("reports").join(scenario).join("latest")
    }

    /// Its `result.json`.
    pub(crate) fn result(&self, scenario: &str) -> Value {
        let path = self.latest(scenario).join("result.json");
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        serde_json::from_str(&text).unwrap()
    }

    /// The processes that belong to any run made here, by the label that firedrill puts on all it starts.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        let here = format!("\"run_dir\":\"{}/", self.path().display());
        labelled(|line| line.starts_with("FIREDRILL_OWNER=") && line.contains(&here))
    }

    /// The processes that bear the label of one run.
    pub(crate) fn marked_with(&self, run: &str) -> Vec<Pid> {
        let label = format!("FIREDRILL_RUN={run}");
        labelled(|line| line == label)
    }
}

/// The processes that have such a line in their environment.
fn labelled(is: impl Fn(&str) -> bool) -> Vec<Pid> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let number = entry.file_name().to_string_lossy().parse().ok();
        let Some(pid) = number.and_then(Pid::from_raw) else {
            continue;
        };
        // It may end while we look.
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment).into_owned();
        if environment.split('\0').any(&is) {
            found.push(pid);
        }
    }
    found
}

/// A test that fails leaves nothing behind either.
impl Drop for Folder {
    fn drop(&mut self) {
        for pid in self.processes() {
            // It may have ended meanwhile.
            let _gone = kill_process(pid, Signal::KILL);
        }
    }
}

/// Runs a command to its end.
pub(crate) fn said(mut command: Command) -> Said {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    Said {
        code: status.code().unwrap_or(-1),
        out: String::from_utf8(stdout).unwrap(),
        err: String::from_utf8(stderr).unwrap(),
    }
}

/// A drill under way.
pub(crate) struct Running<'a> {
    child: Child,
    folder: &'a Folder,
}

impl Running<'_> {
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Fails with what it said if it has ended.
    pub(crate) fn goes_on(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            let said = fs::read_to_string(self.folder.path().join("stderr")).unwrap();
            panic!("the drill has ended ({status}): {said}");
        }
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Said {
        let mut status = None;
        until("the drill's end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let read = |name: &str| fs::read_to_string(self.folder.path().join(name)).unwrap();
        Said {
            code: status.unwrap().code().unwrap_or(-1),
            out: read("stdout"),
            err: read("stderr"),
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // It may have ended; a test that failed does not wait for the drill's own end.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < LIMIT, "{what}: not within {LIMIT:?}");
        thread::sleep(Duration::from_millis(10));
    }
}
