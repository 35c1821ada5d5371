//! The terminal: taken, drawn on ten times a second, and given back whatever happens.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::{cursor, execute, terminal};
use rustix::termios::{Action, QueueSelector, tcflow, tcflush};

use super::judging::Judging;
use super::operating::{Key, Operating};
use super::player::{Live, Player, Replay};
use super::source::{Source, Start};
use super::state::State;
use super::theme::Theme;
use super::view::{Chrome, How, draw};
use crate::model::Command;
use crate::timeline::clock::Clock;
use crate::timeline::{Follower, TimelineError};

/// From one drawing to the next.
const FRAME: Duration = Duration::from_millis(100);
/// How far the arrow keys go, and with shift.
const LEAP_US: i64 = 5_000_000;
const LONG_LEAP_US: i64 = 30_000_000;

/// Why nothing can be shown.
#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    /// The terminal.
    #[error("the terminal cannot be drawn on: {0}; use --ui plain")]
    Terminal(#[from] io::Error),
    /// The recording.
    #[error(transparent)]
    Timeline(#[from] TimelineError),
}

/// How the showing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// By the person at the keys.
    Left,
    /// By [`Screen::stop`].
    Stopped,
}

/// A screen, for whoever has put it up. Clones are of the same one.
#[derive(Debug, Clone, Default)]
pub struct Screen {
    stop: Arc<AtomicBool>,
    taken: Arc<Mutex<bool>>,
}

impl Screen {
    /// Whatever asked an earlier one to end is over.
    pub fn again(&self) {
        self.stop.store(false, Ordering::Relaxed);
    }

    /// Asks it to end, whether it is up yet or not.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Gives the terminal back where it is taken, and ends the screen: for a panic, too.
    pub fn restore(&self) {
        self.stop();
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut *taken) {
            // Nothing can be done about a terminal that takes no orders, nor said on it.
            let _ = terminal::disable_raw_mode();
            if let Ok(mut tty) = terminal_out() {
                let _ = execute!(
                    tty,
                    event::DisableBracketedPaste,
                    terminal::LeaveAlternateScreen,
                    cursor::Show
                );
            }
        }
    }

    /// Lets a terminal go on that was stopped, drops what it had not drawn yet, and gives its keys back.
    pub fn free(&self) {
        // Not what is drawn on it: for that it would have to take something.
        let _ = terminal::disable_raw_mode();
        if let Ok(tty) = terminal_out() {
            // Where it cannot be freed, it stays as it is.
            let _ = tcflow(&tty, Action::OOn);
            let _ = tcflush(&tty, QueueSelector::OFlush);
        }
    }

    fn take(&self) -> io::Result<()> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        terminal::enable_raw_mode()?;
        *taken = true;
        execute!(
            terminal_out()?,
            terminal::EnterAlternateScreen,
            event::EnableBracketedPaste,
            cursor::Hide
        )
    }

    /// Shows a run on this process' terminal until the person at the keys leaves.
    ///
    /// # Errors
    /// [`TuiError`]: the terminal or the recording cannot be used.
    pub fn show(&self, source: Source, theme: Theme) -> Result<Shown, TuiError> {
        let mut session = Session::new(source)?;
        if self.stop.load(Ordering::Relaxed) {
            return Ok(Shown::Stopped);
        }
        let given_back = GivenBack(self);
        self.take()?;
        let mut terminal = Terminal::new(CrosstermBackend::new(terminal_out()?))?;
        let shown = session.show(&mut terminal, theme, &self.stop);
        drop(given_back);
        shown
    }
}

/// The terminal of this process, wherever its streams go.
///
/// # Errors
/// It has none.
pub fn terminal_out() -> io::Result<File> {
    File::options().write(true).open("/dev/tty")
}

struct GivenBack<'a>(&'a Screen);

impl Drop for GivenBack<'_> {
    fn drop(&mut self) {
        self.0.restore();
    }
}

struct Session {
    player: Player,
    state: State,
    judging: Judging,
    chrome: Chrome,
}

/// What a key does.
enum Done {
    Nothing,
    Left,
}

impl Session {
    fn new(source: Source) -> Result<Self, TuiError> {
        let Source { dir, plan, start } = source;
        let mut offers = Vec::new();
        let (how, player) = match start {
            Start::Live {
                alive,
                act,
                offers: of,
            } => {
                offers = of;
                let how = if act.is_some() {
                    How::Running
                } else {
                    How::Watching
                };
                let live = Live::new(Follower::open(&dir)?, alive, act);
                (how, Player::Live(Box::new(live)))
            }
            Start::Replay {
                recording,
                from_us,
                speed,
            } => {
                let replay = Replay::new(plan.clone(), *recording, from_us, speed);
                let how = How::Replaying {
                    speed,
                    paused: false,
                };
                (how, Player::Replay(Box::new(replay)))
            }
        };
        Ok(Self {
            player,
            state: State::new(plan.clone()),
            judging: Judging::start(plan, dir.path().to_owned())?,
            chrome: Chrome {
                how,
                operating: Operating {
                    offers,
                    ..Operating::default()
                },
                ..Chrome::default()
            },
        })
    }

    fn show(
        &mut self,
        terminal: &mut Terminal<CrosstermBackend<File>>,
        theme: Theme,
        stop: &AtomicBool,
    ) -> Result<Shown, TuiError> {
        let clock = Clock::start();
        let mut last_us = clock.now_us();
        loop {
            if stop.load(Ordering::Relaxed) {
                return Ok(Shown::Stopped);
            }
            let now_us = clock.now_us();
            self.advance(now_us - last_us)?;
            last_us = now_us;
            self.chrome.tick_us = now_us;
            self.chrome.operating.at(now_us);
            let standings = self.judging.at(self.state.now_us);
            let (state, chrome) = (&self.state, &self.chrome);
            terminal.draw(|frame| draw(frame, state, standings, chrome, theme))?;
            let next_us = now_us + i64::try_from(FRAME.as_micros()).unwrap_or(0);
            loop {
                let left = u64::try_from(next_us - clock.now_us()).unwrap_or(0);
                if !event::poll(Duration::from_micros(left))? {
                    break;
                }
                match event::read()? {
                    Event::Key(key)
                        if key.kind != KeyEventKind::Release
                            && matches!(self.key(key, clock.now_us()), Done::Left) =>
                    {
                        return Ok(Shown::Left);
                    }
                    // As a whole, or its letters would be keys.
                    Event::Paste(text) => self.chrome.operating.paste(&text),
                    _ => {}
                }
            }
        }
    }

    fn advance(&mut self, passed_us: i64) -> Result<(), TimelineError> {
        match &mut self.player {
            Player::Live(live) => {
                live.advance(&mut self.state)?;
                let gone = !self.state.closed && !(live.alive)();
                match self.chrome.how {
                    How::Watching if gone => self.chrome.how = How::Deserted,
                    How::Deserted if !gone => self.chrome.how = How::Watching,
                    _ => {}
                }
            }
            Player::Replay(replay) => {
                replay.advance(&mut self.state, passed_us);
                self.chrome.how = How::Replaying {
                    speed: replay.speed,
                    paused: replay.paused || replay.over(),
                };
            }
        }
        Ok(())
    }

    fn key(&mut self, key: KeyEvent, now_us: i64) -> Done {
        self.chrome.said = None;
        let interrupt =
            key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        let typing = self.chrome.operating.typing();
        if interrupt || (key.code == KeyCode::Char('A') && !typing) {
            self.chrome.operating.prompt = None;
            return self.abort(interrupt);
        }
        if std::mem::take(&mut self.chrome.help) {
            return Done::Nothing;
        }
        if self.operate(key, now_us) {
            return Done::Nothing;
        }
        match key.code {
            KeyCode::Char('?') => self.chrome.help = true,
            // Not by Esc, with which the keys of slow lines begin.
            KeyCode::Char('q') => return Done::Left,
            _ => {
                if let Player::Replay(replay) = &mut self.player {
                    play(replay, &mut self.state, key);
                }
            }
        }
        Done::Nothing
    }

    /// Whether the key was for the run.
    fn operate(&mut self, key: KeyEvent, now_us: i64) -> bool {
        let Player::Live(live) = &self.player else {
            return false;
        };
        if self.state.closed {
            self.chrome.operating.prompt = None;
            return false;
        }
        let Some(act) = &live.act else {
            if matches!(key.code, KeyCode::Char(letter) if "fsheprnkPa".contains(letter)) {
                let text = "watching only: the terminal that runs it has the keys";
                self.chrome.said = Some(text.to_owned());
            }
            return false;
        };
        match self.chrome.operating.key(key, &self.state, now_us) {
            Key::Act(asked) => act(Command::Act(asked)),
            Key::Say(text) => self.chrome.said = Some(text),
            Key::Taken => {}
            Key::Other => return false,
        }
        true
    }

    fn abort(&mut self, interrupt: bool) -> Done {
        match self.chrome.how {
            How::Running if self.state.closed => Done::Left,
            How::Running => {
                if let Player::Live(live) = &self.player
                    && let Some(act) = &live.act
                {
                    act(if interrupt {
                        Command::Interrupt
                    } else {
                        Command::Abort
                    });
                }
                self.chrome.said = Some("aborted: healing everything, now".to_owned());
                Done::Nothing
            }
            // Ctrl-C leaves what only looks on.
            _ if interrupt => Done::Left,
            How::Watching | How::Deserted => {
                let text = "watching only: firedrill abort ends it, from any terminal";
                self.chrome.said = Some(text.to_owned());
                Done::Nothing
            }
            How::Replaying { .. } => Done::Nothing,
        }
    }
}

fn play(replay: &mut Replay, state: &mut State, key: KeyEvent) {
    let leap = if key.modifiers.contains(KeyModifiers::SHIFT) {
        LONG_LEAP_US
    } else {
        LEAP_US
    };
    match key.code {
        KeyCode::Char(' ') => replay.paused = !replay.paused,
        KeyCode::Left => replay.seek(state, replay.at_us - leap),
        KeyCode::Right => replay.seek(state, replay.at_us + leap),
        KeyCode::Home => replay.seek(state, replay.zero_us()),
        KeyCode::End => replay.seek(state, replay.end_us()),
        KeyCode::Char('n') => {
            if let Some(at) = replay.step(true) {
                replay.seek(state, at);
            }
        }
        KeyCode::Char('p') => {
            if let Some(at) = replay.step(false) {
                replay.seek(state, at);
            }
        }
        KeyCode::Char('+' | '=') => replay.speed = (replay.speed * 2.0).min(64.0),
        KeyCode::Char('-') => replay.speed = (replay.speed / 2.0).max(0.125),
        _ => {}
    }
}
