//! What the account has besides records: users, types of activities and of
//! opportunities, and the descriptions of fields.

use serde_json::{Value, json};

use crate::generate::{below, mix};
use crate::leadsquared::config::Config;
use crate::leadsquared::dates;
use crate::leadsquared::field::Field;
use crate::leadsquared::kind::Kind;
use crate::leadsquared::schema::{fields, options};

/// When the account was made, in milliseconds since the epoch.
const FOUNDED_MS: i64 = 1_417_453_996_000;
/// The one type of opportunities.
pub(crate) const OPPORTUNITY_EVENT: u32 = 12_000;
/// Codes and names of the activity types.
const EVENTS: [(u32, &str); 5] = [
    (21, "Inbound Phone Call Activity"),
    (22, "Outbound Phone Call Activity"),
    (201, "Site Visit"),
    (203, "Demo \"Blue\""),
    (3002, "Stage Change"),
];

/// The type of a generated activity.
pub(crate) fn event_of(hash: u64) -> u32 {
    EVENTS[below(mix(hash ^ 0xe7), 5) as usize].0
}

/// The name of an activity type.
pub(crate) fn event_name(code: u32) -> Option<&'static str> {
    let found = EVENTS.iter().find(|(known, _)| *known == code);
    found.map(|(_, name)| *name)
}

/// A user's GUID.
pub(crate) fn user_id(place: u32) -> String {
    let hash = mix(u64::from(place) ^ 0x5eed);
    format!(
        "{:08x}-{:04x}-11e4-a{:03x}-{place:012x}",
        hash >> 32,
        (hash >> 16) & 0xffff,
        hash & 0xfff
    )
}

pub(crate) fn users(config: &Config) -> Value {
    let user = |place: u32| {
        json!({
            "ID": user_id(place),
            "FirstName": format!("User{place}"),
            "LastName": "O'Lee",
            "EmailAddress": format!("user{place}@example.com"),
            "Role": if place == 0 { "Administrator" } else { "Sales_User" },
            "StatusCode": u32::from(place % 7 == 6),
            "MemberOfGroups": [],
            "CreatedOn": dates::plain(FOUNDED_MS),
            "ModifiedOn": dates::plain(FOUNDED_MS),
        })
    };
    Value::Array((0..config.users).map(user).collect())
}

pub(crate) fn activity_types() -> Value {
    let kind = |(code, name): &(u32, &str)| {
        json!({
            "ActivityEvent": code,
            "DisplayName": name,
            "Description": "",
            "AllowDirectAdd": true,
            "EventType": if *code > 200 { 2 } else { 0 },
        })
    };
    Value::Array(EVENTS.iter().map(kind).collect())
}

pub(crate) fn opportunity_type() -> Value {
    let described = fields(Kind::Opportunities)
        .iter()
        .map(|field| described(field, true));
    json!({
        "Code": OPPORTUNITY_EVENT,
        "Name": "Deal",
        "Fields": described.collect::<Vec<Value>>(),
    })
}

/// The fields of leads, in metadata's own dialect of dates.
pub(crate) fn lead_fields(name: Option<&str>, with_options: bool) -> Value {
    let named = fields(Kind::Leads)
        .iter()
        .filter(|field| name.is_none_or(|name| field.name.eq_ignore_ascii_case(name)));
    Value::Array(named.map(|field| described(field, with_options)).collect())
}

fn described(field: &Field, with_options: bool) -> Value {
    let mut described = json!({
        "SchemaName": field.name,
        "DisplayName": field.name.trim_start_matches("mx_").replace('_', " "),
        "DataType": field.data_type,
        "RenderType": 6,
        "RenderTypeTextValue": field.data_type,
        "IsMandatory": false,
        "IsLeadIdentifier": matches!(field.name, "EmailAddress" | "Phone"),
        "LockAfterCreate": field.name == "LeadType",
        "MaxLength": "200",
        "CreatedOn": dates::metadata(FOUNDED_MS),
    });
    if with_options {
        let options = options(field).iter();
        let options = options.map(|(value, _)| json!({"Value": value}));
        described["Options"] = Value::Array(options.collect());
    }
    described
}
