//! The parts of lists, mappings and places, as serde asks for them.

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::super::error::Problem;
use super::super::tree::{Key, Node, Span};
use super::{De, PLACED, Stop, missing};

/// The items of a list that were not given up.
pub(super) struct Items<'de> {
    pub(super) of: De<'de>,
    pub(super) left: std::slice::Iter<'de, Node>,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Stop;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Stop> {
        let notes = self.of.notes;
        match self.left.find(|node| !notes.has_given_up(node)) {
            Some(node) => self
                .of
                .part(
                    Span {
                        end: node.at.start,
                        ..node.at
                    },
                    node,
                    seed,
                )
                .map(Some),
            None => Ok(None),
        }
    }
}

/// The entries of a mapping that were not given up; for a struct, then its absent fields, so that
/// each one that is needed fails by itself and is noted.
pub(super) struct Entries<'de> {
    of: De<'de>,
    entries: Vec<&'de (Key, Node)>,
    absent: Vec<&'static str>,
    current: Option<Current<'de>>,
    strict: bool,
}

enum Current<'de> {
    Written(&'de (Key, Node)),
    Absent(&'static str),
}

impl<'de> Entries<'de> {
    pub(super) fn free(of: De<'de>, entries: &'de [(Key, Node)]) -> Self {
        let entries = entries
            .iter()
            .rev()
            .filter(|(_, node)| !of.notes.has_given_up(node))
            .collect();
        Self {
            of,
            entries,
            absent: Vec::new(),
            current: None,
            strict: false,
        }
    }

    pub(super) fn of_struct(
        of: De<'de>,
        entries: &'de [(Key, Node)],
        fields: &'static [&'static str],
    ) -> Self {
        let written = |field: &str| entries.iter().any(|(key, _)| key.text == field);
        let noted = of.notes.missing.borrow();
        let absent = fields.iter().copied().filter(|field| {
            !written(field) && !noted.contains(&(std::ptr::from_ref(of.node), *field))
        });
        let mut free = Self {
            absent: absent.rev().collect(),
            strict: true,
            ..Self::free(of, entries)
        };
        free.entries
            .retain(|(key, _)| fields.contains(&key.text.as_str()));
        free
    }
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Stop> {
        if let Some(entry) = self.entries.pop() {
            self.current = Some(Current::Written(entry));
            let (key, node) = entry;
            return seed.deserialize(KeyDe(key)).map(Some).map_err(|stop| {
                self.of.notes.give_up(
                    De {
                        node,
                        name: key.at,
                        ..self.of
                    },
                    stop,
                );
                Stop::Noted
            });
        }
        let Some(field) = self.absent.pop() else {
            return Ok(None);
        };
        self.current = Some(Current::Absent(field));
        let name: StrDeserializer<Stop> = field.into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Stop> {
        match self.current.take() {
            Some(Current::Written((key, node))) if self.strict && node.is_empty() => {
                let problem = Problem::invalid(key.at, format!("`{}` is empty", key.text));
                self.of
                    .notes
                    .add(problem.help("give it a value, or leave the key out"));
                self.of
                    .notes
                    .given_up
                    .borrow_mut()
                    .insert(std::ptr::from_ref(node));
                Err(Stop::Noted)
            }
            Some(Current::Written((key, node))) => self.of.part(key.at, node, seed),
            Some(Current::Absent(field)) => seed.deserialize(Absent(field)).map_err(|_| {
                self.of.notes.add(missing(self.of, field));
                self.of
                    .notes
                    .missing
                    .borrow_mut()
                    .insert((std::ptr::from_ref(self.of.node), field));
                Stop::Noted
            }),
            None => Err(Stop::custom("a value was asked for before its key")),
        }
    }
}

/// A mapping's key, with its place if that is asked for.
struct KeyDe<'de>(&'de Key);

impl<'de> Deserializer<'de> for KeyDe<'de> {
    type Error = Stop;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_str(&self.0.text)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        if name == PLACED {
            visitor.visit_seq(Placed::new(self.0.at, self))
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// A place and what stands there, as a sequence of start, end and value.
pub(super) struct Placed<D> {
    place: std::array::IntoIter<usize, 2>,
    value: Option<D>,
}

impl<D> Placed<D> {
    pub(super) fn new(at: Span, value: D) -> Self {
        Self {
            place: [at.start, at.end].into_iter(),
            value: Some(value),
        }
    }
}

impl<'de, D: Deserializer<'de, Error = Stop>> SeqAccess<'de> for Placed<D> {
    type Error = Stop;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Stop> {
        if let Some(position) = self.place.next() {
            return seed.deserialize(position.into_deserializer()).map(Some);
        }
        self.value
            .take()
            .map(|value| seed.deserialize(value))
            .transpose()
    }
}

/// A node offered as the enum variant named after its YAML kind.
pub(super) struct ByKind<'de> {
    pub(super) de: De<'de>,
    pub(super) kind: &'static str,
}

impl<'de> EnumAccess<'de> for ByKind<'de> {
    type Error = Stop;
    type Variant = De<'de>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, De<'de>), Stop> {
        let name: StrDeserializer<Stop> = self.kind.into_deserializer();
        Ok((seed.deserialize(name)?, self.de))
    }
}

impl<'de> VariantAccess<'de> for De<'de> {
    type Error = Stop;

    fn unit_variant(self) -> Result<(), Stop> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Stop> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.deserialize_struct("", fields, visitor)
    }
}

/// A field that is not written: fine for an `Option`, missing for all else.
struct Absent(&'static str);

impl<'de> Deserializer<'de> for Absent {
    type Error = Stop;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stop> {
        Err(Stop::Missing(self.0))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_none()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
