//! The fields of each object: names, types, what fills them, and how an administrator
//! changes them while the org runs.

pub(crate) mod describe;
mod tables;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::generate::{Generator, mix};
use crate::salesforce::object::Object;

pub(crate) type Options = &'static [(&'static str, &'static str)];

/// The types that a describe tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    /// A record's own id.
    Id,
    /// One line of text.
    String,
    /// Several lines of text.
    TextArea,
    /// An address, checked when written.
    Email,
    /// A number to call, not checked.
    Phone,
    /// A web address.
    Url,
    /// One of several values; the standard ones are not enforced.
    Picklist,
    /// Several values, joined with `;`.
    MultiPicklist,
    /// Another record's id.
    Reference,
    /// Never null.
    Boolean,
    /// A whole number.
    Int,
    /// A number with decimals.
    Double,
    /// An amount in the org's currency.
    Currency,
    /// Hundredths.
    Percent,
    /// A day.
    Date,
    /// A second, in UTC.
    DateTime,
    /// A time of day.
    Time,
    /// A compound of street, city and so on.
    Address,
    /// A compound of latitude and longitude.
    Location,
    /// A file.
    Base64,
}

/// A custom field to add, empty on every generated record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraField {
    /// The object that gets the field.
    pub object: Object,
    /// Its API name, which ends in `__c`.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub field_type: FieldType,
    /// Whether it identifies records to other systems.
    #[serde(default)]
    pub external_id: bool,
}

/// Where a field's value comes from, unless one was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Id,
    IsDeleted,
    Created,
    SystemModstamp,
    LastModified,
    /// Like a property of any API.
    Cell(Fill),
    /// A record of another object, sometimes none.
    Reference(Object),
    /// First name and last name.
    PersonName,
    /// Ends in the index of the record, so that a lookup needs no scan.
    ExternalId,
    /// Text that begins the same and ends in the index.
    Numbered(&'static str),
    Fixed(&'static str),
    /// The fields that start with this.
    Address(&'static str),
    Location(&'static str),
    /// Base64 of bytes that follow from the record.
    File,
    /// A number with decimals around zero, at most this large.
    Degrees(u32),
    Unset,
}

/// A generator that compares by what it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fill(pub(crate) Generator);

impl PartialEq for Fill {
    fn eq(&self, other: &Fill) -> bool {
        std::mem::discriminant(&self.0) == std::mem::discriminant(&other.0)
    }
}

impl Eq for Fill {}

/// One field of an object.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) field_type: FieldType,
    pub(crate) source: Source,
    pub(crate) column: u16,
    /// This field's share in a record's randomness.
    pub(crate) salt: u64,
    pub(crate) options: Options,
    /// What it refers to, and how the relationship is called.
    pub(crate) refers: Option<(Object, &'static str)>,
    /// The compound field that it is a part of.
    pub(crate) compound: Option<&'static str>,
    pub(crate) custom: bool,
    pub(crate) writable: bool,
    /// Whether a record cannot be created without it.
    pub(crate) required: bool,
    pub(crate) external_id: bool,
    pub(crate) dropped: bool,
}

/// All fields of one object, in the order of its describe.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    pub(crate) object: Object,
    /// Dropped ones too, so that columns keep their numbers.
    all: Vec<Field>,
    by_name: HashMap<String, u16>,
    /// When a field was last added or dropped, in milliseconds since the epoch.
    pub(crate) changed_ms: i64,
}

/// When the standard fields were defined, 2019-08-06T02:41:08Z.
const DEFINED_MS: i64 = 1_565_059_268_000;

impl Schema {
    pub(crate) fn new(object: Object, extra: &[ExtraField]) -> Schema {
        let mut schema = Schema {
            object,
            all: Vec::new(),
            by_name: HashMap::new(),
            changed_ms: DEFINED_MS,
        };
        for field in tables::fields(object) {
            schema.push(field);
        }
        for field in extra.iter().filter(|field| field.object == object) {
            schema.add(field, DEFINED_MS);
        }
        schema
    }

    /// Adds a custom field; false if there is one of that name.
    pub(crate) fn add(&mut self, extra: &ExtraField, now_ms: i64) -> bool {
        if self.field(&extra.name).is_some() {
            return false;
        }
        let mut field = Field::new(&extra.name, extra.field_type, Source::Unset);
        field.custom = true;
        field.external_id = extra.external_id;
        self.changed_ms = now_ms;
        self.push(field);
        true
    }

    /// Drops a custom field with all its values; false if there is none.
    pub(crate) fn drop_field(&mut self, name: &str, now_ms: i64) -> bool {
        let Some(column) = self.column(name) else {
            return false;
        };
        let field = &mut self.all[usize::from(column)];
        if !field.custom {
            return false;
        }
        field.dropped = true;
        self.changed_ms = now_ms;
        true
    }

    fn push(&mut self, mut field: Field) {
        field.column = u16::try_from(self.all.len()).unwrap_or(u16::MAX);
        let name = field.name.to_ascii_lowercase();
        field.salt = name
            .bytes()
            .fold(7, |salt, byte| mix(salt ^ u64::from(byte)));
        self.by_name.insert(name, field.column);
        self.all.push(field);
    }

    /// The column of a field, whatever the case of its name.
    pub(crate) fn column(&self, name: &str) -> Option<u16> {
        let column = *self.by_name.get(&name.to_ascii_lowercase())?;
        (!self.all[usize::from(column)].dropped).then_some(column)
    }

    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        Some(self.at(self.column(name)?))
    }

    pub(crate) fn at(&self, column: u16) -> &Field {
        &self.all[usize::from(column)]
    }

    /// The fields that are there.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &Field> {
        self.all.iter().filter(|field| !field.dropped)
    }

    /// The field that an edit by the simulator changes.
    pub(crate) fn edited(&self) -> u16 {
        let name = match self.object {
            Object::Account | Object::Contact | Object::Opportunity | Object::Lead => "Description",
            Object::User => "Title",
            Object::AccountHistory => "NewValue",
            Object::Attachment => "Description",
            Object::Invoice => "Memo__c",
            Object::TaskStatus => "MasterLabel",
        };
        self.column(name).unwrap_or(0)
    }

    /// The column that says when somebody last changed the record, where it is not the
    /// same as the last change of any kind.
    pub(crate) fn last_modified(&self) -> Option<u16> {
        self.column("LastModifiedDate")
    }
}

impl Field {
    fn new(name: &str, field_type: FieldType, source: Source) -> Field {
        Field {
            name: name.to_owned(),
            label: label(name),
            field_type,
            source,
            column: 0,
            salt: 0,
            options: &[],
            refers: None,
            compound: None,
            custom: name.ends_with("__c"),
            writable: !matches!(
                source,
                Source::Id
                    | Source::IsDeleted
                    | Source::Created
                    | Source::SystemModstamp
                    | Source::LastModified
                    | Source::PersonName
                    | Source::Fixed(_)
                    | Source::Numbered(_)
                    | Source::Address(_)
                    | Source::Location(_)
            ),
            required: false,
            external_id: false,
            dropped: false,
        }
    }

    pub(crate) fn is_compound(&self) -> bool {
        matches!(self.field_type, FieldType::Address | FieldType::Location)
    }

    /// Whether conditions and orders may name it: long texts, compounds and files may
    /// not be.
    pub(crate) fn is_filterable(&self) -> bool {
        let long = self.field_type == FieldType::TextArea && self.compound.is_none();
        !long && !self.is_compound() && self.field_type != FieldType::Base64
    }

    /// Whether its value stands in JSON as it is, without quotes.
    pub(crate) fn is_bare(&self) -> bool {
        matches!(
            self.field_type,
            FieldType::Boolean
                | FieldType::Int
                | FieldType::Double
                | FieldType::Currency
                | FieldType::Percent
        )
    }
}

/// `LastModifiedDate` as `Last Modified Date`.
fn label(name: &str) -> String {
    let name = name.trim_end_matches("__c");
    let mut label = String::with_capacity(name.len() + 4);
    let mut lower_before = false;
    for character in name.chars() {
        if character.is_ascii_uppercase() && lower_before {
            label.push(' ');
        }
        lower_before = character.is_ascii_lowercase();
        label.push(if character == '_' { ' ' } else { character });
    }
    label
}
