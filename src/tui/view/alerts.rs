//! Whether the right alerts fire, and no others.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::View;
use super::text::{cut, fit, seconds};
use crate::judge::number;
use crate::tui::state::Expected;

/// The lines, at most so many.
pub(super) fn lines(view: &View<'_>, width: usize, rows: usize) -> Vec<Line<'static>> {
    let (state, theme) = (view.state, view.theme);
    let mut lines = vec![Line::styled("ALERTS", theme.label())];
    let mut unexpected: Vec<_> = state.alerts.unexpected.iter().collect();
    unexpected.retain(|u| !u.allowed);
    let names = state.alerts.expected.iter().map(|e| e.alert.as_str());
    let names = names.chain(unexpected.iter().map(|u| u.alert.as_str()));
    let name = names.map(|n| n.chars().count()).max().unwrap_or(0);
    let name = name.max("other alerts".len()).min(width / 2) + 2;
    let mut put = |what: &str, text: &str, style: Style| {
        lines.push(Line::from(vec![
            Span::raw(fit(what, name, theme)),
            Span::styled(cut(text, width.saturating_sub(name), theme), style),
        ]));
    };
    // What nobody expected comes first: it is what nobody looks for.
    for alert in &unexpected {
        let since = seconds(state.now_us - alert.at_us);
        let text = if alert.over {
            format!("UNEXPECTED {}, over", alert.severity)
        } else {
            format!("UNEXPECTED {} for {since}", alert.severity)
        };
        put(&alert.alert, &text, theme.bad());
    }
    for expected in &state.alerts.expected {
        let (text, style) = standing(view, expected);
        put(&expected.alert, &text, style);
    }
    if unexpected.is_empty() {
        put("other alerts", "none", theme.good());
    }
    lines.truncate(rows);
    lines
}

/// How far an expected alert is, and how long it has.
fn standing(view: &View<'_>, expected: &Expected) -> (String, Style) {
    let (state, theme) = (view.state, view.theme);
    let Some(dispatched) = expected.dispatched_us else {
        return (format!("after {}", expected.after), theme.faint());
    };
    let now = state.now_us;
    let got = state.alerts.progress(expected, now);
    let since = |at: i64| format!("+{}", seconds(at - dispatched));
    let left = |limit: std::time::Duration, from: i64, what: &str| {
        let left = from + number::micros(limit) - now;
        if left >= 0 {
            (
                format!(", must {what} in {}", seconds(left)),
                theme.warning(),
            )
        } else {
            (format!(", {what} {} LATE", seconds(-left)), theme.bad())
        }
    };
    if let Some(cleared) = got.cleared_us {
        return (format!("resolved {}", since(cleared)), theme.good());
    }
    if let Some(notified) = got.notified_us {
        let text = format!("notified {}", since(notified));
        return match (expected.clears, expected.healed_us) {
            (Some(limit), Some(healed)) => {
                let (more, style) = left(limit, healed, "clear");
                (text + &more, style)
            }
            _ => (text, theme.good()),
        };
    }
    let (text, fires) = match (got.firing_us.or(got.received_us), got.pending_us) {
        (Some(firing), _) => (format!("firing {}", since(firing)), true),
        (None, Some(pending)) => (format!("pending {}", seconds(now - pending)), false),
        (None, None) => ("not seen yet".to_owned(), false),
    };
    let limit = match (expected.fires, expected.notifies) {
        (Some(limit), _) if !fires => Some((limit, "fire")),
        (_, Some(limit)) => Some((limit, "notify")),
        _ => None,
    };
    match limit {
        Some((limit, what)) => {
            let (more, style) = left(limit, dispatched, what);
            (text + &more, style)
        }
        None => (text, theme.warning()),
    }
}
