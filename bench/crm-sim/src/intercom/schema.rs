//! The fields of each object type, and the attributes that the workspace defined.

use crate::generate::Generator;
use crate::intercom::field::{Field, Form, Source};
use crate::intercom::kind::Kind;

pub(crate) const ROLE: u16 = 0;
pub(crate) const EXTERNAL_ID: u16 = 1;
pub(crate) const EMAIL: u16 = 2;
pub(crate) const NAME: u16 = 4;
/// The company's number in its own system.
pub(crate) const COMPANY_ID: u16 = 1;
/// The body of a conversation's newest part.
pub(crate) const COMMENT: u16 = 3;
/// Ids of tags, comma-separated.
pub(crate) const TAGS: u16 = 60;
/// Ids of companies, comma-separated.
pub(crate) const COMPANIES: u16 = 61;
/// Set once a record is on its way to be wiped and cannot come back.
pub(crate) const WIPED: u16 = 62;
/// The first custom attribute's column.
const ATTRIBUTES: u16 = 80;

const fn field(name: &'static str, column: u16, form: Form, source: Source) -> Field {
    Field {
        name,
        column,
        form,
        source,
    }
}

const ID: Field = field("id", 70, Form::Text, Source::Id);
const CREATED: Field = field("created_at", 71, Form::Seconds, Source::Created);
const UPDATED: Field = field("updated_at", 72, Form::Seconds, Source::Updated);

const fn later(null_per_mille: u32) -> Source {
    Source::Later { null_per_mille }
}

pub(crate) static CONTACT: [Field; 26] = [
    ID,
    CREATED,
    UPDATED,
    field("role", ROLE, Form::Text, Source::Unset),
    field("external_id", EXTERNAL_ID, Form::Text, Source::ExternalId),
    field("email", EMAIL, Form::Text, Source::Cell(Generator::Email)),
    field("phone", 3, Form::Text, Source::Cell(Generator::Phone)),
    field("name", NAME, Form::Text, Source::FullName),
    field("owner_id", 5, Form::Number, Source::Admin),
    field("has_hard_bounced", 6, Form::Flag, Source::Seldom(20)),
    field("marked_email_as_spam", 7, Form::Flag, Source::Seldom(10)),
    field(
        "unsubscribed_from_emails",
        8,
        Form::Flag,
        Source::Seldom(150),
    ),
    field("signed_up_at", 9, Form::Seconds, later(100)),
    field("last_seen_at", 10, Form::Seconds, later(200)),
    field("last_replied_at", 11, Form::Seconds, later(500)),
    field("last_contacted_at", 12, Form::Seconds, later(400)),
    field("last_email_opened_at", 13, Form::Seconds, later(600)),
    field("last_email_clicked_at", 14, Form::Seconds, later(800)),
    field("language_override", 15, Form::Text, Source::Unset),
    field("browser", 16, Form::Text, Source::Unset),
    field("browser_version", 17, Form::Text, Source::Unset),
    field("browser_language", 18, Form::Text, Source::Unset),
    field("os", 19, Form::Text, Source::Unset),
    field(
        "location.country",
        20,
        Form::Text,
        Source::Cell(Generator::Country),
    ),
    field("location.region", 21, Form::Text, Source::Unset),
    field(
        "location.city",
        22,
        Form::Text,
        Source::Cell(Generator::City),
    ),
];

pub(crate) static COMPANY: [Field; 11] = [
    ID,
    CREATED,
    UPDATED,
    field("company_id", COMPANY_ID, Form::Text, Source::CompanyId),
    field("name", NAME, Form::Text, Source::Cell(Generator::Company)),
    field("remote_created_at", 5, Form::Seconds, later(0)),
    field("last_request_at", 6, Form::Seconds, later(300)),
    field("monthly_spend", 7, Form::Number, count(50_000, 0)),
    field("session_count", 8, Form::Number, count(900, 0)),
    field("website", 9, Form::Text, Source::Cell(Generator::Website)),
    field("industry", 10, Form::Text, Source::Cell(INDUSTRY)),
];

pub(crate) static CONVERSATION: [Field; 11] = [
    ID,
    CREATED,
    UPDATED,
    field("title", NAME, Form::Text, Source::Cell(Generator::DealName)),
    field("state", 5, Form::Text, Source::Cell(STATE)),
    field("read", 6, Form::Flag, Source::Seldom(700)),
    field("priority", 7, Form::Text, Source::Cell(PRIORITY)),
    field("admin_assignee_id", 8, Form::Number, Source::Admin),
    field("team_assignee_id", 9, Form::Number, Source::Team),
    field("waiting_since", 10, Form::Seconds, later(600)),
    field("snoozed_until", 11, Form::Seconds, Source::Unset),
];

/// Attributes that the workspace defined itself, of contacts and of companies.
pub(crate) static CONTACT_ATTRIBUTES: [Field; 7] = [
    field(
        "text_field",
        ATTRIBUTES,
        Form::Text,
        Source::Cell(Generator::Notes),
    ),
    field(
        "number_field",
        ATTRIBUTES + 1,
        Form::Number,
        count(1000, 300),
    ),
    field(
        "decimal_field",
        ATTRIBUTES + 2,
        Form::Number,
        money(10_000, 300),
    ),
    field(
        "boolean_field",
        ATTRIBUTES + 3,
        Form::Flag,
        Source::Seldom(500),
    ),
    field("date_field", ATTRIBUTES + 4, Form::Seconds, later(300)),
    field(
        "list_field",
        ATTRIBUTES + 5,
        Form::Text,
        Source::Cell(COLOURS),
    ),
    field("LTV", ATTRIBUTES + 6, Form::Number, money(100_000, 100)),
];

pub(crate) static COMPANY_ATTRIBUTES: [Field; 3] = [
    field(
        "paid_subscriber",
        ATTRIBUTES,
        Form::Flag,
        Source::Seldom(600),
    ),
    field("team_mates", ATTRIBUTES + 1, Form::Number, count(40, 200)),
    field(
        "account_note",
        ATTRIBUTES + 2,
        Form::Text,
        Source::Cell(Generator::Notes),
    ),
];

const fn count(below: u32, null_per_mille: u32) -> Source {
    Source::Cell(Generator::Count {
        below,
        null_per_mille,
    })
}

const fn money(below: u32, null_per_mille: u32) -> Source {
    Source::Cell(Generator::Money {
        below,
        null_per_mille,
    })
}

const INDUSTRY: Generator = Generator::Choice {
    options: &[
        ("Software", ""),
        ("Retail", ""),
        ("Banking & Insurance", ""),
        ("Häuser \"Alt\"", ""),
    ],
    null_per_mille: 200,
};
const STATE: Generator = Generator::Choice {
    options: &[
        ("open", ""),
        ("closed", ""),
        ("closed", ""),
        ("snoozed", ""),
    ],
    null_per_mille: 0,
};
const PRIORITY: Generator = Generator::Choice {
    options: &[("priority", ""), ("not_priority", ""), ("not_priority", "")],
    null_per_mille: 0,
};
const COLOURS: Generator = Generator::Choice {
    options: &[("Red", ""), ("Blue", ""), ("Green", "")],
    null_per_mille: 100,
};

/// The fields that every record of a kind has.
pub(crate) fn fields(kind: Kind) -> &'static [Field] {
    match kind {
        Kind::Contacts => &CONTACT,
        Kind::Companies => &COMPANY,
        Kind::Conversations => &CONVERSATION,
    }
}

/// The attributes that the workspace defined for a kind.
pub(crate) fn attributes(kind: Kind) -> &'static [Field] {
    match kind {
        Kind::Contacts => &CONTACT_ATTRIBUTES,
        Kind::Companies => &COMPANY_ATTRIBUTES,
        Kind::Conversations => &[],
    }
}

/// The field that a search names.
pub(crate) fn find(kind: Kind, name: &str) -> Option<&'static Field> {
    let (fields, name) = match name.strip_prefix("custom_attributes.") {
        Some(name) => (attributes(kind), name),
        None => (fields(kind), name),
    };
    fields.iter().find(|field| field.name == name)
}
