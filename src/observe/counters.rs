//! What a server counts of its own failures, scraped at the begin and at the end: where alerts came late or never, these
//! often say why.

use std::collections::BTreeMap;

use tokio::sync::OnceCell;

use super::error::AskError;
use super::exposition;
use super::server::{Effort, Server};
use crate::timeline::Recorder;
use crate::timeline::event::{Event, Level};

/// A counter that should not grow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watched {
    pub(super) name: &'static str,
    /// What its growth says.
    pub(super) meaning: &'static str,
}

/// Labels of a counter's series → its value.
type Series = BTreeMap<String, f64>;

/// The watched counters of one server.
#[derive(Debug)]
pub(super) struct Counters {
    source: &'static str,
    server: Server,
    watched: &'static [Watched],
    /// In the order of `watched`.
    before: OnceCell<Vec<Series>>,
}

impl Counters {
    pub(super) fn new(source: &'static str, server: Server, watched: &'static [Watched]) -> Self {
        Self {
            source,
            server,
            watched,
            before: OnceCell::new(),
        }
    }

    /// Reads them for the first time.
    pub(super) async fn begin(&self, recorder: &Recorder) {
        if let Err(error) = self.before.get_or_try_init(|| self.read()).await {
            self.note(
                recorder,
                Level::Info,
                &format!("its own failures are not known: {error}"),
            );
        }
    }

    /// Notes each that has grown since.
    pub(super) async fn end(&self, recorder: &Recorder) {
        let Some(before) = self.before.get() else {
            return;
        };
        match self.read().await {
            Ok(after) => {
                for ((watched, before), after) in self.watched.iter().zip(before).zip(&after) {
                    if let Some(growth) = growth(before, after) {
                        let text = format!("{} ({}{growth})", watched.meaning, watched.name);
                        self.note(recorder, Level::Warning, &text);
                    }
                }
            }
            Err(error) => {
                self.note(
                    recorder,
                    Level::Info,
                    &format!("its own failures are not known: {error}"),
                );
            }
        }
    }

    async fn read(&self) -> Result<Vec<Series>, AskError> {
        let answer = self.server.get("/metrics", &[], Effort::Poll).await?;
        let text = std::str::from_utf8(&answer.body).map_err(|e| answer.unreadable(e))?;
        let samples = exposition::parse(text).map_err(|e| answer.unreadable(e))?;
        let series = |watched: &Watched| {
            let of = samples.iter().filter(|s| s.name == watched.name);
            of.map(|s| (labels(&s.labels), s.value)).collect()
        };
        Ok(self.watched.iter().map(series).collect())
    }

    fn note(&self, recorder: &Recorder, level: Level, text: &str) {
        recorder.record(Event::Note {
            level,
            text: format!("{}: {text}", self.source),
        });
    }
}

fn labels(labels: &BTreeMap<String, String>) -> String {
    let each: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v:?}")).collect();
    if each.is_empty() {
        String::new()
    } else {
        format!("{{{}}}", each.join(","))
    }
}

/// Every series that grew, with its growth. A counter that fell began anew with its server.
fn growth(before: &Series, after: &Series) -> Option<String> {
    let grown = after.iter().filter_map(|(labels, now)| {
        let then = before.get(labels).copied().unwrap_or(0.0);
        let growth = if *now < then { *now } else { now - then };
        (growth > 0.0).then(|| format!("{labels}: {growth}"))
    });
    let grown: Vec<String> = grown.collect();
    (!grown.is_empty()).then(|| grown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(of: &[(&str, f64)]) -> Series {
        of.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect()
    }

    #[test]
    fn only_growth_counts() {
        let before = series(&[("{a=\"1\"}", 5.0), ("{a=\"2\"}", 5.0), ("{a=\"3\"}", 5.0)]);
        assert_eq!(growth(&before, &before), None);
        let after = series(&[
            ("{a=\"1\"}", 7.0),
            ("{a=\"2\"}", 5.0),
            ("{a=\"3\"}", 1.0),
            ("{a=\"4\"}", 2.0),
        ]);
        assert_eq!(
            growth(&before, &after),
            Some("{a=\"1\"}: 2, {a=\"3\"}: 1, {a=\"4\"}: 2".to_owned())
        );
        assert_eq!(growth(&before, &Series::new()), None);
    }
}
