//! Lines for whoever watches a run: one as each thing happens, and a heartbeat every ten seconds.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::model::Act;
use crate::scenario::plan::{Plan, StepPlan};
use crate::timeline::event::{AlertState, Event};
use crate::timeline::{Entry, Recorder};
use crate::tui::told;

/// The task that prints.
pub(super) struct Progress {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Progress {
    /// Follows a run into its `run.log`, and onto the terminal as long as it is not `quiet`.
    pub(super) fn start(
        plan: &Plan,
        recorder: &Recorder,
        log: &Path,
        quiet: Arc<AtomicBool>,
    ) -> std::io::Result<Self> {
        let stop = CancellationToken::new();
        // The guardian adds to it, too.
        let log = File::options().create(true).append(true).open(log)?;
        let mut lines = Lines {
            plan: plan.clone(),
            recorder: recorder.clone(),
            zero_us: None,
            log,
            quiet,
        };
        lines.say(&format!("firedrill {}: seed {}", plan.name, plan.seed));
        let task = tokio::spawn(lines.follow(recorder.subscribe(), stop.clone()));
        Ok(Self { task, stop })
    }

    /// Prints what is still to be printed.
    pub(super) async fn finish(self) {
        self.stop.cancel();
        // A panic of the printing task has already been reported by its thread.
        let _printed = self.task.await;
    }
}

struct Lines {
    plan: Plan,
    recorder: Recorder,
    /// End of warm-up, from which people count.
    zero_us: Option<i64>,
    log: File,
    quiet: Arc<AtomicBool>,
}

impl Lines {
    fn say(&mut self, line: &str) {
        // Neither a full disk nor a closed terminal may stop the run; the journal holds the same and says so.
        let _lost = writeln!(self.log, "{line}");
        if !self.quiet.load(Ordering::Relaxed) {
            let _closed = writeln!(std::io::stderr().lock(), "{line}");
        }
    }

    async fn follow(
        mut self,
        mut entries: broadcast::Receiver<Arc<Entry>>,
        stop: CancellationToken,
    ) {
        let mut beat = tokio::time::interval(Duration::from_secs(10));
        beat.tick().await;
        loop {
            tokio::select! {
                biased;
                entry = entries.recv() => match entry {
                    Ok(entry) => self.print(&entry),
                    Err(broadcast::error::RecvError::Lagged(missed)) => self.say(&format!("({missed} lines not shown)")),
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                () = stop.cancelled() => return,
                _ = beat.tick() => self.beat(),
            }
        }
    }

    fn print(&mut self, entry: &Entry) {
        if let Event::LoadStarted { steps_zero_us, .. } = &entry.event {
            self.zero_us = Some(*steps_zero_us);
        }
        if let Event::Operated(Act::Break {
            step,
            action,
            hold_us,
        }) = &entry.event
        {
            self.plan
                .steps
                .push(StepPlan::ad_hoc(step, action, *hold_us));
        }
        if is_passing(&entry.event) {
            return;
        }
        if let Some(text) = told(&self.plan, &entry.event) {
            self.line(entry.at_us, &text);
        }
    }

    fn line(&mut self, at_us: i64, text: &str) {
        let seconds = (at_us - self.zero_us.unwrap_or(0)) as f64 / 1e6;
        // Before the load, time is counted from the run's start, without a sign.
        let time = if self.zero_us.is_some() {
            format!("{seconds:+.1} s")
        } else {
            format!("{seconds:.1} s")
        };
        self.say(&format!("{time:>9}  {text}"));
    }

    fn beat(&mut self) {
        let now = self.recorder.clock().now_us();
        let second = self.recorder.live().last_second(now);
        let (totals, ms) = (second.totals, |us: Option<u64>| {
            us.map_or("-".to_owned(), |v| format!("{:.0} ms", v as f64 / 1e3))
        });
        if totals.asked == 0 {
            return self.line(now, "still at it");
        }
        let classes: Vec<String> = totals
            .by_outcome
            .iter()
            .filter(|(o, _)| **o != crate::model::Outcome::Ok)
            .map(|(o, n)| format!("{o} {n}"))
            .collect();
        let bad = if classes.is_empty() {
            String::new()
        } else {
            format!(" ({})", classes.join(", "))
        };
        let text = format!(
            "load      {}/s asked, {} good, {} bad{bad}; p50 {}, p99 {}",
            totals.asked,
            totals.good,
            totals.bad,
            ms(second.p50_us),
            ms(second.p99_us)
        );
        self.line(now, &text);
    }
}

/// An alert that only pends: a screen counts down to what may come of it, lines would only grow in number.
fn is_passing(event: &Event) -> bool {
    let Event::AlertState { was, state, .. } = event else {
        return false;
    };
    state.or(*was) == Some(AlertState::Pending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_tell_of_alerts_that_fire_and_ceased_to() {
        let (pending, firing) = (Some(AlertState::Pending), Some(AlertState::Firing));
        for (was, state, passing) in [
            (None, pending, true),
            (pending, None, true),
            (pending, firing, false),
            (firing, None, false),
        ] {
            let event = Event::AlertState {
                alert: "Down".to_owned(),
                labels: Default::default(),
                was,
                state,
                since_us: None,
            };
            assert_eq!(is_passing(&event), passing, "{was:?} {state:?}");
        }
    }
}
