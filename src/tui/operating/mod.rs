//! From keys to what is asked of the run, by way of a question where a key could do harm.

mod prompt;
mod typed;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

pub(super) use prompt::{About, Deed, LONGER, Menu, Prompt, Sure};
pub(super) use typed::{PREDICTION, RATE};

use super::state::State;
use crate::model::{Act, Action, Take};
use prompt::{Answer, Line};

/// The longest line that can be typed, in characters.
const LONGEST: usize = 300;
/// Entries of a menu that a page has.
const PAGE: isize = 10;

/// What the person at the keys is being asked, and what could be broken.
#[derive(Debug, Clone, Default)]
pub(super) struct Operating {
    pub(super) prompt: Option<Prompt>,
    /// The faults that this stack supports.
    pub(super) offers: Vec<Action>,
}

/// What a key comes to.
#[derive(Debug, PartialEq)]
pub(super) enum Key {
    /// This is to be done.
    Act(Act),
    /// This is to be said.
    Say(String),
    /// It was for the prompt.
    Taken,
    /// It is none of these.
    Other,
}

impl Operating {
    /// Whether letters are text.
    pub(super) fn typing(&self) -> bool {
        matches!(self.prompt, Some(Prompt::Line(_)))
    }

    /// Takes back a question that nobody has answered.
    pub(super) fn at(&mut self, now_us: i64) {
        if matches!(&self.prompt, Some(Prompt::Sure(sure)) if sure.stale(now_us)) {
            self.prompt = None;
        }
    }

    /// Text from elsewhere: nothing but text, and only where text is asked for.
    pub(super) fn paste(&mut self, text: &str) {
        if let Some(Prompt::Line(line)) = &mut self.prompt {
            let room = LONGEST.saturating_sub(line.text.chars().count());
            line.text
                .extend(text.replace(char::is_control, " ").chars().take(room));
        }
    }

    /// What a key comes to at this moment (µs, of any clock that does not stand still).
    pub(super) fn key(&mut self, key: KeyEvent, state: &State, now_us: i64) -> Key {
        match self.prompt.take() {
            Some(Prompt::Sure(sure)) => self.sure(sure, key, now_us),
            Some(Prompt::Line(line)) => self.line(line, key),
            Some(Prompt::Menu(menu)) => self.menu(menu, key, now_us),
            None => self.begin(key, state, now_us),
        }
    }

    fn begin(&mut self, key: KeyEvent, state: &State, now_us: i64) -> Key {
        let KeyCode::Char(letter) = key.code else {
            return Key::Other;
        };
        let waiting = || -> Vec<String> {
            let steps = state.to_come();
            steps
                .into_iter()
                .map(|(s, _)| s.plan.name.clone())
                .collect()
        };
        let broken = || state.broken().map(|s| s.plan.name.clone()).collect();
        let (deed, steps, none): (Deed, Vec<String>, &str) = match letter {
            'f' => (Deed::Fire, waiting(), "no step waits for its time"),
            's' => (Deed::Skip, waiting(), "no step waits for its time"),
            'h' => (Deed::Heal, broken(), "nothing is broken"),
            'e' => (Deed::Extend, broken(), "nothing is broken"),
            'p' => {
                return Key::Act(if state.pauses.since_us().is_some() {
                    Act::Resume
                } else {
                    Act::Pause
                });
            }
            'k' => return Key::Act(Act::Acknowledge),
            'n' => return self.ask(Prompt::Line(Line::new(About::Note))),
            'r' => return self.ask(Prompt::Line(Line::new(About::Rate))),
            'P' => {
                let steps = waiting();
                if steps.is_empty() {
                    return Key::Say("no step is left to predict".to_owned());
                }
                let about = About::Prediction { steps, at: 0 };
                return self.ask(Prompt::Line(Line::new(about)));
            }
            'a' if self.offers.is_empty() => {
                return Key::Say(
                    "this stack supports no fault that could be made ad hoc".to_owned(),
                );
            }
            'a' => return self.ask(Prompt::Menu(Menu::new())),
            _ => return Key::Other,
        };
        if steps.is_empty() {
            return Key::Say(none.to_owned());
        }
        self.ask(Prompt::Sure(Sure::new(deed, letter, steps, now_us)))
    }

    fn ask(&mut self, prompt: Prompt) -> Key {
        self.prompt = Some(prompt);
        Key::Taken
    }

    fn sure(&mut self, mut sure: Sure, key: KeyEvent, now_us: i64) -> Key {
        let answer = match key.code {
            KeyCode::Char(letter) if letter == sure.key => sure.press(now_us),
            KeyCode::Char('y') => sure.confirm(now_us),
            KeyCode::Tab => {
                sure.another();
                Answer::Open
            }
            _ => Answer::No,
        };
        match answer {
            Answer::Yes(act) => Key::Act(act),
            Answer::No => Key::Taken,
            Answer::Open => self.ask(Prompt::Sure(sure)),
        }
    }

    fn line(&mut self, mut line: Line, key: KeyEvent) -> Key {
        let held = key
            .modifiers
            .intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        match key.code {
            KeyCode::Esc => return Key::Taken,
            KeyCode::Enter => match typed(&line) {
                Ok(act) => return Key::Act(act),
                Err(why) => line.wrong = Some(why),
            },
            KeyCode::Backspace => {
                line.text.pop();
                line.wrong = None;
            }
            KeyCode::Tab => {
                if let About::Prediction { steps, at } = &mut line.about {
                    *at = (*at + 1) % steps.len().max(1);
                }
            }
            KeyCode::Char('u') if held => line.text.clear(),
            KeyCode::Char(letter) if !held && line.text.chars().count() < LONGEST => {
                line.text.push(letter);
                line.wrong = None;
            }
            _ => {}
        }
        self.ask(Prompt::Line(line))
    }

    fn menu(&mut self, mut menu: Menu, key: KeyEvent, now_us: i64) -> Key {
        let entries = self.offers.len();
        match key.code {
            KeyCode::Up => menu.go(-1, entries),
            KeyCode::Down => menu.go(1, entries),
            KeyCode::PageUp => menu.go(-PAGE, entries),
            KeyCode::PageDown => menu.go(PAGE, entries),
            KeyCode::Home => menu.at = 0,
            KeyCode::End => menu.at = entries.saturating_sub(1),
            KeyCode::Char('+' | '=') => menu.keep(true),
            KeyCode::Char('-') => menu.keep(false),
            KeyCode::Char('*') => menu.all = !menu.all,
            KeyCode::Enter => {
                if let Some(action) = self.chosen(&menu) {
                    let (action, hold) = (Box::new(action), menu.hold);
                    let deed = Deed::Break { action, hold };
                    let whom = vec![String::new()];
                    return self.ask(Prompt::Sure(Sure::new(deed, 'f', whom, now_us)));
                }
            }
            _ => return Key::Taken,
        }
        self.ask(Prompt::Menu(menu))
    }

    /// The fault that the menu stands at.
    pub(super) fn chosen(&self, menu: &Menu) -> Option<Action> {
        let action = self.offers.get(menu.at)?.clone();
        Some(if menu.all { of_all(action) } else { action })
    }
}

/// The same of every replica.
fn of_all(mut action: Action) -> Action {
    match &mut action {
        Action::Kill { take, .. }
        | Action::Stop { take, .. }
        | Action::Pause { take, .. }
        | Action::Restart { take, .. }
        | Action::Disconnect { take, .. }
        | Action::Partition { take, .. }
        | Action::Node { take, .. }
        | Action::Exec { take, .. } => *take = Take::All,
        Action::Scale { .. }
        | Action::Http { .. }
        | Action::Command { .. }
        | Action::Update { .. } => {}
    }
    action
}

fn typed(line: &Line) -> Result<Act, String> {
    match &line.about {
        About::Note if line.text.trim().is_empty() => Err("type a note".to_owned()),
        About::Note => Ok(Act::Note {
            text: line.text.clone(),
        }),
        About::Rate => typed::rate(&line.text).map(|factor| Act::Rate { factor }),
        About::Prediction { steps, at } => Ok(Act::Predict {
            step: steps.get(*at).cloned().unwrap_or_default(),
            prediction: typed::prediction(&line.text)?,
        }),
    }
}

#[cfg(test)]
mod tests;
