//! The whole run on one line of time: latency, bad requests, faults.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::View;
use super::text::cut;
use crate::tui::state::Step;

/// Columns before the lanes and behind them.
const BEFORE: usize = 9;
const BEHIND: usize = 11;

/// The three lanes.
pub(super) fn lines(view: &View<'_>, width: usize) -> Vec<Line<'static>> {
    let (state, theme) = (view.state, view.theme);
    let columns = width.saturating_sub(BEFORE + BEHIND).max(1);
    let zero = state.zero_us.unwrap_or(state.now_us);
    let length = state.length_us().max(1);
    let at = |column: usize| zero + length * column as i64 / columns as i64;
    let label = |text: &str| Span::styled(format!(" {text:<8}"), theme.label());
    let bars = theme.bars();
    let come = |column: usize| at(column) <= state.now_us && state.zero_us.is_some();

    // By their logarithms, from the usual to the worst, which are at least ten times apart: what is usual stays low.
    let usual = state.baseline_us(0.99).unwrap_or(1_000).max(1) as f64;
    let worst = (state.seconds.worst_us().unwrap_or(1) as f64).max(10.0 * usual);
    let mut p99 = vec![label("p99")];
    let mut bad = vec![label("bad")];
    for column in 0..columns {
        let cell = state.seconds.stretch(at(column), at(column + 1));
        if !come(column) {
            p99.push(Span::styled(theme.dot(), theme.faint()));
            bad.push(Span::raw(" "));
            continue;
        }
        let height = cell.as_ref().and_then(|c| c.p99_us).map_or(0, |us| {
            let share = (us.max(1) as f64 / usual).ln() / (worst / usual).ln();
            1 + (share * 7.0).round().clamp(0.0, 7.0) as usize
        });
        let hot = height >= 5;
        let style = if hot { theme.warning() } else { theme.good() };
        p99.push(Span::styled(bars[height], style));
        let share = cell.map_or(0.0, |c| c.bad as f64 / (c.bad + c.good).max(1) as f64);
        let height = if share == 0.0 {
            0
        } else {
            (share * 8.0).ceil().clamp(1.0, 8.0) as usize
        };
        bad.push(Span::styled(bars[height], theme.bad()));
    }
    p99.push(Span::styled(
        format!("{:>10}", format!("{} s", length / 1_000_000)),
        theme.faint(),
    ));
    vec![Line::from(p99), Line::from(bad), faults(view, columns, &at)]
}

fn faults(view: &View<'_>, columns: usize, at: &dyn Fn(usize) -> i64) -> Line<'static> {
    let (state, theme) = (view.state, view.theme);
    let [on, after, planned] = theme.lane();
    let mut spans = vec![Span::styled(format!(" {:<8}", "faults"), theme.label())];
    for column in 0..columns {
        let (from, to) = (at(column), at(column + 1));
        let cell = |step: &Step| -> Option<(&'static str, Style)> {
            let Some(begun) = step.dispatched_us else {
                let due = state.to_come();
                let due = due.iter().find(|(s, _)| s.plan.name == step.plan.name)?.1?;
                let over = due + step.plan.hold.map_or(0, crate::judge::number::micros);
                return (due < to && from <= over).then(|| (planned, theme.faint()));
            };
            let over = step.over_us.unwrap_or(state.now_us);
            if begun < to && from <= over {
                Some((on, theme.bad()))
            } else if from > over && from <= over + 5_000_000 && from <= state.now_us {
                Some((after, theme.warning()))
            } else {
                None
            }
        };
        // What is on hides what comes after another.
        let cells: Vec<_> = state.steps.iter().filter_map(cell).collect();
        let strongest = [on, after, planned]
            .into_iter()
            .find_map(|kind| cells.iter().find(|(glyph, _)| *glyph == kind));
        let (glyph, style) = strongest.copied().unwrap_or((" ", Style::new()));
        spans.push(Span::styled(glyph, style));
    }
    let next = state
        .to_come()
        .first()
        .map(|(step, _)| step.plan.name.clone());
    let name = state
        .broken()
        .next()
        .map(|step| step.plan.name.clone())
        .or(next);
    let name = cut(&name.unwrap_or_default(), BEHIND - 1, theme);
    spans.push(Span::raw(format!(" {name}")));
    Line::from(spans)
}
