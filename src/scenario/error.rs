//! What is wrong with a scenario, and where: the one place that renders diagnostics, because only
//! here is there source text to point into.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::tree::Span;

/// What sort of problem it is. All of them are exit 2 but [`Kind::Warning`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Not YAML, or a key given twice.
    Syntax,
    /// Unknown, missing, of the wrong type, or impossible.
    Invalid,
    /// Part of the language that this version does not have yet.
    NotSupported,
    /// Legal, but it cannot prove what it seems to.
    Warning,
}

/// One problem, with its place, its reason and the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What sort of problem.
    pub kind: Kind,
    /// Where in the text.
    pub at: Span,
    /// What is wrong, and why.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl Problem {
    fn new(kind: Kind, at: Span, message: impl Into<String>) -> Self {
        Self {
            kind,
            at,
            message: message.into(),
            help: None,
        }
    }

    pub(super) fn syntax(at: Span, message: impl Into<String>) -> Self {
        Self::new(Kind::Syntax, at, message)
    }

    pub(super) fn invalid(at: Span, message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, at, message)
    }

    /// `what` as the subject of "is not supported yet".
    pub(super) fn not_supported(at: Span, what: &str) -> Self {
        Self::new(
            Kind::NotSupported,
            at,
            format!("{what} is not supported yet"),
        )
    }

    pub(super) fn warning(at: Span, message: impl Into<String>) -> Self {
        Self::new(Kind::Warning, at, message)
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// "Did you mean" in place of the help there is, where `word` looks like a slip.
    pub(super) fn prefer_slip<'a>(
        self,
        word: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        match closest(word, &known) {
            Some(best) => self.help(format!("did you mean `{best}`?")),
            None => self,
        }
    }

    /// "Did you mean", or else the list of what there is.
    pub(super) fn did_you_mean<'a>(
        self,
        word: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        match closest(word, &known) {
            Some(best) => self.help(format!("did you mean `{best}`?")),
            None if known.is_empty() => self,
            None => self.help(format!("known here: {}", known.join(", "))),
        }
    }
}

/// The known word that `word` is probably a slip of.
pub(super) fn closest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |candidate: &str| strsim::damerau_levenshtein(word, candidate);
    let best = known
        .iter()
        .copied()
        .min_by_key(|candidate| distance(candidate))?;
    (distance(best) <= (word.chars().count() / 3).max(1)).then_some(best)
}

/// Whether to colour a rendering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Off,
    /// ANSI escapes.
    On,
}

/// Everything found wrong with one file, in the file's order.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", self.render(Colour::Off))]
pub struct Problems {
    /// The file as it was named.
    pub path: String,
    /// Its text, to point into.
    pub text: String,
    /// At least one.
    pub list: Vec<Problem>,
}

impl Problems {
    /// All problems as text, each with `file:line:column`, the line and what to do; then their number.
    pub fn render(&self, colour: Colour) -> String {
        let count = self.list.len();
        let plural = if count == 1 { "problem" } else { "problems" };
        render(&self.path, &self.text, &self.list, colour)
            + &format!("{}: {count} {plural}", self.path)
    }
}

/// Renders problems or warnings of the file `path` holding `text`, each followed by an empty line.
pub fn render(path: &str, text: &str, list: &[Problem], colour: Colour) -> String {
    let renderer = match colour {
        Colour::Off => Renderer::plain(),
        Colour::On => Renderer::styled(),
    };
    list.iter()
        .map(|problem| renderer.render(&[group(path, text, problem)]) + "\n\n")
        .collect()
}

fn group<'a>(path: &'a str, text: &'a str, problem: &'a Problem) -> annotate_snippets::Group<'a> {
    let level = match problem.kind {
        Kind::Syntax | Kind::Invalid | Kind::NotSupported => Level::ERROR,
        Kind::Warning => Level::WARNING,
    };
    let snippet = Snippet::source(text)
        .path(path)
        .annotation(AnnotationKind::Primary.span(on_one_line(text, problem.at)));
    let group = level
        .primary_title(problem.message.as_str())
        .element(snippet);
    match &problem.help {
        Some(help) => group.element(Level::HELP.message(help.as_str())),
        None => group,
    }
}

/// The part of a place on its first line, inside the text and on character boundaries.
fn on_one_line(text: &str, at: Span) -> std::ops::Range<usize> {
    let mut start = at.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = at.end.clamp(start, text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let line = text[start..end].lines().next().unwrap_or("");
    start..start + line.trim_end().len()
}
