//! What is broken now, what comes next, and whether callers notice.

use ratatui::text::{Line, Span};

use super::View;
use super::text::{self, cut, fit, length, seconds, spread};
use crate::judge::number;
use crate::scenario::plan::{Milestone, Trigger};
use crate::tui::state::{Stage, Step};

/// Columns of what a line is about.
const LABEL: usize = 9;
/// What is verified so soon after it was healed is not worth another time.
const SHOWN_US: i64 = 1_000_000;
/// Most columns for one journey.
const WIDEST: usize = 60;

/// The lines.
pub(super) fn lines(view: &View<'_>, width: usize) -> Vec<Line<'static>> {
    let mut lines = broken(view, width);
    lines.push(next(view, width));
    lines.extend(users(view, width));
    lines.push(load(view, width));
    lines.push(latency(view, width));
    lines
}

fn label(view: &View<'_>, text: &str) -> Span<'static> {
    Span::styled(format!(" {text:<LABEL$}"), view.theme.label())
}

fn broken(view: &View<'_>, width: usize) -> Vec<Line<'static>> {
    let (state, theme) = (view.state, view.theme);
    if let Some(why) = state.left_broken.last() {
        let text = format!("NOT MENDED: {why}");
        let spans = vec![label(view, "BROKEN"), Span::styled(text, theme.bad())];
        let advice = ("firedrill recover".to_owned(), theme.bad());
        return vec![spread(spans, advice, width, theme)];
    }
    let on: Vec<&Step> = state.broken().collect();
    if on.is_empty() {
        let text = match (&state.aborted, state.whole_us) {
            (Some((at, by)), Some(whole)) => {
                let healed = state.healed_us(*at).unwrap_or(whole);
                // A fault is healed when its calls have returned; how long the platform takes to show it is its own.
                let shown = if whole - healed < SHOWN_US {
                    "verified".to_owned()
                } else {
                    format!("proven in {}", length(whole - at))
                };
                format!(
                    "nothing; ended by {by}, healed in {}, {shown}",
                    length(healed - at)
                )
            }
            (Some((_, by)), None) => format!("nothing; ended by {by}"),
            (None, _) => "nothing".to_owned(),
        };
        let spans = vec![label(view, "BROKEN"), Span::styled(text, theme.good())];
        return vec![Line::from(spans)];
    }
    on.iter()
        .map(|step| {
            let what = format!("{}  {}", step.plan.name, deed(step));
            let spans = vec![label(view, "BROKEN"), Span::styled(what, theme.bad())];
            let until = match step.mends_us() {
                _ if step.stage == Stage::Healing && step.healed_us.is_some() => {
                    "healed, to be verified".to_owned()
                }
                _ if step.stage == Stage::Healing => "healing now".to_owned(),
                Some(at) if at > state.now_us => {
                    format!("mends itself in {}", seconds(at - state.now_us))
                }
                Some(_) => "mends itself now".to_owned(),
                None => "until it is mended or the load ends".to_owned(),
            };
            spread(spans, (until, theme.warning()), width, theme)
        })
        .collect()
}

/// `kill backend/2`.
fn deed(step: &Step) -> String {
    let whom = if step.targets.is_empty() {
        step.plan.action.target().unwrap_or_default().to_owned()
    } else {
        step.targets.join(", ")
    };
    format!("{} {whom}", step.plan.action.name())
}

fn next(view: &View<'_>, width: usize) -> Line<'static> {
    let (state, theme) = (view.state, view.theme);
    let to_come = state.to_come();
    let over = state.load_over || state.aborted.is_some();
    let Some((step, due)) = to_come.first().filter(|_| !over) else {
        let spans = vec![label(view, "NEXT"), Span::styled("no step", theme.faint())];
        return Line::from(spans);
    };
    let when = match due {
        _ if state.pauses.since_us().is_some() => "PAUSED".to_owned(),
        Some(at) if *at > state.now_us => format!("fires in {}", seconds(at - state.now_us)),
        Some(_) => "fires now".to_owned(),
        None => after(step),
    };
    let what = format!("{}  {}", step.plan.name, deed(step));
    let spans = vec![label(view, "NEXT"), Span::raw(what)];
    let style = if state.pauses.since_us().is_some() {
        theme.warning()
    } else {
        theme.good()
    };
    spread(spans, (when, style), width, theme)
}

/// What a step waits for.
fn after(step: &Step) -> String {
    match &step.plan.when {
        Trigger::At(_) => "once warm-up is over".to_owned(),
        Trigger::After {
            step, milestone, ..
        } => {
            let milestone = match milestone {
                Milestone::Dispatched => "begins",
                Milestone::Healed => "is healed",
                Milestone::Settled => "has settled",
            };
            format!("after {step} {milestone}")
        }
    }
}

/// Two journeys a line.
fn users(view: &View<'_>, width: usize) -> Vec<Line<'static>> {
    let (state, theme) = (view.state, view.theme);
    let callers = state.callers.all();
    if callers.is_empty() {
        let spans = vec![label(view, "USERS"), Span::styled("no load", theme.faint())];
        return vec![Line::from(spans)];
    }
    let names = callers.iter().map(|c| c.name.chars().count()).max();
    let names = names.unwrap_or(0).min(width / 4) + 2;
    let column = (width.saturating_sub(LABEL + 1) / 2).min(WIDEST);
    let fault = state.broken().next().is_some();
    let cells: Vec<[Span<'static>; 2]> = callers
        .iter()
        .map(|caller| {
            let hurt = state.callers.hurt(caller, state.now_us);
            let (text, style) = match hurt {
                Some(hurt) => {
                    let long = length(hurt.last_us - hurt.from_us);
                    match caller.bad_share(state.now_us) {
                        Some(share) if hurt.open && share > 0.0 => {
                            let text = format!("{} BAD for {long}", number::share(share));
                            (text, theme.bad())
                        }
                        _ => {
                            let text = format!("ok; {} bad in {long}", number::count(hurt.bad));
                            (text, theme.warning())
                        }
                    }
                }
                None if caller.good == 0 => ("none yet".to_owned(), theme.faint()),
                None if fault => ("ok, masked so far".to_owned(), theme.good()),
                None => ("ok".to_owned(), theme.good()),
            };
            let room = column.saturating_sub(names);
            [
                Span::raw(fit(&caller.name, names, theme)),
                Span::styled(fit(&text, room, theme), style),
            ]
        })
        .collect();
    cells
        .chunks(2)
        .enumerate()
        .map(|(row, cells)| {
            let what = if row == 0 { "USERS" } else { "" };
            let mut spans = vec![label(view, what)];
            spans.extend(cells.iter().flatten().cloned());
            Line::from(spans)
        })
        .collect()
}

fn load(view: &View<'_>, width: usize) -> Line<'static> {
    let (state, theme) = (view.state, view.theme);
    let second = state.seconds.last(state.now_us);
    let asked = state.planned_rate();
    if state.load_over {
        let (all, bad) = state.callers.totals();
        let text = format!(
            "over: {} answered, {} bad",
            number::count(all),
            number::count(bad)
        );
        return Line::from(vec![label(view, "LOAD"), Span::raw(text)]);
    }
    let rates = format!(
        "{asked:.0} asked  {} sent  {} good /s",
        second.sent, second.good
    );
    let classes = state.seconds.classes(state.now_us);
    let classes: Vec<String> = classes.iter().map(|(o, n)| format!("{o} {n}")).collect();
    let bad = if second.bad > 0 {
        (
            format!("{} bad /s: {}", second.bad, classes.join(", ")),
            theme.bad(),
        )
    } else {
        ("0 bad /s".to_owned(), theme.good())
    };
    let room = width.saturating_sub(LABEL + 2 + rates.len());
    Line::from(vec![
        label(view, "LOAD"),
        Span::raw(format!("{rates}    ")),
        Span::styled(cut(&bad.0, room.saturating_sub(4), theme), bad.1),
    ])
}

fn latency(view: &View<'_>, width: usize) -> Line<'static> {
    let (state, theme) = (view.state, view.theme);
    let second = state.seconds.last(state.now_us);
    let time = |us: Option<u64>| us.map_or("-".to_owned(), text::latency);
    let before = state.baseline_us(0.99);
    let p99 = format!("p99 {}", time(second.p99_us));
    let was = before.map_or(String::new(), |_| format!(" (was {})", time(before)));
    let slow = second
        .p99_us
        .zip(before)
        .is_some_and(|(now, was)| now > 2 * was);
    let style = if slow { theme.warning() } else { theme.good() };
    let (bad, allowed) = state.lost();
    let lost = match allowed {
        Some(allowed) => format!(
            "LOST {} of {} allowed{}",
            number::count(bad),
            number::count(allowed),
            if bad > allowed { "   OVER" } else { "" }
        ),
        None => format!("LOST {}", number::count(bad)),
    };
    let style_of_lost = match allowed {
        Some(allowed) if bad > allowed => theme.bad(),
        _ if bad > 0 => theme.warning(),
        _ => theme.good(),
    };
    let spans = vec![
        label(view, "LATENCY"),
        Span::raw(format!("p50 {}   ", time(second.p50_us))),
        Span::styled(p99, style),
        Span::raw(was),
    ];
    spread(spans, (lost, style_of_lost), width, theme)
}
