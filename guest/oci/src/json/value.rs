//! One value of a document, as a deserialiser.

use std::{borrow::Cow, cell::Cell};

use serde::{
    Deserializer,
    de::{self, Unexpected, Visitor, value::StrDeserializer},
};

use super::{
    Error, MAX_READ_DEPTH,
    access::{Elements, Members, Raw, Struct},
    limits::{self, LIMITS, Limit},
    scan::{after_space, end_of_string, end_of_value},
    text::{push, text},
};

/// How `serde_json::value::RawValue` says what it wants.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// A document that has been checked.
pub(super) struct Source<'de> {
    pub(super) bytes: &'de [u8],
    /// How many of each of [`LIMITS`] there have been; empty if they do not hold.
    counts: Vec<Cell<usize>>,
}

impl<'de> Source<'de> {
    pub(super) fn new(bytes: &'de [u8], is_limited: bool) -> Self {
        let limits = LIMITS.iter().filter(|_| is_limited);
        Self {
            bytes,
            counts: limits.map(|_| Cell::default()).collect(),
        }
    }

    /// Counts one more.
    pub(super) fn count(&self, limit: Option<usize>) -> Result<(), Error> {
        let found = limit.and_then(|limit| Some((LIMITS.get(limit)?, self.counts.get(limit)?)));
        let Some((Limit { what, most, .. }, count)) = found.filter(|(it, _)| !it.is_of_text) else {
            return Ok(());
        };
        count.update(|count| count + 1);
        match count.get() > *most {
            true => Err(Error::TooMany { what, most: *most }),
            false => Ok(()),
        }
    }

    /// Measures a text.
    fn measure(&self, limit: Option<usize>, text: &str) -> Result<(), Error> {
        let limit = limit.filter(|_| !self.counts.is_empty());
        let found = limit.and_then(|limit| LIMITS.get(limit));
        match found {
            Some(Limit {
                what,
                most,
                is_of_text: true,
                ..
            }) if text.len() > *most => Err(Error::TooMany { what, most: *most }),
            _ => Ok(()),
        }
    }

    pub(super) fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    pub(super) fn end(&self, at: usize) -> usize {
        end_of_value(self.bytes, at)
    }

    pub(super) fn after_space(&self, at: usize) -> usize {
        after_space(self.bytes, at)
    }

    /// The text of the string at `at`.
    pub(super) fn text(&self, at: usize) -> Cow<'de, str> {
        let end = end_of_string(self.bytes, at).saturating_sub(1);
        text(self.bytes.get(at + 1..end).unwrap_or_default())
    }

    pub(super) fn kind(&self, at: usize) -> Kind {
        match self.byte(at) {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::List,
            Some(b'"') => Kind::Text,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            _ => Kind::Null,
        }
    }
}

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    List,
    Text,
    Bool,
    Number,
    Null,
}

/// A value, or several when its member was given several times.
pub(super) struct Value<'de, 's> {
    pub(super) source: &'s Source<'de>,
    /// Where it is: the last, which counts.
    pub(super) at: usize,
    /// Where it was before, in order.
    pub(super) earlier: Vec<usize>,
    /// Objects and lists around it.
    pub(super) depth: usize,
    /// What its members or elements count for.
    pub(super) limit: Option<usize>,
}

impl<'de, 's> Value<'de, 's> {
    pub(super) fn new(source: &'s Source<'de>, at: usize) -> Self {
        Self {
            source,
            at,
            earlier: Vec::new(),
            depth: 0,
            limit: None,
        }
    }

    fn kind(&self) -> Kind {
        self.source.kind(self.at)
    }

    /// Applies what Go does with a member that is given again. `null` leaves an object that is a struct, a text, a number
    /// and a truth value as they were; other objects and lists it empties.
    fn settle(mut self, is_struct: bool) -> Result<Self, Error> {
        if self.earlier.is_empty() {
            return Ok(self);
        }
        let source = self.source;
        self.earlier.push(self.at);
        let mut kinds = self.earlier.iter().map(|at| source.kind(*at));
        let Some(kind) = kinds.find(|kind| *kind != Kind::Null) else {
            self.earlier.clear();
            return Ok(self);
        };
        if !kinds.all(|other| other == kind || other == Kind::Null) {
            return Err(de::Error::custom(
                "a member is given twice with values of two types",
            ));
        }
        let is_null = |at: &usize| source.kind(*at) == Kind::Null;
        match kind {
            Kind::List | Kind::Object if !is_struct => {
                if let Some(null) = self.earlier.iter().rposition(is_null) {
                    self.earlier.drain(..=null);
                }
            }
            _ => self.earlier.retain(|at| !is_null(at)),
        }
        if let Some(last) = self.earlier.pop() {
            self.at = last;
        }
        Ok(self)
    }

    fn enter(&self) -> Result<usize, Error> {
        match self.depth < MAX_READ_DEPTH {
            true => Ok(self.depth + 1),
            false => Err(Error::TooDeep),
        }
    }

    fn number<V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Error> {
        let end = self.source.end(self.at);
        let digits = self.source.bytes.get(self.at..end).unwrap_or_default();
        let digits = std::str::from_utf8(digits).unwrap_or_default();
        if let Ok(number) = digits.parse() {
            return visitor.visit_i64(number);
        }
        if let Ok(number) = digits.parse() {
            return visitor.visit_u64(number);
        }
        match digits.parse::<f64>() {
            Ok(number) if number.is_finite() => visitor.visit_f64(number),
            _ => Err(de::Error::custom(format_args!(
                "{digits} is too large a number"
            ))),
        }
    }

    fn string<V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Error> {
        let text = self.source.text(self.at);
        self.source.measure(self.limit, &text)?;
        match text {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    /// What it is for an error that wants something else.
    fn unexpected(&self, wanted: &dyn de::Expected) -> Error {
        let text;
        let unexpected = match self.kind() {
            Kind::Object => Unexpected::Map,
            Kind::List => Unexpected::Seq,
            Kind::Text => {
                text = self.source.text(self.at);
                Unexpected::Str(&text)
            }
            Kind::Bool => Unexpected::Bool(self.source.byte(self.at) == Some(b't')),
            Kind::Number => Unexpected::Other("a number"),
            Kind::Null => Unexpected::Unit,
        };
        de::Error::invalid_type(unexpected, wanted)
    }

    /// The bytes it is written as, from the last time it was given.
    fn raw(&self) -> Cow<'de, str> {
        let end = self.source.end(self.at);
        let bytes = self.source.bytes.get(self.at..end).unwrap_or_default();
        match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => {
                let mut text = String::with_capacity(bytes.len());
                push(&mut text, bytes);
                Cow::Owned(text)
            }
        }
    }
}

/// A number or text where `null` is the zero of its type.
macro_rules! scalar {
    ($($method:ident => $visit:ident($zero:expr);)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let value = self.settle(false)?;
            match value.kind() {
                Kind::Null => visitor.$visit($zero),
                _ => value.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Value<'de, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let value = self.settle(false)?;
        match value.kind() {
            Kind::Object => {
                let depth = value.enter()?;
                visitor.visit_map(Members::new(value, depth))
            }
            Kind::List => {
                let depth = value.enter()?;
                visitor.visit_seq(Elements::new(value, depth))
            }
            Kind::Text => value.string(visitor),
            Kind::Bool => visitor.visit_bool(value.source.byte(value.at) == Some(b't')),
            Kind::Number => value.number(visitor),
            Kind::Null => visitor.visit_unit(),
        }
    }

    scalar! {
        deserialize_bool => visit_bool(false);
        deserialize_i8 => visit_i8(0);
        deserialize_i16 => visit_i16(0);
        deserialize_i32 => visit_i32(0);
        deserialize_i64 => visit_i64(0);
        deserialize_u8 => visit_u8(0);
        deserialize_u16 => visit_u16(0);
        deserialize_u32 => visit_u32(0);
        deserialize_u64 => visit_u64(0);
        deserialize_f32 => visit_f32(0.0);
        deserialize_f64 => visit_f64(0.0);
        deserialize_str => visit_borrowed_str("");
        deserialize_string => visit_borrowed_str("");
        deserialize_identifier => visit_borrowed_str("");
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.earlier.is_empty() {
            return match self.kind() {
                Kind::Null => visitor.visit_none(),
                _ => visitor.visit_some(self),
            };
        }
        let value = self.settle(false)?;
        match value.kind() {
            Kind::Null => visitor.visit_none(),
            _ => visitor.visit_some(value),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name == RAW_VALUE {
            return visitor.visit_map(Raw::new(RAW_VALUE, self.raw()));
        }
        self.limit = limits::find(name).or(self.limit);
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let value = self.settle(false)?;
        let depth = value.enter()?;
        match value.kind() {
            Kind::List | Kind::Null => visitor.visit_seq(Elements::new(value, depth)),
            _ => Err(value.unexpected(&visitor)),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let value = self.settle(false)?;
        let depth = value.enter()?;
        match value.kind() {
            Kind::Object | Kind::Null => visitor.visit_map(Members::new(value, depth)),
            _ => Err(value.unexpected(&visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let value = self.settle(true)?;
        let depth = value.enter()?;
        match value.kind() {
            Kind::Object | Kind::Null => visitor.visit_map(Struct::new(&value, fields, depth)),
            _ => Err(value.unexpected(&"an object")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let value = self.settle(false)?;
        match value.kind() {
            Kind::Text => {
                let text = value.source.text(value.at);
                visitor.visit_enum(StrDeserializer::<Error>::new(&text))
            }
            _ => Err(value.unexpected(&visitor)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct
    }
}
