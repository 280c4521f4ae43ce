//! Tables of fields as JSON Schema: what `discover` says of records.

use serde_json::{Map, Value, json};

/// What a field holds. Every field may be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A whole number of at most 64 bits.
    Integer,
    /// True or false.
    Boolean,
    /// A number whose digits are all kept, as a number or as text on the wire.
    Decimal,
    /// A day, `2026-11-22`.
    Date,
    /// A moment, RFC 3339 or a near relative of it.
    Moment,
    /// Anything: lists, or objects of no fixed shape.
    Any,
}

impl Kind {
    /// Its JSON Schema.
    #[must_use]
    pub fn schema(self) -> Value {
        match self {
            Self::Text => json!({"type": ["string", "null"]}),
            Self::Integer => json!({"type": ["integer", "null"]}),
            Self::Boolean => json!({"type": ["boolean", "null"]}),
            Self::Decimal => json!({"type": ["number", "null"], "format": "decimal"}),
            Self::Date => json!({"type": ["string", "null"], "format": "date"}),
            Self::Moment => json!({"type": ["string", "null"], "format": "date-time"}),
            Self::Any => json!({}),
        }
    }
}

/// The schema of an object with these fields.
#[must_use]
pub fn object(fields: &[(&str, Kind)]) -> Value {
    let fields: Map<String, Value> = fields
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), kind.schema()))
        .collect();
    json!({"type": "object", "properties": fields})
}
