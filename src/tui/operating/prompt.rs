//! What the person at the keys is being asked.

use std::time::Duration;

use crate::model::{Act, Action};

/// How long a key is to be held down.
const HOLD_US: i64 = 1_000_000;
/// The longest time from one repetition of a key that is held down to the next: a keyboard's first takes half a second.
const REPEAT_US: i64 = 800_000;
/// Nobody has read a question before so long.
const READ_US: i64 = 400_000;
/// After so long a question that nobody answered is no longer asked.
const PATIENCE_US: i64 = 15_000_000;
/// By how much a fault is kept longer.
pub(in crate::tui) const LONGER: Duration = Duration::from_secs(10);
/// How long an ad-hoc fault is kept unless another time is chosen.
const AD_HOC_HOLD: Duration = Duration::from_secs(10);
/// The steps in which that time is chosen.
const HOLD_STEP: Duration = Duration::from_secs(5);
/// The longest of them.
const LONGEST_HOLD: Duration = Duration::from_secs(600);

/// What the person at the keys is being asked.
#[derive(Debug, Clone)]
pub(in crate::tui) enum Prompt {
    /// Whether this is meant.
    Sure(Sure),
    /// A line of text.
    Line(Line),
    /// Which fault.
    Menu(Menu),
}

/// Whether something is meant.
#[derive(Debug, Clone)]
pub(in crate::tui) struct Sure {
    pub(in crate::tui) deed: Deed,
    /// The key that asks for it, and confirms it where it is held down.
    pub(in crate::tui) key: char,
    /// The steps that it can be about.
    pub(in crate::tui) steps: Vec<String>,
    /// The one that it is about.
    pub(in crate::tui) at: usize,
    /// When it was asked first.
    since_us: i64,
    /// When the key was pressed last without a break, and since when.
    pressed: Option<(i64, i64)>,
}

/// What is to be confirmed.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) enum Deed {
    Fire,
    Skip,
    Heal,
    Extend,
    Break { action: Box<Action>, hold: Duration },
}

/// What a press comes to.
#[derive(Debug, PartialEq)]
pub(in crate::tui) enum Answer {
    Yes(Act),
    No,
    Open,
}

impl Sure {
    /// Asked at `now_us` by this key, about the first of these steps.
    pub(in crate::tui) fn new(deed: Deed, key: char, steps: Vec<String>, now_us: i64) -> Self {
        Self {
            deed,
            key,
            steps,
            at: 0,
            since_us: now_us,
            pressed: None,
        }
    }

    /// The step that it is about.
    pub(in crate::tui) fn step(&self) -> &str {
        self.steps.get(self.at).map_or("", String::as_str)
    }

    /// The next step instead.
    pub(in crate::tui) fn another(&mut self) {
        self.at = (self.at + 1) % self.steps.len().max(1);
        self.pressed = None;
    }

    /// Its own key was pressed once more: held down for long enough it is a yes.
    pub(in crate::tui) fn press(&mut self, now_us: i64) -> Answer {
        let (last, since) = self.pressed.unwrap_or((now_us, now_us));
        let since = if now_us - last > REPEAT_US {
            now_us
        } else {
            since
        };
        self.pressed = Some((now_us, since));
        if now_us - since >= HOLD_US {
            self.yes()
        } else {
            Answer::Open
        }
    }

    /// How much of the time it was held down for, 0 to 1.
    pub(in crate::tui) fn held(&self, now_us: i64) -> f64 {
        match self.pressed {
            Some((last, since)) if now_us - last <= REPEAT_US => {
                ((last - since) as f64 / HOLD_US as f64).clamp(0.0, 1.0)
            }
            _ => 0.0,
        }
    }

    /// Whether it has been asked for too long.
    pub(in crate::tui) fn stale(&self, now_us: i64) -> bool {
        let last = self.pressed.map_or(self.since_us, |(last, _)| last);
        now_us - last > PATIENCE_US
    }

    /// Somebody says that it is meant: not by a key of a word that was being typed when it was asked.
    pub(in crate::tui) fn confirm(&self, now_us: i64) -> Answer {
        if now_us - self.since_us < READ_US {
            Answer::Open
        } else {
            self.yes()
        }
    }

    fn yes(&self) -> Answer {
        let step = self.step().to_owned();
        let micros = |length: Duration| i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
        Answer::Yes(match &self.deed {
            Deed::Fire => Act::Fire { step },
            Deed::Skip => Act::Skip { step },
            Deed::Heal => Act::Heal { step },
            Deed::Extend => Act::Extend {
                step,
                by_us: micros(LONGER),
            },
            Deed::Break { action, hold } => Act::Break {
                // The run gives it its name.
                step: String::new(),
                action: action.clone(),
                hold_us: micros(*hold),
            },
        })
    }
}

/// A line of text that is being typed.
#[derive(Debug, Clone)]
pub(in crate::tui) struct Line {
    pub(in crate::tui) about: About,
    pub(in crate::tui) text: String,
    /// Why what was typed cannot be taken.
    pub(in crate::tui) wrong: Option<String>,
}

/// What a line is typed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tui) enum About {
    Note,
    Rate,
    /// Steps that can be predicted, and the one that is.
    Prediction {
        steps: Vec<String>,
        at: usize,
    },
}

impl Line {
    pub(in crate::tui) fn new(about: About) -> Self {
        Self {
            about,
            text: String::new(),
            wrong: None,
        }
    }
}

/// The faults that can be made ad hoc.
#[derive(Debug, Clone)]
pub(in crate::tui) struct Menu {
    pub(in crate::tui) at: usize,
    pub(in crate::tui) hold: Duration,
    /// Every replica, not one.
    pub(in crate::tui) all: bool,
}

impl Menu {
    pub(in crate::tui) fn new() -> Self {
        Self {
            at: 0,
            hold: AD_HOC_HOLD,
            all: false,
        }
    }

    /// So many entries up or down, of so many.
    pub(in crate::tui) fn go(&mut self, by: isize, of: usize) {
        self.at = self.at.saturating_add_signed(by).min(of.saturating_sub(1));
    }

    /// Kept longer, or shorter.
    pub(in crate::tui) fn keep(&mut self, longer: bool) {
        self.hold = if longer {
            (self.hold + HOLD_STEP).min(LONGEST_HOLD)
        } else {
            self.hold.saturating_sub(HOLD_STEP).max(HOLD_STEP)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fire() -> Sure {
        Sure::new(Deed::Fire, 'f', vec!["one".into(), "two".into()], 0)
    }

    #[test]
    fn a_key_that_is_held_down_is_a_yes() {
        let mut sure = fire();
        assert_eq!(sure.press(100_000), Answer::Open);
        // The keyboard waits before it repeats.
        assert_eq!(sure.press(600_000), Answer::Open);
        assert!(sure.held(600_000) > 0.4);
        for tick in 7..11 {
            assert_eq!(sure.press(tick * 100_000), Answer::Open);
        }
        let step = "one".to_owned();
        assert_eq!(sure.press(1_100_000), Answer::Yes(Act::Fire { step }));
    }

    #[test]
    fn a_key_that_was_let_go_begins_anew() {
        let mut sure = fire();
        sure.press(0);
        sure.press(700_000);
        assert_eq!(sure.press(1_600_000), Answer::Open);
        assert!(sure.held(1_600_000) < 0.1);
        sure.another();
        assert_eq!((sure.step(), sure.held(1_600_000)), ("two", 0.0));
        assert!(!sure.stale(15_000_000));
        assert!(sure.stale(15_000_001));
    }
}
