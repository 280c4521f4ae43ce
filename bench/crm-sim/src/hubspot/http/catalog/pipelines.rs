//! Pipelines and their stages: the one that generated deals, or tickets, go through.

use serde_json::{Value, json};

use crate::hubspot::account::Collection;
use crate::hubspot::http::reply::Reply;
use crate::hubspot::kind::Kind;

/// When the pipelines were set up.
const DEFINED: &str = "2020-01-01T00:00:00Z";

/// `GET /crm/v3/pipelines/{type}`; other types have none.
pub(in crate::hubspot::http) fn all(collection: &Collection) -> Reply {
    let results = match collection.kind {
        Kind::Deals => vec![pipeline(
            collection,
            ("default", "Sales Pipeline"),
            "dealstage",
        )],
        Kind::Tickets => vec![pipeline(
            collection,
            ("0", "Support Pipeline"),
            "hs_pipeline_stage",
        )],
        _ => Vec::new(),
    };
    Reply::value(200, &json!({ "results": results }))
}

fn pipeline(collection: &Collection, (id, label): (&str, &str), stage: &str) -> Value {
    let schema = &collection.records.schema;
    let described = schema
        .column(stage)
        .map(|column| schema.property(column).describe(&schema.names));
    let options = described.and_then(|stages| stages["options"].as_array().cloned());
    let stages: Vec<Value> = options
        .unwrap_or_default()
        .into_iter()
        .map(|option| {
            json!({
                "id": option["value"],
                "label": option["label"],
                "displayOrder": option["displayOrder"],
                "metadata": metadata(collection.kind, &option),
                "createdAt": DEFINED,
                "updatedAt": DEFINED,
                "archived": false,
            })
        })
        .collect();
    json!({
        "id": id,
        "label": label,
        "displayOrder": 0,
        "stages": stages,
        "createdAt": DEFINED,
        "updatedAt": DEFINED,
        "archived": false,
    })
}

fn metadata(kind: Kind, option: &Value) -> Value {
    let label = option["label"].as_str().unwrap_or_default();
    let is_closed = label.starts_with("Closed");
    match kind {
        Kind::Tickets => json!({
            "isClosed": is_closed.to_string(),
            "ticketState": if is_closed { "CLOSED" } else { "OPEN" },
        }),
        _ => json!({"isClosed": is_closed.to_string()}),
    }
}
