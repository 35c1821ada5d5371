//! Colours and characters. Whatever a colour says, a word says too.

use ratatui::style::{Color, Modifier, Style};

/// Which colours may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Palette {
    /// Those that the colour-blind tell apart: blue, yellow, and red in bold.
    Colours,
    /// None: bold and reversed only.
    Mono,
}

/// How the screen looks.
#[derive(Debug, Clone, Copy)]
pub struct Theme {
    /// Its colours.
    pub palette: Palette,
    /// Whether more than ASCII may be written.
    pub unicode: bool,
}

impl Theme {
    /// Of what hurts.
    pub(super) fn bad(self) -> Style {
        match self.palette {
            Palette::Colours => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
            Palette::Mono => Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED),
        }
    }

    /// Of what may hurt.
    pub(super) fn warning(self) -> Style {
        match self.palette {
            Palette::Colours => Style::new().fg(Color::Yellow),
            Palette::Mono => Style::new().add_modifier(Modifier::BOLD),
        }
    }

    /// Of what is well.
    pub(super) fn good(self) -> Style {
        match self.palette {
            Palette::Colours => Style::new().fg(Color::LightBlue),
            Palette::Mono => Style::new(),
        }
    }

    /// Of what is said about a thing.
    pub(super) fn label(self) -> Style {
        match self.palette {
            Palette::Colours => Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD),
            Palette::Mono => Style::new().add_modifier(Modifier::BOLD),
        }
    }

    /// Of what matters less.
    pub(super) fn faint(self) -> Style {
        match self.palette {
            Palette::Colours => Style::new().fg(Color::DarkGray),
            Palette::Mono => Style::new(),
        }
    }

    /// A rule from edge to edge.
    pub(super) fn rule(self) -> &'static str {
        if self.unicode { "─" } else { "-" }
    }

    /// Eight heights, and none.
    pub(super) fn bars(self) -> [&'static str; 9] {
        if self.unicode {
            [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]
        } else {
            [" ", ".", ".", ":", ":", "+", "+", "#", "#"]
        }
    }

    /// What has not come yet.
    pub(super) fn dot(self) -> &'static str {
        if self.unicode { "·" } else { "." }
    }

    /// A fault: that is on, that is being settled after, that is planned.
    pub(super) fn lane(self) -> [&'static str; 3] {
        if self.unicode {
            ["█", "░", "▒"]
        } else {
            ["#", "-", "="]
        }
    }

    /// Where something was cut off.
    pub(super) fn ellipsis(self) -> &'static str {
        if self.unicode { "…" } else { "~" }
    }
}
