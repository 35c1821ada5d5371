//! The load of a drill, from its first arrival to its last answer.

use std::sync::Arc;

use super::around::Around;
use super::bench::Bench;
use crate::load::{ClientChoice, Load, Sink, Values, watch_pressure};
use crate::timeline::event::{Event, Level, Phase};

/// Drives the loads to their end, or to the abort.
pub(super) async fn drive(
    bench: &Bench,
    around: &Arc<Around>,
    loads: Vec<Load>,
    client: &ClientChoice,
    started_us: i64,
) {
    let recorder = &bench.recorder;
    let failed = |why: String| recorder.record(Event::LoadFailed { why });
    let sink = || Box::new(recorder.requests()) as Box<dyn Sink>;
    let mut running = match Load::start_all(loads, recorder.clock(), started_us, sink) {
        Ok(running) => running,
        Err(error) => return failed(error.to_string()),
    };
    recorder.record(Event::LoadStarted {
        started_us,
        steps_zero_us: bench.steps_zero_us,
    });
    bench.pacing.begin(running.repacer(), started_us);
    recorder.record(Event::Phase(Phase::Warmup));
    let values: Values = around.clone();
    let zero = bench.until(bench.steps_zero_us);
    // A fake drill has no test bed that could be short of CPU.
    let real = matches!(client, ClientChoice::Http);
    let pressure = async {
        if real {
            watch_pressure(recorder.clock(), |event| recorder.record(event)).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::pin!(zero, pressure);
    let mut warm = false;
    let ended = loop {
        tokio::select! {
            biased;
            () = bench.aborted.cancelled() => {
                running.abort();
                break running.join().await;
            }
            ended = running.join() => break ended,
            () = around.moved() => {
                if let Err(error) = running.readdress(&values) {
                    let text = format!("the load keeps its old addresses: {error}");
                    recorder.record(Event::Note { level: Level::Warning, text });
                }
            }
            () = &mut pressure => {}
            () = &mut zero, if !warm => {
                warm = true;
                recorder.record(Event::Phase(Phase::Drill));
                bench.operator.drilling(true);
            }
        }
    };
    bench.pacing.end();
    for text in ended.notes {
        recorder.record(Event::Note {
            level: Level::Info,
            text,
        });
    }
    if let Some(why) = ended.failed {
        failed(why);
    }
    recorder.record(Event::LoadEnded {
        arrivals: ended.arrivals,
        asked: ended.asked,
        not_reached: ended.not_reached,
        aborted: ended.aborted,
    });
}
