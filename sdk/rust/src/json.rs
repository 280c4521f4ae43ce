//! JSON as text at the edge of the contract: written and read in one place.

use serde::{Serialize, de::DeserializeOwned};

use crate::Failure;

pub(crate) fn write(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value)
        .map_err(|error| Failure::Fatal(format!("a value does not serialise: {error}")))
}

/// The user's configuration.
#[cfg(target_family = "wasm")]
pub(crate) fn config<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::Config(error.to_string()))
}

/// A cursor or slice that an earlier version of the connector may have written.
pub(crate) fn saved<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::StaleCursor(error.to_string()))
}

/// A pointer's answer as plain text: strings without quotes, numbers as
/// written, `None` for null and the empty string.
pub(crate) fn plain(raw: &str) -> Option<String> {
    let text = match serde_json::from_str::<String>(raw) {
        Ok(text) => text,
        Err(_) if raw == "null" => return None,
        Err(_) => raw.to_owned(),
    };
    (!text.is_empty()).then_some(text)
}
