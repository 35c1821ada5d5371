//! What monitoring says becomes evidence, and what it does not say is never taken for any.
#![expect(
    clippy::unwrap_used,
    reason = "what a test needs and does not get fails it"
)]

pub(crate) mod fake;
mod liars;
mod live;
mod read_back;
mod steady;

use std::sync::Arc;
use std::time::Duration;

use firedrill::model::{Lookup, Redactor, Template, TemplateError, Variable};
use firedrill::observe::{ObserveError, Observers};
use firedrill::scenario::plan::Observe;
use firedrill::timeline::clock::Clock;
use firedrill::timeline::event::{Event, Level};
use firedrill::timeline::{Entry, Recorder, RunDir};
use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;
use tokio::time::Instant;

/// Patience for what must come: far beyond any machine's noise.
const SOON: Duration = Duration::from_secs(30);

/// A recording in a folder of its own.
struct Bench {
    recorder: Recorder,
    entries: Receiver<Arc<Entry>>,
    _reports: TempDir,
}

impl Bench {
    fn new() -> Self {
        let reports = tempfile::tempdir().unwrap();
        let dir = RunDir::create(reports.path(), "drill", 0, "r1").unwrap();
        let recorder = Recorder::create(&dir, Clock::start(), Redactor::default()).unwrap();
        Self {
            entries: recorder.subscribe(),
            recorder,
            _reports: reports,
        }
    }

    async fn observe(&self, observe: &Observe) -> Result<Observers, ObserveError> {
        Observers::start(observe, &Nothing, self.recorder.clone()).await
    }

    /// What was recorded since the last call.
    fn recorded(&mut self) -> Vec<Arc<Entry>> {
        std::iter::from_fn(|| self.entries.try_recv().ok()).collect()
    }
}

/// Gives no variable a value.
struct Nothing;

impl Lookup for Nothing {
    fn lookup(&self, variable: &Variable) -> Result<String, TemplateError> {
        Err(TemplateError::NoValue {
            variable: variable.to_string(),
            why: "there is none".to_owned(),
        })
    }
}

fn prometheus(url: &str) -> Observe {
    Observe {
        prometheus: Some(Template::literal(url)),
        ..Observe::default()
    }
}

/// Waits for a condition, which must come.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < SOON, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The gaps of a source: begin, end and why.
fn gaps(entries: &[Arc<Entry>], of: &str) -> Vec<(i64, i64, String)> {
    let gap = |entry: &Arc<Entry>| match &entry.event {
        Event::Gap {
            source,
            from_us,
            to_us,
            why,
        } if source == of => Some((*from_us, *to_us, why.clone())),
        _ => None,
    };
    entries.iter().filter_map(gap).collect()
}

/// The notes of a level.
fn notes(entries: &[Arc<Entry>], of: Level) -> Vec<String> {
    let note = |entry: &Arc<Entry>| match &entry.event {
        Event::Note { level, text } if *level == of => Some(text.clone()),
        _ => None,
    };
    entries.iter().filter_map(note).collect()
}
