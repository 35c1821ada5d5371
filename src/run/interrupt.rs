//! Signals that end a run early.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::timeline::Recorder;
use crate::timeline::event::Event;

/// What ends a run early, and what a second time means.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    /// Heal everything and report.
    pub abort: CancellationToken,
    /// Asked a second time: skip the report, never the healing.
    pub hurry: CancellationToken,
}

impl Interrupt {
    /// Listens for SIGINT, SIGTERM and SIGHUP until the process ends.
    ///
    /// # Errors
    /// The handlers could not be installed.
    pub fn listen(&self, recorder: &Recorder) -> std::io::Result<()> {
        let kinds = [
            ("SIGINT", SignalKind::interrupt()),
            ("SIGTERM", SignalKind::terminate()),
            ("SIGHUP", SignalKind::hangup()),
        ];
        for (name, kind) in kinds {
            let mut stream = signal(kind)?;
            let (interrupt, recorder) = (self.clone(), recorder.clone());
            tokio::spawn(async move {
                while stream.recv().await.is_some() {
                    if interrupt.abort.is_cancelled() {
                        interrupt.hurry.cancel();
                    } else {
                        recorder.record(Event::Aborted {
                            by: name.to_owned(),
                        });
                        interrupt.abort.cancel();
                    }
                }
            });
        }
        Ok(())
    }
}
