//! A source that does not answer for a while.

use std::time::Duration;

use crate::timeline::Recorder;
use crate::timeline::event::Event;

/// A shorter silence hides nothing that would not be seen after it.
const TOLERATED: Duration = Duration::from_secs(5);

/// Watches a source's answers and records every silence longer than [`TOLERATED`] as a gap.
#[derive(Debug)]
pub(super) struct Silence {
    source: &'static str,
    heard_us: i64,
    /// Why it was not heard since.
    why: Option<String>,
}

impl Silence {
    /// Of a source that was heard, or first asked, at `now_us`.
    pub(super) fn since(source: &'static str, now_us: i64) -> Self {
        Self {
            source,
            heard_us: now_us,
            why: None,
        }
    }

    /// It answered.
    pub(super) fn broken(&mut self, recorder: &Recorder) {
        let now_us = recorder.clock().now_us();
        if let Some(gap) = self.end(now_us) {
            recorder.record(gap);
        }
    }

    /// It did not answer.
    pub(super) fn goes_on(&mut self, why: impl ToString) {
        self.why = Some(why.to_string());
    }

    /// The gap that an answer, or the end of watching, at `now_us` closes.
    fn end(&mut self, now_us: i64) -> Option<Event> {
        let from_us = std::mem::replace(&mut self.heard_us, now_us);
        let why = self.why.take()?;
        let tolerated = i64::try_from(TOLERATED.as_micros()).unwrap_or(i64::MAX);
        (now_us - from_us > tolerated).then(|| gap(self.source, (from_us, now_us), why))
    }
}

/// A gap in what a source says, from one offset to another.
pub(super) fn gap(source: &'static str, (from_us, to_us): (i64, i64), why: impl ToString) -> Event {
    Event::Gap {
        source: source.to_owned(),
        from_us,
        to_us,
        why: why.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_long_silence_is_a_gap() {
        let mut silence = Silence::since("alertmanager", 0);
        assert_eq!(silence.end(20_000_000), None, "nobody failed to answer");
        silence.goes_on("refused");
        assert_eq!(silence.end(25_000_000), None, "it was short");
        silence.goes_on("refused");
        silence.goes_on("still refused");
        assert_eq!(
            silence.end(31_000_001),
            Some(gap(
                "alertmanager",
                (25_000_000, 31_000_001),
                "still refused"
            ))
        );
        assert_eq!(silence.end(50_000_000), None, "it is over");
    }
}
