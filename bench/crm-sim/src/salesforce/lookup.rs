//! Records by a value that ends in their index, so that a lookup needs no scan.

use crate::generate::email_index;
use crate::records::{Shown, Snapshot, View, base_view};
use crate::salesforce::org::{Collection, Org};
use crate::salesforce::schema::{Field, FieldType, Schema, Source};
use crate::salesforce::values::Reading;

/// The index that a generated value of a field names; `Err` where nothing can be said.
pub(crate) fn index_of(field: &Field, text: &str) -> Result<Option<u32>, ()> {
    match field.source {
        Source::ExternalId => {
            let index = text
                .to_ascii_uppercase()
                .strip_prefix("EXT-")
                .and_then(|rest| rest.split_once('-')?.1.parse().ok());
            Ok(index)
        }
        Source::Cell(_) if field.field_type == FieldType::Email => {
            let index = email_index(&text.to_lowercase());
            Ok(index.and_then(|index| u32::try_from(index).ok()))
        }
        // Nothing generated has a value, so only what was written can match.
        Source::Unset => Ok(None),
        _ => Err(()),
    }
}

/// Numbers of the live records in which a field has this text, whatever its case.
pub(crate) fn live(
    org: &Org,
    collection: &Collection,
    schema: &Schema,
    field: &Field,
    text: &str,
) -> Vec<u64> {
    let records = &collection.records;
    let overlay = records.overlay();
    let mut scratch = Vec::new();
    let mut holds = |view: View<'_>| {
        let reading = Reading { org, schema, view };
        scratch.clear();
        reading.text(field, &mut scratch) && scratch.eq_ignore_ascii_case(text.as_bytes())
    };
    let mut found: Vec<u64> = overlay
        .range(0, Shown::Live, Snapshot::NOW)
        .filter(|(id, entry, version)| holds(records.view_of(*id, entry, version)))
        .map(|(id, _, _)| id)
        .collect();
    match index_of(field, text) {
        Ok(Some(index)) if index < records.count => {
            let row = records.row(index);
            if !overlay.entries.contains_key(&row.id) && holds(base_view(row)) {
                found.push(row.id);
            }
        }
        Ok(_) => {}
        Err(()) => {
            let generated = (0..records.count).map(|position| records.row_at(position));
            let generated = generated.filter(|row| !overlay.entries.contains_key(&row.id));
            found.extend(
                generated
                    .filter(|row| holds(base_view(*row)))
                    .map(|row| row.id),
            );
        }
    }
    found
}
