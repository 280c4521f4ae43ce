//! Which fields an account's leads have, and which types of activities it knows.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tidegate_sdk::{
    prelude::*,
    schema::{self, Kind},
};

use crate::declaration::{ACTIVITY_TYPES, LEAD_FIELDS, OPPORTUNITY_TYPE};
use crate::{Config, Object, accepted};

/// What every lead is asked for: its key, its version, its order.
const NEEDED: [&str; 3] = ["ProspectID", "ProspectAutoId", "ModifiedOn"];
/// Types from this code on are opportunities.
const OPPORTUNITY_CODES_FROM: i64 = 12_000;
/// Where the names of lead fields are kept for the many windows of a run.
const FIELDS_HINT: &str = "lead-fields";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LeadField {
    schema_name: String,
    #[serde(default)]
    display_name: Option<String>,
    #[serde(default)]
    data_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ActivityType {
    /// A number, in quotes or not.
    activity_event: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OpportunityType {
    #[serde(default)]
    fields: Vec<LeadField>,
}

/// The account's types, by code.
pub(crate) struct Types {
    pub(crate) activities: Vec<i64>,
    pub(crate) opportunities: Vec<i64>,
    /// LeadSquared's own time, or the end of all time where it is not told.
    pub(crate) remote_now_ms: u64,
}

pub(crate) fn lead_fields(host: &Host, config: &Config) -> Result<Vec<LeadField>, Failure> {
    let request = Request::get("schema", LEAD_FIELDS)
        .query("excludeOptionSets", 1)
        .auth(config.keys.name());
    let body = accepted(host.fetch(&request)?, "the fields of leads")?;
    let fields: Vec<LeadField> = serde_json::from_slice(&body.bytes()?)?;
    let names: Vec<&str> = fields
        .iter()
        .map(|field| field.schema_name.as_str())
        .collect();
    // Only a hint: who does not find it asks again.
    if host
        .keep_hint(FIELDS_HINT, names.join(",").as_bytes())
        .is_err()
    {
        host.log(Level::Debug, "the names of lead fields were not kept", &[]);
    }
    Ok(fields)
}

/// Names of the lead fields to ask for, with commas: those that the user chose, or all.
pub(crate) fn chosen(host: &Host, config: &Config, fields: &[String]) -> Result<String, Failure> {
    let mut names: Vec<String> = if fields.is_empty() {
        known(host, config)?
    } else {
        let name = |field: &String| {
            let bare = field.strip_prefix("/LeadPropertyList/").unwrap_or(field);
            (!bare.contains('/') && bare != "LeadPropertyList").then(|| bare.to_owned())
        };
        fields.iter().filter_map(name).collect()
    };
    for needed in NEEDED {
        if !names.iter().any(|name| name == needed) {
            names.push(needed.to_owned());
        }
    }
    Ok(names.join(","))
}

fn known(host: &Host, config: &Config) -> Result<Vec<String>, Failure> {
    if let Ok(Some(hint)) = host.hint(FIELDS_HINT)
        && let Ok(names) = String::from_utf8(hint)
        && !names.is_empty()
    {
        return Ok(names.split(',').map(str::to_owned).collect());
    }
    let fields = lead_fields(host, config)?;
    Ok(fields.into_iter().map(|field| field.schema_name).collect())
}

pub(crate) fn types(host: &Host, config: &Config) -> Result<Types, Failure> {
    let request = Request::get("schema", ACTIVITY_TYPES).auth(config.keys.name());
    let response = host.fetch(&request)?;
    let remote_now_ms = response.remote_now_ms().unwrap_or(u64::MAX);
    let body = accepted(response, "the types of activities")?;
    let list: Vec<ActivityType> = serde_json::from_slice(&body.bytes()?)?;
    let mut codes: Vec<i64> = list.iter().filter_map(code).collect();
    codes.sort_unstable();
    codes.dedup();
    let (opportunities, activities): (Vec<i64>, Vec<i64>) = codes
        .into_iter()
        .partition(|code| *code >= OPPORTUNITY_CODES_FROM);
    Ok(Types {
        activities,
        opportunities: match (&config.opportunity_codes[..], &opportunities[..]) {
            // Some accounts do not list them; the first type always has this code.
            ([], []) => vec![OPPORTUNITY_CODES_FROM],
            ([], _) => opportunities,
            (codes, _) => codes.to_vec(),
        },
        remote_now_ms,
    })
}

fn code(kind: &ActivityType) -> Option<i64> {
    match &kind.activity_event {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    }
}

pub(crate) fn discover(host: &Host, config: &Config) -> Result<Vec<Stream>, Failure> {
    let fields = lead_fields(host, config)?;
    let types = types(host, config)?;
    let mut streams = vec![
        Stream::new(Object::Leads.name(), lead_schema(&fields))
            .primary_key("/LeadPropertyList/ProspectID")
            .incremental("/LeadPropertyList/ModifiedOn")
            .splittable(),
        Stream::new(Object::Activities.name(), schema::object(ACTIVITY))
            .primary_key("/ProspectActivityId")
            .incremental("/ModifiedOn")
            .splittable(),
    ];
    if let Some(schema) = opportunity_schema(host, config, &types.opportunities)? {
        streams.push(
            Stream::new(Object::Opportunities.name(), schema)
                .primary_key("/OpportunityId")
                .incremental("/ModifiedOn"),
        );
    }
    streams.push(Stream::new(Object::Users.name(), schema::object(USER)).primary_key("/ID"));
    Ok(streams)
}

/// The fields of all types together; none where the account has no opportunities.
fn opportunity_schema(
    host: &Host,
    config: &Config,
    codes: &[i64],
) -> Result<Option<Value>, Failure> {
    let mut record = schema::object(OPPORTUNITY);
    let mut is_offered = false;
    for code in codes {
        let request = Request::get("schema", OPPORTUNITY_TYPE)
            .query("code", code)
            .auth(config.keys.name());
        let body = match accepted(host.fetch(&request)?, Object::Opportunities.name()) {
            Err(refused @ (Failure::Fatal(_) | Failure::Unsupported(_))) => {
                let reason = refused.to_string();
                let facts = [("stream", "opportunities"), ("reason", reason.as_str())];
                host.log(Level::Warn, "the account does not offer a type", &facts);
                continue;
            }
            body => body?,
        };
        is_offered = true;
        let described: OpportunityType = serde_json::from_slice(&body.bytes()?)?;
        for field in described.fields {
            if record["properties"].get(&field.schema_name).is_none() {
                record["properties"][&field.schema_name] = field_schema(&field);
            }
        }
    }
    Ok(is_offered.then_some(record))
}

fn lead_schema(fields: &[LeadField]) -> Value {
    let mut properties: Map<String, Value> = fields
        .iter()
        .map(|field| (field.schema_name.clone(), field_schema(field)))
        .collect();
    for needed in NEEDED {
        properties
            .entry(needed)
            .or_insert_with(|| Kind::Text.schema());
    }
    json!({
        "type": "object",
        "properties": {"LeadPropertyList": {"type": "object", "properties": properties}}
    })
}

/// Every value is text on the wire, and the empty text where there is none.
fn field_schema(field: &LeadField) -> Value {
    let mut found = match field.data_type.as_deref() {
        Some("DateTime") => Kind::Moment.schema(),
        Some("Number") => json!({"type": ["string", "null"], "format": "decimal"}),
        _ => Kind::Text.schema(),
    };
    if let Some(name) = &field.display_name {
        found["title"] = json!(name);
    }
    found
}

type Columns = &'static [(&'static str, Kind)];

const ACTIVITY: Columns = &[
    ("ProspectActivityId", Kind::Text),
    ("RelatedProspectId", Kind::Text),
    ("ActivityEvent", Kind::Text),
    ("ActivityEvent_Note", Kind::Text),
    ("Status", Kind::Text),
    ("Owner", Kind::Text),
    ("CreatedBy", Kind::Text),
    ("CreatedOn", Kind::Moment),
    ("ModifiedOn", Kind::Moment),
];

const OPPORTUNITY: Columns = &[
    ("OpportunityId", Kind::Text),
    ("RelatedProspectId", Kind::Text),
    ("OpportunityEvent", Kind::Text),
    ("Status", Kind::Text),
    ("Owner", Kind::Text),
    ("CreatedOn", Kind::Moment),
    ("ModifiedOn", Kind::Moment),
];

const USER: Columns = &[
    ("ID", Kind::Text),
    ("FirstName", Kind::Text),
    ("LastName", Kind::Text),
    ("EmailAddress", Kind::Text),
    ("Role", Kind::Text),
    ("StatusCode", Kind::Integer),
    ("MemberOfGroups", Kind::Any),
    ("Tag", Kind::Text),
    ("IsPhoneCallAgent", Kind::Boolean),
];
