//! Records by an external id, without a look at all of them.

use crate::salesforce::org::{Collection, Org};
use crate::salesforce::schema::{Field, Schema, Source};
use crate::salesforce::values::Reading;

/// Numbers of the live records whose external id is this text, whatever its case.
pub(crate) fn live(
    org: &Org,
    collection: &Collection,
    schema: &Schema,
    field: &Field,
    text: &str,
) -> Vec<u64> {
    let records = &collection.records;
    let mut candidates = collection.once_had(field.column, text);
    let index = generated_index(field, text).filter(|index| *index < records.count);
    candidates.extend(index.map(|index| records.row(index).id));
    candidates.sort_unstable();
    candidates.dedup();
    let mut scratch = Vec::new();
    candidates.retain(|id| {
        let holds = records.with_view(*id, |view| {
            let reading = Reading { org, schema, view };
            scratch.clear();
            view.archived_ms.is_none()
                && reading.text(field, &mut scratch)
                && String::from_utf8_lossy(&scratch).to_lowercase() == text.to_lowercase()
        });
        holds == Some(true)
    });
    candidates
}

/// The index that a generated external id ends in.
fn generated_index(field: &Field, text: &str) -> Option<u32> {
    if field.source != Source::ExternalId {
        return None;
    }
    let text = text.to_ascii_uppercase();
    text.strip_prefix("EXT-")?.split_once('-')?.1.parse().ok()
}
