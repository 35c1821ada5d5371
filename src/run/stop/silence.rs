//! Stop conditions of which nobody can tell whether they are met.

use crate::timeline::event::Unanswered;

/// A shorter silence hides nothing that would not be seen after it.
pub(super) const SILENCE_US: i64 = 5_000_000;

/// The silences of each condition.
#[derive(Debug)]
pub(super) struct Silences {
    each: Vec<Silent>,
    over: Vec<Unanswered>,
}

#[derive(Debug, Clone)]
struct Silent {
    /// The last answer, or the begin of the watching.
    heard_us: i64,
    /// Why there was none since.
    why: Option<String>,
    said: bool,
}

impl Silences {
    /// Of conditions that are watched from here on.
    pub(super) fn new(conditions: usize, now_us: i64) -> Self {
        let silent = Silent {
            heard_us: now_us,
            why: None,
            said: false,
        };
        Self {
            each: vec![silent; conditions],
            over: Vec::new(),
        }
    }

    /// Somebody could tell.
    pub(super) fn answered(&mut self, condition: usize, now_us: i64) {
        let silent = &mut self.each[condition];
        let from_us = std::mem::replace(&mut silent.heard_us, now_us);
        silent.said = false;
        if let Some(why) = silent.why.take().filter(|_| now_us - from_us > SILENCE_US) {
            self.over.push(Unanswered {
                condition,
                from_us,
                to_us: now_us,
                why,
            });
        }
    }

    /// Nobody could. True if that has lasted long enough to be said, and was not said before.
    pub(super) fn unanswered(&mut self, condition: usize, now_us: i64, why: &str) -> bool {
        let silent = &mut self.each[condition];
        silent.why = Some(why.to_owned());
        let lasts = now_us - silent.heard_us > SILENCE_US;
        lasts && !std::mem::replace(&mut silent.said, true)
    }

    /// The watching ends: every silence that was long enough, in the order in which they ended.
    pub(super) fn end(mut self, now_us: i64) -> Vec<Unanswered> {
        for condition in 0..self.each.len() {
            if self.each[condition].why.is_some() {
                self.answered(condition, now_us);
            }
        }
        self.over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000;

    #[test]
    fn a_long_silence_is_said_once_and_kept() {
        let mut silences = Silences::new(2, 0);
        silences.answered(0, S);
        assert!(!silences.unanswered(0, 2 * S, "refused"));
        silences.answered(0, 4 * S);
        assert!(!silences.unanswered(0, 9 * S, "refused"));
        assert!(silences.unanswered(0, 10 * S, "reset"));
        assert!(!silences.unanswered(0, 11 * S, "reset"));
        silences.answered(0, 12 * S);
        assert!(!silences.unanswered(0, 13 * S, "reset"));
        assert!(silences.unanswered(1, 14 * S, "never"));
        let over = silences.end(15 * S);
        let kept: Vec<_> = over
            .iter()
            .map(|u| (u.condition, u.from_us / S, u.to_us / S, u.why.as_str()))
            .collect();
        assert_eq!(kept, [(0, 4, 12, "reset"), (1, 0, 15, "never")]);
    }
}
