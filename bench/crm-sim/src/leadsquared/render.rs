//! Records as JSON text: flat objects, or lists of attributes.

use std::io::Write as _;

use crate::leadsquared::field::{Field, Place};
use crate::leadsquared::kind::Kind;
use crate::leadsquared::problem::Problem;
use crate::leadsquared::schema::{fields, find};
use crate::records::View;

/// The fields that an answer shows.
pub(crate) type Columns = Vec<&'static Field>;

/// Every field of a kind.
pub(crate) fn all(kind: Kind) -> &'static [Field] {
    fields(kind)
}

/// The fields that a comma-separated list names; all of them without one.
pub(crate) fn columns(kind: Kind, names: Option<&str>) -> Result<Columns, Problem> {
    let Some(names) = names.filter(|names| !names.trim().is_empty()) else {
        return Ok(fields(kind).iter().collect());
    };
    names
        .split(',')
        .map(|name| {
            let name = name.trim();
            find(kind, name).ok_or_else(|| Problem::invalid(format!("Invalid column '{name}'")))
        })
        .collect()
}

/// Appends a record as an object with a member for each field.
pub(crate) fn flat<'f>(
    place: &Place<'_>,
    fields: impl IntoIterator<Item = &'f Field>,
    view: &View<'_>,
    out: &mut Vec<u8>,
) {
    out.push(b'{');
    for (number, field) in fields.into_iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        // Writing to memory cannot fail, here and below.
        let _written = write!(out, "{comma}\"{}\":", field.name);
        field.json(place, view, out);
    }
    out.push(b'}');
}

/// Appends a record as the list of its attributes.
pub(crate) fn properties<'f>(
    place: &Place<'_>,
    fields: impl IntoIterator<Item = &'f Field>,
    view: &View<'_>,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"{\"LeadPropertyList\":[");
    for (number, field) in fields.into_iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        let _written = write!(out, "{comma}{{\"Attribute\":\"{}\",\"Value\":", field.name);
        field.json(place, view, out);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
}

/// Appends an activity as the list of one lead's activities has it.
pub(crate) fn of_lead(place: &Place<'_>, view: &View<'_>, out: &mut Vec<u8>) {
    let names = [
        ("Id", "ProspectActivityId"),
        ("RelatedProspectId", "RelatedProspectId"),
        ("EventCode", "ActivityEvent"),
        ("CreatedOn", "CreatedOn"),
        ("ActivityDateTime", "CreatedOn"),
        ("ModifiedOn", "ModifiedOn"),
        ("Note", "ActivityEvent_Note"),
    ];
    out.push(b'{');
    for (number, (name, field)) in names.into_iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        let _written = write!(out, "{comma}\"{name}\":");
        match find(place.kind, field) {
            Some(field) => field.json(place, view, out),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b'}');
}
