//! The process that mends what a run broke if the run dies.

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::stack::own_hand;
use crate::timeline::Recorder;
use crate::timeline::event::{Event, Level};

/// How long a guardian may take to be there, and to leave.
const PATIENCE: Duration = Duration::from_secs(10);

/// A guardian that lives no longer than this has died of its start.
const QUICK: Duration = Duration::from_secs(1);
/// How many of those are replaced.
const MOST_IN_A_ROW: u32 = 5;

/// How a guardian is started and spoken to.
#[derive(Debug, Clone)]
pub struct GuardianCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments, the run's directory among them.
    pub arguments: Vec<OsString>,
    /// File that gets what it has to say when nobody else is left to hear it.
    pub log: PathBuf,
    /// What it says once it watches, a line.
    pub watching: String,
    /// What it is told when it is no longer needed; the end of its input without this means that the run has died.
    pub over: Vec<u8>,
}

/// Why a run has no guardian.
#[derive(Debug, Clone, thiserror::Error)]
#[error("no guardian could be started, and nothing is broken without one: {why}")]
pub struct GuardianError {
    why: String,
}

/// A run's guardian. It lives in a session of its own and waits for the end of a pipe whose other end only this process
/// holds; so any death of this process is known to it.
pub(super) struct Guardian {
    present: Guarded,
    dismissed: CancellationToken,
    keeper: JoinHandle<()>,
}

impl Guardian {
    /// Starts one. If it dies it is replaced; if it cannot be replaced the run is aborted.
    ///
    /// # Errors
    /// [`GuardianError`].
    pub(super) async fn start(
        command: GuardianCommand,
        recorder: Recorder,
        abort: CancellationToken,
    ) -> Result<Self, GuardianError> {
        let watching = Watching::start(&command, &recorder).await?;
        let (presence, present) = watch::channel(true);
        let present = Guarded(Some(present));
        let dismissed = CancellationToken::new();
        let keeper = Keeper {
            command,
            recorder,
            abort,
            presence,
            dismissed: dismissed.clone(),
        };
        let keeper = tokio::spawn(keeper.keep(watching));
        Ok(Self {
            present,
            dismissed,
            keeper,
        })
    }

    /// Whether it is there.
    pub(super) fn guarded(&self) -> Guarded {
        self.present.clone()
    }

    /// Lets it go: all is mended, or is said not to be.
    pub(super) async fn dismiss(self) {
        self.dismissed.cancel();
        // A panic there was told by the runtime, and the guardian sees to the rest.
        let _ended = self.keeper.await;
    }
}

/// Whether a run is watched over.
#[derive(Debug, Clone, Default)]
pub(super) struct Guarded(Option<watch::Receiver<bool>>);

impl Guarded {
    /// Returns once a guardian watches; false if there will be none any more. A stack in this process's memory needs none.
    pub(super) async fn present(&self) -> bool {
        match &self.0 {
            Some(present) => present.clone().wait_for(|p| *p).await.is_ok(),
            None => true,
        }
    }
}

/// A guardian at its post.
struct Watching {
    child: Child,
    pipe: ChildStdin,
}

impl Watching {
    async fn start(command: &GuardianCommand, recorder: &Recorder) -> Result<Self, GuardianError> {
        let failed = |why: String| GuardianError { why };
        let log = File::options()
            .create(true)
            .append(true)
            .open(&command.log)
            .map_err(|e| failed(format!("{}: {e}", command.log.display())))?;
        let mut child = Command::new(&command.program);
        own_hand(&mut child);
        let mut child = child
            .args(&command.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|e| failed(format!("{}: {e}", command.program.display())))?;
        let (Some(pipe), Some(said)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed("it has no pipes".to_owned()));
        };
        let mut line = String::new();
        let mut said = BufReader::new(said);
        let read = tokio::time::timeout(PATIENCE, said.read_line(&mut line)).await;
        if !matches!(read, Ok(Ok(_))) || line != command.watching {
            // It has the pipe's end, and would take it for the run's.
            let _ended = child.kill().await;
            return Err(failed(format!(
                "it did not say that it watches (within {PATIENCE:?})"
            )));
        }
        recorder.record(Event::Guarded {
            pid: child.id().unwrap_or_default(),
        });
        Ok(Self { child, pipe })
    }

    async fn leave(mut self, over: &[u8]) -> std::io::Result<()> {
        self.pipe.write_all(over).await?;
        self.pipe.shutdown().await?;
        drop(self.pipe);
        match tokio::time::timeout(PATIENCE, self.child.wait()).await {
            Ok(ended) => ended.map(|_| ()),
            Err(_) => self.child.kill().await,
        }
    }
}

struct Keeper {
    command: GuardianCommand,
    recorder: Recorder,
    abort: CancellationToken,
    presence: watch::Sender<bool>,
    dismissed: CancellationToken,
}

impl Keeper {
    async fn keep(self, mut watching: Watching) {
        let mut in_a_row = 0;
        loop {
            let since = Instant::now();
            tokio::select! {
                biased;
                () = self.dismissed.cancelled() => {
                    if let Err(error) = watching.leave(&self.command.over).await {
                        self.note(Level::Warning, format!("the guardian did not take its leave: {error}"));
                    }
                    return;
                }
                ended = watching.child.wait() => {
                    self.presence.send_replace(false);
                    let how = ended.map_or_else(|e| e.to_string(), |status| status.to_string());
                    self.note(Level::Warning, format!("the guardian has ended ({how}); another one takes its place"));
                }
            }
            in_a_row = if since.elapsed() < QUICK {
                in_a_row + 1
            } else {
                0
            };
            if in_a_row > MOST_IN_A_ROW {
                let text = "one guardian after the other dies; the run cannot go on without one";
                self.note(Level::Error, text.to_owned());
                self.abort.cancel();
                return;
            }
            watching = match Watching::start(&self.command, &self.recorder).await {
                Ok(next) => next,
                Err(error) => {
                    self.note(Level::Error, error.to_string());
                    self.abort.cancel();
                    return;
                }
            };
            self.presence.send_replace(true);
        }
    }

    fn note(&self, level: Level, text: String) {
        self.recorder.record(Event::Note { level, text });
    }
}
