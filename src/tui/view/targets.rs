//! Who is up.

use ratatui::text::{Line, Span};

use super::View;
use super::text::{fit, right};
use crate::judge::number;
use crate::tui::state::{Condition, Target};

/// Columns of a state, of a version and of a share.
const STATE: usize = 8;
const VERSION: usize = 6;
const SHARE: usize = 6;

/// The lines: those in trouble first where there is no room for all.
pub(super) fn lines(view: &View<'_>, width: usize, rows: usize) -> Vec<Line<'static>> {
    let (state, theme) = (view.state, view.theme);
    let mut lines = vec![Line::styled(" TARGETS", theme.label())];
    let mut shown: Vec<&Target> = state.targets.all().iter().collect();
    let room = rows.saturating_sub(1);
    let hidden = shown.len().saturating_sub(room);
    if hidden > 0 {
        // In their order all the same.
        shown.sort_by_key(|t| (t.condition == Condition::Up, t.component.id.clone()));
        shown.truncate(room.saturating_sub(1));
        shown.sort_by_key(|t| t.component.id.clone());
    }
    let name = width.saturating_sub(1 + STATE + VERSION + SHARE + 1).max(6);
    let several = |t: &Target| {
        let all = state.targets.all().iter();
        all.filter(|o| o.component.id.service == t.component.id.service)
            .count()
            > 1
    };
    for target in &shown {
        let id = if several(target) {
            target.component.id.to_string()
        } else {
            target.component.id.service.clone()
        };
        let (word, style) = match target.condition {
            Condition::Up => ("up", theme.good()),
            Condition::Starting => ("starts", theme.warning()),
            Condition::Sick => ("SICK", theme.bad()),
            Condition::Paused => ("PAUSED", theme.bad()),
            Condition::CutOff => ("CUT OFF", theme.bad()),
            Condition::Dead => ("DEAD", theme.bad()),
            Condition::Gone => ("GONE", theme.bad()),
        };
        let version = state.targets.version_of(target).unwrap_or_default();
        let share = state.targets.share(target, state.now_us);
        let share = share.map_or(String::new(), number::share);
        lines.push(Line::from(vec![
            Span::raw(format!(" {}", fit(&id, name, theme))),
            Span::styled(fit(word, STATE, theme), style),
            Span::raw(fit(version, VERSION, theme)),
            Span::raw(right(&share, SHARE, theme)),
        ]));
    }
    if hidden > 0 {
        let more = state.targets.all().len() - shown.len();
        lines.push(Line::styled(format!(" and {more} more"), theme.faint()));
    }
    if state.targets.all().is_empty() {
        lines.push(Line::styled(" none yet", theme.faint()));
    }
    lines
}
