//! A terminal: a pseudo-terminal with an emulator behind it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use tempfile::TempDir;

use crate::binary::until;

/// A program on a terminal of its own.
pub(super) struct Terminal {
    child: Child,
    master: Arc<File>,
    seen: Arc<Seen>,
    /// What it said to its streams, which lead elsewhere.
    said: TempDir,
}

struct Seen {
    screen: Mutex<vt100::Parser>,
    /// Bytes read so far.
    bytes: AtomicU64,
    reading: AtomicBool,
}

impl Terminal {
    /// Starts it on 80 columns and 24 rows, its output led elsewhere.
    pub(super) fn start(command: Command) -> Self {
        Self::begin(command, false)
    }

    /// Starts it as a shell does: all that it says comes to the terminal, too.
    pub(super) fn attended(command: Command) -> Self {
        Self::begin(command, true)
    }

    fn begin(command: Command, attended: bool) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = OpenOptions::new()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let master = Arc::new(File::from(master));
        size(&master, 80, 24);
        // `setsid` makes the terminal its controlling one and becomes the program.
        let mut on_terminal = Command::new("setsid");
        on_terminal
            .args(["--ctty", "--wait"])
            .arg(command.get_program())
            .args(command.get_args());
        on_terminal.current_dir(command.get_current_dir().unwrap());
        on_terminal
            .env("LC_ALL", "C.UTF-8")
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .env_remove("CI");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => on_terminal.env(name, value),
                None => on_terminal.env_remove(name),
            };
        }
        let said = tempfile::tempdir().unwrap();
        let stream = |name: &str| {
            let elsewhere = File::create(said.path().join(name)).unwrap();
            if attended {
                slave.try_clone().unwrap()
            } else {
                elsewhere
            }
        };
        let child = on_terminal
            .stdout(stream("out"))
            .stderr(stream("err"))
            .stdin(slave)
            .spawn()
            .unwrap();
        let seen = Arc::new(Seen {
            screen: Mutex::new(vt100::Parser::new(24, 80, 0)),
            bytes: AtomicU64::new(0),
            reading: AtomicBool::new(true),
        });
        let (from, into) = (Arc::clone(&master), Arc::clone(&seen));
        thread::spawn(move || read(&from, &into));
        Self {
            child,
            master,
            seen,
            said,
        }
    }

    /// What is on it.
    pub(super) fn text(&self) -> String {
        self.seen.screen.lock().unwrap().screen().contents()
    }

    /// Waits until it shows this.
    pub(super) fn shows(&self, words: &str) {
        until(
            &format!("`{words}`, where there is\n{}", self.text()),
            || self.text().contains(words),
        );
    }

    /// Waits until it was drawn on once more.
    pub(super) fn redrawn(&self) {
        let before = self.seen.bytes.load(Ordering::Relaxed);
        until("a drawing", || {
            self.seen.bytes.load(Ordering::Relaxed) > before
        });
    }

    /// Whether a program has taken it over.
    pub(super) fn is_up(&self) -> bool {
        self.seen.screen.lock().unwrap().screen().alternate_screen()
    }

    /// Whether keys go to the program as they are.
    pub(super) fn is_raw(&self) -> bool {
        let modes = tcgetattr(&*self.master).unwrap().local_modes;
        !modes.contains(LocalModes::ICANON)
    }

    pub(super) fn has_colours(&self) -> bool {
        let parser = self.seen.screen.lock().unwrap();
        let screen = parser.screen();
        let (rows, columns) = screen.size();
        (0..rows).any(|row| {
            (0..columns).any(|column| {
                let cell = screen.cell(row, column).unwrap();
                cell.fgcolor() != vt100::Color::Default || cell.bgcolor() != vt100::Color::Default
            })
        })
    }

    pub(super) fn press(&self, keys: &str) {
        (&*self.master).write_all(keys.as_bytes()).unwrap();
    }

    /// Says yes until this is shown: at first nobody can have read the question.
    pub(super) fn confirms(&self, words: &str) {
        until(words, || {
            self.press("y");
            self.text().contains(words)
        });
    }

    pub(super) fn resize(&self, columns: u16, rows: u16) {
        self.seen
            .screen
            .lock()
            .unwrap()
            .screen_mut()
            .set_size(rows, columns);
        size(&self.master, columns, rows);
    }

    /// Has it drawn on, and reads nothing of that, until nothing more goes into it.
    pub(super) fn fill(&self) {
        self.seen.reading.store(false, Ordering::Relaxed);
        let (mut held, mut looks, mut wide) = (0, 0, false);
        until("a full terminal", || {
            wide = !wide;
            size(&self.master, if wide { 120 } else { 80 }, 24);
            let now = ioctl_fionread(&*self.master).unwrap();
            looks = if now == held && now > 0 { looks + 1 } else { 0 };
            held = now;
            // At ten drawings a second, each of a whole screen.
            looks > 100
        });
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end: its exit code, and what it said to its streams.
    pub(super) fn end(mut self) -> (i32, String) {
        let mut status = None;
        until("the program's end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let read = |name: &str| std::fs::read_to_string(self.said.path().join(name)).unwrap();
        let said = read("out") + &read("err");
        (status.unwrap().code().unwrap_or(-1), said)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended; a test that failed does not wait for the program's own end.
        let _ended = self.child.kill();
        let _status = self.child.wait();
        self.seen.reading.store(false, Ordering::Relaxed);
    }
}

fn size(terminal: &File, columns: u16, rows: u16) {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(terminal, size).unwrap();
}

/// Reads what is drawn, until it is told to stop or nobody is left to draw.
fn read(mut from: &File, into: &Seen) {
    let mut bytes = [0; 4096];
    while into.reading.load(Ordering::Relaxed) {
        let mut fds = [PollFd::new(from, PollFlags::IN)];
        let soon = Timespec {
            tv_sec: 0,
            tv_nsec: 50_000_000,
        };
        if !matches!(poll(&mut fds, Some(&soon)), Ok(1..)) {
            continue;
        }
        match from.read(&mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                into.screen.lock().unwrap().process(&bytes[..count]);
                into.bytes.fetch_add(count as u64, Ordering::Relaxed);
            }
        }
    }
}
