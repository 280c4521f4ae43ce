//! How the fields of a source changed, and the columns that hold the rows of before
//! and after.
//!
//! A column keeps its name and its type for as long as there are files with it: a
//! field whose new type the column cannot hold without loss gets another column
//! beside it, so no reader ever meets two types under one name.

use super::{COLUMNS_MAX, Column, ColumnType, Columns, SchemaError, distinct};
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// A change of what discovery finds in a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum SchemaChange {
    /// A stream that was not there.
    StreamAdded,
    /// A stream that was there.
    StreamVanished,
    /// A field that was not there; custom fields come so.
    FieldAdded {
        /// The JSON pointer to it in a record.
        field: String,
        /// Its type.
        #[serde(rename = "type")]
        kind: ColumnType,
    },
    /// A field that was there.
    FieldVanished {
        /// The JSON pointer to it in a record.
        field: String,
        /// The type that it had.
        #[serde(rename = "type")]
        kind: ColumnType,
    },
    /// A field of another type than before.
    FieldRetyped {
        /// The JSON pointer to it in a record.
        field: String,
        /// What it was.
        from: ColumnType,
        /// What it is.
        to: ColumnType,
    },
    /// Other fields identify a record, or one that did is gone.
    KeyChanged {
        /// JSON pointers before.
        from: Vec<String>,
        /// JSON pointers now; those of fields that are gone left out.
        to: Vec<String>,
    },
    /// Another field is the cursor, or the one that was is gone.
    CursorChanged {
        /// The JSON pointer before.
        from: String,
        /// The JSON pointer now.
        to: Option<String>,
    },
}

impl SchemaChange {
    /// The JSON pointer of the field that changed, where it is about one.
    pub fn field(&self) -> Option<&str> {
        match self {
            SchemaChange::FieldAdded { field, .. }
            | SchemaChange::FieldVanished { field, .. }
            | SchemaChange::FieldRetyped { field, .. } => Some(field),
            _ => None,
        }
    }
}

impl fmt::Display for SchemaChange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SchemaChange::StreamAdded => write!(out, "a new stream"),
            SchemaChange::StreamVanished => write!(out, "the stream is gone"),
            SchemaChange::FieldAdded { field, kind } => write!(out, "new field {field} ({kind})"),
            SchemaChange::FieldVanished { field, .. } => write!(out, "field {field} is gone"),
            SchemaChange::FieldRetyped { field, from, to } => {
                write!(out, "field {field} was {from} and is {to}")
            }
            SchemaChange::KeyChanged { from, to } => {
                write!(out, "the key was {} and is {}", list(from), list(to))
            }
            SchemaChange::CursorChanged { from, to } => {
                let to = to.as_deref().unwrap_or("gone");
                write!(out, "the cursor was {from} and is {to}")
            }
        }
    }
}

fn list(pointers: &[String]) -> String {
    match pointers {
        [] => "none".to_owned(),
        some => some.join(", "),
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ColumnType::Decimal { precision, scale } => {
                write!(out, "decimal({precision}, {scale})")
            }
            plain => out.write_str(&plain.suffix()),
        }
    }
}

impl ColumnType {
    /// Whether a column of this type takes every value of the other with all its
    /// digits.
    pub fn holds(self, other: ColumnType) -> bool {
        use ColumnType::{Decimal, Integer, Json, Text};
        match (self, other) {
            (one, two) if one == two => true,
            (Json, _) => true,
            (Text, other) => other != Json,
            // 19 digits hold every 64-bit integer.
            (Decimal { precision, scale }, Integer) => precision.saturating_sub(scale) >= 19,
            (
                Decimal { precision, scale },
                Decimal {
                    precision: other_precision,
                    scale: other_scale,
                },
            ) => {
                let whole = precision.saturating_sub(scale);
                scale >= other_scale && whole >= other_precision.saturating_sub(other_scale)
            }
            _ => false,
        }
    }

    /// What stands behind the name of a column that a new type made.
    fn suffix(self) -> String {
        match self {
            ColumnType::Text => "text".to_owned(),
            ColumnType::Boolean => "boolean".to_owned(),
            ColumnType::Integer => "integer".to_owned(),
            ColumnType::Decimal { precision, scale } => format!("decimal_{precision}_{scale}"),
            ColumnType::Date => "date".to_owned(),
            ColumnType::Timestamp => "timestamp".to_owned(),
            ColumnType::Json => "json".to_owned(),
        }
    }
}

impl Columns {
    /// The column that takes a field's values, by the field's JSON pointer.
    pub fn live(&self, pointer: &str) -> Option<&Column> {
        let mut live = self.0.iter().filter(|column| !column.retired);
        live.find(|column| column.pointer == pointer)
    }

    /// Without those that new rows leave empty.
    pub fn as_live(&self) -> Columns {
        let live = self.0.iter().filter(|column| !column.retired);
        Columns(live.cloned().collect())
    }

    /// What changed from these fields to `next`.
    pub fn changes(&self, next: &Columns) -> Vec<SchemaChange> {
        let gone = self.as_live().0.into_iter().filter_map(|before| {
            let field = before.pointer;
            match next.live(&field) {
                None => Some(SchemaChange::FieldVanished {
                    field,
                    kind: before.kind,
                }),
                Some(now) if now.kind != before.kind => Some(SchemaChange::FieldRetyped {
                    field,
                    from: before.kind,
                    to: now.kind,
                }),
                Some(_) => None,
            }
        });
        let mut changes: Vec<SchemaChange> = gone.collect();
        let added = next.as_live().0.into_iter();
        let added = added.filter(|now| self.live(&now.pointer).is_none());
        changes.extend(added.map(|now| SchemaChange::FieldAdded {
            field: now.pointer,
            kind: now.kind,
        }));
        changes
    }

    /// The columns that hold rows of both: none vanishes, none changes its type. A new
    /// field gets a column, and so does a field whose column cannot hold its new type.
    ///
    /// # Errors
    /// [`SchemaError::TooManyColumns`].
    pub fn evolve<'a>(
        &self,
        found: impl IntoIterator<Item = &'a Column>,
    ) -> Result<Columns, SchemaError> {
        let mut columns = self.0.clone();
        for new in found {
            // An object became a value, or a value an object.
            for column in &mut columns {
                column.retired |= is_below(&column.pointer, &new.pointer)
                    || is_below(&new.pointer, &column.pointer);
            }
            let same = |column: &&mut Column| column.pointer == new.pointer;
            let mut known: Vec<&mut Column> = columns.iter_mut().filter(same).collect();
            if known.is_empty() {
                columns.push(new.clone());
                continue;
            }
            let live = known.iter().find(|column| !column.retired);
            if live.is_some_and(|live| live.kind.holds(new.kind)) {
                continue;
            }
            known.iter_mut().for_each(|column| column.retired = true);
            match known.into_iter().find(|column| column.kind == new.kind) {
                Some(back) => back.retired = false,
                None => columns.push(Column {
                    name: format!("{}__{}", new.name, new.kind.suffix()),
                    ..new.clone()
                }),
            }
        }
        if columns.len() > COLUMNS_MAX {
            let columns = columns.len();
            return Err(SchemaError::TooManyColumns { columns });
        }
        Ok(Columns(distinct(columns)))
    }

    /// These columns, but those that are meant as `found` has them, if it does.
    pub(crate) fn replaced(&self, found: &Columns, is_meant: impl Fn(&str) -> bool) -> Columns {
        let kept = self.0.iter().filter(|column| !is_meant(&column.pointer));
        let new = found.0.iter().filter(|column| is_meant(&column.pointer));
        Columns(kept.chain(new).cloned().collect())
    }
}

/// Whether the pointer `inner` leads into what `outer` leads to.
fn is_below(inner: &str, outer: &str) -> bool {
    let rest = inner.strip_prefix(outer);
    rest.is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests;
