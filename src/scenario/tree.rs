//! The YAML text as a tree in which every key and value knows its place.
//!
//! Scalars are taken from the source by their byte span: what a YAML library makes of `1.10` or
//! `on` is not what the person wrote.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::NonFiniteFloatPolicy;
use serde_saphyr::{Location, Spanned};

use super::error::Problem;

/// A place in the scenario's text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) at: Span,
    pub(super) value: Value,
}

/// A mapping's key with its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    pub(super) at: Span,
    pub(super) text: String,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Map(Vec<(Key, Node)>),
    List(Vec<Node>),
    /// `typed`: a number, a boolean or nothing, by YAML's rules; else a string (anything quoted is).
    Scalar {
        text: String,
        typed: bool,
    },
}

impl Node {
    /// Nothing was written here (`key:`), or an explicit null.
    pub(super) fn is_empty(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, typed: true } if matches!(text.as_str(), "" | "~" | "null"))
    }

    /// The entry of a mapping, if this is one and has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries
                .iter()
                .find(|(k, _)| k.text == key)
                .map(|(_, node)| node),
            Value::List(_) | Value::Scalar { .. } => None,
        }
    }
}

/// Deeper nesting is refused: each level takes some 35 kB of stack in a debug build, of a thread's 2 MB.
const DEEPEST: usize = 32;

/// Aliases may stand for so much: a few of them can otherwise unfold to gigabytes.
const MOST_REPEATED: usize = 10_000;

/// Reads YAML text.
///
/// # Errors
/// The first syntax error or duplicate key, with its place.
pub(super) fn read(text: &str) -> Result<Node, Box<Problem>> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        budget: serde_saphyr::budget! { max_depth: DEEPEST },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MOST_REPEATED },
    };
    serde_saphyr::from_str_with_options::<Raw>(text, options)
        .map(|raw| raw.into_node(text))
        .map_err(|error| Box::new(syntax_problem(text, &error)))
}

fn syntax_problem(text: &str, error: &serde_saphyr::Error) -> Problem {
    let error = error.without_snippet();
    let at = error
        .location()
        .map_or_else(|| last_line(text), |place| span_of_error(text, place));
    if let serde_saphyr::Error::DuplicateMappingKey { key, .. } = error {
        let key = key.as_deref().unwrap_or("key");
        let at = Span {
            start: at.start,
            end: at.start + key.len(),
        };
        return Problem::syntax(at, format!("`{key}` is given twice")).help("keep one of the two");
    }
    if let serde_saphyr::Error::MultipleDocuments { .. } = error {
        return Problem::syntax(at, "a second YAML document begins here")
            .help("one scenario a file: move it to a file of its own");
    }
    if let serde_saphyr::Error::Budget { .. } = error {
        return Problem::syntax(
            at,
            format!("nested deeper than {DEEPEST} levels, or beyond all size"),
        );
    }
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or(&message);
    let problem = Problem::syntax(at, format!("not YAML: {message}"));
    if message.contains("tabs") {
        problem.help("indent with spaces")
    } else {
        problem
    }
}

/// Where a syntax error points: a position beyond the text counts as its last line.
fn span_of_error(text: &str, place: Location) -> Span {
    let line = usize::try_from(place.line()).unwrap_or(usize::MAX).max(1);
    let column = usize::try_from(place.column()).unwrap_or(usize::MAX).max(1);
    let mut start = 0;
    for (number, content) in text.split_inclusive('\n').enumerate() {
        if number + 1 == line {
            let offset = content
                .char_indices()
                .nth(column - 1)
                .map_or(content.trim_end().len(), |(i, _)| i);
            let start = start + offset.min(content.trim_end().len());
            return Span { start, end: start };
        }
        start += content.len();
    }
    last_line(text)
}

fn last_line(text: &str) -> Span {
    let end = text.trim_end().len();
    Span { start: end, end }
}

/// A node before its text was looked up: what `serde_saphyr` hands to a visitor.
struct Raw(Spanned<RawValue>);

enum RawValue {
    Map(Vec<(Spanned<String>, Raw)>),
    List(Vec<Raw>),
    /// A string as the parser decoded it.
    Text(String),
    /// Nothing, a boolean or a number, to be read from the source.
    Typed,
}

impl Raw {
    fn into_node(self, text: &str) -> Node {
        let Spanned {
            value,
            referenced,
            defined,
        } = self.0;
        let mut at = bytes(referenced, text);
        let value = match value {
            RawValue::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, raw)| {
                        (
                            Key {
                                at: bytes(key.referenced, text),
                                text: key.value,
                            },
                            raw.into_node(text),
                        )
                    })
                    .collect(),
            ),
            RawValue::List(items) => {
                Value::List(items.into_iter().map(|raw| raw.into_node(text)).collect())
            }
            RawValue::Text(text) => Value::Scalar { text, typed: false },
            RawValue::Typed => {
                let written = slice(text, bytes(defined, text));
                Value::Scalar {
                    text: written.trim_end().to_owned(),
                    typed: true,
                }
            }
        };
        // A collection's own span is its first byte: it reaches to the end of what it holds.
        match &value {
            Value::Map(entries) => {
                at.end = entries
                    .last()
                    .map_or(at.end, |(_, node)| node.at.end.max(at.end))
            }
            Value::List(items) => {
                at.end = items.last().map_or(at.end, |node| node.at.end.max(at.end))
            }
            Value::Scalar { .. } => {}
        }
        Node { at, value }
    }
}

fn bytes(place: Location, text: &str) -> Span {
    let span = place.span();
    let number = |n: Option<u64>| n.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let start = number(span.byte_offset()).min(text.len());
    Span {
        start,
        end: (start + number(span.byte_len())).min(text.len()),
    }
}

fn slice(text: &str, at: Span) -> &str {
    text.get(at.start..at.end).unwrap_or("")
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Raw)
    }
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawValue;

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("YAML")
    }
    fn visit_bool<E>(self, _: bool) -> Result<RawValue, E> {
        Ok(RawValue::Typed)
    }
    fn visit_i64<E>(self, _: i64) -> Result<RawValue, E> {
        Ok(RawValue::Typed)
    }
    fn visit_u64<E>(self, _: u64) -> Result<RawValue, E> {
        Ok(RawValue::Typed)
    }
    fn visit_i128<E>(self, _: i128) -> Result<RawValue, E> {
        Ok(RawValue::Typed)
    }
    fn visit_u128<E>(self, _: u128) -> Result<RawValue, E> {
        Ok(RawValue::Typed)
    }
    fn visit_f64<E>(self, _: f64) -> Result<RawValue, E> {
        Ok(RawValue::Typed)
    }
    fn visit_unit<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Typed)
    }
    fn visit_none<E>(self) -> Result<RawValue, E> {
        Ok(RawValue::Typed)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawValue, D::Error> {
        RawValue::deserialize(deserializer)
    }
    fn visit_str<E>(self, text: &str) -> Result<RawValue, E> {
        Ok(RawValue::Text(text.to_owned()))
    }
    fn visit_bytes<E>(self, _: &[u8]) -> Result<RawValue, E> {
        Ok(RawValue::Typed)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawValue, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(RawValue::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawValue, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(RawValue::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(text: &str, typed: bool) -> Value {
        Value::Scalar {
            text: text.to_owned(),
            typed,
        }
    }

    #[track_caller]
    fn value_of_a(yaml: &str) -> Value {
        read(yaml)
            .expect("valid YAML")
            .get("a")
            .expect("has a")
            .value
            .clone()
    }

    #[test]
    fn scalars_are_as_written() {
        assert_eq!(value_of_a("a: 1.10"), scalar("1.10", true));
        assert_eq!(value_of_a("a: '1.10'"), scalar("1.10", false));
        assert_eq!(value_of_a("a: on"), scalar("on", false));
        assert_eq!(value_of_a("a: 0x10 # hex"), scalar("0x10", true));
        assert_eq!(value_of_a("a: 1e999"), scalar("1e999", true));
        assert_eq!(
            value_of_a("a: |\n  one\n  two\n"),
            scalar("one\ntwo\n", false)
        );
        assert_eq!(value_of_a("\u{feff}a: 1.20"), scalar("1.20", true));
        assert_eq!(value_of_a("b: &x 1.30\na: *x"), scalar("1.30", true));
        assert_eq!(value_of_a("a:"), scalar("", true));
    }

    #[test]
    fn places_are_bytes_of_the_text() {
        let text = "é: 1\na: { b: 2s }\n";
        let root = read(text).expect("valid YAML");
        let b = root.get("a").and_then(|a| a.get("b")).expect("a.b");
        assert_eq!(slice(text, b.at), "2s");
        assert_eq!(slice(text, root.get("a").expect("a").at), "{ b: 2s");
    }

    #[track_caller]
    fn error_line(text: &str) -> usize {
        let problem = read(text).expect_err("invalid YAML");
        1 + text[..problem.at.start].matches('\n').count()
    }

    #[test]
    fn syntax_errors_have_a_line_even_at_the_end() {
        assert_eq!(error_line("load:\n\tx: 1\n"), 2);
        assert_eq!(error_line("a: 1\nb: 2\na: 3\n"), 3);
        assert_eq!(error_line("a: \"never closed\n"), 1);
        assert_eq!(error_line("a: 1\n---\nb: 2\n"), 3);
        assert_eq!(error_line("a: *nope\n"), 1);
    }
}
