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
    let brewing = state.alerts.brewing();
    let names = names.chain(brewing.iter().map(|(alert, _)| *alert));
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
    // What may yet become one, where there is room for it.
    for (alert, since) in brewing {
        let text = format!("pending {}", seconds(state.now_us - since));
        put(alert, &text, theme.faint());
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
        return (format!("cleared {}", since(cleared)), theme.good());
    }
    let resolved = got.resolved_us.map(|at| format!("resolved {}", since(at)));
    let notified = got.notified_us.map(|at| format!("notified {}", since(at)));
    if let Some(text) = resolved.clone().or(notified) {
        let resolves = expected.resolves.filter(|_| resolved.is_none());
        let ends = [(resolves, "resolve"), (expected.clears, "clear")];
        let ends = ends.map(|(limit, what)| Some((limit?, expected.healed_us?, what)));
        let notifies = expected.notifies.filter(|_| got.notified_us.is_none());
        let next = match notifies {
            Some(limit) => Some((limit, dispatched, "notify")),
            None => ends.into_iter().flatten().min_by_key(|(limit, ..)| *limit),
        };
        return match next {
            Some((limit, from, what)) => {
                let (more, style) = left(limit, from, what);
                (text + &more, style)
            }
            None => (text, theme.good()),
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
