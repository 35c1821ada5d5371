//! Lines of so many columns.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::tui::theme::Theme;

/// A rule from edge to edge.
pub(super) fn rule(theme: Theme, width: usize) -> Line<'static> {
    Line::styled(theme.rule().repeat(width), theme.faint())
}

/// Cut to so many columns, and said to be.
pub(super) fn cut(text: &str, width: usize, theme: Theme) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut columns = 0;
    for c in text.chars() {
        let its = c.width().unwrap_or(0);
        if columns + its >= width {
            break;
        }
        columns += its;
        kept.push(c);
    }
    if width > 0 {
        kept.push_str(theme.ellipsis());
    }
    kept
}

/// Cut or filled to so many columns.
pub(super) fn fit(text: &str, width: usize, theme: Theme) -> String {
    let mut text = cut(text, width, theme);
    text.push_str(&" ".repeat(width.saturating_sub(text.width())));
    text
}

/// As [`fit`], at the right edge of them.
pub(super) fn right(text: &str, width: usize, theme: Theme) -> String {
    let text = cut(text, width, theme);
    format!("{}{text}", " ".repeat(width.saturating_sub(text.width())))
}

/// A line whose last span stands at the right edge.
pub(super) fn spread(
    left: Vec<Span<'static>>,
    last: (String, Style),
    width: usize,
    theme: Theme,
) -> Line<'static> {
    let room = width.saturating_sub(last.0.width() + 1);
    let mut spans = Vec::new();
    let mut used = 0;
    for span in left {
        let text = cut(&span.content, room.saturating_sub(used), theme);
        used += text.width();
        spans.push(Span::styled(text, span.style));
    }
    spans.push(Span::raw(" ".repeat((room + 1).saturating_sub(used))));
    spans.push(Span::styled(last.0, last.1));
    Line::from(spans)
}

/// `+00:31.4`, from the end of warm-up.
pub(super) fn clock(us: i64) -> String {
    let sign = if us < 0 { '-' } else { '+' };
    let tenths = us.abs() / 100_000;
    let (minutes, seconds) = (tenths / 600, tenths % 600);
    format!("{sign}{minutes:02}:{:02}.{}", seconds / 10, seconds % 10)
}

/// `0.41 ms`, `41 ms`, `1.2 s`.
pub(super) fn latency(us: u64) -> String {
    match us {
        0..1_000 => format!("{:.2} ms", us as f64 / 1e3),
        1_000..10_000 => format!("{:.1} ms", us as f64 / 1e3),
        10_000..10_000_000 => format!("{} ms", us / 1_000),
        _ => format!("{:.1} s", us as f64 / 1e6),
    }
}

/// `35 ms`, `8.6 s`; with minutes from 100 s on.
pub(super) fn length(us: i64) -> String {
    if us < 1_000_000 {
        format!("{} ms", us.max(0) / 1_000)
    } else {
        seconds(us)
    }
}

/// `8.6 s`, `0.3 s`: what counts down; with minutes from 100 s on.
pub(super) fn seconds(us: i64) -> String {
    let tenths = us.max(0) / 100_000;
    if tenths < 1000 {
        format!("{}.{} s", tenths / 10, tenths % 10)
    } else {
        format!("{}m {:02}s", tenths / 600, tenths % 600 / 10)
    }
}
