//! The drawing: state in, screen out, nothing kept.

mod alerts;
mod header;
mod help;
mod lanes;
mod log;
mod now;
mod objectives;
mod prompt;
mod targets;
mod text;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::judging::Standings;
use super::operating::{Operating, Prompt};
use super::state::State;
use super::theme::Theme;

/// What is drawn beside the state: how it is shown, and what the person at the keys is asked.
#[derive(Debug, Clone, Default)]
pub(super) struct Chrome {
    pub(super) how: How,
    /// Help lies over the screen.
    pub(super) help: bool,
    /// What is to be said to the person at the keys.
    pub(super) said: Option<String>,
    /// What the person at the keys is being asked.
    pub(super) operating: Operating,
    /// The moment of the drawing, µs of a clock that never stands still.
    pub(super) tick_us: i64,
}

/// How a run is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) enum How {
    /// From the terminal that runs it.
    #[default]
    Running,
    /// From another: nothing can be done to it.
    Watching,
    /// From another, and its process is gone.
    Deserted,
    /// From its recording.
    Replaying {
        /// How many times as fast as it was.
        speed: f64,
        /// Stands still.
        paused: bool,
    },
}

/// Fewest columns of a screen with two columns.
const WIDE: u16 = 60;

/// Draws the whole screen.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    state: &State,
    standings: &Standings,
    chrome: &Chrome,
    theme: Theme,
) {
    let area = frame.area();
    let view = View {
        state,
        standings,
        chrome,
        theme,
    };
    let now = now::lines(&view, usize::from(area.width));
    let now_rows = u16::try_from(now.len()).unwrap_or(u16::MAX);
    let others = now_rows.saturating_add(OTHER_ROWS);
    let wanted = wanted_rows(&view).min(area.height.saturating_sub(others));
    // What matters most is at the top, so that a small screen cuts off what matters least.
    let [head, first, hurt, second, middle, third, lanes, log, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(now_rows),
        Constraint::Length(1),
        Constraint::Max(wanted),
        Constraint::Length(1),
        Constraint::Length(3),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(area);
    put(
        frame,
        head,
        vec![header::line(&view, usize::from(head.width))],
    );
    for rule in [first, second, third] {
        put(
            frame,
            rule,
            vec![text::rule(theme, usize::from(rule.width))],
        );
    }
    put(frame, hurt, now);
    middle_part(frame, &view, middle);
    put(frame, lanes, lanes::lines(&view, usize::from(lanes.width)));
    let rows = usize::from(log.height);
    put(frame, log, log::lines(&view, usize::from(log.width), rows));
    let asked = prompt::line(&view, usize::from(keys.width));
    put(
        frame,
        keys,
        vec![asked.unwrap_or_else(|| help::keys(&view))],
    );
    if let Some(Prompt::Menu(menu)) = &chrome.operating.prompt {
        prompt::over(frame, &view, menu, area);
    }
    if chrome.help {
        help::over(frame, &view, area);
    }
}

/// Rows that the middle leaves to the rest in any case: header, rules, lanes, a log of three lines, keys.
const OTHER_ROWS: u16 = 1 + 3 + 3 + 3 + 1;

/// Rows in which targets, alerts and objectives all have room side by side.
fn wanted_rows(view: &View<'_>) -> u16 {
    let state = view.state;
    let brewing = state.alerts.brewing().len();
    let alerts = state.alerts.expected.len() + state.alerts.unexpected.len() + brewing + 2;
    let objectives = view.standings.objectives.len() + state.plan.stop_when.len() + 2;
    let rows = (state.targets.all().len() + 1).max(alerts + objectives);
    u16::try_from(rows).unwrap_or(u16::MAX)
}

/// Targets beside alerts and objectives; one below the other where there is no room for that.
fn middle_part(frame: &mut Frame<'_>, view: &View<'_>, area: Rect) {
    let narrow = area.width < WIDE;
    let (left, right) = if narrow {
        let [above, below] =
            Layout::vertical([Constraint::Fill(1), Constraint::Fill(1)]).areas(area);
        (above, below)
    } else {
        let targets = (area.width * 2 / 5).min(48);
        let [left, right] =
            Layout::horizontal([Constraint::Length(targets), Constraint::Fill(1)]).areas(area);
        (left, right)
    };
    let rows = |rect: Rect| usize::from(rect.height);
    let columns = |rect: Rect| usize::from(rect.width);
    put(frame, left, targets::lines(view, columns(left), rows(left)));
    let mut lines = alerts::lines(view, columns(right), rows(right).div_ceil(2).max(2));
    let room = rows(right).saturating_sub(lines.len());
    lines.extend(objectives::lines(view, columns(right), room));
    put(frame, right, lines);
}

fn put(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'static>>) {
    frame.render_widget(Paragraph::new(lines), area);
}

/// What is drawn.
struct View<'a> {
    state: &'a State,
    standings: &'a Standings,
    chrome: &'a Chrome,
    theme: Theme,
}

#[cfg(test)]
mod tests;
