//! What the person at the keys is being asked.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::View;
use super::text::{cut, seconds};
use crate::judge::number;
use crate::model::{Action, Take};
use crate::tui::operating::{About, Deed, LONGER, Menu, PREDICTION, Prompt, RATE, Sure};

/// Columns of the bar that fills while a key is held down.
const BAR: usize = 8;

/// The last line, where something is asked in it.
pub(super) fn line(view: &View<'_>, width: usize) -> Option<Line<'static>> {
    let theme = view.theme;
    match view.chrome.operating.prompt.as_ref()? {
        Prompt::Sure(sure) => Some(sure_line(view, sure, width)),
        Prompt::Line(line) => {
            let (about, how) = match &line.about {
                About::Note => (
                    "note".to_owned(),
                    "[enter] stamps it on the timeline".to_owned(),
                ),
                About::Rate => ("rate".to_owned(), format!("of the planned one: {RATE}")),
                About::Prediction { steps, at } => {
                    let step = steps.get(*at).map_or("", String::as_str);
                    let another = if steps.len() > 1 {
                        "  [tab] another"
                    } else {
                        ""
                    };
                    (format!("predict {step}"), format!("{PREDICTION}{another}"))
                }
            };
            let (hint, style) = match &line.wrong {
                Some(wrong) => (wrong.clone(), theme.bad()),
                None => (format!("{how}  [esc] no"), theme.faint()),
            };
            let about = format!(" {about}: ");
            // The end of what is typed is what the person looks at.
            let room = width.saturating_sub(about.len() + 1);
            let typed: Vec<char> = line.text.chars().collect();
            let shown = typed.len().saturating_sub(room.max(1));
            let typed: String = typed.iter().skip(shown).collect();
            let left = room.saturating_sub(typed.chars().count() + 2);
            Some(Line::from(vec![
                Span::styled(about, theme.label()),
                Span::raw(typed),
                Span::styled("_  ", theme.label()),
                Span::styled(cut(&hint, left, theme), style),
            ]))
        }
        Prompt::Menu(_) => Some(Line::raw(
            " [up/down] choose  [+/-] hold  [*] one/all  [enter] arm  [esc] no",
        )),
    }
}

fn sure_line(view: &View<'_>, sure: &Sure, width: usize) -> Line<'static> {
    let theme = view.theme;
    let step = sure.step();
    let what = match &sure.deed {
        Deed::Fire => format!("FIRE {step} now"),
        Deed::Skip => format!("SKIP {step} (then no pass)"),
        Deed::Heal => format!("HEAL {step} now (then no pass)"),
        Deed::Extend => format!("EXTEND {step} by {}", seconds(number::micros(LONGER))),
        Deed::Break { action, hold } => {
            let hold = seconds(number::micros(*hold));
            format!("BREAK: {}, held {hold}", of(action))
        }
    };
    let another = if sure.steps.len() > 1 {
        "  [tab] another"
    } else {
        ""
    };
    let keys = format!("  [y] or hold [{}]{another}  [esc] no ", sure.key);
    let filled = (sure.held(view.chrome.tick_us) * BAR as f64).round() as usize;
    let [full, empty, _] = theme.lane();
    let bar = full.repeat(filled) + &empty.repeat(BAR - filled.min(BAR));
    let room = width.saturating_sub(keys.len() + BAR + 1);
    Line::from(vec![
        Span::styled(format!(" {}", cut(&what, room, theme)), theme.bad()),
        Span::raw(keys),
        Span::styled(bar, theme.warning()),
    ])
}

/// `kill one of backend`.
fn of(action: &Action) -> String {
    let nodes;
    let target = if let Action::Node { among, .. } = action {
        nodes = format!("the nodes {among}");
        nodes.trim_end()
    } else {
        action.target().unwrap_or_default()
    };
    match action.take() {
        Some(Take::Count(1)) => format!("{} one of {target}", action.name()),
        Some(Take::All) => format!("{} all of {target}", action.name()),
        Some(Take::Count(n)) => format!("{} {n} of {target}", action.name()),
        Some(Take::Share(share)) => {
            format!("{} {:.0} % of {target}", action.name(), share.get() * 100.0)
        }
        None => format!("{} {target}", action.name()).trim_end().to_owned(),
    }
}

/// The faults that can be made ad hoc, over the screen.
pub(super) fn over(frame: &mut Frame<'_>, view: &View<'_>, menu: &Menu, area: Rect) {
    let theme = view.theme;
    let offers = &view.chrome.operating.offers;
    // Above the line of keys, which says what they do here.
    let area = Rect {
        height: area.height.saturating_sub(1),
        ..area
    };
    let wanted = u16::try_from(offers.len() + 3).unwrap_or(u16::MAX);
    let height = wanted.min(area.height);
    let window = area.centered(
        Constraint::Length(60.min(area.width)),
        Constraint::Length(height),
    );
    let rows = usize::from(height.saturating_sub(3)).max(1);
    let first = (menu.at + 1).saturating_sub(rows);
    let width = usize::from(window.width.saturating_sub(2));
    let mut lines: Vec<Line<'static>> = (first..offers.len().min(first + rows))
        .map(|at| {
            let chosen = at == menu.at;
            let offer = if chosen {
                view.chrome.operating.chosen(menu)
            } else {
                offers.get(at).cloned()
            };
            let text = offer.as_ref().map_or_else(String::new, of);
            let mark = if chosen { ">" } else { " " };
            let text = cut(&format!("{mark} {text}"), width, theme);
            if chosen {
                Line::styled(text, theme.label())
            } else {
                Line::raw(text)
            }
        })
        .collect();
    let hold = seconds(number::micros(menu.hold));
    lines.push(Line::styled(
        cut(
            &format!(
                "held {hold}, then healed; {} of {}",
                menu.at + 1,
                offers.len()
            ),
            width,
            theme,
        ),
        theme.faint(),
    ));
    frame.render_widget(Clear, window);
    let block = Block::bordered().title(" Break ad hoc ");
    frame.render_widget(Paragraph::new(lines).block(block), window);
}
