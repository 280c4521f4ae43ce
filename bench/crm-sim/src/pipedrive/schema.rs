//! Which fields the records of a type have, the company's own included, and where
//! their values are kept.

pub(crate) mod field;
mod tables;

use sha2::{Digest, Sha256};

pub use self::field::{CustomField, FieldOption, FieldType};
use self::field::{Field, subfields};
pub(crate) use self::tables::{PIPELINES, STAGES};
use crate::generate::{Generator, mix};
use crate::pipedrive::config::Config;
use crate::pipedrive::kind::Kind;
use crate::records::Cell;

/// The first of the company's users; the others follow.
pub(crate) const FIRST_USER_ID: u64 = 12_121_177;
/// How many users the company has.
pub(crate) const USERS: u32 = 12;

/// What a generated number stands for.
#[derive(Clone, Debug)]
pub(crate) enum Numbering {
    /// Itself.
    Plain,
    /// A place, counted from this id.
    From(u64),
    /// A place in this list of ids.
    Listed(Box<[u64]>),
}

/// A value that a record keeps.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) key: Box<str>,
    pub(crate) cell: Cell,
    pub(crate) numbering: Numbering,
    pub(crate) field_type: FieldType,
}

/// The fields of one type. Fields come and go while records stay, so a column is
/// never taken away.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    pub(crate) kind: Kind,
    pub(crate) columns: Vec<Column>,
    pub(crate) fields: Vec<Field>,
    /// The column that an edit on demand changes.
    pub(crate) edited: u16,
    next_field_id: u64,
    next_option_id: u64,
}

impl Schema {
    pub(crate) fn new(kind: Kind, config: &Config) -> Schema {
        let mut schema = Schema {
            kind,
            columns: Vec::new(),
            fields: Vec::new(),
            edited: 0,
            next_field_id: kind.first_field_id(),
            next_option_id: 1,
        };
        for (key, generator, numbering, field_type) in tables::columns(kind, config) {
            schema.keep(key, generator, numbering, field_type);
        }
        for field in tables::fields(kind) {
            let next_option = field.options.iter().map(|option| option.id + 1).max();
            schema.next_option_id = schema.next_option_id.max(next_option.unwrap_or(0));
            let id = schema.take_field_id();
            schema.fields.push(Field { id, ..field });
        }
        if kind.has_custom_fields() {
            let declared = config.custom_fields.iter();
            for field in declared.filter(|field| field.kind == kind) {
                schema.declare(field.clone(), None);
            }
            if config.custom_fields.is_empty() {
                for (name, field_type, options) in tables::USUAL {
                    schema.declare_usual(name, *field_type, options, config);
                }
            }
        }
        let column = schema.column(match kind {
            Kind::Persons => "first_name",
            Kind::Organizations | Kind::Products => "name",
            Kind::Deals | Kind::Leads => "title",
            Kind::Activities => "subject",
        });
        schema.edited = column.expect("every type keeps a name of its own");
        schema
    }

    /// The column of a key.
    pub(crate) fn column(&self, key: &str) -> Option<u16> {
        let at = self
            .columns
            .iter()
            .rposition(|column| *column.key == *key)?;
        u16::try_from(at).ok()
    }

    pub(crate) fn at(&self, column: u16) -> &Column {
        &self.columns[usize::from(column)]
    }

    /// The field of a key or, in the second version, of a code.
    pub(crate) fn field(&self, key: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.key == key)
    }

    /// Fields that the company defined itself.
    pub(crate) fn own_fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| field.is_custom)
    }

    /// Adds a field of the company's own that is null for every record; its time is
    /// that of the simulated clock.
    pub(crate) fn declare(&mut self, field: CustomField, at_ms: Option<i64>) -> &Field {
        let id = self.take_field_id();
        let mut options = field.options;
        for option in &mut options {
            if option.id == 0 {
                option.id = self.next_option_id;
            }
            self.next_option_id = self.next_option_id.max(option.id + 1);
        }
        self.keep_all(&field.key, field.field_type, &options, false);
        let order = self.fields.len() as u64 + 1;
        self.fields.push(Field::own(
            id,
            field.key,
            field.name,
            field.field_type,
            options,
            order,
            at_ms,
        ));
        self.fields.last().expect("one was just added")
    }

    fn declare_usual(
        &mut self,
        name: &str,
        field_type: FieldType,
        labels: &[&str],
        config: &Config,
    ) {
        let key = fresh_key(config.seed, &format!("{} {name}", self.kind.name()));
        let options = labels.iter().map(|label| FieldOption {
            id: 0,
            label: (*label).to_owned(),
            color: None,
        });
        let field = CustomField {
            kind: self.kind,
            key: key.clone(),
            name: name.to_owned(),
            field_type,
            options: options.collect(),
        };
        let columns = self.columns.len();
        let options = self.declare(field, None).options.clone();
        // The same columns again, filled: one place says which columns a type has.
        self.columns.truncate(columns);
        self.keep_all(&key, field_type, &options, true);
    }

    /// Removes a field; its values stay where they are and are never shown again.
    pub(crate) fn remove(&mut self, id: u64) -> bool {
        let count = self.fields.len();
        self.fields
            .retain(|field| field.id != id || !field.is_custom);
        self.fields.len() < count
    }

    /// Keeps a column for a field and for each of its parts.
    fn keep_all(&mut self, key: &str, of: FieldType, options: &[FieldOption], filled: bool) {
        let ids: Box<[u64]> = options.iter().map(|option| option.id).collect();
        let (generator, numbering) = match filled {
            true => tables::usual(of, ids),
            false => (Generator::Unset, Numbering::Plain),
        };
        self.keep(key, generator, numbering, of);
        for part in subfields(of) {
            let generator = match filled {
                true => tables::usual_part(part.suffix),
                false => Generator::Unset,
            };
            let key = format!("{key}_{}", part.suffix);
            self.keep(&key, generator, Numbering::Plain, part.field_type);
        }
    }

    fn keep(&mut self, key: &str, generator: Generator, numbering: Numbering, of: FieldType) {
        let column = u16::try_from(self.columns.len()).unwrap_or(u16::MAX);
        self.columns.push(Column {
            key: key.into(),
            cell: Cell {
                column,
                generator,
                salt: mix(u64::from(column) << 8 ^ self.kind.first_field_id()),
            },
            numbering,
            field_type: of,
        });
    }

    fn take_field_id(&mut self) -> u64 {
        self.next_field_id += 1;
        self.next_field_id - 1
    }
}

/// A key for a new field: forty hexadecimal digits.
pub(crate) fn fresh_key(seed: u64, of: &str) -> String {
    let digest = Sha256::digest(format!("field {seed} {of}"));
    data_encoding::HEXLOWER.encode(&digest[..20])
}
