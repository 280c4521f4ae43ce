//! Contacts as JSON text, written straight into the response buffer.

use std::io::Write as _;

use crate::generate::{below, mix};
use crate::intercom::account::Account;
use crate::intercom::catalog;
use crate::intercom::company;
use crate::intercom::field::{Field, Form, is_lead};
use crate::intercom::kind::Kind;
use crate::intercom::schema::{CONTACT, CONTACT_ATTRIBUTES, EMAIL, ROLE, TAGS};
use crate::intercom::version::Version;
use crate::json::escaped;
use crate::records::View;

/// The generous size of one contact, for reserving buffers.
pub(crate) const BYTES: usize = 2300;
/// Related records that a contact holds itself; the others are behind its URL.
const STUBS_MAX: usize = 10;
/// What has no values in the simulated workspace.
const DEVICES: &[u8] = br#","android_app_name":null,"android_app_version":null,"android_device":null,"android_os_version":null,"android_sdk_version":null,"android_last_seen_at":null,"ios_app_name":null,"ios_app_version":null,"ios_device":null,"ios_os_version":null,"ios_sdk_version":null,"ios_last_seen_at":null,"custom_attributes":"#;

/// Appends one contact.
pub(crate) fn record(account: &Account, version: Version, view: &View<'_>, out: &mut Vec<u8>) {
    let config = &account.config;
    let id = Kind::Contacts.wire_id(view.row.id);
    let workspace = &config.workspace_id;
    let role = if is_lead(view) { "lead" } else { "user" };
    // Writing to memory cannot fail, here and below.
    let _written = write!(
        out,
        "{{\"type\":\"contact\",\"id\":\"{id}\",\"workspace_id\":\"{workspace}\",\"role\":\"{role}\",\"avatar\":null,\"social_profiles\":{{\"type\":\"list\",\"data\":[]}}"
    );
    for field in &CONTACT[1..] {
        match field.column {
            ROLE => {}
            EMAIL if view.written(EMAIL) == Some(None) => out.extend_from_slice(b",\"email\":\"\""),
            20..=22 => {}
            _ => {
                let _written = write!(out, ",\"{}\":", field.name);
                field.json(Kind::Contacts, config, view, out);
            }
        }
    }
    out.extend_from_slice(b",\"location\":{\"type\":\"location\"");
    for field in &CONTACT[23..] {
        let name = field.name.trim_start_matches("location.");
        let _written = write!(out, ",\"{name}\":");
        field.json(Kind::Contacts, config, view, out);
    }
    if version.has_location_codes() {
        out.extend_from_slice(b",\"country_code\":null,\"continent_code\":null");
    }
    out.push(b'}');
    out.extend_from_slice(DEVICES);
    attributes(&CONTACT_ATTRIBUTES, Kind::Contacts, account, view, out);
    let tags = tags(view);
    let tags = tags.iter().map(|tag| catalog::tag_id(*tag).to_string());
    stubs("tag", "tags", &id, tags, out);
    stubs("note", "notes", &id, std::iter::empty(), out);
    let companies = company::of_contact(account, view);
    let companies = companies
        .iter()
        .map(|company| Kind::Companies.wire_id(*company));
    stubs("company", "companies", &id, companies, out);
    out.push(b'}');
}

/// Appends the attributes that the workspace defined: those of a record that a
/// client made appear once they were written, null or not.
pub(crate) fn attributes(
    fields: &[Field],
    kind: Kind,
    account: &Account,
    view: &View<'_>,
    out: &mut Vec<u8>,
) {
    out.push(b'{');
    let shown = fields
        .iter()
        .filter(|field| !view.blank || view.written(field.column).is_some());
    for (place, field) in shown.enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let _written = write!(out, "{comma}\"{}\":", field.name);
        field.json(kind, &account.config, view, out);
    }
    out.push(b'}');
}

fn stubs(
    singular: &str,
    plural: &str,
    contact: &str,
    ids: impl ExactSizeIterator<Item = String>,
    out: &mut Vec<u8>,
) {
    let total = ids.len();
    let _written = write!(out, ",\"{plural}\":{{\"type\":\"list\",\"data\":[");
    for (place, id) in ids.take(STUBS_MAX).enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let _written = write!(
            out,
            "{comma}{{\"id\":\"{id}\",\"type\":\"{singular}\",\"url\":\"/{plural}/{id}\"}}"
        );
    }
    let more = total > STUBS_MAX;
    let _written = write!(
        out,
        "],\"url\":\"/contacts/{contact}/{plural}\",\"total_count\":{total},\"has_more\":{more}}}"
    );
}

/// The tags of a contact, by their places in the catalog. One generated contact in
/// 64 has more than a contact shows itself.
pub(crate) fn tags(view: &View<'_>) -> Vec<u32> {
    match view.written(TAGS) {
        Some(text) => numbers(text.unwrap_or("")),
        None if view.blank => Vec::new(),
        None => {
            let hash = mix(view.row.hash ^ 0x7a65);
            let count = if hash % 64 == 5 { 12 } else { below(hash, 4) };
            let first = below(mix(hash), catalog::TAG_COUNT);
            (0..count)
                .map(|step| (first + step) % catalog::TAG_COUNT)
                .collect()
        }
    }
}

/// Numbers as a column holds several of them.
pub(crate) fn numbers<T: std::str::FromStr>(text: &str) -> Vec<T> {
    text.split(',')
        .filter_map(|part| part.parse().ok())
        .collect()
}

/// A contact as conversations refer to it.
pub(crate) fn reference(account: &Account, view: &View<'_>, out: &mut Vec<u8>) {
    let id = Kind::Contacts.wire_id(view.row.id);
    let _written = write!(
        out,
        "{{\"type\":\"contact\",\"id\":\"{id}\",\"external_id\":"
    );
    CONTACT[4].json(Kind::Contacts, &account.config, view, out);
    out.push(b'}');
}

/// A contact as the author of a part.
pub(crate) fn author(account: &Account, view: &View<'_>, out: &mut Vec<u8>) {
    let id = Kind::Contacts.wire_id(view.row.id);
    let role = if is_lead(view) { "lead" } else { "user" };
    let _written = write!(out, "{{\"type\":\"{role}\",\"id\":\"{id}\",\"name\":");
    CONTACT[7].json(Kind::Contacts, &account.config, view, out);
    out.extend_from_slice(b",\"email\":");
    CONTACT[5].json(Kind::Contacts, &account.config, view, out);
    out.extend_from_slice(b",\"from_ai_agent\":false,\"is_ai_answer\":false}");
}

/// The text of a JSON value as a column of this form holds it; nothing where the
/// value is of another type.
pub(crate) fn written_text(form: Form, value: &serde_json::Value) -> Option<Box<str>> {
    use serde_json::Value;
    match (form, value) {
        (Form::Text, Value::String(text)) => Some(text.as_str().into()),
        (Form::Number, Value::Number(number)) => Some(number.to_string().into()),
        (Form::Seconds, Value::Number(number)) if number.is_u64() => {
            Some(number.to_string().into())
        }
        (Form::Flag, Value::Bool(flag)) => Some(flag.to_string().into()),
        _ => None,
    }
}

/// A JSON string.
pub(crate) fn string(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    escaped(text.as_bytes(), &mut out);
    String::from_utf8(out).unwrap_or_default()
}
