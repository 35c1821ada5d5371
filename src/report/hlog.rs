//! `latency.hlog`: HdrHistogram interval log, one histogram for each window, tagged with its name, in µs.

use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::judge::result::Judgement;
use crate::timeline::Recording;

/// Writes the log: latency of every request that was on the wire, by the window in which it was due.
///
/// # Errors
/// What the writer or the encoder objects to, in words.
pub fn hlog(
    judgement: &Judgement,
    recording: &Recording,
    out: &mut dyn Write,
) -> Result<(), String> {
    let Some(load) = &judgement.load else {
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
    for window in &load.windows {
        let mut histogram = Histogram::<u64>::new(3).map_err(|e| e.to_string())?;
        for r in &recording.requests {
            if r.outcome.timed() && (window.from_us..window.to_us).contains(&r.due_us) {
                histogram.saturating_record(u64::try_from(r.latency_us()).unwrap_or(0));
            }
        }
        // The log's format has no escape for what separates its fields.
        let tag = window.name.replace([',', ' ', '\r', '\n'], "_");
        log.write_histogram(
            &histogram,
            micros(window.from_us),
            micros(window.to_us - window.from_us),
            Tag::new(&tag),
        )
        .map_err(|e| format!("{e:?}"))?;
    }
    out.write_all(&buffer).map_err(|e| e.to_string())
}
