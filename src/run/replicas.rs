//! How many replicas are healthy while a service is being changed.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::timeout;

use super::bench::Bench;
use crate::model::Action;
use crate::scenario::plan::StepPlan;
use crate::timeline::event::{Event, Level};

/// An engine that takes longer for one count has not counted.
const COUNTED_WITHIN: Duration = Duration::from_secs(5);

/// Records the number of healthy replicas of the step's service at each change, for steps that change a service as a
/// whole. Looks at every engine event and four times a second, until it is dropped.
pub(super) async fn watch_replicas(bench: &Bench, step: &StepPlan) -> Infallible {
    let (Action::Update { target, .. } | Action::Scale { target, .. }) = &step.action else {
        return std::future::pending().await;
    };
    let mut engine = bench.engine.subscribe();
    let mut last = None;
    let mut known_us = bench.now_us();
    let mut unsaid = true;
    loop {
        let counted = timeout(COUNTED_WITHIN, bench.stack.replicas(target)).await;
        let counted = match counted {
            Ok(counted) => counted.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {COUNTED_WITHIN:?}")),
        };
        match counted {
            Ok(replicas) => {
                known_us = bench.now_us();
                let healthy = u32::try_from(replicas.iter().filter(|c| c.healthy()).count())
                    .unwrap_or(u32::MAX);
                let wanted = u32::try_from(replicas.len()).unwrap_or(u32::MAX);
                if last != Some((healthy, wanted)) {
                    last = Some((healthy, wanted));
                    bench.recorder.record(Event::Replicas {
                        service: target.clone(),
                        healthy,
                        wanted,
                    });
                }
            }
            Err(error) => {
                // How many were healthy meanwhile nobody knows.
                let to_us = bench.now_us();
                bench.recorder.record(Event::Gap {
                    source: "engine".to_owned(),
                    from_us: known_us,
                    to_us,
                    why: error.clone(),
                });
                known_us = to_us;
                if std::mem::take(&mut unsaid) {
                    let text =
                        format!("step {}: replicas could not be counted: {error}", step.name);
                    bench.recorder.record(Event::Note {
                        level: Level::Warning,
                        text,
                    });
                }
            }
        }
        tokio::select! {
            _event = engine.recv() => {}
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
        }
    }
}
