//! What a stream of a sync lands under, and what a policy makes of a source that
//! changed.
//!
//! A contract is made at the first run, from what discovery found then. It moves by
//! policy or by a person, never because of a record.

use crate::catalog::CatalogStream;
use crate::id::Sha256;
use crate::schema::{Column, Columns, SchemaChange, SchemaError, pointer_of};
use crate::spec::{SchemaPolicy, nearest};
use crate::sync::Mode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Names of undiscovered fields that are remembered of a stream.
pub const UNKNOWN_MAX: usize = 200;

/// What a stream of a sync lands under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    /// The columns of its files.
    pub columns: Columns,
    /// The source's fields as they were accepted; each has a column that takes it.
    pub fields: Columns,
    /// JSON pointers to the fields of its key.
    pub primary_key: Vec<String>,
    /// JSON pointer to its cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor_field: Option<String>,
    /// The id of the discovery that it was last weighed against with nothing left open.
    pub catalog: Sha256,
    /// Fields that records held and discovery, asked about them, did not know.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unknown: BTreeSet<String>,
}

/// A stream as a discovery found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    columns: Columns,
    fields: Columns,
    primary_key: Vec<String>,
    cursor_field: Option<String>,
    catalog: Sha256,
}

/// How a stream is read, as far as its schema goes.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// What to do about changes.
    pub policy: SchemaPolicy,
    /// How it is read.
    pub mode: Mode,
    /// Fields to read; empty reads all.
    pub fields: &'a [String],
}

/// What a policy makes of a discovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// Nothing changed that is read.
    Land,
    /// It changed; the columns stay.
    Warn,
    /// It changed, and the columns with it.
    Evolve,
    /// It changed, and a person is to decide.
    Freeze,
    /// Its key or its cursor is not what it was: no policy can land it.
    Break,
}

/// A discovery, weighed against a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighed {
    /// What follows.
    pub ruling: Ruling,
    /// What changed since the fields were accepted.
    pub changes: Vec<SchemaChange>,
    /// What to land under.
    pub contract: Contract,
}

/// A selected field that the source does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has no field {field}{}", suggestion.as_ref().map(|name| format!("; did you mean {name}?")).unwrap_or_default())]
pub struct UnknownField {
    /// The field, as it is written in the sync.
    pub field: String,
    /// One of almost this name.
    pub suggestion: Option<String>,
}

impl Found {
    /// What the discovery `catalog` says of a stream.
    ///
    /// # Errors
    /// [`SchemaError`] where its schema gives no columns.
    pub fn of(stream: &CatalogStream, catalog: &Sha256) -> Result<Found, SchemaError> {
        let schema = stream.schema.get();
        Ok(Found {
            columns: Columns::from_json_schema(schema, &stream.primary_key)?,
            fields: Columns::from_json_schema(schema, &[])?,
            primary_key: stream.primary_key.clone(),
            cursor_field: stream.cursor_field.clone(),
            catalog: catalog.clone(),
        })
    }

    /// Checks that the source has every selected field. A field is a JSON pointer, or
    /// the bare name of a field at any depth.
    ///
    /// # Errors
    /// The first that it does not have.
    pub fn check_fields(&self, selected: &[String]) -> Result<(), UnknownField> {
        let all = self.columns.as_slice();
        for field in selected {
            if all.iter().any(|column| selects(field, &column.pointer)) {
                continue;
            }
            let pointers = all.iter().map(|column| column.pointer.clone());
            let known: Vec<String> = match field.strip_prefix('/') {
                Some(_) => pointers.collect(),
                None => pointers.flat_map(|pointer| steps(&pointer)).collect(),
            };
            return Err(UnknownField {
                suggestion: nearest(field, known.iter().map(String::as_str)).map(str::to_owned),
                field: field.clone(),
            });
        }
        Ok(())
    }
}

impl Contract {
    /// The first contract of a stream.
    pub fn first(found: &Found) -> Contract {
        Contract {
            columns: found.columns.clone(),
            fields: found.fields.clone(),
            primary_key: found.primary_key.clone(),
            cursor_field: found.cursor_field.clone(),
            catalog: found.catalog.clone(),
            unknown: BTreeSet::new(),
        }
    }

    /// The contract of a stream whose files are all that is left of it.
    pub fn recovered(columns: Columns, found: &Found) -> Contract {
        Contract {
            fields: columns.as_live(),
            columns,
            ..Contract::first(found)
        }
    }

    /// Weighs a discovery: what changed of the fields that are read, and what the
    /// policy makes of it.
    ///
    /// # Errors
    /// [`SchemaError::TooManyColumns`] where evolving would need more than there may
    /// be.
    pub fn weigh(&self, found: &Found, reading: Reading<'_>) -> Result<Weighed, SchemaError> {
        // A field that the sync names is wanted, whatever the policy.
        let is_named = |pointer: &str| {
            let named = reading.fields.iter().any(|field| names(field, pointer));
            named && self.fields.live(pointer).is_none()
        };
        let base = self.taking(found, is_named)?;
        let mut changes = base.fields.changes(&found.fields);
        changes.retain(|change| {
            let is_read = |field| {
                let mut selected = reading.fields.iter();
                reading.fields.is_empty() || selected.any(|chosen| selects(chosen, field))
            };
            change.field().is_none_or(is_read)
        });
        let broken = self.broken(found, reading.mode);
        let (ruling, contract) = match reading.policy {
            _ if !broken.is_empty() => (Ruling::Break, base),
            _ if changes.is_empty() => (Ruling::Land, base),
            SchemaPolicy::Freeze => (Ruling::Freeze, base),
            SchemaPolicy::Warn => (Ruling::Warn, base),
            SchemaPolicy::Evolve => {
                let changed: BTreeSet<&str> =
                    changes.iter().filter_map(SchemaChange::field).collect();
                let evolved = base.taking(found, |pointer| changed.contains(pointer))?;
                (Ruling::Evolve, evolved)
            }
        };
        changes.extend(broken);
        let catalog = match ruling {
            Ruling::Land | Ruling::Evolve => found.catalog.clone(),
            Ruling::Warn | Ruling::Freeze | Ruling::Break => self.catalog.clone(),
        };
        Ok(Weighed {
            ruling,
            changes,
            contract: Contract {
                catalog,
                ..contract
            },
        })
    }

    /// The contract with everything that a discovery found: what a person accepts.
    ///
    /// # Errors
    /// [`SchemaError::TooManyColumns`].
    pub fn accept(&self, found: &Found) -> Result<Contract, SchemaError> {
        Ok(Contract {
            columns: self.columns.evolve(found.columns.as_slice())?,
            unknown: self.unknown.clone(),
            ..Contract::first(found)
        })
    }

    fn taking(
        &self,
        found: &Found,
        is_meant: impl Fn(&str) -> bool,
    ) -> Result<Contract, SchemaError> {
        let meant = |column: &&Column| is_meant(&column.pointer);
        let new = found.columns.as_slice().iter().filter(meant);
        Ok(Contract {
            columns: self.columns.evolve(new)?,
            fields: self.fields.replaced(&found.fields, &is_meant),
            ..self.clone()
        })
    }

    /// What no policy can land: rows of another key are other rows, and a cursor of
    /// another field does not go on where this one stands.
    fn broken(&self, found: &Found, mode: Mode) -> Vec<SchemaChange> {
        let is_gone = |pointer: &String| {
            let pointer = pointer_of(pointer);
            self.fields.live(&pointer).is_some() && found.fields.live(&pointer).is_none()
        };
        let mut broken = Vec::new();
        if found.primary_key != self.primary_key || self.primary_key.iter().any(is_gone) {
            let left = found.primary_key.iter().filter(|key| !is_gone(key));
            broken.push(SchemaChange::KeyChanged {
                from: self.primary_key.clone(),
                to: left.cloned().collect(),
            });
        }
        if let Some(from) = &self.cursor_field
            && mode != Mode::FullRefresh
            && (found.cursor_field.as_ref() != Some(from) || is_gone(from))
        {
            broken.push(SchemaChange::CursorChanged {
                from: from.clone(),
                to: found.cursor_field.clone().filter(|to| !is_gone(to)),
            });
        }
        broken
    }
}

/// Whether a selected field means just this one.
fn names(field: &str, pointer: &str) -> bool {
    match field.strip_prefix('/') {
        Some(_) => field == pointer,
        None => steps(pointer).last().is_some_and(|last| last == field),
    }
}

/// Whether a selected field takes this one in, or lies in it.
fn selects(field: &str, pointer: &str) -> bool {
    let leads_into = |outer: &str, inner: &str| {
        let rest = inner.strip_prefix(outer);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    match field.strip_prefix('/') {
        Some(_) => leads_into(field, pointer) || leads_into(pointer, field),
        None => steps(pointer).iter().any(|step| step == field),
    }
}

/// The names that a JSON pointer leads through.
fn steps(pointer: &str) -> Vec<String> {
    let escaped = pointer.split('/').skip(1);
    escaped
        .map(|step| step.replace("~1", "/").replace("~0", "~"))
        .collect()
}

#[cfg(test)]
mod tests;
