//! Engine events: onto the clock, into the recording, and on to the steps.

use std::sync::Arc;

use tokio::sync::{broadcast, mpsc};
use tokio_util::task::AbortOnDropHandle;

use super::around::Around;
use super::bench::Seen;
use crate::model::{StackEvent, StackEventKind, When};
use crate::stack::StackError;
use crate::timeline::Recorder;
use crate::timeline::event::{Event, Level};

/// A comparison of two clocks is as exact as its round trip, and they drift apart while a run lasts.
const DRIFT_US: i64 = 250_000;

/// How far off an event's offset may be. As for the judge, a clock that is off may be so by more than was seen.
fn slack_us(when: When, skew_ns: i64) -> i64 {
    match when {
        When::Here(_) => 0,
        When::Wall(_) => (skew_ns / 1000).saturating_abs().saturating_add(DRIFT_US),
    }
}

/// Follows the engine's events until the returned handle is dropped. `skew_ns` is the engine's clock less ours.
///
/// # Errors
/// The engine does not report events: then no effect could ever be confirmed.
pub(super) async fn follow(
    recorder: &Recorder,
    skew_ns: i64,
    steps: broadcast::Sender<Seen>,
    around: Arc<Around>,
) -> Result<AbortOnDropHandle<()>, StackError> {
    let (sender, mut events) = mpsc::unbounded_channel::<StackEvent>();
    around.stack().watch(sender).await?;
    let recorder = recorder.clone();
    Ok(AbortOnDropHandle::new(tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            let at_us = recorder.clock().when_us(event.when, skew_ns);
            let slack_us = slack_us(event.when, skew_ns);
            recorder.record(Event::Engine {
                component: event.component.clone(),
                engine_us: at_us,
                what: event.kind.clone(),
            });
            let moved = matches!(
                event.kind,
                StackEventKind::Started | StackEventKind::Connected { .. }
            );
            // No step listens when none is open.
            let _none_listens = steps.send(Seen {
                at_us,
                slack_us,
                event,
            });
            if moved {
                // A start may give a component another address or handle; the judge goes by what was true then.
                let warn = |error: StackError| {
                    recorder.record(Event::Note {
                        level: Level::Warning,
                        text: error.to_string(),
                    });
                };
                match around.stack().components().await {
                    Ok(list) => recorder.record(Event::Components(list)),
                    Err(error) => warn(error),
                }
                around.refresh().await.unwrap_or_else(warn);
            }
        }
    })))
}
