//! What is in objects and lists.

use std::{borrow::Cow, vec};

use serde::{
    Deserializer,
    de::{DeserializeSeed, MapAccess, SeqAccess, Visitor, value::BorrowedStrDeserializer},
    forward_to_deserialize_any,
};

use super::{
    Error, fold,
    value::{Kind, Source, Value},
};

/// Goes through an object or a list.
struct Walk<'de, 's> {
    source: &'s Source<'de>,
    /// The opening bracket, or the end of what came last.
    at: usize,
}

impl<'de> Walk<'de, '_> {
    /// Where the next value or name begins; `None` at the end.
    fn next(&mut self) -> Option<usize> {
        let mark = self.source.after_space(self.at);
        let Some(b'{' | b'[' | b',') = self.source.byte(mark) else {
            return None;
        };
        self.at = self.source.after_space(mark + 1);
        match self.source.byte(self.at) {
            None | Some(b'}' | b']') => None,
            Some(_) => Some(self.at),
        }
    }

    /// The next name and where its value begins.
    fn member(&mut self) -> Option<(Cow<'de, str>, usize)> {
        let key = self.next()?;
        let text = self.source.text(key);
        let colon = self.source.after_space(self.source.end(key));
        let value = self.source.after_space(colon + 1);
        self.at = self.source.end(value);
        Some((text, value))
    }
}

/// Where an object or list was given, in order; empty for `null`.
fn places(source: &Source<'_>, at: usize, mut earlier: Vec<usize>) -> Vec<usize> {
    if source.kind(at) != Kind::Null {
        earlier.push(at);
    }
    earlier
}

/// The members of an object whose names are not known before; of one given several times all.
pub(super) struct Members<'de, 's> {
    walk: Walk<'de, 's>,
    /// Objects that follow.
    rest: vec::IntoIter<usize>,
    value: usize,
    depth: usize,
    limit: Option<usize>,
}

impl<'de, 's> Members<'de, 's> {
    pub(super) fn new(value: Value<'de, 's>, depth: usize) -> Self {
        let Value {
            source,
            at,
            earlier,
            limit,
            ..
        } = value;
        let mut rest = places(source, at, earlier).into_iter();
        // `null` has no bracket to go on from.
        let at = rest.next().unwrap_or(at);
        Self {
            walk: Walk { source, at },
            rest,
            value: 0,
            depth,
            limit,
        }
    }
}

impl<'de> MapAccess<'de> for Members<'de, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        loop {
            if let Some((key, value)) = self.walk.member() {
                let source = self.walk.source;
                source.count(self.limit)?;
                self.value = value;
                return seed.deserialize(Text(key)).map(Some);
            }
            match self.rest.next() {
                Some(next) => self.walk.at = next,
                None => return Ok(None),
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(Value {
            depth: self.depth,
            ..Value::new(self.walk.source, self.value)
        })
    }
}

/// The members of an object that are wanted, each once.
pub(super) struct Struct<'de, 's> {
    source: &'s Source<'de>,
    members: vec::IntoIter<(&'static str, Places)>,
    next: Places,
    depth: usize,
}

/// Where a member was given.
#[derive(Clone, Default)]
struct Places {
    last: Option<usize>,
    earlier: Vec<usize>,
}

impl<'de, 's> Struct<'de, 's> {
    pub(super) fn new(
        value: &Value<'de, 's>,
        fields: &'static [&'static str],
        depth: usize,
    ) -> Self {
        let source = value.source;
        let mut members: Vec<(&'static str, Places)> = Vec::new();
        members.extend(fields.iter().map(|name| (*name, Places::default())));
        for at in value.earlier.iter().chain([&value.at]) {
            let mut walk = Walk { source, at: *at };
            while let Some((key, value)) = walk.member() {
                let found = fold::find(fields, &key).and_then(|it| members.get_mut(it));
                if let Some((_, places)) = found {
                    places.earlier.extend(places.last.replace(value));
                }
            }
        }
        Self {
            source,
            members: members.into_iter(),
            next: Places::default(),
            depth,
        }
    }
}

impl<'de> MapAccess<'de> for Struct<'de, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some((name, places)) = self.members.find(|(_, places)| places.last.is_some()) else {
            return Ok(None);
        };
        self.next = places;
        seed.deserialize(BorrowedStrDeserializer::new(name))
            .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Places { last, earlier } = std::mem::take(&mut self.next);
        seed.deserialize(Value {
            earlier,
            depth: self.depth,
            ..Value::new(self.source, last.unwrap_or_default())
        })
    }
}

/// The elements of a list. Of one given several times the last; but Go writes it over the earlier ones, so that an object
/// in it has what only the earlier one at its position says.
pub(super) struct Elements<'de, 's> {
    walk: Walk<'de, 's>,
    /// Earlier lists that have not ended.
    earlier: Vec<Walk<'de, 's>>,
    depth: usize,
    limit: Option<usize>,
}

impl<'de, 's> Elements<'de, 's> {
    pub(super) fn new(value: Value<'de, 's>, depth: usize) -> Self {
        let Value {
            source,
            at,
            mut earlier,
            limit,
            ..
        } = value;
        // An empty list lets go of what was there.
        let is_empty = |at: &usize| Walk { source, at: *at }.next().is_none();
        if let Some(empty) = earlier.iter().rposition(is_empty) {
            earlier.drain(..=empty);
        }
        Self {
            walk: Walk { source, at },
            earlier: earlier.into_iter().map(|at| Walk { source, at }).collect(),
            depth,
            limit,
        }
    }
}

impl<'de> SeqAccess<'de> for Elements<'de, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let source = self.walk.source;
        let Some(at) = self.walk.next() else {
            return Ok(None);
        };
        self.walk.at = source.end(at);
        source.count(self.limit)?;
        let mut earlier = Vec::new();
        self.earlier.retain_mut(|walk| match walk.next() {
            Some(at) => {
                earlier.push(at);
                walk.at = source.end(at);
                true
            }
            None => false,
        });
        let value = Value {
            earlier,
            depth: self.depth,
            ..Value::new(source, at)
        };
        seed.deserialize(value).map(Some)
    }
}

/// A name of a member.
struct Text<'de>(Cow<'de, str>);

impl<'de> Deserializer<'de> for Text<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// A value as it is written, the way `serde_json` passes it on: the one member of an object.
pub(super) struct Raw<'de> {
    name: &'static str,
    text: Option<Cow<'de, str>>,
}

impl<'de> Raw<'de> {
    pub(super) fn new(name: &'static str, text: Cow<'de, str>) -> Self {
        let text = Some(text);
        Self { name, text }
    }
}

impl<'de> MapAccess<'de> for Raw<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        match self.text {
            Some(_) => seed
                .deserialize(BorrowedStrDeserializer::new(self.name))
                .map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(Text(self.text.take().unwrap_or_default()))
    }
}
