//! `latency.hlog`: HdrHistogram interval log, one histogram for each window, tagged with its name, in µs.

use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::judge::result::Judgement;
use crate::scenario::plan::Plan;
use crate::timeline::Recording;

/// Writes the log: latency of every request that was on the wire, by the window in which it was due; of several loads, each
/// window's tag begins with the load's name.
///
/// # Errors
/// What the writer or the encoder objects to, in words.
pub fn hlog(
    plan: &Plan,
    judgement: &Judgement,
    recording: &Recording,
    out: &mut dyn Write,
) -> Result<(), String> {
    let (Some(loads), Some(traffic)) = (&judgement.load, plan.traffic()) else {
        return Ok(());
    };
    let micros = |us: i64| Duration::from_micros(u64::try_from(us).unwrap_or(0));
    let started = u64::try_from(recording.opened.started_ns).unwrap_or(0);
    let mut serializer = V2DeflateSerializer::new();
    let mut buffer = Vec::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("latency in microseconds from the due time, by window")
        .with_base_time(UNIX_EPOCH + Duration::from_nanos(started))
        .begin_log_with(&mut buffer, &mut serializer)
        .map_err(|e| e.to_string())?;
    for placed in traffic.loads() {
        let Some(load) = loads.named(placed.name) else {
            continue;
        };
        let own = placed.numbers();
        for window in &load.windows {
            let mut histogram = Histogram::<u64>::new(3).map_err(|e| e.to_string())?;
            let due = recording.requests.iter().filter(|r| {
                own.contains(r.journey) && (window.from_us..window.to_us).contains(&r.due_us)
            });
            for r in due.filter(|r| r.outcome.timed()) {
                let latency_us = u64::try_from(r.latency_us()).unwrap_or(0);
                histogram.record(latency_us).map_err(|e| e.to_string())?;
            }
            let name = placed.name.map(|name| format!("{name}."));
            // The log's format has no escape for what separates its fields.
            let tag = format!("{}{}", name.unwrap_or_default(), window.name);
            let tag = tag.replace([',', ' ', '\r', '\n'], "_");
            log.write_histogram(
                &histogram,
                micros(window.from_us),
                micros(window.to_us - window.from_us),
                Tag::new(&tag),
            )
            .map_err(|e| format!("{e:?}"))?;
        }
    }
    out.write_all(&buffer).map_err(|e| e.to_string())
}
