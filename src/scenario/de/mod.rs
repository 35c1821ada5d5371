//! A serde `Deserializer` over the tree that finds every problem, where serde stops at its first.
//!
//! A value that fails is noted and its reading given up; the next pass takes it as not written, so
//! that what stands beside it is read too. A container that cannot do without a failed part fails
//! in turn, without a second note. Each pass gives up at least one more node, so the passes end.

mod access;

use std::cell::RefCell;
use std::collections::HashSet;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, IntoDeserializer, Visitor,
};
use serde::forward_to_deserialize_any;

use super::error::{Problem, closest};
use super::tree::{Key, Node, Span, Value};
use access::{ByKind, Entries, Items, Placed};

/// The name of an enum whose variants are YAML's kinds: `scalar`, `list`, `map`.
pub(super) const BY_KIND: &str = "(by kind)";
/// The name of a newtype that keeps its place: read as start, end, value.
pub(super) const PLACED: &str = "(placed)";
/// The name of a newtype that keeps the place of the key it stands under, likewise.
pub(super) const KEYED: &str = "(keyed)";

/// Problems beyond this many are left for the next look: each costs a pass over the file.
const MOST_PASSES: usize = 200;

/// Reads `root` as far as it goes: what could be read, and every problem found on the way.
pub(super) fn read_as<T: DeserializeOwned>(root: &Node) -> (Option<T>, Vec<Problem>) {
    let notes = Notes::default();
    let de = De {
        node: root,
        name: Span {
            start: root.at.start,
            end: root.at.start,
        },
        notes: &notes,
    };
    for _ in 0..MOST_PASSES {
        match T::deserialize(de) {
            Ok(value) => return (Some(value), notes.problems.into_inner()),
            Err(stop) => notes.give_up(de, stop),
        }
        if notes.has_given_up(root) {
            break;
        }
    }
    (None, notes.problems.into_inner())
}

/// Why reading a node stopped.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    /// It is noted, and the node that failed given up.
    #[error("noted")]
    Noted,
    /// A field that must be there is not.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A value that will not do, still without a place.
    #[error("{message}")]
    Wrong {
        message: String,
        help: Option<String>,
    },
}

impl Error for Stop {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        // A type's own message may carry its way out after a line break.
        let text = message.to_string();
        match text.split_once('\n') {
            Some((message, help)) => Self::Wrong {
                message: message.to_owned(),
                help: Some(help.to_owned()),
            },
            None => Self::Wrong {
                message: text,
                help: None,
            },
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }
}

#[derive(Default)]
struct Notes {
    problems: RefCell<Vec<Problem>>,
    given_up: RefCell<HashSet<*const Node>>,
    missing: RefCell<HashSet<(*const Node, &'static str)>>,
}

impl Notes {
    fn add(&self, problem: Problem) {
        let mut problems = self.problems.borrow_mut();
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }

    fn has_given_up(&self, node: &Node) -> bool {
        self.given_up.borrow().contains(&std::ptr::from_ref(node))
    }

    /// Notes why `de`'s node failed, unless that is noted already, and takes it as not written from then on.
    fn give_up(&self, de: De, stop: Stop) {
        match stop {
            Stop::Noted => return,
            Stop::Missing(field) => self.add(missing(de, field)),
            Stop::Wrong { message, help } => {
                let at = if de.node.is_empty() {
                    de.name
                } else {
                    de.node.at
                };
                self.add(Problem {
                    help,
                    ..Problem::invalid(at, message)
                });
            }
        }
        self.given_up
            .borrow_mut()
            .insert(std::ptr::from_ref(de.node));
    }
}

fn missing(de: De, field: &str) -> Problem {
    Problem::invalid(de.name, format!("`{field}` is missing here"))
}

/// One node to be read, and the key that names it (problems of absence point there).
#[derive(Clone, Copy)]
pub(super) struct De<'de> {
    node: &'de Node,
    name: Span,
    notes: &'de Notes,
}

impl<'de> De<'de> {
    fn scalar(self, expected: &str) -> Result<&'de str, Stop> {
        match &self.node.value {
            Value::Scalar { .. } if self.node.is_empty() => Err(Stop::custom(format!(
                "nothing is written here: expected {expected}"
            ))),
            Value::Scalar { text, .. } => Ok(text),
            Value::Map(_) | Value::List(_) => Err(self.wrong_kind(expected)),
        }
    }

    fn wrong_kind(self, expected: &str) -> Stop {
        let found = match &self.node.value {
            Value::Map(_) => "a mapping".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Scalar { .. } if self.node.is_empty() => "nothing".to_owned(),
            Value::Scalar { text, .. } => format!("`{text}`"),
        };
        Stop::custom(format!("expected {expected}, found {found}"))
    }

    /// One of a closed set of words.
    fn word(self, words: &'static [&'static str]) -> Result<&'de str, Stop> {
        let expected = match words {
            [only] => format!("`{only}`"),
            _ => format!("one of {}", words.join(", ")),
        };
        let word = self.scalar(&expected)?;
        if words.contains(&word) {
            return Ok(word);
        }
        let help = closest(word, words).map(|best| format!("did you mean `{best}`?"));
        let message = format!("expected {expected}, found `{word}`");
        Err(Stop::Wrong { message, help })
    }

    fn parse<T: std::str::FromStr>(self, expected: &str) -> Result<T, Stop> {
        self.scalar(expected)?
            .parse()
            .map_err(|_| self.wrong_kind(expected))
    }

    fn entries(self, expected: &str) -> Result<&'de [(Key, Node)], Stop> {
        match &self.node.value {
            Value::Map(entries) => Ok(entries),
            Value::List(_) | Value::Scalar { .. } => Err(self.wrong_kind(expected)),
        }
    }

    /// Reads a part of this node, giving it up if it fails.
    fn part<T: DeserializeSeed<'de>>(
        self,
        name: Span,
        node: &'de Node,
        seed: T,
    ) -> Result<T::Value, Stop> {
        let de = De {
            node,
            name,
            notes: self.notes,
        };
        seed.deserialize(de).map_err(|stop| {
            self.notes.give_up(de, stop);
            Stop::Noted
        })
    }

    /// As [`Self::part`], over what is left of a list.
    fn items(self, items: &'de [Node]) -> Items<'de> {
        Items {
            of: self,
            left: items.iter(),
        }
    }
}

/// Numbers of every width, from the text as written.
macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty, $expected:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
            visitor.$visit(self.parse::<$type>($expected)?)
        }
    )*};
}

impl<'de> Deserializer<'de> for De<'de> {
    type Error = Stop;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match &self.node.value {
            Value::Map(entries) => visitor.visit_map(Entries::free(self, entries)),
            Value::List(items) => visitor.visit_seq(self.items(items)),
            Value::Scalar { text, typed: false } => visitor.visit_str(text),
            Value::Scalar { .. } if self.node.is_empty() => visitor.visit_unit(),
            Value::Scalar { text, .. } => {
                if let Ok(number) = text.parse::<i64>() {
                    visitor.visit_i64(number)
                } else if let Ok(number) = text.parse::<f64>() {
                    visitor.visit_f64(number)
                } else if let Ok(truth) = text.parse::<bool>() {
                    visitor.visit_bool(truth)
                } else {
                    visitor.visit_str(text)
                }
            }
        }
    }

    numbers! {
        deserialize_bool visit_bool bool, "true or false";
        deserialize_u8 visit_u8 u8, "a whole number from 0 to 255";
        deserialize_u16 visit_u16 u16, "a whole number from 0 to 65535";
        deserialize_u32 visit_u32 u32, "a whole number";
        deserialize_u64 visit_u64 u64, "a whole number";
        deserialize_i64 visit_i64 i64, "a whole number";
        deserialize_f64 visit_f64 f64, "a number";
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_str(self.scalar("text")?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        match name {
            PLACED => visitor.visit_seq(Placed::new(self.node.at, self)),
            KEYED => visitor.visit_seq(Placed::new(self.name, self)),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(self.items(items)),
            Value::Map(_) | Value::Scalar { .. } => Err(self.wrong_kind("a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_map(Entries::free(self, self.entries("a mapping")?))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let entries = self.entries("a mapping")?;
        for (key, _) in entries
            .iter()
            .filter(|(key, _)| !fields.contains(&key.text.as_str()))
        {
            let problem = Problem::invalid(key.at, format!("unknown field `{}`", key.text));
            self.notes
                .add(problem.did_you_mean(&key.text, fields.iter().copied()));
        }
        visitor
            .visit_map(Entries::of_struct(self, entries, fields))
            .map_err(|stop| match stop {
                // Either noted as missing when it was offered, or failed and noted where it stands.
                Stop::Missing(_) => {
                    self.notes
                        .given_up
                        .borrow_mut()
                        .insert(std::ptr::from_ref(self.node));
                    Stop::Noted
                }
                Stop::Noted | Stop::Wrong { .. } => stop,
            })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        if name != BY_KIND {
            return visitor.visit_enum(self.word(variants)?.into_deserializer());
        }
        let kind = match &self.node.value {
            Value::Map(_) => "map",
            Value::List(_) => "list",
            Value::Scalar { .. } => "scalar",
        };
        if variants.contains(&kind) && !self.node.is_empty() {
            return visitor.visit_enum(ByKind { de: self, kind });
        }
        let names = variants.iter().map(|kind| match *kind {
            "map" => "a mapping",
            "list" => "a list",
            _ => "a value",
        });
        Err(self.wrong_kind(&names.collect::<Vec<_>>().join(" or ")))
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}
