//! The value of one field of one record, as the text that JSON and CSV are made of.

use data_encoding::BASE64;

use crate::clock::iso_bytes;
use crate::generate::{below, mix, number};
use crate::json::{escape_from, quoted};
use crate::records::{Cell, View};
use crate::salesforce::object::Object;
use crate::salesforce::org::Org;
use crate::salesforce::schema::{Field, FieldType, Fill, Schema, Source};
use crate::salesforce::wire_id::wire_id;

/// `2026-01-02T03:04:05.000+0000`: the offset without a colon, whole seconds.
pub(crate) fn moment_bytes(time_ms: i64) -> [u8; 28] {
    let iso = iso_bytes(time_ms);
    let mut text = *b"0000-00-00T00:00:00.000+0000";
    text[..19].copy_from_slice(&iso[..19]);
    text
}

/// The same as text.
pub(crate) fn moment(time_ms: i64) -> String {
    String::from_utf8_lossy(&moment_bytes(time_ms)).into_owned()
}

/// When somebody last changed a record. What the system itself changes moves
/// `SystemModstamp` alone, and one generated record in eight was only so changed.
pub(crate) fn last_modified_ms(view: &View<'_>, column: Option<u16>) -> i64 {
    let written = column.and_then(|column| view.written(column));
    match written {
        Some(Some(text)) => text.parse().unwrap_or(view.row.modified_ms),
        None if view.changes.is_empty() && view.row.hash.is_multiple_of(8) => view.row.created_ms,
        Some(None) | None => view.row.modified_ms,
    }
}

/// One record of one object, with what its values may refer to.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) org: &'a Org,
    pub(crate) schema: &'a Schema,
    pub(crate) view: View<'a>,
}

impl Reading<'_> {
    /// Appends a field's text and returns true, or false for null. Compounds have none.
    pub(crate) fn text(&self, field: &Field, out: &mut Vec<u8>) -> bool {
        let view = &self.view;
        match field.source {
            Source::Id => out.extend_from_slice(&wire_id(self.schema.object.prefix(), view.row.id)),
            Source::IsDeleted => {
                out.extend_from_slice(if view.archived_ms.is_some() {
                    b"true"
                } else {
                    b"false"
                });
            }
            Source::Created => out.extend_from_slice(&moment_bytes(view.row.created_ms)),
            Source::SystemModstamp => out.extend_from_slice(&moment_bytes(view.row.modified_ms)),
            Source::LastModified => {
                let time_ms = last_modified_ms(view, Some(field.column));
                out.extend_from_slice(&moment_bytes(time_ms));
            }
            Source::Fixed(text) => out.extend_from_slice(text.as_bytes()),
            Source::Address(_) | Source::Location(_) => return false,
            Source::PersonName => return self.person_name(out),
            Source::Cell(Fill(generator)) => return self.cell(field, generator, out),
            _ => return self.written_or(field, out),
        }
        true
    }

    fn cell(
        &self,
        field: &Field,
        generator: crate::generate::Generator,
        out: &mut Vec<u8>,
    ) -> bool {
        let cell = Cell {
            column: field.column,
            generator,
            salt: field.salt,
        };
        let written = self.view.written(field.column).is_some();
        let start = out.len();
        if !self.view.text(cell, out) {
            if field.field_type == FieldType::Boolean {
                out.extend_from_slice(b"false");
                return true;
            }
            return false;
        }
        if field.field_type == FieldType::DateTime && !written {
            // The generator writes milliseconds and a `Z`.
            out.truncate(start + 19);
            out.extend_from_slice(b".000+0000");
        }
        true
    }

    /// Sources that a written value replaces.
    fn written_or(&self, field: &Field, out: &mut Vec<u8>) -> bool {
        let view = &self.view;
        if let Some(written) = view.written(field.column) {
            return match written {
                Some(text) => {
                    out.extend_from_slice(text.as_bytes());
                    true
                }
                None => {
                    field.field_type == FieldType::Boolean && {
                        out.extend_from_slice(b"false");
                        true
                    }
                }
            };
        }
        let hash = mix(view.row.hash ^ field.salt);
        match field.source {
            Source::Numbered(prefix) => {
                out.extend_from_slice(prefix.as_bytes());
                number(out, view.row.id % 100_000_000);
            }
            Source::Reference(object) => return self.reference(field, object, hash, out),
            Source::Unset if field.field_type == FieldType::Boolean => {
                out.extend_from_slice(b"false");
            }
            _ if view.blank => return false,
            Source::ExternalId => {
                out.extend_from_slice(b"EXT-");
                number(out, u64::from(below(hash, 1000)));
                out.push(b'-');
                number(out, view.row.index);
            }
            Source::File => {
                let length = usize::try_from(hash % 300).unwrap_or(0) + 1;
                let bytes: Vec<u8> = (0..length as u64)
                    .map(|at| mix(hash ^ at).to_le_bytes()[0])
                    .collect();
                out.extend_from_slice(BASE64.encode(&bytes).as_bytes());
            }
            Source::Degrees(most) => {
                let thousandths = i64::from(below(hash, most * 2000)) - i64::from(most) * 1000;
                if thousandths < 0 {
                    out.push(b'-');
                }
                number(out, thousandths.unsigned_abs() / 1000);
                let rest = thousandths.unsigned_abs() % 1000;
                out.extend_from_slice(format!(".{rest:03}").as_bytes());
            }
            _ => return false,
        }
        true
    }

    fn reference(&self, field: &Field, object: Object, hash: u64, out: &mut Vec<u8>) -> bool {
        let user = object == Object::User;
        // Contacts of nobody's account exist; records without an owner do not.
        if !user && (self.view.blank || hash.is_multiple_of(16)) {
            return false;
        }
        let number = if field.writable || !user {
            let Some(number) = self.org.generated_number(object, hash) else {
                return false;
            };
            number
        } else {
            self.org.integration_user()
        };
        out.extend_from_slice(&wire_id(object.prefix(), number));
        true
    }

    fn person_name(&self, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        for part in ["FirstName", "LastName"] {
            let Some(field) = self.schema.field(part) else {
                continue;
            };
            let before = out.len();
            if before > start {
                out.push(b' ');
            }
            if !self.text(field, out) {
                out.truncate(before);
            }
        }
        out.len() > start
    }

    /// Appends a field as JSON; `version` is the API version that a file's address names.
    pub(crate) fn json(&self, field: &Field, version: &str, out: &mut Vec<u8>) {
        match field.source {
            Source::Address(prefix) => return self.address(prefix, version, out),
            Source::Location(prefix) => return self.location(prefix, version, out),
            Source::File => {
                let id = wire_id(self.schema.object.prefix(), self.view.row.id);
                out.extend_from_slice(b"\"/services/data/v");
                out.extend_from_slice(version.as_bytes());
                out.extend_from_slice(b"/sobjects/");
                out.extend_from_slice(self.schema.object.name().as_bytes());
                out.push(b'/');
                out.extend_from_slice(&id);
                out.extend_from_slice(b"/Body\"");
                return;
            }
            _ => {}
        }
        let start = out.len();
        if field.is_bare() {
            if !self.text(field, out) {
                out.extend_from_slice(b"null");
            }
            return;
        }
        out.push(b'"');
        if !self.text(field, out) {
            out.truncate(start);
            out.extend_from_slice(b"null");
            return;
        }
        escape_from(start + 1, out);
        out.push(b'"');
    }

    /// The compound of an address; null when all its parts are.
    fn address(&self, prefix: &str, version: &str, out: &mut Vec<u8>) {
        const PARTS: [(&str, &str); 8] = [
            ("city", "City"),
            ("country", "Country"),
            ("geocodeAccuracy", "GeocodeAccuracy"),
            ("latitude", "Latitude"),
            ("longitude", "Longitude"),
            ("postalCode", "PostalCode"),
            ("state", "State"),
            ("street", "Street"),
        ];
        let parts = PARTS.map(|(key, name)| (key, format!("{prefix}{name}")));
        self.compound(&parts, version, out);
    }

    fn location(&self, prefix: &str, version: &str, out: &mut Vec<u8>) {
        let parts = [
            ("latitude", format!("{prefix}Latitude__s")),
            ("longitude", format!("{prefix}Longitude__s")),
        ];
        self.compound(&parts, version, out);
    }

    fn compound(&self, parts: &[(&str, String)], version: &str, out: &mut Vec<u8>) {
        let start = out.len();
        let mut any = false;
        for (place, (key, name)) in parts.iter().enumerate() {
            out.push(if place == 0 { b'{' } else { b',' });
            quoted(key.as_bytes(), out);
            out.push(b':');
            let before = out.len();
            match self.schema.field(name) {
                Some(field) => self.json(field, version, out),
                None => out.extend_from_slice(b"null"),
            }
            any |= out[before..] != *b"null";
        }
        if any {
            out.push(b'}');
        } else {
            out.truncate(start);
            out.extend_from_slice(b"null");
        }
    }
}
