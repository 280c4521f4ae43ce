//! Values in columns: JSON texts, and words that are read by serde as well.

use super::failure::Failure;
use crate::Error;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer};
use serde::{Deserialize, Serialize};

pub(super) fn encode<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(Failure::Encode)
}

pub(super) fn decode<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, Failure> {
    let corrupt = |source| Failure::Known(Error::Corrupt { what, source });
    serde_json::from_str(text).map_err(corrupt)
}

/// Reads what JSON writes as a string, without the quotes.
pub(super) fn decode_word<'a, T: Deserialize<'a>>(
    what: &'static str,
    word: &'a str,
) -> Result<T, Failure> {
    let corrupt = |source| Failure::Known(Error::Corrupt { what, source });
    let deserializer: StrDeserializer<'a, serde_json::Error> = word.into_deserializer();
    T::deserialize(deserializer).map_err(corrupt)
}

/// What JSON writes as a string, without the quotes: for words, which need none
/// escaped.
pub(super) fn encode_word<T: Serialize>(word: &T) -> Result<String, Failure> {
    Ok(encode(word)?.trim_matches('"').to_owned())
}
