//! Starting, ending and freezing one process, with all that descends from it.

use std::fs::{self, OpenOptions};
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::PoisonError;
use std::time::Duration;

use rustix::process::Signal as Sig;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::book::Replica;
use super::found::{COMPONENT, DEFINITION, Found, OWNER, RUN, Stat};
use super::{ProcessStack, Watchers, failed};
use crate::model::{ComponentId, Signal, StackEventKind, Template, Variable};
use crate::stack::own::{OWN, lineage};
use crate::stack::{StackError, own_hand};

/// Between two looks at a process that is about to end or freeze.
const LOOK: Duration = Duration::from_millis(2);
/// How long the kernel may take to end or freeze a process after the signal.
const KERNEL: Duration = Duration::from_secs(5);
/// How long processes may take to end by themselves when the stack goes down.
const FAREWELL: Duration = Duration::from_secs(3);
/// Exit code of a process that is not this one's child: only its parent is told.
const UNKNOWN: i64 = -1;

impl ProcessStack {
    /// Starts a component unless it runs; what is left of an earlier process of it goes first.
    pub(super) async fn start(&self, id: &ComponentId) -> Result<(), StackError> {
        let _alone = self.starting.lock().await;
        if self.running(id)?.is_some() {
            return Ok(());
        }
        let leftovers: Vec<Found> = self.members(id)?;
        self.end(id, &leftovers, Duration::ZERO).await?;
        self.death_reported(id).await;
        let replica = self.book()?.replica(id)?.clone();
        let mut child = self.spawn(id, &replica)?;
        // Not waited for yet, it is there even if it has ended.
        let stat = child
            .id()
            .and_then(|pid| Stat::of(i32::try_from(pid).ok()?));
        let handle = stat.as_ref().map(Stat::handle).unwrap_or_default();
        self.watchers
            .tell(id, handle.clone(), StackEventKind::Started);
        let booked = self.note_start(id, &replica, stat);
        if booked.is_err() {
            // Nobody else would know it once it sheds its environment. It may have ended already.
            let _ended = child.start_kill();
        }
        let death = tokio::spawn(report_death(
            child,
            id.clone(),
            handle,
            self.watchers.clone(),
        ));
        self.deaths
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.clone(), death);
        booked
    }

    /// Writes down which process was started, since it may shed the label in its environment.
    fn note_start(
        &self,
        id: &ComponentId,
        replica: &Replica,
        stat: Option<Stat>,
    ) -> Result<(), StackError> {
        let main = stat.map(|stat| stat.main(replica.definition.fingerprint()));
        let main = main.transpose().map_err(|source| StackError::Io {
            path: "/proc".to_owned(),
            source,
        })?;
        self.amend(|book| {
            let replica = book.replica_mut(id)?;
            replica.ending = None;
            replica.main = main;
            Ok(())
        })
    }

    /// Waits until the end of an earlier process is reported, so that events come in their order.
    async fn death_reported(&self, id: &ComponentId) {
        let death = self
            .deaths
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
        if let Some(death) = death {
            // Fails only where the runtime is going down, and nobody listens any more.
            let _ended = death.await;
        }
    }

    fn spawn(&self, id: &ComponentId, replica: &Replica) -> Result<Child, StackError> {
        let Some((program, words)) = replica.definition.command.split_first() else {
            return Err(StackError::NotUp {
                why: format!("the command of {} is empty", id.service),
            });
        };
        let program = self.late(id, replica, program)?;
        // A path is relative to the scenario's folder; a bare name is looked up in PATH.
        let path = if program.contains('/') {
            self.context.scenario_dir.join(&program).into_os_string()
        } else {
            program.clone().into()
        };
        let mut command = Command::new(path);
        own_hand(&mut command);
        for word in words {
            command.arg(self.late(id, replica, word)?);
        }
        for (name, value) in &replica.definition.env {
            command.env(name, self.late(id, replica, value)?);
        }
        let log = self.log_path(id);
        let io = |source| StackError::Io {
            path: log.display().to_string(),
            source,
        };
        log.parent()
            .map_or(Ok(()), fs::create_dir_all)
            .map_err(io)?;
        // The process writes to it itself, secrets too if it likes: its owner alone may read it.
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&log)
            .map_err(io)?;
        command
            .env(RUN, &self.context.run)
            .env(OWNER, self.context.owner.mark())
            .env(COMPONENT, id.to_string())
            .env(DEFINITION, replica.definition.fingerprint())
            .current_dir(&self.context.scenario_dir)
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(io)?)
            .stderr(output)
            .process_group(0);
        command.spawn().map_err(|e| StackError::NotUp {
            why: format!("`{program}` of {id} could not be started: {e}"),
        })
    }

    /// The template with `${listen}` and secrets put in.
    pub(super) fn late(
        &self,
        id: &ComponentId,
        replica: &Replica,
        template: &Template,
    ) -> Result<String, StackError> {
        let listen = |variable: &Variable| {
            Ok(replica
                .listen
                .clone()
                .filter(|_| *variable == Variable::Listen))
        };
        let filled = template
            .fill(listen)
            .and_then(|t| self.context.secrets.resolve(&t));
        filled.map_err(|source| StackError::Template {
            place: format!("the definition of {id}"),
            source,
        })
    }

    /// Waits until a started component is ready.
    pub(super) async fn until_ready(&self, id: &ComponentId) -> Result<(), StackError> {
        let Some((url, within)) = self.ready_url(&self.book()?, id)? else {
            return Ok(());
        };
        let Some(main) = self.running(id)? else {
            return Err(self.ended_early(id));
        };
        let still = || {
            main.stat
                .again()
                .map(|_| ())
                .ok_or_else(|| self.ended_early(id))
        };
        self.prober
            .until_ready(&id.to_string(), &url, within, still)
            .await
    }

    /// Why a component ended before it was ready, as far as can be told.
    pub(super) fn ended_early(&self, id: &ComponentId) -> StackError {
        let listen = || self.book().ok()?.replica(id).ok()?.listen.clone();
        let taken = listen().filter(|listen| TcpListener::bind(listen).is_err());
        let port = taken.map(|l| {
            format!(" (another program listens on {l}, which was free when it was drawn)")
        });
        let log = self.log_path(id);
        let text = fs::read(&log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let text = self.context.redactor.redact(&text);
        let lines: Vec<&str> = text.trim_end().lines().collect();
        let last = lines[lines.len().saturating_sub(5)..].join("\n  ");
        let port = port.unwrap_or_default();
        StackError::NotUp {
            why: format!(
                "{id} ended before it was ready{port}; the end of {}:\n  {last}",
                log.display()
            ),
        }
    }

    /// Every process of a component, its main one first.
    fn members(&self, id: &ComponentId) -> Result<Vec<Found>, StackError> {
        let mut members = self.found()?;
        members.retain(|f| f.component == *id);
        Ok(members)
    }

    /// Sends the signal to every process of a component, as a container's death takes all that runs in it.
    pub(super) async fn kill(&self, id: &ComponentId, signal: Signal) -> Result<(), StackError> {
        self.note_ending(id).await?;
        self.signal(id, &self.members(id)?, raw(signal))
    }

    /// SIGTERM, and SIGKILL for what is left after `grace`. Nothing of it is left when this returns.
    pub(super) async fn stop(&self, id: &ComponentId, grace: Duration) -> Result<(), StackError> {
        self.note_ending(id).await?;
        let members = self.members(id)?;
        self.signal(id, &members, Sig::TERM)?;
        // A frozen process would not see its SIGTERM.
        self.signal(id, &members, Sig::CONT)?;
        self.end(id, &members, grace).await
    }

    /// Writes down that the running process is to end, so that no undo takes it for a running one meanwhile.
    async fn note_ending(&self, id: &ComponentId) -> Result<(), StackError> {
        let main = self.victim(id, "end")?;
        self.watch_death(id, &main);
        let handle = main.stat.handle();
        self.amend(|book| {
            book.replica_mut(id)?.ending = Some(handle);
            Ok(())
        })
    }

    /// Has the end of a process reported that another value of this stack started.
    fn watch_death(&self, id: &ComponentId, main: &Found) {
        let mut deaths = self.deaths.lock().unwrap_or_else(PoisonError::into_inner);
        if deaths.get(id).is_some_and(|death| !death.is_finished()) {
            return;
        }
        let (of, main, watchers) = (id.clone(), main.stat.clone(), self.watchers.clone());
        let death = tokio::spawn(async move {
            while main.again().is_some() {
                sleep(LOOK).await;
            }
            watchers.tell(&of, main.handle(), StackEventKind::Died { code: UNKNOWN });
        });
        deaths.insert(id.clone(), death);
    }

    /// Waits for the main process up to `grace`, then kills what is left.
    async fn end(
        &self,
        id: &ComponentId,
        members: &[Found],
        grace: Duration,
    ) -> Result<(), StackError> {
        let Some(main) = members.first() else {
            return Ok(());
        };
        until(grace, || main.stat.again().is_none()).await;
        let mut left = self.members(id)?;
        // One whose parent has ended meanwhile may be known from before only.
        left.extend_from_slice(members);
        self.signal(id, &left, Sig::KILL)?;
        if until(KERNEL, || left.iter().all(|f| f.stat.again().is_none())).await {
            return Ok(());
        }
        Err(failed(
            "kill",
            id,
            "it did not end after SIGKILL".to_owned(),
        ))
    }

    pub(super) async fn freeze(&self, id: &ComponentId) -> Result<(), StackError> {
        let main = self.victim(id, "pause")?;
        self.signal(id, &self.members(id)?, Sig::STOP)?;
        let frozen = || main.stat.again().is_none_or(|now| now.frozen());
        if !until(KERNEL, frozen).await || main.stat.again().is_none() {
            return Err(failed(
                "pause",
                id,
                "it did not freeze after SIGSTOP".to_owned(),
            ));
        }
        self.watchers
            .tell(id, main.stat.handle(), StackEventKind::Paused);
        Ok(())
    }

    /// Lets a component run on if it is frozen.
    pub(super) async fn thaw(&self, id: &ComponentId) -> Result<(), StackError> {
        let Some(main) = self.running(id)? else {
            return Ok(());
        };
        // Also where it is not frozen: a stop signal that it has not acted on yet is taken back by this one (signal(7)).
        self.signal(id, &self.members(id)?, Sig::CONT)?;
        if !main.stat.frozen() {
            return Ok(());
        }
        if !until(KERNEL, || main.stat.again().is_none_or(|now| !now.frozen())).await {
            return Err(failed(
                "unpause",
                id,
                "it stayed frozen after SIGCONT".to_owned(),
            ));
        }
        self.watchers
            .tell(id, main.stat.handle(), StackEventKind::Unpaused);
        Ok(())
    }

    /// Sends a signal to all of these but firedrill itself and those that it descends from, whatever marks they bear.
    fn signal(&self, id: &ComponentId, members: &[Found], signal: Sig) -> Result<(), StackError> {
        let line = lineage();
        for member in members.iter().filter(|member| !member.is_one_of(&line)) {
            member
                .stat
                .signal(signal)
                .map_err(|e| failed("signal", id, e.to_string()))?;
        }
        match members.iter().find(|member| member.is_one_of(&line)) {
            Some(own) => Err(own_process(id, own)),
            None => Ok(()),
        }
    }

    /// Ends everything of this run: the last started first to hear of it, none left when this returns.
    ///
    /// # Errors
    /// Where one does not end, or is firedrill itself or what it descends from: all others have ended then.
    pub(super) async fn end_all(&self) -> Result<(), StackError> {
        let line = lineage();
        let (own, mut all): (Vec<Found>, Vec<Found>) =
            self.found()?.into_iter().partition(|f| f.is_one_of(&line));
        let place = |f: &Found| {
            self.order
                .iter()
                .position(|service| *service == f.component.service)
        };
        all.sort_by_key(|f| std::cmp::Reverse(place(f)));
        for found in &all {
            self.signal(&found.component, std::slice::from_ref(found), Sig::TERM)?;
            self.signal(&found.component, std::slice::from_ref(found), Sig::CONT)?;
        }
        until(FAREWELL, || all.iter().all(|f| f.stat.again().is_none())).await;
        // Looked up again: what they started in the meantime goes too.
        let deadline = Instant::now() + KERNEL;
        loop {
            let mut left = self.found()?;
            // One whose parent has ended meanwhile may be known from before only.
            left.extend(all.iter().filter(|f| f.stat.again().is_some()).cloned());
            left.retain(|f| !f.is_one_of(&line));
            let Some(one) = left.first() else {
                break;
            };
            if Instant::now() > deadline {
                return Err(failed(
                    "kill",
                    &one.component,
                    "it did not end after SIGKILL".to_owned(),
                ));
            }
            for found in &left {
                self.signal(&found.component, std::slice::from_ref(found), Sig::KILL)?;
            }
            until(KERNEL, || left.iter().all(|f| f.stat.again().is_none())).await;
        }
        match own.first() {
            Some(one) => Err(own_process(&one.component, one)),
            None => Ok(()),
        }
    }
}

fn own_process(id: &ComponentId, found: &Found) -> StackError {
    let why = format!("{OWN} (process {})", found.stat.pid());
    failed("end", id, why)
}

/// Polls until `done`, at most so long. Whether it is done.
async fn until(at_most: Duration, done: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + at_most;
    while !done() {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(LOOK).await;
    }
    true
}

/// Reaps the process and reports its end at once.
async fn report_death(mut child: Child, id: ComponentId, handle: String, watchers: Watchers) {
    // A child that cannot be waited for any more is gone too; its exit status is not known then.
    let status = child.wait().await.ok();
    let code = status.and_then(|s| s.code().or_else(|| s.signal().map(|signal| 128 + signal)));
    watchers.tell(
        &id,
        handle,
        StackEventKind::Died {
            code: i64::from(code.unwrap_or(-1)),
        },
    );
}

fn raw(signal: Signal) -> Sig {
    match signal {
        Signal::SigKill => Sig::KILL,
        Signal::SigTerm => Sig::TERM,
        Signal::SigInt => Sig::INT,
        Signal::SigQuit => Sig::QUIT,
        Signal::SigHup => Sig::HUP,
        Signal::SigAbrt => Sig::ABORT,
        Signal::SigUsr1 => Sig::USR1,
        Signal::SigUsr2 => Sig::USR2,
    }
}
