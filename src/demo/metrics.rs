//! The demo system's own metrics, in the Prometheus text exposition format 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The content type of [`Exposition`].
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Upper bounds of the latency buckets, in microseconds and as their `le` label in seconds.
const BUCKETS: [(u64, &str); 12] = [
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
];

/// What every server counts: requests by path and status, their durations, and those in flight.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    answered: Mutex<BTreeMap<(&'static str, u16), u64>>,
    buckets: [AtomicU64; BUCKETS.len()],
    micros: AtomicU64,
    in_flight: AtomicI64,
}

impl Traffic {
    /// Counts a request as in flight until what is returned is dropped.
    pub(super) fn enter(traffic: &Arc<Self>) -> InFlight {
        traffic.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(traffic))
    }

    /// Counts an answer. `path` is a route, not what the caller typed, or the series would never end.
    pub(super) fn answered(&self, path: &'static str, status: u16, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // Each bucket holds its own answers only; `render` adds them up.
        if let Some(index) = BUCKETS.iter().position(|(bound, _)| micros <= *bound) {
            self.buckets[index].fetch_add(1, Ordering::Relaxed);
        }
        self.micros.fetch_add(micros, Ordering::Relaxed);
        let mut answered = self
            .answered
            .lock()
            .expect("no counter panics while it holds the counts");
        *answered.entry((path, status)).or_default() += 1;
    }

    pub(super) fn render(&self, text: &mut Exposition) {
        let answered = self
            .answered
            .lock()
            .expect("no counter panics while it holds the counts")
            .clone();
        text.family("requests_total", "counter", "Requests answered.");
        for ((path, status), count) in &answered {
            text.sample(
                "requests_total",
                &[("path", path), ("status", &status.to_string())],
                count,
            );
        }
        text.family(
            "request_duration_seconds",
            "histogram",
            "Time from a request's arrival to its answer.",
        );
        let mut below = 0;
        for (bucket, (_, bound)) in self.buckets.iter().zip(BUCKETS) {
            below += bucket.load(Ordering::Relaxed);
            text.sample("request_duration_seconds_bucket", &[("le", bound)], below);
        }
        let count = answered.values().sum::<u64>().max(below);
        text.sample("request_duration_seconds_bucket", &[("le", "+Inf")], count);
        let seconds = Duration::from_micros(self.micros.load(Ordering::Relaxed)).as_secs_f64();
        text.sample("request_duration_seconds_sum", &[], seconds);
        text.sample("request_duration_seconds_count", &[], count);
        text.family("in_flight", "gauge", "Requests being answered.");
        text.sample("in_flight", &[], self.in_flight.load(Ordering::Relaxed));
    }
}

/// A request in flight.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Traffic>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Exposition text in the making.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

impl Exposition {
    pub(super) fn family(&mut self, name: &str, kind: &str, help: &str) {
        write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n")
            .expect("a String takes everything");
    }

    pub(super) fn sample(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        value: impl std::fmt::Display,
    ) {
        self.0.push_str(name);
        for (index, (label, content)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            let content = content
                .replace('\\', r"\\")
                .replace('"', r#"\""#)
                .replace('\n', r"\n");
            write!(self.0, "{open}{label}=\"{content}\"").expect("a String takes everything");
        }
        let close = if labels.is_empty() { "" } else { "}" };
        writeln!(self.0, "{close} {value}").expect("a String takes everything");
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(traffic: &Traffic) -> String {
        let mut text = Exposition::default();
        traffic.render(&mut text);
        text.into_text()
    }

    #[test]
    fn counts_by_path_and_status_in_cumulative_buckets() {
        let traffic = Arc::new(Traffic::default());
        let _one = Traffic::enter(&traffic);
        traffic.answered("/work", 200, Duration::from_millis(1));
        traffic.answered("/work", 200, Duration::from_millis(30));
        traffic.answered("/work", 503, Duration::from_secs(9));
        let text = rendered(&traffic);
        for line in [
            r#"requests_total{path="/work",status="200"} 2"#,
            r#"requests_total{path="/work",status="503"} 1"#,
            r#"request_duration_seconds_bucket{le="0.001"} 1"#,
            r#"request_duration_seconds_bucket{le="0.025"} 1"#,
            r#"request_duration_seconds_bucket{le="0.05"} 2"#,
            r#"request_duration_seconds_bucket{le="5"} 2"#,
            r#"request_duration_seconds_bucket{le="+Inf"} 3"#,
            "request_duration_seconds_sum 9.031",
            "request_duration_seconds_count 3",
            "in_flight 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn label_values_are_escaped() {
        let mut text = Exposition::default();
        text.sample("x", &[("a", "q\"b\\s\nn")], 1);
        assert_eq!(text.into_text(), "x{a=\"q\\\"b\\\\s\\nn\"} 1\n");
    }
}
