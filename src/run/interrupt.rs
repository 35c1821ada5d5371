//! What ends a run early.

use std::sync::{Arc, OnceLock};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::runner::ASKED;
use crate::timeline::Recorder;
use crate::timeline::event::{ABORT, Event};

/// What ends a run early, and what a second time means.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    /// Heal everything and report.
    pub abort: CancellationToken,
    /// Asked a second time: skip the report, never the healing.
    pub hurry: CancellationToken,
}

/// The signals that end a command, whichever of its runs is under way.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    first: CancellationToken,
    second: CancellationToken,
    name: Arc<OnceLock<&'static str>>,
}

impl Signals {
    /// Listens for SIGINT, SIGTERM, SIGHUP and the signal of `firedrill abort` for as long as the runtime lives.
    ///
    /// # Errors
    /// The handlers could not be installed.
    pub fn listen(&self) -> std::io::Result<()> {
        let kinds = [
            ("SIGINT", SignalKind::interrupt()),
            ("SIGTERM", SignalKind::terminate()),
            ("SIGHUP", SignalKind::hangup()),
            (ABORT, SignalKind::from_raw(ASKED.as_raw())),
        ];
        for (name, kind) in kinds {
            let mut stream = signal(kind)?;
            let signals = self.clone();
            tokio::spawn(async move {
                while stream.recv().await.is_some() {
                    signals.heed(name);
                }
            });
        }
        Ok(())
    }

    /// As `firedrill abort` from elsewhere.
    pub fn abort(&self) {
        self.heed(ABORT);
    }

    /// As Ctrl-C, which a terminal in raw mode gives to the screen.
    pub fn interrupt(&self) {
        self.heed("SIGINT");
    }

    fn heed(&self, name: &'static str) {
        match self.name.set(name) {
            Ok(()) => self.first.cancel(),
            // Several may ask at once, and none of them means that the report is to be skipped.
            Err(_) if name == ABORT => {}
            Err(_) => self.second.cancel(),
        }
    }

    /// Waits for the first signal.
    pub async fn first(&self) {
        self.first.cancelled().await;
    }

    /// The first signal that came, by name.
    #[must_use]
    pub fn heard(&self) -> Option<&'static str> {
        self.name.get().copied()
    }

    /// Whether it was asked for a second time: nobody waits for anything but the healing any more.
    #[must_use]
    pub fn again(&self) -> bool {
        self.second.is_cancelled()
    }

    /// The interrupt of one run: what ends that run for a reason of its own does not end the others. A signal goes into
    /// the recording first, one that came before, too.
    #[must_use]
    pub fn of_run(&self, recorder: &Recorder) -> Interrupt {
        let interrupt = Interrupt::default();
        let (signals, recorder, own) = (self.clone(), recorder.clone(), interrupt.clone());
        tokio::spawn(async move {
            signals.first.cancelled().await;
            let by = signals.heard().unwrap_or_default().to_owned();
            recorder.record(Event::Aborted { by });
            own.abort.cancel();
            signals.second.cancelled().await;
            own.hurry.cancel();
        });
        interrupt
    }
}
