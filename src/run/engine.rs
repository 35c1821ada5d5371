//! Engine events: onto the clock, into the recording, and on to the steps.

use std::sync::Arc;

use tokio::sync::{broadcast, mpsc};
use tokio_util::task::AbortOnDropHandle;

use super::around::Around;
use super::bench::Seen;
use crate::model::{StackEvent, StackEventKind, When};
use crate::stack::{StackError, Unheard};
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
    let (deaf, mut unheard) = mpsc::unbounded_channel::<Unheard>();
    around.stack().watch(sender, deaf).await?;
    let recorder = recorder.clone();
    Ok(AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            let moved = tokio::select! {
                biased;
                Some(gap) = unheard.recv() => {
                    let over = gap.over;
                    recorder.record(missed(&recorder, gap));
                    over
                }
                Some(event) = events.recv() => {
                    let kind = event.kind.clone();
                    pass_on(&recorder, skew_ns, &steps, event);
                    matches!(kind, StackEventKind::Started | StackEventKind::Connected { .. })
                }
                else => break,
            };
            if moved {
                // A start may give a component another address or handle; the judge goes by what was true then. Whether
                // there was one while nobody heard is not known.
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

/// Onto the clock, into the recording, and on to the steps.
fn pass_on(recorder: &Recorder, skew_ns: i64, steps: &broadcast::Sender<Seen>, event: StackEvent) {
    let at_us = recorder.clock().when_us(event.when, skew_ns);
    let slack_us = slack_us(event.when, skew_ns);
    recorder.record(Event::Engine {
        component: event.component.clone(),
        handle: event.handle.clone(),
        engine_us: at_us,
        what: event.kind.clone(),
    });
    // No step listens when none is open.
    let _none_listens = steps.send(Seen {
        at_us,
        slack_us,
        event,
    });
}

/// A stretch without events is a gap in what the engine tells.
fn missed(recorder: &Recorder, gap: Unheard) -> Event {
    let at_us = |instant| recorder.clock().when_us(When::Here(instant), 0);
    Event::Gap {
        source: "engine".to_owned(),
        from_us: at_us(gap.from),
        to_us: at_us(gap.to),
        why: gap.why,
    }
}
