//! The fields that every company has, and the usual ones of its own.

use super::field::{Field, FieldOption, FieldType};
use super::{FIRST_USER_ID, Numbering, USERS};
use crate::generate::Generator;
use crate::pipedrive::config::Config;
use crate::pipedrive::kind::Kind;

use FieldType as T;

type Columns = Vec<(&'static str, Generator, Numbering, FieldType)>;

const CURRENCIES: &[(&str, &str)] = &[("EUR", "Euro"), ("USD", "US Dollar"), ("GBP", "Pound")];
const STATUSES: &[(&str, &str)] = &[("open", "Open"), ("won", "Won"), ("lost", "Lost")];
const ACTIVITY_TYPES: &[(&str, &str)] = &[
    ("call", "Call"),
    ("meeting", "Meeting"),
    ("task", "Task"),
    ("deadline", "Deadline"),
];
const LABELS: &[(&str, &str)] = &[("1", ""), ("2", ""), ("3", ""), ("4", "")];
const LOST_REASONS: &[(&str, &str)] = &[("Too dear", ""), ("No answer", "")];
const ORIGINS: &[(&str, &str)] = &[("ManuallyCreated", ""), ("API", ""), ("Import", "")];
const ENTIRE_COMPANY: &[(&str, &str)] = &[("3", "")];
const ZONES: &[(&str, &str)] = &[("98", ""), ("207", "")];
const TIMES: &[(&str, &str)] = &[("09:30:00", ""), ("14:00:00", ""), ("17:45:00", "")];
/// Pipelines and the stages of each, in order.
pub(crate) const STAGES: u32 = 5;
pub(crate) const PIPELINES: u32 = 2;

const fn one_of(
    options: &'static [(&'static str, &'static str)],
    null_per_mille: u32,
) -> Generator {
    Generator::Choice {
        options,
        null_per_mille,
    }
}

/// A reference to one of `below` records, absent for some.
fn place(below: u32, null_per_mille: u32) -> Generator {
    Generator::Count {
        below: below.max(1),
        null_per_mille: if below == 0 { 1000 } else { null_per_mille },
    }
}

/// The columns of the fields that every company has.
pub(super) fn columns(kind: Kind, config: &Config) -> Columns {
    let user = || Numbering::From(FIRST_USER_ID);
    let plain = || Numbering::Plain;
    let first = |kind: Kind| Numbering::From(kind.first_id());
    let mut columns: Columns = vec![
        ("owner_id", place(USERS, 0), user(), T::User),
        (
            "visible_to",
            one_of(ENTIRE_COMPANY, 0),
            plain(),
            T::VisibleTo,
        ),
        ("label_ids", one_of(LABELS, 700), plain(), T::Set),
    ];
    let organization = (
        "org_id",
        place(config.organizations, 200),
        first(Kind::Organizations),
        T::Org,
    );
    let person = (
        "person_id",
        place(config.persons, 200),
        first(Kind::Persons),
        T::People,
    );
    let deal = (
        "deal_id",
        place(config.deals, 300),
        first(Kind::Deals),
        T::Int,
    );
    let more: Columns = match kind {
        Kind::Persons => vec![
            ("name", Generator::Unset, plain(), T::Varchar),
            ("first_name", Generator::FirstName, plain(), T::Varchar),
            ("last_name", Generator::LastName, plain(), T::Varchar),
            ("email", Generator::Email, plain(), T::Varchar),
            ("phone", Generator::Phone, plain(), T::Phone),
            ("job_title", Generator::JobTitle, plain(), T::Varchar),
            organization,
        ],
        Kind::Organizations => {
            let mut columns: Columns = vec![
                ("name", Generator::Company, plain(), T::Varchar),
                ("website", Generator::Website, plain(), T::Varchar),
                ("address", Generator::Street, plain(), T::Address),
            ];
            for part in ADDRESS {
                let generator = match *part {
                    "address_locality" => Generator::City,
                    "address_country" => Generator::Country,
                    "address_postal_code" => Generator::PostCode,
                    _ => Generator::Unset,
                };
                columns.push((part, generator, plain(), T::Varchar));
            }
            columns
        }
        Kind::Deals => vec![
            ("title", Generator::DealName, plain(), T::Varchar),
            (
                "value",
                Generator::Money {
                    below: 90_000,
                    null_per_mille: 0,
                },
                plain(),
                T::Double,
            ),
            ("currency", one_of(CURRENCIES, 0), plain(), T::Varchar),
            ("status", one_of(STATUSES, 0), plain(), T::Status),
            ("pipeline_id", Generator::Unset, plain(), T::Int),
            (
                "stage_id",
                place(STAGES * PIPELINES, 0),
                Numbering::From(1),
                T::Stage,
            ),
            (
                "probability",
                Generator::Count {
                    below: 101,
                    null_per_mille: 600,
                },
                plain(),
                T::Int,
            ),
            (
                "lost_reason",
                one_of(LOST_REASONS, 300),
                plain(),
                T::Varchar,
            ),
            ("expected_close_date", Generator::Day, plain(), T::Date),
            ("stage_change_time", Generator::Unset, plain(), T::Date),
            ("close_time", Generator::Unset, plain(), T::Date),
            ("won_time", Generator::Unset, plain(), T::Date),
            ("lost_time", Generator::Unset, plain(), T::Date),
            ("origin", one_of(ORIGINS, 0), plain(), T::Varchar),
            (
                "is_archived",
                Generator::Share {
                    per_mille: config.archived_per_mille,
                },
                plain(),
                T::Boolean,
            ),
            organization,
            person,
        ],
        Kind::Activities => vec![
            ("subject", Generator::Notes, plain(), T::Varchar),
            ("type", one_of(ACTIVITY_TYPES, 0), plain(), T::Varchar),
            ("due_date", Generator::Day, plain(), T::Date),
            ("due_time", one_of(TIMES, 200), plain(), T::Time),
            (
                "duration",
                one_of(&[("00:30:00", ""), ("01:00:00", "")], 300),
                plain(),
                T::Time,
            ),
            ("busy", Generator::Flag, plain(), T::Boolean),
            ("done", Generator::Flag, plain(), T::Boolean),
            ("note", Generator::Notes, plain(), T::Text),
            ("public_description", Generator::Unset, plain(), T::Text),
            deal,
            organization,
            person,
        ],
        Kind::Products => vec![
            ("name", Generator::DealName, plain(), T::Varchar),
            ("code", Generator::PostCode, plain(), T::Varchar),
            ("description", Generator::Notes, plain(), T::Text),
            (
                "unit",
                one_of(&[("piece", ""), ("hour", "")], 0),
                plain(),
                T::Varchar,
            ),
            (
                "tax",
                one_of(&[("0", ""), ("19", "")], 0),
                plain(),
                T::Double,
            ),
        ],
        Kind::Leads => vec![
            ("title", Generator::DealName, plain(), T::Varchar),
            (
                "source_name",
                one_of(&[("API", ""), ("Manually created", "")], 0),
                plain(),
                T::Varchar,
            ),
            ("expected_close_date", Generator::Day, plain(), T::Date),
            (
                "is_archived",
                Generator::Share {
                    per_mille: config.archived_per_mille,
                },
                plain(),
                T::Boolean,
            ),
            organization,
            person,
        ],
    };
    columns.extend(more);
    columns
}

const ADDRESS: &[&str] = &[
    "address_subpremise",
    "address_street_number",
    "address_route",
    "address_sublocality",
    "address_locality",
    "address_admin_area_level_1",
    "address_admin_area_level_2",
    "address_country",
    "address_postal_code",
    "address_formatted_address",
];

/// Key in the first version, code in the second (empty where it has none), name, type
/// and flags.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    FieldType,
    &'static str,
);

const COUNTS: [Row; 6] = [
    ("won_deals_count", "", "Won deals", T::Int, "m"),
    ("lost_deals_count", "", "Lost deals", T::Int, "m"),
    ("closed_deals_count", "", "Closed deals", T::Int, "m"),
    ("activities_count", "", "Total activities", T::Int, "m"),
    ("done_activities_count", "", "Done activities", T::Int, "m"),
    (
        "undone_activities_count",
        "",
        "Activities to do",
        T::Int,
        "m",
    ),
];

const PERSONS: &[Row] = &[
    ("name", "name", "Name", T::Varchar, "ab"),
    ("label", "label_ids", "Label", T::Enum, "dab"),
    ("first_name", "first_name", "First name", T::Varchar, "db"),
    ("last_name", "last_name", "Last name", T::Varchar, "db"),
    ("phone", "phones", "Phone", T::Phone, "dab"),
    ("email", "emails", "Email", T::Varchar, "dab"),
    ("add_time", "add_time", "Person created", T::Date, "m"),
    ("update_time", "update_time", "Update time", T::Date, "m"),
    ("org_id", "org_id", "Organization", T::Org, "dab"),
    ("owner_id", "owner_id", "Owner", T::User, "dabm"),
    ("open_deals_count", "", "Open deals", T::Double, "m"),
    (
        "visible_to",
        "visible_to",
        "Visible to",
        T::VisibleTo,
        "dbm",
    ),
    ("next_activity_date", "", "Next activity date", T::Date, "m"),
    ("last_activity_date", "", "Last activity date", T::Date, "m"),
    ("id", "id", "ID", T::Int, "m"),
    (
        "email_messages_count",
        "",
        "Email messages count",
        T::Int,
        "m",
    ),
    (
        "picture_id",
        "picture_id",
        "Profile picture",
        T::Picture,
        "m",
    ),
    (
        "last_incoming_mail_time",
        "",
        "Last email received",
        T::Date,
        "m",
    ),
    (
        "last_outgoing_mail_time",
        "",
        "Last email sent",
        T::Date,
        "m",
    ),
];

const ORGANIZATIONS: &[Row] = &[
    ("name", "name", "Name", T::Varchar, "abm"),
    ("label", "label_ids", "Label", T::Enum, "dab"),
    ("owner_id", "owner_id", "Owner", T::User, "dabm"),
    ("people_count", "", "People", T::Double, "m"),
    ("open_deals_count", "", "Open deals", T::Double, "m"),
    ("add_time", "add_time", "Organization created", T::Date, "m"),
    ("update_time", "update_time", "Update time", T::Date, "m"),
    (
        "visible_to",
        "visible_to",
        "Visible to",
        T::VisibleTo,
        "dbm",
    ),
    ("next_activity_date", "", "Next activity date", T::Date, "m"),
    ("last_activity_date", "", "Last activity date", T::Date, "m"),
    ("id", "id", "ID", T::Int, "m"),
    (
        "email_messages_count",
        "",
        "Email messages count",
        T::Int,
        "m",
    ),
    ("picture_id", "", "Profile picture", T::Picture, "m"),
    ("address", "address", "Address", T::Address, "dabm"),
];

const DEALS: &[Row] = &[
    ("id", "id", "ID", T::Int, "m"),
    ("title", "title", "Title", T::Varchar, "abm"),
    ("user_id", "owner_id", "Owner", T::User, "dabm"),
    ("value", "value", "Value", T::Double, "dab"),
    ("currency", "currency", "Currency", T::Varchar, "dab"),
    ("org_id", "org_id", "Organization", T::Org, "dab"),
    ("person_id", "person_id", "Contact person", T::People, "dab"),
    ("pipeline_id", "pipeline_id", "Pipeline", T::Double, "b"),
    ("stage_id", "stage_id", "Stage", T::Stage, "abm"),
    ("label", "label_ids", "Label", T::Enum, "dab"),
    ("status", "status", "Status", T::Status, "bm"),
    ("add_time", "add_time", "Deal created", T::Date, "m"),
    ("update_time", "update_time", "Update time", T::Date, "m"),
    (
        "stage_change_time",
        "stage_change_time",
        "Last stage change",
        T::Date,
        "m",
    ),
    ("close_time", "close_time", "Deal closed on", T::Date, "m"),
    ("won_time", "won_time", "Won time", T::Date, "m"),
    ("lost_time", "lost_time", "Lost time", T::Date, "m"),
    ("lost_reason", "lost_reason", "Lost reason", T::Varchar, "d"),
    (
        "expected_close_date",
        "expected_close_date",
        "Expected close date",
        T::Date,
        "dab",
    ),
    ("probability", "probability", "Probability", T::Int, "dab"),
    (
        "visible_to",
        "visible_to",
        "Visible to",
        T::VisibleTo,
        "dbm",
    ),
    ("origin", "origin", "Source origin", T::Varchar, "m"),
];

const ACTIVITIES: &[Row] = &[
    ("id", "id", "ID", T::Int, "m"),
    ("subject", "subject", "Subject", T::Varchar, "dabm"),
    ("type", "type", "Type", T::Varchar, "dab"),
    ("user_id", "owner_id", "Assigned to user", T::User, "dabm"),
    ("due_date", "due_date", "Due date", T::Date, "dab"),
    ("due_time", "due_time", "Due time", T::Varchar, "dab"),
    ("duration", "duration", "Duration", T::Varchar, "dab"),
    ("busy_flag", "busy", "Free/busy", T::Boolean, "dab"),
    ("done", "done", "Done", T::Boolean, "dab"),
    ("note", "note", "Note", T::Text, "dab"),
    (
        "public_description",
        "public_description",
        "Public description",
        T::Text,
        "dab",
    ),
    ("deal_id", "deal_id", "Deal", T::Int, "dab"),
    ("person_id", "person_id", "Contact person", T::People, "dab"),
    ("org_id", "org_id", "Organization", T::Org, "dab"),
    ("add_time", "add_time", "Add time", T::Date, "m"),
    (
        "update_time",
        "update_time",
        "Last updated time",
        T::Date,
        "m",
    ),
];

const PRODUCTS: &[Row] = &[
    ("id", "id", "ID", T::Int, "m"),
    ("name", "name", "Name", T::Varchar, "abm"),
    ("code", "code", "Product code", T::Varchar, "dab"),
    ("description", "description", "Description", T::Text, "dab"),
    ("unit", "unit", "Unit", T::Varchar, "dab"),
    ("tax", "tax", "Tax percentage", T::Double, "dab"),
    ("owner_id", "owner_id", "Owner", T::User, "dabm"),
    (
        "visible_to",
        "visible_to",
        "Visible to",
        T::VisibleTo,
        "dbm",
    ),
    ("add_time", "add_time", "Created at", T::Date, "m"),
    ("update_time", "update_time", "Updated at", T::Date, "m"),
];

/// The definitions of the fields that every company has, without their ids.
pub(super) fn fields(kind: Kind) -> Vec<Field> {
    let (rows, counts) = match kind {
        Kind::Persons => (PERSONS, &COUNTS[..]),
        Kind::Organizations => (ORGANIZATIONS, &COUNTS[..]),
        Kind::Deals => (DEALS, &[][..]),
        Kind::Activities => (ACTIVITIES, &[][..]),
        Kind::Products => (PRODUCTS, &[][..]),
        Kind::Leads => (&[][..], &[][..]),
    };
    let rows = rows.iter().chain(counts).zip(1..);
    rows.map(|((key, code, name, field_type, flags), order)| Field {
        id: 0,
        key: (*key).to_owned(),
        code: (*code).to_owned(),
        name: (*name).to_owned(),
        order,
        field_type: *field_type,
        is_custom: false,
        options: options(key),
        flags,
        extras: extras(kind, key),
        at_ms: None,
    })
    .collect()
}

fn options(key: &str) -> Vec<FieldOption> {
    let option = |id: u64, label: &str, color: Option<&str>| FieldOption {
        id,
        label: label.to_owned(),
        color: color.map(str::to_owned),
    };
    match key {
        "label" => vec![
            option(1, "Customer", Some("green")),
            option(2, "Hot lead", Some("red")),
            option(3, "Warm lead", Some("yellow")),
            option(4, "Cold lead", Some("blue")),
        ],
        "visible_to" => vec![
            option(1, "owner & followers", None),
            option(3, "entire company", None),
        ],
        _ => Vec::new(),
    }
}

fn extras(kind: Kind, key: &str) -> &'static [(&'static str, &'static str)] {
    match (kind, key) {
        (Kind::Persons, "name") => &[("use_field", "id"), ("link", "/person/")],
        (Kind::Organizations, "name") => &[("use_field", "id"), ("link", "/organization/")],
        (_, "owner_id" | "user_id") => {
            &[("use_field", "owner_id"), ("display_field", "owner_name")]
        }
        (_, "org_id") => &[
            ("use_field", "org_id"),
            ("display_field", "org_name"),
            ("link", "/organization/"),
            ("autocomplete", "org_autocomplete"),
        ],
        (_, "person_id") => &[
            ("use_field", "person_id"),
            ("display_field", "person_name"),
            ("link", "/person/"),
            ("autocomplete", "person_autocomplete"),
        ],
        _ => &[],
    }
}

/// A field of each type that a company may define.
pub(super) const USUAL: &[(&str, FieldType, &[&str])] = &[
    ("external_id", T::Varchar, &[]),
    ("text_field", T::Varchar, &[]),
    ("large_text_field", T::Text, &[]),
    (
        "single_option_field",
        T::Enum,
        &["Option 1", "Option 2", "Option 3"],
    ),
    (
        "multiple_option_field",
        T::Set,
        &["Option 1", "Option 2", "Option 3"],
    ),
    ("autocomplete_field", T::VarcharAuto, &[]),
    ("numerical_field", T::Double, &[]),
    ("monetary_field", T::Monetary, &[]),
    ("user_field", T::User, &[]),
    ("organization_field", T::Org, &[]),
    ("person_field", T::People, &[]),
    ("phone_field", T::Phone, &[]),
    ("time_field", T::Time, &[]),
    ("time_range_field", T::Timerange, &[]),
    ("date_field", T::Date, &[]),
    ("date_range_field", T::Daterange, &[]),
    ("address_field", T::Address, &[]),
];

/// How a usual field is filled, with the ids of its options.
pub(super) fn usual(of: FieldType, options: Box<[u64]>) -> (Generator, Numbering) {
    let generator = match of {
        T::Varchar | T::VarcharAuto => Generator::Company,
        T::Text => Generator::Notes,
        T::Double | T::Monetary => Generator::Money {
            below: 10_000,
            null_per_mille: 300,
        },
        T::Date | T::Daterange => Generator::Day,
        T::Time | T::Timerange => one_of(TIMES, 500),
        T::Enum | T::Set => {
            let below = u32::try_from(options.len()).unwrap_or(u32::MAX);
            return (place(below, 300), Numbering::Listed(options));
        }
        T::User => return (place(USERS, 500), Numbering::From(FIRST_USER_ID)),
        T::Phone => Generator::Phone,
        T::Address => Generator::Street,
        _ => Generator::Unset,
    };
    (generator, Numbering::Plain)
}

/// How a part of a usual field is filled.
pub(super) fn usual_part(suffix: &str) -> Generator {
    match suffix {
        "currency" => one_of(CURRENCIES, 0),
        "timezone_id" => one_of(ZONES, 0),
        "locality" => Generator::City,
        "country" => Generator::Country,
        "postal_code" => Generator::PostCode,
        _ => Generator::Unset,
    }
}
