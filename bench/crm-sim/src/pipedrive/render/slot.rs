//! One place of a template: which value goes there, and in which form.

use crate::clock::iso_bytes;
use crate::generate::{Generator, Row, number as decimal, write_value};
use crate::json::{escaped, quoted, text_cell};
use crate::pipedrive::kind::Kind;
use crate::pipedrive::lead_uuid;
use crate::pipedrive::schema::field::subfields;
use crate::pipedrive::schema::{Column, FIRST_USER_ID, FieldType, Numbering, Schema};
use crate::pipedrive::users;
use crate::pipedrive::wire::{spaced_bytes, zoned_bytes};
use crate::records::View;

/// The address that copies of mails go to.
const COPIES: &str = "acme@pipedrivemail.com";

/// What a record refers to and does not hold.
pub(crate) struct Company<'a> {
    pub(crate) id: u64,
    /// The name of a record of another type.
    pub(crate) name_of: &'a dyn Fn(Kind, u64) -> Option<String>,
}

impl Company<'_> {
    /// For records that refer to nothing.
    pub(crate) fn alone() -> Company<'static> {
        Company {
            id: 0,
            name_of: &|_, _| None,
        }
    }
}

#[derive(Debug)]
pub(super) enum Slot {
    Nothing,
    Whole(Whole),
    Of {
        form: Form,
        column: u16,
    },
    /// A value with its parts, by name.
    Parts {
        column: u16,
        parts: Vec<(&'static str, u16)>,
    },
}

/// A value of the record itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    Id,
    Uuid,
    Company,
    Copies,
    Active,
    Deleted,
    Name,
    FirstChar,
    SpacedAdd,
    SpacedUpdate,
    ZonedAdd,
    ZonedUpdate,
    PreciseAdd,
    PreciseUpdate,
}

/// The form of one column's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    /// Text that is null when the column before it is.
    TextBeside,
    /// `09:30` of `09:30:00`.
    Short,
    Number,
    /// A number without needless zeros.
    Amount,
    Quoted,
    Flag,
    List,
    ListOrNull,
    Label,
    Owner,
    OwnerName,
    Organization,
    OrganizationName,
    Person,
    PersonName,
    Reference,
    Contacts,
    FirstContacts,
    Spaced,
    StatusOrDeleted,
    WhenLost,
    Pipeline,
    /// The time of closing, in the form of the second version or of the first.
    Closed {
        status: Closing,
        zoned: bool,
    },
}

/// Which end of a deal a time tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    Won,
    Lost,
    Either,
}

impl Slot {
    pub(super) fn parse(text: &str, schema: &Schema) -> Slot {
        let Some((form, key)) = text.split_once(' ') else {
            return Slot::Whole(whole(text));
        };
        let column = schema
            .column(key)
            .expect("templates name columns that are kept");
        let parts = |of: FieldType| {
            let parts = subfields(of).iter();
            let found = parts.filter_map(|part| {
                let column = schema.column(&format!("{key}_{}", part.suffix))?;
                Some((part.suffix, column))
            });
            found.collect()
        };
        match form {
            "money" | "span" | "place" => Slot::Parts {
                column,
                parts: parts(schema.at(column).field_type),
            },
            form => Slot::Of {
                form: form_of(form),
                column,
            },
        }
    }

    pub(super) fn write(
        &self,
        view: &View<'_>,
        schema: &Schema,
        company: &Company<'_>,
        out: &mut Vec<u8>,
    ) {
        match self {
            Slot::Nothing => {}
            Slot::Whole(whole) => write_whole(*whole, view, schema, company, out),
            Slot::Of { form, column } => write_form(*form, *column, view, schema, company, out),
            Slot::Parts { column, parts } => write_parts(*column, parts, view, schema, out),
        }
    }
}

fn whole(text: &str) -> Whole {
    match text {
        "id" => Whole::Id,
        "uuid" => Whole::Uuid,
        "company" => Whole::Company,
        "cc" => Whole::Copies,
        "active" => Whole::Active,
        "deleted" => Whole::Deleted,
        "name" => Whole::Name,
        "first_char" => Whole::FirstChar,
        "spaced_add" => Whole::SpacedAdd,
        "spaced_update" => Whole::SpacedUpdate,
        "zoned_add" => Whole::ZonedAdd,
        "zoned_update" => Whole::ZonedUpdate,
        "precise_add" => Whole::PreciseAdd,
        "precise_update" => Whole::PreciseUpdate,
        other => unreachable!("no template has a slot {other}"),
    }
}

fn form_of(text: &str) -> Form {
    let closed = |status, zoned| Form::Closed { status, zoned };
    match text {
        "text" => Form::Text,
        "text_beside" => Form::TextBeside,
        "short" => Form::Short,
        "number" => Form::Number,
        "amount" => Form::Amount,
        "quoted" => Form::Quoted,
        "flag" => Form::Flag,
        "list" => Form::List,
        "list_or_null" => Form::ListOrNull,
        "label" => Form::Label,
        "owner" => Form::Owner,
        "owner_name" => Form::OwnerName,
        "org" => Form::Organization,
        "org_name" => Form::OrganizationName,
        "person" => Form::Person,
        "person_name" => Form::PersonName,
        "reference" => Form::Reference,
        "contacts" => Form::Contacts,
        "first_contacts" => Form::FirstContacts,
        "spaced" => Form::Spaced,
        "status_or_deleted" => Form::StatusOrDeleted,
        "when_lost" => Form::WhenLost,
        "pipeline" => Form::Pipeline,
        "spaced_won" => closed(Closing::Won, false),
        "spaced_lost" => closed(Closing::Lost, false),
        "spaced_closed" => closed(Closing::Either, false),
        "zoned_won" => closed(Closing::Won, true),
        "zoned_lost" => closed(Closing::Lost, true),
        "zoned_closed" => closed(Closing::Either, true),
        other => unreachable!("no template has a form {other}"),
    }
}

fn write_whole(
    whole: Whole,
    view: &View<'_>,
    schema: &Schema,
    company: &Company<'_>,
    out: &mut Vec<u8>,
) {
    let Row {
        id,
        created_ms,
        modified_ms,
        ..
    } = view.row;
    match whole {
        Whole::Id => decimal(out, id),
        Whole::Uuid => quoted(lead_uuid(id).as_bytes(), out),
        Whole::Company => decimal(out, company.id),
        Whole::Copies => quoted(COPIES.as_bytes(), out),
        Whole::Active => truth(view.archived_ms.is_none(), out),
        Whole::Deleted => truth(view.archived_ms.is_some(), out),
        Whole::Name => escaped(full_name(view, schema).as_bytes(), out),
        Whole::FirstChar => {
            let name = match schema.kind {
                Kind::Persons => full_name(view, schema),
                _ => text_of(view, schema, "name").unwrap_or_default(),
            };
            let first: String = name.chars().take(1).flat_map(char::to_lowercase).collect();
            escaped(first.as_bytes(), out);
        }
        Whole::SpacedAdd => quoted(&spaced_bytes(created_ms), out),
        Whole::SpacedUpdate => quoted(&spaced_bytes(modified_ms), out),
        Whole::ZonedAdd => quoted(&zoned_bytes(created_ms), out),
        Whole::ZonedUpdate => quoted(&zoned_bytes(modified_ms), out),
        Whole::PreciseAdd => quoted(&iso_bytes(created_ms), out),
        Whole::PreciseUpdate => quoted(&iso_bytes(modified_ms), out),
    }
}

fn write_form(
    form: Form,
    at: u16,
    view: &View<'_>,
    schema: &Schema,
    company: &Company<'_>,
    out: &mut Vec<u8>,
) {
    let column = schema.at(at);
    match form {
        Form::Text => text(view, column, out),
        Form::TextBeside => match is_null(view, schema.at(at.saturating_sub(1))) {
            true => out.extend_from_slice(b"null"),
            false => text(view, column, out),
        },
        Form::Flag => truth(flag(view, column), out),
        Form::Number => or_null(out, |out| number(view, column, out)),
        Form::Amount => or_null(out, |out| amount(view, column, out)),
        Form::Quoted => {
            let start = out.len();
            out.push(b'"');
            match number(view, column, out) {
                true => out.push(b'"'),
                false => {
                    out.truncate(start);
                    out.extend_from_slice(b"null");
                }
            }
        }
        Form::List => {
            out.push(b'[');
            number(view, column, out);
            out.push(b']');
        }
        Form::ListOrNull => match is_null(view, column) {
            true => out.extend_from_slice(b"null"),
            false => write_form(Form::List, at, view, schema, company, out),
        },
        Form::Reference => match is_null(view, column) {
            true => out.extend_from_slice(b"null"),
            false => {
                out.extend_from_slice(b"{\"id\":");
                number(view, column, out);
                out.push(b'}');
            }
        },
        Form::Short => {
            let start = out.len();
            out.push(b'"');
            view.text(column.cell, out);
            out.truncate(start + 6);
            out.push(b'"');
        }
        Form::Spaced => or_null(out, |out| {
            let start = out.len() + 1;
            out.push(b'"');
            let written = view.text(column.cell, out);
            space(start, out);
            out.push(b'"');
            written
        }),
        Form::Contacts | Form::FirstContacts => contacts(view, column, form, out),
        _ => write_related(form, at, view, schema, company, out),
    }
}

/// Forms that look at more than their own column.
fn write_related(
    form: Form,
    at: u16,
    view: &View<'_>,
    schema: &Schema,
    company: &Company<'_>,
    out: &mut Vec<u8>,
) {
    let column = schema.at(at);
    let id = value(view, column);
    let status = || text_of(view, schema, "status").unwrap_or_default();
    match (form, id) {
        (Form::Label, _) => {
            let mut ids = Vec::new();
            number(view, column, &mut ids);
            let first = ids.split(|byte| *byte == b',').next().unwrap_or_default();
            let first = if first.is_empty() { b"null" } else { first };
            out.extend_from_slice(first);
        }
        (Form::Owner, Some(id)) => {
            let mut user = users::reference(id);
            user.insert("value".to_owned(), id.into());
            out.extend_from_slice(serde_json::Value::from(user).to_string().as_bytes());
        }
        (Form::OwnerName, Some(id)) => escaped(users::name(id).as_bytes(), out),
        (Form::OrganizationName, Some(id)) => name(company, Kind::Organizations, id, out),
        (Form::PersonName, Some(id)) => name(company, Kind::Persons, id, out),
        (Form::Organization, Some(id)) => {
            out.extend_from_slice(b"{\"name\":");
            name(company, Kind::Organizations, id, out);
            let owner = FIRST_USER_ID;
            let rest = format!(
                ",\"people_count\":0,\"owner_id\":{owner},\"address\":null,\"active_flag\":true,\"cc_email\":\"{COPIES}\",\"value\":{id}}}"
            );
            out.extend_from_slice(rest.as_bytes());
        }
        (Form::Person, Some(id)) => {
            out.extend_from_slice(b"{\"active_flag\":true,\"name\":");
            name(company, Kind::Persons, id, out);
            let rest = format!(
                ",\"email\":[{{\"value\":\"\",\"primary\":true}}],\"phone\":[{{\"value\":\"\",\"primary\":true}}],\"owner_id\":{FIRST_USER_ID},\"value\":{id}}}"
            );
            out.extend_from_slice(rest.as_bytes());
        }
        (Form::StatusOrDeleted, _) if view.archived_ms.is_some() => {
            out.extend_from_slice(b"\"deleted\"");
        }
        (Form::StatusOrDeleted, _) => text(view, column, out),
        (Form::WhenLost, _) if status() == "lost" => text(view, column, out),
        (Form::Pipeline, _) => match schema.column("stage_id") {
            Some(stage) => {
                let stage = value(view, schema.at(stage)).unwrap_or(1);
                decimal(out, crate::pipedrive::pipeline_of(stage));
            }
            None => out.extend_from_slice(b"null"),
        },
        (Form::Closed { status: of, zoned }, _) => {
            let status = status();
            let closed = match of {
                Closing::Won => status == "won",
                Closing::Lost => status == "lost",
                Closing::Either => status != "open",
            };
            match (closed, view.written(column.cell.column)) {
                (_, Some(Some(_))) if zoned => text(view, column, out),
                (_, Some(Some(_))) => {
                    write_form(Form::Spaced, at, view, schema, company, out);
                }
                (true, None) if zoned => quoted(&zoned_bytes(view.row.modified_ms), out),
                (true, None) => quoted(&spaced_bytes(view.row.modified_ms), out),
                _ => out.extend_from_slice(b"null"),
            }
        }
        _ => out.extend_from_slice(b"null"),
    }
}

fn write_parts(
    at: u16,
    parts: &[(&'static str, u16)],
    view: &View<'_>,
    schema: &Schema,
    out: &mut Vec<u8>,
) {
    let column = schema.at(at);
    if is_null(view, column) {
        out.extend_from_slice(b"null");
        return;
    }
    out.extend_from_slice(b"{\"value\":");
    match column.field_type {
        FieldType::Monetary => or_null(out, |out| amount(view, column, out)),
        _ => text(view, column, out),
    }
    for (name, part) in parts {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        let part = schema.at(*part);
        match part.field_type {
            FieldType::Int => or_null(out, |out| number(view, part, out)),
            _ => text(view, part, out),
        }
    }
    out.push(b'}');
}

fn text(view: &View<'_>, column: &Column, out: &mut Vec<u8>) {
    text_cell(view, column.cell, column.cell.generator.escapes(), out);
}

/// The text of a column by its key; none for null.
fn text_of(view: &View<'_>, schema: &Schema, key: &str) -> Option<String> {
    let mut text = Vec::new();
    let column = schema.column(key)?;
    let written = view.text(schema.at(column).cell, &mut text);
    written.then(|| String::from_utf8(text).unwrap_or_default())
}

fn full_name(view: &View<'_>, schema: &Schema) -> String {
    if let Some(name) = text_of(view, schema, "name") {
        return name;
    }
    let parts = ["first_name", "last_name"];
    let parts = parts.map(|key| text_of(view, schema, key).unwrap_or_default());
    parts.join(" ").trim().to_owned()
}

/// Appends a number, an id or a list of ids, and returns true, or false for null.
pub(super) fn number(view: &View<'_>, column: &Column, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    if !view.text(column.cell, out) {
        return false;
    }
    if view.written(column.cell.column).is_some() {
        return true;
    }
    let numbering = &column.numbering;
    if matches!(numbering, Numbering::Plain) {
        return true;
    }
    let place: u64 = std::str::from_utf8(&out[start..])
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    out.truncate(start);
    let id = match numbering {
        Numbering::From(first) => first + place,
        Numbering::Listed(ids) => usize::try_from(place)
            .ok()
            .and_then(|place| ids.get(place).copied())
            .unwrap_or(0),
        Numbering::Plain => place,
    };
    decimal(out, id);
    true
}

/// A number as JSON writes it: `10`, not `10.00`.
fn amount(view: &View<'_>, column: &Column, out: &mut Vec<u8>) -> bool {
    if !number(view, column, out) {
        return false;
    }
    let generated = view.written(column.cell.column).is_none();
    if generated && matches!(column.cell.generator, Generator::Money { .. }) {
        while out.last() == Some(&b'0') {
            out.pop();
        }
        if out.last() == Some(&b'.') {
            out.pop();
        }
        if out.last().is_none_or(|last| !last.is_ascii_digit()) {
            out.push(b'0');
        }
    }
    true
}

fn value(view: &View<'_>, column: &Column) -> Option<u64> {
    let mut text = Vec::new();
    number(view, column, &mut text).then_some(())?;
    std::str::from_utf8(&text).ok()?.parse().ok()
}

/// Whether a column says yes; nothing says no.
pub(super) fn flag(view: &View<'_>, column: &Column) -> bool {
    let mut text = Vec::new();
    view.text(column.cell, &mut text) && text == b"true"
}

fn is_null(view: &View<'_>, column: &Column) -> bool {
    match view.written(column.cell.column) {
        Some(written) => written.is_none(),
        None if view.blank => true,
        None => !write_value(
            column.cell.generator,
            column.cell.salt,
            &view.row,
            &mut Vec::new(),
        ),
    }
}

fn truth(is: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if is { b"true" } else { b"false" });
}

fn name(company: &Company<'_>, kind: Kind, id: u64, out: &mut Vec<u8>) {
    match (company.name_of)(kind, id) {
        Some(name) => escaped(name.as_bytes(), out),
        None => out.extend_from_slice(b"null"),
    }
}

/// Addresses and numbers: kept as the array that was written, or one plain text.
fn contacts(view: &View<'_>, column: &Column, form: Form, out: &mut Vec<u8>) {
    if let Some(Some(written)) = view.written(column.cell.column) {
        out.extend_from_slice(written.as_bytes());
        return;
    }
    let start = out.len();
    out.extend_from_slice(b"[{\"label\":\"work\",\"value\":\"");
    if view.text(column.cell, out) {
        out.extend_from_slice(b"\",\"primary\":true}]");
        return;
    }
    out.truncate(start);
    out.extend_from_slice(match form {
        Form::FirstContacts => b"[{\"value\":\"\",\"primary\":true}]",
        _ => b"[]",
    });
}

/// Writes null where nothing was written.
fn or_null(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> bool) {
    let start = out.len();
    if !write(out) {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

/// Makes a time of the second version one of the first.
fn space(start: usize, out: &mut Vec<u8>) {
    if out.len() >= start + 19 {
        out.truncate(start + 19);
        out[start + 10] = b' ';
    }
}
