//! Where text goes: results to stdout, talk to stderr.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};

use super::args::Colour;
use super::exit::Exit;
use crate::model::Redactor;
use crate::tui::Screen;

/// The process's surface: its two streams and its environment.
pub(super) struct Surface {
    /// Print the verdict line only.
    pub(super) quiet: bool,
    colour: Colour,
    redactor: Redactor,
    screen: Screen,
}

impl Surface {
    pub(super) fn new(colour: Colour, quiet: bool) -> Self {
        Self {
            quiet,
            colour,
            redactor: Redactor::default(),
            screen: Screen::default(),
        }
    }

    /// What nothing is said with: every secret that any part of this process has looked up.
    pub(super) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// The game day's screen, which has the terminal while it is up.
    pub(super) fn screen(&self) -> &Screen {
        &self.screen
    }

    /// From here on, what a failed part of this program says last is without secrets too.
    pub(super) fn hide_in_panics(&self) {
        let (redactor, screen) = (self.redactor.clone(), self.screen.clone());
        std::panic::set_hook(Box::new(move |panic| {
            screen.restore();
            let trace = std::backtrace::Backtrace::capture();
            let text = last_words(&redactor, &panic.to_string(), &trace.to_string());
            let _closed = writeln!(std::io::stderr().lock(), "{text}");
        }));
    }

    /// The environment; what is not UTF-8 cannot be named by a scenario and is left out.
    pub(super) fn environment(&self) -> BTreeMap<String, String> {
        std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
            .collect()
    }

    /// Whether results are coloured.
    pub(super) fn colours_out(&self) -> bool {
        self.colours(std::io::stdout().is_terminal())
    }

    /// Whether talk is coloured.
    pub(super) fn colours_err(&self) -> bool {
        self.colours(std::io::stderr().is_terminal())
    }

    pub(super) fn colours(&self, terminal: bool) -> bool {
        let set = |name| std::env::var_os(name).is_some_and(|v| !v.is_empty() && v != "0");
        match self.colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto if set("NO_COLOR") => false,
            Colour::Auto => set("CLICOLOR_FORCE") || terminal,
        }
    }

    /// Whether a person sits at it: every stream is a terminal that can be drawn on, no pipeline's.
    pub(super) fn attended(&self) -> bool {
        let set = |name| std::env::var_os(name).is_some_and(|v| !v.is_empty() && v != "false");
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        std::io::stdin().is_terminal()
            && std::io::stdout().is_terminal()
            && std::io::stderr().is_terminal()
            && !(self.quiet || dumb || set("CI"))
    }

    /// Columns of the terminal, 80 where there is none.
    pub(super) fn width(&self) -> usize {
        rustix::termios::tcgetwinsize(std::io::stdout())
            .map_or(80, |size| usize::from(size.ws_col).max(40))
    }

    /// A result.
    pub(super) fn result(&self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// A result as JSON.
    pub(super) fn json(&self, value: &impl serde::Serialize) {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.result(&format!("{text}\n")),
            Err(error) => self.talk(&format!("error: {error}")),
        }
    }

    /// A result as it is. A reader that closed the pipe has seen enough.
    pub(super) fn bytes(&self, bytes: &[u8]) {
        let mut out = std::io::stdout().lock();
        let _closed = out.write_all(bytes).and_then(|()| out.flush());
    }

    /// A line for whoever watches. Nobody may be there to read it.
    pub(super) fn talk(&self, line: &str) {
        let line = self.redactor.redact(line);
        let _closed = writeln!(std::io::stderr().lock(), "{line}");
    }

    /// Says what failed, with its causes.
    pub(super) fn failed(&self, error: &dyn std::error::Error, exit: Exit) -> Exit {
        let mut text = format!("error: {error}");
        let mut cause = error.source();
        while let Some(inner) = cause {
            // Many errors repeat their cause in their own text.
            if !text.contains(&inner.to_string()) {
                text = format!("{text}: {inner}");
            }
            cause = inner.source();
        }
        self.talk(&text);
        exit
    }
}

/// What is said of a panic.
fn last_words(redactor: &Redactor, panic: &str, trace: &str) -> String {
    let text = format!("error: a mistake in firedrill itself, please report it: {panic}\n{trace}");
    redactor.redact(text.trim_end()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_tells_no_secret() {
        let surface = Surface::new(Colour::Never, false);
        surface.redactor().learn("hun\"ter2");
        let text = last_words(surface.redactor(), "at x.rs: Err(\"hun\\\"ter2\")", "");
        assert!(text.ends_with("at x.rs: Err(\"[redacted]\")"), "{text}");
    }
}
