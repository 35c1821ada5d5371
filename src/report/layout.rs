//! Lines of text: widths, wrapping, colour.

use std::path::Path;

use crate::judge::verdict::Verdict;

/// How text is to look.
#[derive(Debug, Clone, Copy)]
pub struct Style<'a> {
    /// Escape codes for colour.
    pub colour: bool,
    /// Columns.
    pub width: usize,
    /// The run's directory, to be named.
    pub dir: Option<&'a Path>,
}

impl Default for Style<'_> {
    fn default() -> Self {
        Self {
            colour: false,
            width: 80,
            dir: None,
        }
    }
}

impl Style<'_> {
    /// A word in the colour of a verdict.
    pub(super) fn verdict(self, verdict: Verdict, word: &str) -> String {
        if !self.colour {
            return word.to_owned();
        }
        let code = match verdict {
            Verdict::Pass => "32",
            Verdict::Inconclusive => "33",
            Verdict::Fail => "31",
            Verdict::LeftBroken => "41;97",
        };
        format!("\u{1b}[1;{code}m{word}\u{1b}[0m")
    }
}

/// Columns that a text takes: every character that reports use is one wide.
pub(super) fn columns(text: &str) -> usize {
    text.chars().count()
}

/// `text`, padded on the right.
pub(super) fn left(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// `text`, padded on the left.
pub(super) fn right(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(columns(text))))
}

/// `head`, then `text` broken at spaces so that no line is longer than `width`; lines after the first are indented as
/// far as `head` reaches.
pub(super) fn wrapped(head: &str, text: &str, width: usize) -> String {
    let indent = columns(head);
    let room = width.saturating_sub(indent).max(20);
    let mut lines: Vec<String> = vec![String::new()];
    for word in words(text) {
        let line = lines.last_mut().expect("there is always a line");
        if line.is_empty() {
            line.push_str(&word);
        } else if columns(line) + 1 + columns(&word) <= room {
            line.push(' ');
            line.push_str(&word);
        } else {
            lines.push(word);
        }
    }
    let between = format!("\n{}", " ".repeat(indent));
    format!("{head}{}\n", lines.join(&between))
}

/// Words, each unit kept with its number.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|w| !w.is_empty()) {
        let unit = matches!(
            word.trim_end_matches([',', ';', ':', '.', ')']),
            "s" | "ms" | "%"
        );
        match words.last_mut() {
            Some(number) if unit => {
                number.push(' ');
                number.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_broken_and_indented() {
        assert_eq!(
            wrapped("load  ", "one two three four five six", 26),
            "load  one two three four\n      five six\n"
        );
        assert_eq!(
            wrapped("", "from 12345678901234 s, on", 20),
            "from\n12345678901234 s, on\n"
        );
        assert_eq!(wrapped("x ", "", 80), "x \n");
        assert_eq!(right("±1", 4), "  ±1");
    }
}
