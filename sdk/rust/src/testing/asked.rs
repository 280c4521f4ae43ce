//! What a remote system in a test looks at in a request.

use serde_json::Value;

use crate::{Payload, Request, Target};

impl Request {
    /// Its path at the endpoint; all of an absolute link.
    #[must_use]
    pub fn path(&self) -> &str {
        match &self.target {
            Target::Endpoint { path, .. } => path,
            Target::Absolute(link) => link,
        }
    }

    /// The endpoint of the manifest that it goes to; "" for an absolute link.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        match &self.target {
            Target::Endpoint { endpoint, .. } => endpoint,
            Target::Absolute(_) => "",
        }
    }

    /// The first query parameter of this name.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let Target::Endpoint { query, .. } = &self.target else {
            return None;
        };
        let mut named = query.iter().filter(|(known, _)| known == name);
        named.next().map(|(_, value)| value.as_str())
    }

    /// The JSON document that it carries; null without one.
    #[must_use]
    pub fn document(&self) -> Value {
        match &self.payload {
            Payload::Json(text) => serde_json::from_str(text).unwrap_or_default(),
            _ => Value::Null,
        }
    }
}
