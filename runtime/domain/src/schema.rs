//! The columns of a stream, from its JSON Schema, and how they may change.
//!
//! Typed files need columns; JSON lines do not. A schema is flattened: the members of
//! a nested object become columns of their own, joined with `__`.

mod drift;

pub use drift::SchemaChange;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::HashSet;
use utoipa::ToSchema;

/// Columns of a stream; wider tables are refused, since every file holds all of them.
pub const COLUMNS_MAX: usize = 2_000;

/// What every landed row says about itself, before its own columns.
pub const ROW_COLUMNS: [&str; 4] = ["_tg_key", "_tg_op", "_tg_version", "_tg_extracted_at"];

/// The column for what no other column takes, as a JSON object.
pub const EXTRA_COLUMN: &str = "_tg_extra";

/// The digits of a decimal that columns can hold.
pub const DECIMAL_DIGITS_MAX: u8 = 38;

/// The type of a column; every column may be null.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// Text; numbers keep theirs.
    Text,
    /// True or false.
    Boolean,
    /// A signed integer of 64 bits.
    Integer,
    /// A decimal of declared size.
    Decimal {
        /// Its digits.
        precision: u8,
        /// Those of them behind the point.
        scale: u8,
    },
    /// A day.
    Date,
    /// A point in time: milliseconds, UTC.
    Timestamp,
    /// Any value, as JSON text.
    Json,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Column {
    /// Its name in files.
    pub name: String,
    /// The JSON pointer to its value in a record.
    pub pointer: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// Whether its field has another type now, which another column holds: it stays
    /// for the rows of before, and is null in new ones.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
}

/// The columns of a stream, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Columns(Vec<Column>);

/// Why a schema gives no columns.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// It is not JSON.
    #[error("the schema is not JSON")]
    Json(#[source] serde_json::Error),
    /// It is no schema of an object.
    #[error("the schema does not describe an object")]
    NotAnObject,
    /// It has too many columns.
    #[error("the schema has {columns} columns, more than {COLUMNS_MAX}")]
    TooManyColumns {
        /// How many.
        columns: usize,
    },
}

impl Columns {
    /// Flattens a JSON Schema. The members that the pointers of the primary key lead to
    /// have columns even where the schema does not name them.
    ///
    /// # Errors
    /// [`SchemaError`].
    pub fn from_json_schema(schema: &str, primary_key: &[String]) -> Result<Self, SchemaError> {
        let schema: Value = serde_json::from_str(schema).map_err(SchemaError::Json)?;
        let properties = properties(&schema).ok_or(SchemaError::NotAnObject)?;
        let mut found = Vec::new();
        flatten(properties, "", "", &mut found);
        for key in primary_key {
            let pointer = pointer_of(key);
            if !found.iter().any(|column| column.pointer == pointer) {
                found.push(Column {
                    name: pointer[1..]
                        .replace('/', "__")
                        .replace("~1", "/")
                        .replace("~0", "~"),
                    pointer,
                    kind: ColumnType::Text,
                    retired: false,
                });
            }
        }
        Columns::named_apart(found)
    }

    /// The columns, in their order.
    pub fn as_slice(&self) -> &[Column] {
        &self.0
    }

    fn named_apart(columns: Vec<Column>) -> Result<Self, SchemaError> {
        if columns.len() > COLUMNS_MAX {
            let columns = columns.len();
            return Err(SchemaError::TooManyColumns { columns });
        }
        Ok(Columns(distinct(columns)))
    }
}

/// Gives a suffix to names that are taken, without regard to case: SQL has none.
fn distinct(mut columns: Vec<Column>) -> Vec<Column> {
    let own = ROW_COLUMNS.iter().copied().chain([EXTRA_COLUMN]);
    let mut taken: HashSet<String> = own.map(str::to_owned).collect();
    for column in &mut columns {
        let plain = column.name.clone();
        let mut number = 1;
        while !taken.insert(column.name.to_lowercase()) {
            number += 1;
            column.name = format!("{plain}_{number}");
        }
    }
    columns
}

/// The JSON pointer that a key stands for: a bare name is a member of the record.
pub(crate) fn pointer_of(key: &str) -> String {
    match key.strip_prefix('/') {
        Some(_) => key.to_owned(),
        None => format!("/{}", escaped(key)),
    }
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn flatten(properties: &Map<String, Value>, prefix: &str, at: &str, found: &mut Vec<Column>) {
    for (member, schema) in properties {
        if found.len() > COLUMNS_MAX {
            return;
        }
        let name = format!("{prefix}{member}");
        let pointer = format!("{at}/{}", escaped(member));
        match column_type(schema) {
            Shape::Leaf(kind) => found.push(Column {
                name,
                pointer,
                kind,
                retired: false,
            }),
            Shape::Object(inner) => flatten(inner, &format!("{name}__"), &pointer, found),
        }
    }
}

enum Shape<'a> {
    Leaf(ColumnType),
    Object(&'a Map<String, Value>),
}

/// The declared members of an object's schema.
fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    let types = types(schema);
    let object = types.is_empty() || types == ["object"];
    schema.get("properties")?.as_object().filter(|_| object)
}

/// The types that a schema allows beside null.
fn types(schema: &Value) -> Vec<&str> {
    let mut types: Vec<&str> = match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    types.retain(|name| *name != "null");
    types
}

fn column_type(schema: &Value) -> Shape<'_> {
    if let Some(inner) = properties(schema).filter(|inner| !inner.is_empty()) {
        return Shape::Object(inner);
    }
    let format = schema.get("format").and_then(Value::as_str);
    let digits = |name: &str| schema.get(name).and_then(Value::as_u64);
    Shape::Leaf(match (&types(schema)[..], format) {
        (["string" | "number"], Some("decimal")) => match (digits("precision"), digits("scale")) {
            (Some(precision @ 1..=38), scale) if scale.unwrap_or(0) <= precision => {
                ColumnType::Decimal {
                    precision: precision as u8,
                    scale: scale.unwrap_or(0) as u8,
                }
            }
            _ => ColumnType::Text,
        },
        (["string"], Some("date-time")) => ColumnType::Timestamp,
        (["string"], Some("date")) => ColumnType::Date,
        (["boolean"], _) => ColumnType::Boolean,
        (["integer"], _) => ColumnType::Integer,
        ([], _) => match schema.get("enum").and_then(Value::as_array) {
            Some(values)
                if values
                    .iter()
                    .all(|value| value.is_string() || value.is_null()) =>
            {
                ColumnType::Text
            }
            _ => ColumnType::Json,
        },
        (scalars, _)
            if scalars
                .iter()
                .all(|name| !matches!(*name, "array" | "object")) =>
        {
            ColumnType::Text
        }
        _ => ColumnType::Json,
    })
}

#[cfg(test)]
mod tests;
