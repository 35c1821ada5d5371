//! `timeline.csv`: a line for each second of load.

use std::io::Write;

use hdrhistogram::Histogram;

use crate::model::{Outcome, RequestRecord};
use crate::timeline::Recording;

/// What was due in one second.
struct Second {
    due: u64,
    sent: u64,
    good: u64,
    bad: u64,
    by_outcome: [u64; Outcome::ALL.len()],
    latency: Histogram<u64>,
}

impl Second {
    fn new() -> Self {
        Self {
            due: 0,
            sent: 0,
            good: 0,
            bad: 0,
            by_outcome: [0; Outcome::ALL.len()],
            latency: Histogram::new(3).expect("3 significant digits are supported"),
        }
    }

    fn add(&mut self, r: &RequestRecord) {
        self.due += 1;
        self.sent += u64::from(r.sent_us.is_some());
        self.good += u64::from(r.outcome.counts() && r.good);
        self.bad += u64::from(r.bad());
        self.by_outcome[r.outcome as usize] += 1;
        if r.outcome.timed() {
            self.latency
                .record(u64::try_from(r.latency_us()).unwrap_or(0))
                .expect("a histogram without bounds grows to take any value");
        }
    }
}

/// Writes `second,due,sent,good,bad`, a column for each outcome, and `p50_us,p99_us` (empty without a sample). Seconds
/// count from the run's zero; requests belong to the second in which they were due.
///
/// # Errors
/// What the writer objects to.
pub fn timeline_csv(recording: &Recording, out: &mut dyn Write) -> Result<(), csv::Error> {
    let mut csv = csv::Writer::from_writer(out);
    let head = ["second", "due", "sent", "good", "bad"]
        .into_iter()
        .chain(Outcome::ALL.map(Outcome::name))
        .chain(["p50_us", "p99_us"]);
    csv.write_record(head)?;
    let mut seconds: std::collections::BTreeMap<i64, Second> = std::collections::BTreeMap::new();
    for r in &recording.requests {
        seconds
            .entry(r.due_us.div_euclid(1_000_000))
            .or_insert_with(Second::new)
            .add(r);
    }
    for (at, s) in &seconds {
        let percentile = |q: f64| {
            if s.latency.is_empty() {
                String::new()
            } else {
                s.latency.value_at_quantile(q).to_string()
            }
        };
        let mut line = vec![at.to_string()];
        line.extend([s.due, s.sent, s.good, s.bad].map(|n| n.to_string()));
        line.extend(s.by_outcome.map(|n| n.to_string()));
        line.extend([percentile(0.5), percentile(0.99)]);
        csv.write_record(line)?;
    }
    csv.flush()?;
    Ok(())
}
