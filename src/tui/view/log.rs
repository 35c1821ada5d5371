//! What happened last.

use ratatui::text::{Line, Span};

use super::View;
use super::text::cut;
use crate::timeline::event::Level;

/// The last lines, the newest at the bottom.
pub(super) fn lines(view: &View<'_>, width: usize, rows: usize) -> Vec<Line<'static>> {
    let (state, theme) = (view.state, view.theme);
    let zero = state.zero_us.unwrap_or(0);
    let skip = state.log.len().saturating_sub(rows);
    let lines = state.log.iter().skip(skip).map(|line| {
        let time = format!("{:>+8.1}  ", (line.at_us - zero) as f64 / 1e6);
        let room = width.saturating_sub(time.len());
        let style = match line.level {
            Level::Info => ratatui::style::Style::new(),
            Level::Warning => theme.warning(),
            Level::Error => theme.bad(),
        };
        // A line is a line, whatever the system under test wrote into it.
        let text = line.text.replace(char::is_control, " ");
        Line::from(vec![
            Span::styled(time, theme.faint()),
            Span::styled(cut(&text, room, theme), style),
        ])
    });
    lines.collect()
}
