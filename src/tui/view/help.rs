//! The keys.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};

use super::{How, View};

/// The last line: what was said to whoever is at the keys, else the keys.
pub(super) fn keys(view: &View<'_>) -> Line<'static> {
    let theme = view.theme;
    if let Some(said) = view.chrome.said.as_ref().filter(|_| !view.state.closed) {
        return Line::styled(format!(" {said}"), theme.warning());
    }
    if view.state.unreadable > 0 {
        let text = format!(" {} records cannot be read", view.state.unreadable);
        return Line::styled(text, theme.bad());
    }
    let abort = Span::styled(" [A] ABORT  ", theme.bad());
    let text = match view.chrome.how {
        How::Running if view.state.closed => " over: [q] shows the report  [?] keys",
        How::Running => {
            let pause = if view.state.pauses.since_us().is_some() {
                "resume"
            } else {
                "pause"
            };
            let text =
                format!("[f]ire [s]kip [h]eal [e]xtend [p] {pause} [r]ate [n]ote [a]d hoc [?]");
            return Line::from(vec![abort, Span::raw(text)]);
        }
        How::Watching | How::Deserted => " [q] leave  [?] keys",
        How::Replaying { .. } => {
            " [space] pause  [left/right] 5 s  [n/p] next, last step  [+/-] speed  [q] leave  [?]"
        }
    };
    Line::raw(text)
}

/// All keys, over the screen.
pub(super) fn over(frame: &mut Frame<'_>, view: &View<'_>, area: Rect) {
    let running = [
        (
            "A",
            "abort: heal everything, now, and end the run; asks nothing",
        ),
        ("f", "fire the next step now; hold it down, or y"),
        ("s", "skip the next step; the run is then no pass"),
        (
            "h",
            "heal what is broken now; before its time the run is no pass",
        ),
        ("e", "keep what is broken 10 s longer"),
        (
            "p",
            "the schedule stands still, goes on; heals come in time",
        ),
        (
            "r",
            "another rate; below the planned one the run is no pass",
        ),
        (
            "n, k",
            "a note on the timeline; just that somebody has noticed",
        ),
        ("P", "predict a step: failover, lost requests, alerts"),
        ("a", "break something that the scenario does not break"),
        ("q", "leave the screen; the run goes on, a line at a time"),
    ];
    let watching = [("q", "leave; the run goes on")];
    let replaying = [
        ("space", "stand still, go on"),
        ("left, right", "5 s back, on; with shift 30 s"),
        ("n, p", "to the next step, to the one before"),
        ("+, -", "faster, slower"),
        ("home, end", "to the begin of the drill, to its end"),
        ("q", "leave"),
    ];
    let keys: &[(&str, &str)] = match view.chrome.how {
        How::Running => &running,
        How::Watching | How::Deserted => &watching,
        How::Replaying { .. } => &replaying,
    };
    let mut lines: Vec<Line<'static>> = keys
        .iter()
        .map(|(key, what)| {
            Line::from(vec![
                Span::styled(format!(" {key:<13}"), view.theme.label()),
                Span::raw((*what).to_owned()),
            ])
        })
        .collect();
    lines.push(Line::raw(""));
    lines.push(Line::raw(
        " Times count from the end of warm-up. BAD is the share of requests that",
    ));
    lines.push(Line::raw(
        " failed in the last second; LOST is against the availability promised.",
    ));
    lines.push(Line::styled(" any key closes this", view.theme.faint()));
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let window = area.centered(
        Constraint::Length(80.min(area.width)),
        Constraint::Length(height.min(area.height)),
    );
    frame.render_widget(Clear, window);
    let block = Block::bordered().title(" Keys ");
    frame.render_widget(
        Paragraph::new(lines)
            .wrap(Wrap { trim: false })
            .block(block),
        window,
    );
}
