//! Which attributes a workspace's records have, and whether its token works.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tidegate_sdk::{
    prelude::*,
    schema::{
        self,
        Kind::{self, Any, Boolean, Decimal, Integer, Text},
    },
};

use crate::{Config, Object, accepted, versioned};

#[derive(Deserialize)]
struct Attributes {
    data: Vec<Attribute>,
}

#[derive(Deserialize)]
struct Attribute {
    name: String,
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    data_type: Option<String>,
    #[serde(default)]
    custom: bool,
}

/// Asks who the token belongs to, and where that workspace is.
pub(crate) fn check(host: &Host, config: &Config) -> Result<(), Failure> {
    let request = Request::get(config.region.schema(), "/me");
    let response = host.fetch(&versioned(request, config))?;
    let body = accepted(response, "the workspace")?;
    let region = body.plain("/app/region")?;
    let chosen = config.region.name();
    match region {
        Some(region) if !region.eq_ignore_ascii_case(chosen) => Err(Failure::Config(format!(
            "the workspace is in region {}, not in {chosen}; set region to it",
            region.to_ascii_lowercase()
        ))),
        _ => Ok(()),
    }
}

pub(crate) fn discover(host: &Host, config: &Config) -> Result<Vec<Stream>, Failure> {
    let mut streams = Vec::new();
    for object in Object::ALL {
        let attributes = match object {
            Object::Contacts => attributes(host, config, "contact")?,
            Object::Companies => attributes(host, config, "company")?,
            _ => Vec::new(),
        };
        streams.push(stream(object, &attributes));
    }
    Ok(streams)
}

fn attributes(host: &Host, config: &Config, model: &str) -> Result<Vec<Attribute>, Failure> {
    let request = Request::get(config.region.schema(), "/data_attributes")
        .query("model", model)
        .query("include_archived", true);
    let response = host.fetch(&versioned(request, config))?;
    let body = accepted(response, "data attributes")?;
    let list: Attributes = serde_json::from_slice(&body.bytes()?)?;
    Ok(list.data)
}

fn stream(object: Object, attributes: &[Attribute]) -> Stream {
    let mut record = schema::object(columns(object));
    let custom: Map<String, Value> = attributes
        .iter()
        .filter(|attribute| attribute.custom)
        .map(|attribute| (attribute.name.clone(), attribute_schema(attribute)))
        .collect();
    if !custom.is_empty() {
        record["properties"]["custom_attributes"] = json!({"type": "object", "properties": custom});
    }
    let stream = Stream::new(object.name(), record);
    match object {
        Object::DataAttributes => stream.primary_key("/model").primary_key("/full_name"),
        Object::Conversations => stream
            .primary_key("/id")
            .incremental("/updated_at")
            .with_deletes(),
        _ if object.has_times() => stream.primary_key("/id").incremental("/updated_at"),
        _ => stream.primary_key("/id"),
    }
}

fn attribute_schema(attribute: &Attribute) -> Value {
    let kind = match attribute.data_type.as_deref() {
        Some("string") => Text,
        // Dates are seconds since the epoch, as all times here.
        Some("integer" | "date") => Integer,
        Some("float") => Decimal,
        Some("boolean") => Boolean,
        _ => Any,
    };
    let mut found = kind.schema();
    found["title"] = json!(attribute.label.as_ref().unwrap_or(&attribute.name));
    found
}

fn columns(object: Object) -> &'static [(&'static str, Kind)] {
    match object {
        Object::Contacts => CONTACT,
        Object::Companies => COMPANY,
        Object::Conversations => CONVERSATION,
        Object::Admins => ADMIN,
        Object::Teams => TEAM,
        Object::Tags => TAG,
        Object::DataAttributes => DATA_ATTRIBUTE,
    }
}

type Columns = &'static [(&'static str, Kind)];

const CONTACT: Columns = &[
    ("id", Text),
    ("workspace_id", Text),
    ("external_id", Text),
    ("role", Text),
    ("email", Text),
    ("phone", Text),
    ("name", Text),
    ("avatar", Any),
    ("owner_id", Any),
    ("has_hard_bounced", Boolean),
    ("marked_email_as_spam", Boolean),
    ("unsubscribed_from_emails", Boolean),
    ("created_at", Integer),
    ("updated_at", Integer),
    ("signed_up_at", Integer),
    ("last_seen_at", Integer),
    ("last_replied_at", Integer),
    ("last_contacted_at", Integer),
    ("location", Any),
    ("tags", Any),
    ("notes", Any),
    ("companies", Any),
    ("social_profiles", Any),
    ("custom_attributes", Any),
];

const COMPANY: Columns = &[
    ("id", Text),
    ("company_id", Text),
    ("app_id", Text),
    ("name", Text),
    ("plan", Any),
    ("website", Text),
    ("industry", Text),
    ("size", Integer),
    ("monthly_spend", Decimal),
    ("session_count", Integer),
    ("user_count", Integer),
    ("remote_created_at", Integer),
    ("created_at", Integer),
    ("updated_at", Integer),
    ("last_request_at", Integer),
    ("tags", Any),
    ("segments", Any),
    ("custom_attributes", Any),
];

const CONVERSATION: Columns = &[
    ("id", Text),
    ("title", Text),
    ("state", Text),
    ("open", Boolean),
    ("read", Boolean),
    ("priority", Text),
    ("created_at", Integer),
    ("updated_at", Integer),
    ("waiting_since", Integer),
    ("snoozed_until", Integer),
    ("admin_assignee_id", Integer),
    ("team_assignee_id", Any),
    ("source", Any),
    ("contacts", Any),
    ("teammates", Any),
    ("tags", Any),
    ("statistics", Any),
    ("custom_attributes", Any),
    ("conversation_parts", Any),
];

const ADMIN: Columns = &[
    ("id", Text),
    ("name", Text),
    ("email", Text),
    ("job_title", Text),
    ("away_mode_enabled", Boolean),
    ("away_mode_reassign", Boolean),
    ("has_inbox_seat", Boolean),
    ("team_ids", Any),
];

const TEAM: Columns = &[("id", Text), ("name", Text), ("admin_ids", Any)];

const TAG: Columns = &[("id", Text), ("name", Text)];

const DATA_ATTRIBUTE: Columns = &[
    ("model", Text),
    ("full_name", Text),
    ("name", Text),
    ("label", Text),
    ("description", Text),
    ("data_type", Text),
    ("custom", Boolean),
    ("archived", Boolean),
    ("api_writable", Boolean),
    ("options", Any),
    ("created_at", Integer),
    ("updated_at", Integer),
];
