//! What the workspace has besides records: teammates, teams, tags, segments, and the
//! descriptions of attributes.

use serde_json::{Value, json};

use crate::intercom::account::Account;
use crate::intercom::config::Config;
use crate::intercom::contact::string;
use crate::intercom::field::{Field, Form, Source};
use crate::intercom::kind::Kind;
use crate::intercom::schema::{attributes, fields};
use crate::intercom::version::Version;

/// Tags of the workspace.
pub(crate) const TAG_COUNT: u32 = 17;
pub(crate) const TAGS: [&str; TAG_COUNT as usize] = [
    "All Emails",
    "another",
    "demo",
    "Everyone with an email",
    "extra_one",
    "High LTV Xhosa Speakers",
    "High Value",
    "High Value \"Recent\"",
    "New_one",
    "One person",
    "Other Group",
    "Größe L",
    "Recent Shoppers",
    "Recent Visits",
    "Spanish Speakers",
    "Test Case",
    "Test Group X",
];
/// When the workspace was made, in seconds since the epoch.
const FOUNDED_S: i64 = 1_577_836_800;

/// What a client may write of a contact.
const CONTACT_WRITABLE: [&str; 10] = [
    "avatar",
    "email",
    "external_id",
    "last_seen_at",
    "name",
    "owner_id",
    "phone",
    "role",
    "signed_up_at",
    "unsubscribed_from_emails",
];

pub(crate) fn admin_id(place: u32) -> u64 {
    4_518_167 + u64::from(place) * 31
}

pub(crate) fn team_id(place: u32) -> u64 {
    5_017_691 + u64::from(place) * 17
}

pub(crate) fn tag_id(place: u32) -> u64 {
    4_919_472 + u64::from(place) * 7
}

/// The place of the tag with this id.
pub(crate) fn tag_place(id: &str) -> Option<u32> {
    (0..TAG_COUNT).find(|place| tag_id(*place).to_string() == id)
}

pub(crate) fn tag(place: u32) -> Value {
    json!({"type": "tag", "id": tag_id(place).to_string(), "name": TAGS[place as usize]})
}

/// An admin as the author of a part.
pub(crate) fn author(place: u32) -> String {
    let id = admin_id(place);
    let name = string(&admin_name(place));
    format!(
        "{{\"type\":\"admin\",\"id\":\"{id}\",\"name\":{name},\"email\":\"admin{place}@example.com\",\"from_ai_agent\":false,\"is_ai_answer\":false}}"
    )
}

fn admin_name(place: u32) -> String {
    format!("Ciaran{place} O'Lee")
}

pub(crate) fn admin(config: &Config, place: u32) -> Value {
    let team = (config.teams > 0).then(|| team_id(place % config.teams));
    json!({
        "type": "admin",
        "id": admin_id(place).to_string(),
        "name": admin_name(place),
        "email": format!("admin{place}@example.com"),
        "job_title": "Associate",
        "away_mode_enabled": place % 5 == 4,
        "away_mode_reassign": false,
        "away_status_reason_id": null,
        "has_inbox_seat": place % 3 != 2,
        "team_ids": team.into_iter().collect::<Vec<u64>>(),
    })
}

pub(crate) fn admins(config: &Config) -> Value {
    let admins = (0..config.admins).map(|place| admin(config, place));
    json!({"type": "admin.list", "admins": admins.collect::<Vec<Value>>()})
}

pub(crate) fn team(config: &Config, place: u32) -> Value {
    let members = (0..config.admins).filter(|admin| admin % config.teams.max(1) == place);
    json!({
        "type": "team",
        "id": team_id(place).to_string(),
        "name": format!("Team \"{place}\""),
        "admin_ids": members.map(admin_id).collect::<Vec<u64>>(),
        "assignment_limit": null,
        "distribution_method": "round_robin",
    })
}

pub(crate) fn teams(config: &Config) -> Value {
    let teams = (0..config.teams).map(|place| team(config, place));
    json!({"type": "team.list", "teams": teams.collect::<Vec<Value>>()})
}

pub(crate) fn tags() -> Value {
    json!({"type": "list", "data": (0..TAG_COUNT).map(tag).collect::<Vec<Value>>()})
}

pub(crate) fn segments() -> Value {
    json!({"type": "segment.list", "segments": [{
        "type": "segment",
        "id": "56203d253cba154d39010062",
        "name": "Active",
        "created_at": FOUNDED_S,
        "updated_at": FOUNDED_S,
        "person_type": "contact",
        "count": null,
    }]})
}

/// The admin of the token, with the workspace: its region and its time zone.
pub(crate) fn me(account: &Account) -> Value {
    let config = &account.config;
    json!({
        "type": "admin",
        "id": admin_id(0).to_string(),
        "email": "admin0@example.com",
        "name": admin_name(0),
        "email_verified": true,
        "app": {
            "type": "app",
            "id_code": config.workspace_id,
            "name": "Example Workspace",
            "created_at": FOUNDED_S,
            "secure": false,
            "identity_verification": false,
            "timezone": config.timezone,
            "region": config.region,
        },
        "avatar": {"type": "avatar", "image_url": "https://static.example.com/128.png"},
        "has_inbox_seat": true,
    })
}

/// The attributes of a kind: the API's own, then those that the workspace defined,
/// which alone have ids.
pub(crate) fn data_attributes(kind: Kind, version: Version) -> Vec<Value> {
    let model = if kind == Kind::Contacts {
        "contact"
    } else {
        "company"
    };
    let attribute = |field| attribute(field, model, version);
    let own = fields(kind).iter().map(attribute);
    let custom = attributes(kind).iter().zip(0_u64..).map(|(field, place)| {
        let mut attribute = attribute(field);
        attribute["id"] = json!(8_104_117 + place + if kind == Kind::Contacts { 0 } else { 100 });
        attribute["full_name"] = json!(format!("custom_attributes.{}", field.name));
        attribute["custom"] = json!(true);
        attribute["api_writable"] = json!(true);
        attribute["ui_writable"] = json!(false);
        // The workspace described none of its own.
        if let Some(described) = attribute.as_object_mut() {
            described.remove("description");
        }
        attribute["admin_id"] = json!(admin_id(0).to_string());
        attribute["created_at"] = json!(FOUNDED_S);
        attribute["updated_at"] = json!(FOUNDED_S);
        if field.name == "list_field" {
            attribute["options"] = json!(["Red", "Blue", "Green"]);
        }
        attribute
    });
    own.chain(custom).collect()
}

fn attribute(field: &Field, model: &str, version: Version) -> Value {
    let decimal = matches!(
        field.source,
        Source::Cell(crate::generate::Generator::Money { .. })
    );
    let data_type = match field.form {
        Form::Text => "string",
        Form::Number if decimal => "float",
        Form::Number => "integer",
        Form::Seconds => "date",
        Form::Flag => "boolean",
    };
    let name = field.name.rsplit('.').next().unwrap_or(field.name);
    let writable = match model {
        "contact" => CONTACT_WRITABLE.contains(&name),
        _ => !matches!(field.source, Source::Id | Source::Created | Source::Updated),
    };
    let in_ui = ["name", "email", "phone"].contains(&name);
    let mut attribute = json!({
        "type": "data_attribute",
        "name": name,
        "full_name": field.name,
        "label": name,
        "description": format!("The {model}'s {name}"),
        "data_type": data_type,
        "api_writable": writable,
        "ui_writable": in_ui,
        "custom": false,
        "archived": false,
        "model": model,
    });
    if version.has_messenger_writable() {
        attribute["messenger_writable"] = json!(false);
    }
    attribute
}
