//! Conversations and their parts as JSON text; parts are functions of the
//! conversation and their place in it.

use std::io::Write as _;

use crate::generate::{Generator, below, mix, write_value};
use crate::intercom::account::Account;
use crate::intercom::catalog;
use crate::intercom::contact::{self, string};
use crate::intercom::kind::Kind;
use crate::intercom::schema::{COMMENT, CONVERSATION, find};
use crate::records::{View, base_view};

/// The generous size of one conversation without its parts, for reserving buffers.
pub(crate) const BYTES: usize = 2000;
/// Parts that the detail shows at most, the newest ones.
const PARTS_MAX: u64 = 500;
/// One conversation in so many has more parts than that.
const LONG: u64 = 997;
/// Parts are this many seconds apart.
const STEP_S: i64 = 97;

/// How the bodies of messages are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bodies {
    Html,
    Plain,
}

/// Appends one conversation; with `parts` as the detail has it.
pub(crate) fn record(
    account: &Account,
    view: &View<'_>,
    bodies: Bodies,
    parts: bool,
    out: &mut Vec<u8>,
) {
    let config = &account.config;
    // Writing to memory cannot fail, here and below.
    let _written = write!(
        out,
        "{{\"type\":\"conversation\",\"id\":\"{}\"",
        view.row.id
    );
    for field in &CONVERSATION[1..] {
        let _written = write!(out, ",\"{}\":", field.name);
        field.json(Kind::Conversations, config, view, out);
    }
    let closed = text(account, view, "state") == "closed";
    let _written = write!(out, ",\"open\":{},\"source\":", !closed);
    source(account, view, bodies, out);
    out.extend_from_slice(b",\"contacts\":{\"type\":\"contact.list\",\"contacts\":[");
    with_contact(account, view, |contact| {
        contact::reference(account, contact, out)
    });
    out.extend_from_slice(b"]},\"teammates\":{\"type\":\"admin.list\",\"admins\":[");
    let admin = text(account, view, "admin_assignee_id");
    if !admin.is_empty() {
        let _written = write!(out, "{{\"type\":\"admin\",\"id\":\"{admin}\"}}");
    }
    out.extend_from_slice(b"]},\"tags\":{\"type\":\"tag.list\",\"tags\":[");
    if mix(view.row.hash).is_multiple_of(4) {
        tag(view, out);
    }
    out.extend_from_slice(b"]},\"conversation_rating\":null,\"first_contact_reply\":");
    let created_s = view.row.created_ms / 1000;
    let _written = write!(
        out,
        "{{\"created_at\":{created_s},\"type\":\"conversation\",\"url\":null}}"
    );
    out.extend_from_slice(b",\"custom_attributes\":{},\"topics\":{},\"ticket\":null,\"sla_applied\":null,\"statistics\":");
    let total = part_count(view);
    if closed {
        statistics(view, &admin, total, out);
    } else {
        out.extend_from_slice(b"null");
    }
    out.extend_from_slice(b",\"linked_objects\":{\"type\":\"list\",\"data\":[],\"total_count\":0,\"has_more\":false},\"ai_agent_participated\":false,\"ai_agent\":null");
    if parts {
        out.extend_from_slice(b",\"conversation_parts\":{\"type\":\"conversation_part.list\",\"conversation_parts\":[");
        let first = total.saturating_sub(PARTS_MAX);
        for place in first..total {
            if place > first {
                out.push(b',');
            }
            part(account, view, place, total, bodies, out);
        }
        let _written = write!(out, "],\"total_count\":{total}}}");
    }
    out.push(b'}');
}

/// The figures of a closed conversation.
fn statistics(view: &View<'_>, admin: &str, parts: u64, out: &mut Vec<u8>) {
    let created_s = view.row.created_ms / 1000;
    let closed_s = (view.row.modified_ms / 1000).max(created_s + STEP_S);
    let (open_s, first_s) = (closed_s - created_s, created_s + STEP_S);
    let by = if admin.is_empty() {
        "null".to_owned()
    } else {
        string(admin)
    };
    out.extend_from_slice(b"{\"type\":\"conversation_statistics\"");
    for (names, value) in [
        (
            &[
                "time_to_assignment",
                "time_to_admin_reply",
                "median_time_to_reply",
                "handling_time",
            ][..],
            STEP_S,
        ),
        (&["time_to_first_close", "time_to_last_close"], open_s),
        (
            &["first_contact_reply_at", "last_contact_reply_at"],
            created_s,
        ),
        (
            &[
                "first_assignment_at",
                "first_admin_reply_at",
                "last_assignment_at",
                "last_assignment_admin_reply_at",
                "last_admin_reply_at",
            ],
            first_s,
        ),
        (&["first_close_at", "last_close_at"], closed_s),
    ] {
        for name in names {
            let _written = write!(out, ",\"{name}\":{value}");
        }
    }
    let _written = write!(
        out,
        ",\"last_closed_by_id\":{by},\"count_reopens\":0,\"count_assignments\":1,\"count_conversation_parts\":{parts}}}"
    );
}

/// The parts that a conversation was generated with, and the one that an edit left.
fn part_count(view: &View<'_>) -> u64 {
    let generated = match view.row.index % LONG {
        _ if view.blank => 0,
        5 => PARTS_MAX + 20,
        _ => 1 + u64::from(below(mix(view.row.hash ^ 0x9a27), 12)),
    };
    generated + u64::from(view.written(COMMENT).is_some())
}

fn part(
    account: &Account,
    view: &View<'_>,
    place: u64,
    total: u64,
    bodies: Bodies,
    out: &mut Vec<u8>,
) {
    let comment = view
        .written(COMMENT)
        .flatten()
        .filter(|_| place + 1 == total);
    let hash = mix(view.row.hash ^ place);
    let (created_s, modified_s) = (view.row.created_ms / 1000, view.row.modified_ms / 1000);
    let at_s = match comment {
        Some(_) => modified_s,
        None => modified_s.min(created_s + STEP_S * i64::try_from(place).unwrap_or(0)),
    };
    let assigns = comment.is_none() && place > 0 && hash.is_multiple_of(9);
    let sort = match hash % 9 {
        _ if comment.is_some() => "comment",
        0 if assigns => "assignment",
        1 => "note",
        _ => "comment",
    };
    // An edit's part has an id of its own, which no place has.
    let id = match comment {
        Some(_) => view.row.modified_ms.unsigned_abs(),
        None => view.row.id * 1000 + place,
    };
    let _written = write!(
        out,
        "{{\"type\":\"conversation_part\",\"id\":\"{id}\",\"part_type\":\"{sort}\",\"body\":"
    );
    if assigns {
        out.extend_from_slice(b"null");
    } else {
        body(comment, hash, view, bodies, out);
    }
    let _written = write!(
        out,
        ",\"created_at\":{at_s},\"updated_at\":{at_s},\"notified_at\":{at_s},\"assigned_to\":"
    );
    let admin = below(hash, account.config.admins.max(1));
    if assigns {
        let _written = write!(
            out,
            "{{\"type\":\"admin\",\"id\":\"{}\"}}",
            catalog::admin_id(admin)
        );
    } else {
        out.extend_from_slice(b"null");
    }
    out.extend_from_slice(b",\"author\":");
    if sort == "comment" && hash.is_multiple_of(2) {
        with_contact(account, view, |contact| {
            contact::author(account, contact, out)
        });
    } else {
        out.extend_from_slice(catalog::author(admin).as_bytes());
    }
    out.extend_from_slice(b",\"attachments\":[],\"external_id\":null,\"redacted\":false,\"email_message_metadata\":null,\"metadata\":null,\"state\":\"open\",\"tags\":[],\"event_details\":null,\"app_package_code\":null}");
}

fn source(account: &Account, view: &View<'_>, bodies: Bodies, out: &mut Vec<u8>) {
    let id = view.row.id * 1000 + 999;
    let _written = write!(
        out,
        "{{\"type\":\"conversation\",\"id\":\"{id}\",\"delivered_as\":\"customer_initiated\",\"subject\":\"\",\"body\":"
    );
    body(None, mix(view.row.hash ^ 0x50), view, bodies, out);
    out.extend_from_slice(b",\"author\":");
    with_contact(account, view, |contact| {
        contact::author(account, contact, out)
    });
    out.extend_from_slice(b",\"attachments\":[],\"url\":null,\"redacted\":false}");
}

fn body(written: Option<&str>, hash: u64, view: &View<'_>, bodies: Bodies, out: &mut Vec<u8>) {
    let mut text = Vec::new();
    match written {
        Some(written) => text.extend_from_slice(written.as_bytes()),
        None => {
            write_value(Generator::Notes, hash, &view.row, &mut text);
        }
    }
    let text = String::from_utf8_lossy(&text);
    let text = match bodies {
        Bodies::Plain => text.into_owned(),
        Bodies::Html => {
            let text = text.replace('&', "&amp;").replace('<', "&lt;");
            format!("<p>{}</p>", text.replace('>', "&gt;").replace('\n', "<br>"))
        }
    };
    out.extend_from_slice(string(&text).as_bytes());
}

fn tag(view: &View<'_>, out: &mut Vec<u8>) {
    let place = below(view.row.hash, catalog::TAG_COUNT);
    let at_s = view.row.created_ms / 1000;
    let _written = write!(
        out,
        "{{\"type\":\"tag\",\"id\":\"{}\",\"name\":{},\"applied_at\":{at_s},\"applied_by\":{{\"type\":\"admin\",\"id\":\"{}\"}}}}",
        catalog::tag_id(place),
        string(catalog::TAGS[place as usize]),
        catalog::admin_id(0),
    );
}

/// Calls `show` with the contact that the conversation is with, deleted or not. A
/// workspace without contacts has none.
fn with_contact(account: &Account, view: &View<'_>, show: impl FnOnce(&View<'_>)) {
    let contacts = account.records(Kind::Contacts);
    if contacts.count == 0 {
        return;
    }
    let row = contacts.row(below(mix(view.row.hash ^ 0xc0), contacts.count));
    let overlay = contacts.overlay();
    match overlay.entries.get(&row.id) {
        Some(entry) => show(&contacts.view_of(row.id, entry, entry.current())),
        None => show(&base_view(row)),
    }
}

fn text(account: &Account, view: &View<'_>, name: &str) -> String {
    let mut out = Vec::new();
    if let Some(field) = find(Kind::Conversations, name) {
        field.text(Kind::Conversations, &account.config, view, &mut out);
    }
    String::from_utf8(out).unwrap_or_default()
}
