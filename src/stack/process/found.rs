//! Finding the processes of a run by the label in their environment and by the book, from any process and after any
//! crash.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::str::FromStr;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::time::{ClockId, clock_gettime};

use super::book::Main;
use crate::model::ComponentId;

/// Environment variable with the run's id.
pub(super) const RUN: &str = "FIREDRILL_RUN";
/// Environment variable with what stands behind the run ([`Owner`](crate::stack::Owner)), as JSON.
pub(super) const OWNER: &str = "FIREDRILL_OWNER";
/// Environment variable with the component, `service/number`.
pub(super) const COMPONENT: &str = "FIREDRILL_COMPONENT";
/// Environment variable with the fingerprint of the definition it was started from.
pub(super) const DEFINITION: &str = "FIREDRILL_DEFINITION";

/// Units of a start time in `/proc/<pid>/stat`: `USER_HZ`, 100 on every Linux platform that firedrill runs on.
const TICK_NS: i64 = 10_000_000;

/// A living process of a run. Its start time tells it from a later one with the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) component: ComponentId,
    /// Fingerprint of its definition; `None` for a descendant that shed its environment.
    pub(super) definition: Option<String>,
    /// Whether the book says that it was started as its component's main process.
    booked: bool,
    pub(super) stat: Stat,
}

impl Found {
    pub(super) fn is_one_of(&self, line: &[Stat]) -> bool {
        line.iter().any(|stat| stat.is(&self.stat))
    }

    fn descendant(component: ComponentId, stat: Stat) -> Self {
        Self {
            component,
            definition: None,
            booked: false,
            stat,
        }
    }
}

/// What `/proc/<pid>/stat` says (proc_pid_stat(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::stack) struct Stat {
    pid: i32,
    state: char,
    parent: i32,
    group: i32,
    session: i32,
    /// Start, in ticks since boot.
    started: i64,
}

impl Stat {
    pub(in crate::stack) fn of(pid: i32) -> Option<Self> {
        Self::parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(pid: i32, text: &str) -> Option<Self> {
        // The program's name stands in parentheses and may hold any character, those included.
        let (_, after) = text.rsplit_once(')')?;
        let fields: Vec<&str> = after.split_ascii_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse().ok();
        Some(Self {
            pid,
            state: fields.first()?.chars().next()?,
            parent: i32::try_from(number(1)?).ok()?,
            group: i32::try_from(number(2)?).ok()?,
            session: i32::try_from(number(3)?).ok()?,
            started: number(19)?,
        })
    }

    fn dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }

    /// The main process of a component leads a group in firedrill's session; a descendant that leads a group of its
    /// own usually leads a session too.
    fn leads(&self) -> bool {
        self.pid == self.group && self.session != self.pid
    }

    /// `pid:start`, unique as long as the machine runs.
    pub(in crate::stack) fn handle(&self) -> String {
        format!("{}:{}", self.pid, self.started)
    }

    /// What the book keeps of it as a component's main process.
    pub(super) fn main(&self, definition: String) -> io::Result<Main> {
        Ok(Main {
            boot: boot()?,
            handle: self.handle(),
            session: self.session,
            definition,
        })
    }

    /// Whether it is what an ended main process left of its group.
    fn outlives(&self, main: &Main) -> bool {
        let Some((pid, started)) = main.handle.split_once(':') else {
            return false;
        };
        pid.parse() == Ok(self.group)
            && started
                .parse()
                .is_ok_and(|ticks: i64| ticks <= self.started)
            && main.session == self.session
    }

    /// Whether it is the process that was started then, ticks after boot.
    pub(in crate::stack) fn began(&self, started: u64) -> bool {
        u64::try_from(self.started) == Ok(started)
    }

    /// Whether it was started at `since_ns` after boot or later, as far as ticks tell.
    pub(in crate::stack) fn no_older_than(&self, since_ns: i64) -> bool {
        self.started >= since_ns / TICK_NS
    }

    /// The process that started it, unless that has ended.
    pub(in crate::stack) fn parent(&self) -> Option<Self> {
        Self::of(self.parent)
    }

    pub(in crate::stack) fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether both are readings of one process: ids are reused.
    pub(in crate::stack) fn is(&self, other: &Self) -> bool {
        (self.pid, self.started) == (other.pid, other.started)
    }

    /// Whether it is frozen.
    pub(super) fn frozen(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }

    /// It as it is now; `None` once it has ended.
    pub(in crate::stack) fn again(&self) -> Option<Self> {
        Self::of(self.pid).filter(|now| now.started == self.started && !now.dead())
    }

    /// A descriptor of just this process; `None` if it has ended.
    pub(super) fn pin(&self) -> io::Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.pid) else {
            return Ok(None);
        };
        match pidfd_open(pid, PidfdFlags::empty()) {
            // The id is taken by nobody else once it is pinned, so that its start time tells whose it is.
            Ok(pinned) => Ok(self.again().map(|_| pinned)),
            Err(Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends a signal to just this process, unless it has ended.
    pub(in crate::stack) fn signal(&self, signal: Signal) -> io::Result<()> {
        let Some(pinned) = self.pin()? else {
            return Ok(());
        };
        match pidfd_send_signal(pinned, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Start time, ns of the wall clock, on which the machine was booted at `boot_ns`.
    pub(super) fn started_ns(&self, boot_ns: i64) -> i64 {
        boot_ns + self.started * TICK_NS
    }
}

/// When the machine was booted, ns of the wall clock. Each reading differs by the time between its two clocks.
pub(super) fn boot_ns() -> i64 {
    let ns = |clock| {
        let time = clock_gettime(clock);
        time.tv_sec * 1_000_000_000 + time.tv_nsec
    };
    ns(ClockId::Realtime) - ns(ClockId::Boottime)
}

/// Tells one boot of the machine from another.
pub(in crate::stack) fn boot() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

/// Every living process of the run: those that bear its label, those that the book knows as started, and those that
/// belong to one of them. A program may overwrite or drop its environment, and the label with it.
pub(super) fn of_run(run: &str, mains: &[(ComponentId, Main)]) -> io::Result<Vec<Found>> {
    let boot = boot()?;
    let mut found = Vec::new();
    let mut others = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?
            .file_name()
            .to_str()
            .and_then(|name| i32::from_str(name).ok())
        else {
            continue;
        };
        let Some(stat) = Stat::of(pid) else {
            continue;
        };
        // Unreadable is another user's, and none that firedrill started.
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let (handle, label) = (stat.handle(), label(run, &environ));
        let main = mains
            .iter()
            .find(|(_, main)| main.boot == boot && main.handle == handle);
        let component = label.as_ref().map(|(component, _)| component);
        match component.or(main.map(|(component, _)| component)).cloned() {
            Some(component) => found.push(Found {
                component,
                definition: label
                    .and_then(|(_, definition)| definition)
                    .or(main.map(|(_, main)| main.definition.clone())),
                booked: main.is_some(),
                stat,
            }),
            None => others.push(stat),
        }
    }
    let there = |pid: i32| {
        let mut all = found.iter().map(|f| &f.stat).chain(&others);
        all.any(|stat| stat.pid == pid)
    };
    let mut outliving = Vec::new();
    for (component, main) in mains.iter().filter(|(_, main)| main.boot == boot) {
        // An id is given to nobody else while a group of that number lasts: if somebody has it, the group is theirs.
        let left = others
            .iter()
            .filter(|stat| stat.outlives(main) && !there(stat.group));
        outliving.extend(left.map(|stat| (component.clone(), stat.clone())));
    }
    for (component, stat) in outliving {
        others.retain(|other| *other != stat);
        found.push(Found::descendant(component, stat));
    }
    // A descendant may have left its parent's group, and its own children theirs.
    let mut at = 0;
    while let Some(of) = found.get(at).cloned() {
        others.retain(|stat| {
            let ours = belongs(stat, &of.stat);
            if ours {
                found.push(Found::descendant(of.component.clone(), stat.clone()));
            }
            !ours
        });
        at += 1;
    }
    // The dead are none, but their groups were needed to know the living.
    found.retain(|f| !f.stat.dead());
    found.sort_by(|a, b| {
        (&a.component, a.stat.started, a.stat.pid).cmp(&(&b.component, b.stat.started, b.stat.pid))
    });
    Ok(found)
}

/// Whether a process is in the other's group, in a session that it leads, or its child.
fn belongs(stat: &Stat, to: &Stat) -> bool {
    stat.group == to.group || stat.session == to.pid || stat.parent == to.pid
}

/// The main process of a component among those of its run. The book knows it best, unless whoever started it was
/// killed before writing it down.
pub(super) fn main_of<'a>(found: &'a [Found], id: &ComponentId) -> Option<&'a Found> {
    let mut of = found.iter().filter(|f| f.component == *id);
    of.clone()
        .find(|f| f.booked)
        .or_else(|| of.find(|f| f.definition.is_some() && f.stat.leads()))
}

/// The value of a variable of an environment as `/proc/<pid>/environ` has it.
pub(super) fn value<'a>(environ: &'a [u8], name: &str) -> Option<&'a str> {
    let lines = environ
        .split(|byte| *byte == 0)
        .filter_map(|line| std::str::from_utf8(line).ok());
    lines
        .filter_map(|line| line.split_once('='))
        .find(|(n, _)| *n == name)
        .map(|(_, value)| value)
}

fn label(run: &str, environ: &[u8]) -> Option<(ComponentId, Option<String>)> {
    if value(environ, RUN)? != run {
        return None;
    }
    let component = value(environ, COMPONENT)?.parse().ok()?;
    Some((component, value(environ, DEFINITION).map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_have_any_name() {
        let text = "42 (a) S (b) T 1 42 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 6";
        let stat = Stat::parse(42, text).unwrap();
        assert_eq!(
            stat,
            Stat {
                pid: 42,
                state: 'T',
                parent: 1,
                group: 42,
                session: 7,
                started: 12345
            }
        );
        assert!(stat.frozen() && stat.leads());
        assert_eq!(Stat::parse(42, "42 (sh) R 1"), None);
    }

    #[test]
    fn only_the_runs_own_label_counts() {
        let environ =
            b"A=1\0FIREDRILL_RUN=r1\0FIREDRILL_COMPONENT=backend/2\0FIREDRILL_DEFINITION=ab\0";
        assert_eq!(
            label("r1", environ),
            Some((ComponentId::new("backend", 2), Some("ab".into())))
        );
        assert_eq!(label("r2", environ), None);
        assert_eq!(label("r1", b"FIREDRILL_RUN=r1\0"), None);
    }

    #[test]
    fn this_process_is_found_with_its_start_time() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let stat = Stat::of(pid).unwrap();
        assert_eq!(stat.again().map(|now| now.handle()), Some(stat.handle()));
        let other = Stat {
            started: stat.started + 1,
            ..stat
        };
        assert_eq!(other.again(), None);
        assert!(
            other.pin().unwrap().is_none(),
            "another process of that id is left alone"
        );
    }
}
