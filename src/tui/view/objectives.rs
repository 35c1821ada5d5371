//! How the objectives stand, and how far the stop conditions are.

use ratatui::text::{Line, Span};

use super::View;
use super::text::{cut, fit, right};
use crate::judge::number;
use crate::judge::verdict::Verdict;
use crate::tui::judging::Standing;

/// Columns of a name: at least, and at most.
const NAME: usize = 20;
const WIDEST: usize = 60;

/// The lines, at most so many: misses first.
pub(super) fn lines(view: &View<'_>, width: usize, rows: usize) -> Vec<Line<'static>> {
    let theme = view.theme;
    let stops = stops(view, width);
    let mut lines = vec![Line::styled("OBJECTIVES", theme.label())];
    let room = rows.saturating_sub(1 + stops.len());
    let over = view.standings.verdict.is_some();
    let mut standings: Vec<&Standing> = view.standings.objectives.iter().collect();
    standings.sort_by_key(|s| match s.verdict {
        _ if s.at_risk => 1,
        Verdict::LeftBroken | Verdict::Fail => 0,
        Verdict::Inconclusive if over => 1,
        Verdict::Inconclusive | Verdict::Pass => 2,
    });
    let hidden = standings.len().saturating_sub(room);
    if hidden > 0 {
        standings.truncate(room.saturating_sub(1));
    }
    let longest = |of: fn(&Standing) -> &String| {
        let lengths = standings.iter().map(|s| of(s).chars().count());
        lengths.max().unwrap_or(0)
    };
    let limit = longest(|s| &s.limit);
    // Names come before figures where there is no room for both.
    let most = width.saturating_sub(5 + NAME + limit + 2);
    let observed = longest(|s| &s.observed).min(most.max(7));
    let name = width
        .saturating_sub(5 + observed + 2 + limit + 2)
        .min(WIDEST);
    for standing in &standings {
        let (word, style) = match standing.verdict {
            _ if standing.at_risk => ("risk", theme.warning()),
            Verdict::LeftBroken | Verdict::Fail => ("MISS", theme.bad()),
            // What is not over is not met.
            Verdict::Inconclusive | Verdict::Pass if !over => ("..", theme.faint()),
            Verdict::Inconclusive => ("?", theme.warning()),
            Verdict::Pass => ("ok", theme.good()),
        };
        lines.push(Line::from(vec![
            Span::styled(format!("{word:<5}"), style),
            Span::raw(fit(&standing.name, name, theme)),
            Span::raw(right(&standing.observed, observed + 2, theme)),
            Span::raw(right(&standing.limit, limit + 2, theme)),
        ]));
    }
    if hidden > 0 {
        let more = view.standings.objectives.len() - standings.len();
        lines.push(Line::styled(format!("and {more} more"), theme.faint()));
    }
    if view.standings.objectives.is_empty() {
        let why = if view.standings.too_many {
            "too many requests to judge as they come: the report does"
        } else {
            "not judged yet"
        };
        lines.push(Line::styled(cut(why, width, theme), theme.faint()));
    }
    lines.extend(stops);
    lines
}

fn stops(view: &View<'_>, width: usize) -> Vec<Line<'static>> {
    let theme = view.theme;
    let all = view.state.stops();
    let lines = all.iter().map(|(condition, now)| {
        let now = now.as_ref().filter(|n| n.requests > 0).map(|n| {
            let share = n.hits as f64 / n.requests as f64;
            format!(": now {}", number::share(share))
        });
        let text = format!("STOP if {condition}{}", now.unwrap_or_default());
        Line::styled(cut(&text, width, theme), theme.warning())
    });
    lines.collect()
}
