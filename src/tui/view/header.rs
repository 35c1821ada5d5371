//! The first line: what runs, since when, how it stands.

use ratatui::text::{Line, Span};

use super::text::{clock, spread};
use super::{How, View};
use crate::judge::verdict::Verdict;
use crate::timeline::event::Phase;

/// The line.
pub(super) fn line(view: &View<'_>, width: usize) -> Line<'static> {
    let (state, theme) = (view.state, view.theme);
    let mut spans = vec![
        Span::styled(state.plan.name.clone(), theme.label()),
        Span::raw(format!("  {}  ", clock(state.clock_us()))),
    ];
    let on = state.broken().count();
    let (text, style) = match (view.standings.verdict, on) {
        (Some(Verdict::Pass), _) => ("PASS".to_owned(), theme.good()),
        (Some(Verdict::Fail), _) => ("FAIL".to_owned(), theme.bad()),
        (Some(Verdict::Inconclusive), _) => ("INCONCLUSIVE".to_owned(), theme.warning()),
        (Some(Verdict::LeftBroken), _) => ("LEFT BROKEN".to_owned(), theme.bad()),
        (None, 1) => ("1 FAULT ON".to_owned(), theme.bad()),
        (None, 2..) => (format!("{on} FAULTS ON"), theme.bad()),
        (None, 0) => {
            let phase = state.phase.map_or("", shortly);
            (phase.to_owned(), theme.good())
        }
    };
    spans.push(Span::styled(format!("{text:<13}"), style));
    let (guardian, style) = if state.guarded {
        ("ok", theme.good())
    } else {
        ("none", theme.faint())
    };
    spans.push(Span::raw("guardian "));
    spans.push(Span::styled(format!("{guardian}  "), style));
    let (generator, style) = if state.generator_ok() {
        ("ok", theme.good())
    } else {
        ("LATE", theme.bad())
    };
    spans.push(Span::raw("generator "));
    spans.push(Span::styled(format!("{generator}  "), style));
    let how = match view.chrome.how {
        How::Running => (format!("seed {}", state.plan.seed), theme.faint()),
        How::Watching => ("watching only".to_owned(), theme.warning()),
        How::Deserted => ("ITS PROCESS IS GONE".to_owned(), theme.bad()),
        How::Replaying { paused: true, .. } => ("replay, paused".to_owned(), theme.warning()),
        How::Replaying { speed, .. } => (format!("replay x{speed}"), theme.warning()),
    };
    spread(spans, how, width, theme)
}

/// A phase in a word or two.
fn shortly(phase: Phase) -> &'static str {
    match phase {
        Phase::StandingUp => "standing up",
        Phase::Preparing => "checking",
        Phase::Warmup => "warm-up",
        Phase::Drill => "all whole",
        Phase::Awaiting => "alerts",
        Phase::Mending => "mending",
        Phase::Collecting => "collecting",
        Phase::TakingDown => "taking down",
    }
}
