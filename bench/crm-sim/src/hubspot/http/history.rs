//! Earlier values of a record's properties, newest first.

use serde_json::{Map, Value, json};

use crate::clock::iso;
use crate::generate::Generator;
use crate::hubspot::records::Records;
use crate::records::{View, base_view};

/// Values of one property at most.
const REVISIONS_MAX: usize = 20;

/// Appends `propertiesWithHistory` to a rendered record; names that the type does not
/// have are ignored.
pub(super) fn append(records: &Records, id: u64, names: &str, body: &mut Vec<u8>) {
    let mut histories = Map::new();
    for name in names.split(',').map(str::trim) {
        if let Some(column) = records.schema.column(name) {
            histories.insert(name.to_owned(), json!(of(records, id, column)));
        }
    }
    // A record ends with its closing brace.
    body.pop();
    body.extend_from_slice(b",\"propertiesWithHistory\":");
    body.extend_from_slice(Value::Object(histories).to_string().as_bytes());
    body.push(b'}');
}

fn of(records: &Records, id: u64, column: u16) -> Vec<Value> {
    let overlay = records.overlay();
    let mut revisions: Vec<(i64, String, &str)> = Vec::new();
    let text = |view: &View<'_>| {
        let mut text = Vec::new();
        let cell = records.schema.cell(column);
        // A cleared value is an empty one in a history.
        view.text(cell, &mut text);
        String::from_utf8(text).unwrap_or_default()
    };
    let mut add = |at_ms: i64, value: String, source: &'static str| {
        if revisions.last().is_none_or(|(_, last, _)| *last != value) {
            revisions.push((at_ms, value, source));
        }
    };
    if let Some(index) = records.index_of(id) {
        let row = records.row(index);
        let value = text(&base_view(row));
        let stages = stages_until(records, column, &value);
        let steps = i64::try_from(stages.len()).unwrap_or(0) + 1;
        for (step, stage) in (0..).zip(stages) {
            let at_ms = row.created_ms + (row.modified_ms - row.created_ms) * step / steps;
            add(at_ms, stage.to_owned(), "CRM_UI");
        }
        let at_ms = if steps > 1 {
            row.modified_ms
        } else {
            row.created_ms
        };
        add(at_ms, value, "CRM_UI");
    }
    if let Some(entry) = overlay.entries.get(&id) {
        for version in &entry.versions {
            let view = records.view_of(id, entry, version);
            add(version.modified_ms, text(&view), "INTEGRATION");
        }
    }
    let newest = revisions.iter().rev().take(REVISIONS_MAX);
    newest
        .map(|(at_ms, value, source)| {
            json!({ "value": value, "timestamp": iso(*at_ms), "sourceType": source })
        })
        .collect()
}

/// The properties that move through stages.
const STAGES: [&str; 2] = ["dealstage", "hs_pipeline_stage"];

/// The stages that a generated deal or ticket went through before the one that it is in.
fn stages_until(records: &Records, column: u16, value: &str) -> Vec<&'static str> {
    let property = records.schema.property(column);
    match property.generator {
        Generator::Choice { options, .. } if STAGES.contains(&property.name.as_str()) => options
            .iter()
            .map(|(stage, _)| *stage)
            .take_while(|stage| *stage != value)
            .collect(),
        _ => Vec::new(),
    }
}
