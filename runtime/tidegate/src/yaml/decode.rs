//! From located YAML to a type, with the place of what does not fit.

use super::{Entry, Flaw, Node, Place, Value};
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer as _,
    MapAccess, SeqAccess, VariantAccess, Visitor,
};
use std::fmt;
use tidegate_domain::spec::did_you_mean;

/// The value as a `T`.
pub(crate) fn decode<T: DeserializeOwned>(node: &Node) -> Result<T, Flaw> {
    T::deserialize(node).map_err(|error| error.at(node.place).into())
}

/// A mapping as a `T`, some of its keys left out.
pub(crate) fn decode_without<T: DeserializeOwned>(node: &Node, keys: &[&str]) -> Result<T, Flaw> {
    let entries = node.entries().iter();
    let entries = entries.filter(|entry| !keys.contains(&&*entry.key));
    let map = Map {
        place: node.place,
        entries: entries.collect(),
        value: None,
    };
    T::deserialize(map).map_err(|error| error.at(node.place).into())
}

/// What does not fit; the place is that of the innermost value.
#[derive(Debug)]
pub(crate) struct Error {
    place: Option<Place>,
    reason: String,
}

impl Error {
    fn at(mut self, place: Place) -> Error {
        self.place.get_or_insert(place);
        self
    }
}

impl From<Error> for Flaw {
    fn from(error: Error) -> Flaw {
        Flaw {
            place: error.place.unwrap_or(Place::START),
            reason: error.reason,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.reason)
    }
}

impl std::error::Error for Error {}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(reason: T) -> Error {
        Error {
            place: None,
            reason: reason.to_string(),
        }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Error {
        Error::custom(match did_you_mean(field, expected.iter().copied()) {
            hint if hint.is_empty() => {
                format!("{field} is unknown here; known are {}", expected.join(", "))
            }
            hint => format!("{field} is unknown here{hint}"),
        })
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Error {
        let hint = did_you_mean(variant, expected.iter().copied());
        Error::custom(format!(
            "{variant} is not one of {}{hint}",
            expected.join(", ")
        ))
    }

    fn missing_field(field: &'static str) -> Error {
        Error::custom(format!("{field} is missing"))
    }
}

/// What a plain scalar means, by the core schema of YAML 1.2.
enum Plain {
    Nothing,
    Boolean(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text,
}

fn plain(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Plain::Nothing,
        "true" | "True" | "TRUE" => return Plain::Boolean(true),
        "false" | "False" | "FALSE" => return Plain::Boolean(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" => return Plain::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Plain::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Plain::Float(f64::NAN),
        _ => {}
    }
    // Rust also takes words such as "infinity" for numbers.
    let numeric = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    if !text.bytes().all(numeric) || !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return Plain::Text;
    }
    if let Ok(number) = text.parse() {
        return Plain::Unsigned(number);
    }
    if let Ok(number) = text.parse() {
        return Plain::Signed(number);
    }
    text.parse().map_or(Plain::Text, Plain::Float)
}

impl Node {
    /// Whether it is null, or not written at all.
    pub(super) fn is_nothing(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, is_plain: true } if matches!(plain(text), Plain::Nothing))
    }
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let visited = match &self.value {
            Value::Scalar {
                text,
                is_plain: false,
            } => visitor.visit_borrowed_str(text),
            Value::Scalar { text, .. } => match plain(text) {
                Plain::Nothing => visitor.visit_unit(),
                Plain::Boolean(value) => visitor.visit_bool(value),
                Plain::Unsigned(number) => visitor.visit_u64(number),
                Plain::Signed(number) => visitor.visit_i64(number),
                Plain::Float(number) => visitor.visit_f64(number),
                Plain::Text => visitor.visit_borrowed_str(text),
            },
            Value::List(items) => visitor.visit_seq(List(items.iter())),
            Value::Map(entries) => visitor.visit_map(Map {
                place: self.place,
                entries: entries.iter().collect(),
                value: None,
            }),
        };
        visited.map_err(|error| error.at(self.place))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            Value::Scalar { text, .. } if !self.is_nothing() => visitor
                .visit_borrowed_str(text)
                .map_err(|error: Error| error.at(self.place)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_nothing() {
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let visited = visitor.visit_newtype_struct(self);
        visited.map_err(|error| error.at(self.place))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let visited = match &self.value {
            Value::Scalar { text, .. } => visitor.visit_enum(Variant {
                place: self.place,
                name: text,
                content: None,
            }),
            Value::Map(entries) if entries.len() == 1 => visitor.visit_enum(Variant {
                place: entries[0].place,
                name: &entries[0].key,
                content: Some(&entries[0].node),
            }),
            _ => Err(Error::custom(
                "one word, or a mapping with one key, is wanted here",
            )),
        };
        visited.map_err(|error| error.at(self.place))
    }

    /// Serde would take a list of the fields' values, too.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.value {
            Value::List(_) => Err(Error::custom("a mapping is wanted here").at(self.place)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit
        unit_struct seq tuple tuple_struct map
    }
}

struct List<'de>(std::slice::Iter<'de, Node>);

impl<'de> SeqAccess<'de> for List<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let decode = |node: &'de Node| {
            let decoded = seed.deserialize(node);
            decoded.map_err(|error| error.at(node.place))
        };
        self.0.next().map(decode).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

struct Map<'de> {
    place: Place,
    /// Those to come.
    entries: Vec<&'de Entry>,
    value: Option<&'de Node>,
}

impl<'de> MapAccess<'de> for Map<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        if self.entries.is_empty() {
            return Ok(None);
        }
        let entry = self.entries.remove(0);
        self.value = Some(&entry.node);
        let key: StrDeserializer<'_, Error> = entry.key.as_str().into_deserializer();
        let key = seed.deserialize(key);
        key.map(Some).map_err(|error| error.at(entry.place))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        let node = self
            .value
            .take()
            .expect("a value is asked for after its key");
        seed.deserialize(node).map_err(|error| error.at(node.place))
    }
}

impl<'de> Deserializer<'de> for Map<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let place = self.place;
        visitor.visit_map(self).map_err(|error| error.at(place))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        option unit unit_struct newtype_struct seq tuple tuple_struct map struct enum
        identifier ignored_any
    }
}

struct Variant<'de> {
    place: Place,
    name: &'de str,
    content: Option<&'de Node>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Error;
    type Variant = Variant<'de>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Error> {
        let name: StrDeserializer<'_, Error> = self.name.into_deserializer();
        match seed.deserialize(name) {
            Ok(variant) => Ok((variant, self)),
            Err(error) => Err(error.at(self.place)),
        }
    }
}

impl<'de> Variant<'de> {
    fn content(self) -> Result<&'de Node, Error> {
        let missing = || Error::custom(format!("{} needs a value", self.name)).at(self.place);
        self.content.ok_or_else(missing)
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.content {
            None => Ok(()),
            Some(node) => Err(Error::custom(format!("{} has no value", self.name)).at(node.place)),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.content()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Error> {
        self.content()?.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.content()?.deserialize_any(visitor)
    }
}
