//! The fields of each object type.

use crate::generate::Generator;
use crate::leadsquared::field::{Field, Source};
use crate::leadsquared::kind::Kind;

pub(crate) const AUTO_ID: u16 = 1;
pub(crate) const EMAIL: u16 = 4;
pub(crate) const PHONE: u16 = 5;
pub(crate) const NOTES: u16 = 16;
/// Of activities and opportunities: the lead, the type, the note.
pub(crate) const LEAD: u16 = 2;
pub(crate) const EVENT: u16 = 3;
pub(crate) const NOTE: u16 = 4;

const fn field(name: &'static str, data_type: &'static str, column: u16, source: Source) -> Field {
    Field {
        name,
        data_type,
        column,
        source,
    }
}

const CREATED: Field = field("CreatedOn", "DateTime", 40, Source::Created);
const MODIFIED: Field = field("ModifiedOn", "DateTime", 41, Source::Modified);
const OWNER: Field = field("OwnerId", "ActiveUsers", 42, Source::Owner);

pub(crate) static LEAD_FIELDS: [Field; 20] = [
    field("ProspectID", "Text", 0, Source::Id),
    field("ProspectAutoId", "Number", AUTO_ID, Source::AutoId),
    field("FirstName", "Text", 2, Source::Cell(Generator::FirstName)),
    field("LastName", "Text", 3, Source::Cell(Generator::LastName)),
    field(
        "EmailAddress",
        "Email",
        EMAIL,
        Source::Cell(Generator::Email),
    ),
    field("Phone", "Phone", PHONE, Source::Cell(Generator::Phone)),
    field("Company", "Text", 6, Source::Cell(Generator::Company)),
    field("JobTitle", "Text", 7, Source::Cell(Generator::JobTitle)),
    field("Source", "Select", 8, Source::Cell(SOURCE)),
    field("ProspectStage", "Select", 9, Source::Cell(STAGE)),
    field("LeadType", "Select", 10, Source::Cell(TYPE)),
    field("Score", "Number", 11, count(100, 0)),
    field("DoNotEmail", "Boolean", 12, Source::Cell(FLAG)),
    field("mx_City", "Text", 13, Source::Cell(Generator::City)),
    field(
        "mx_Annual_Revenue",
        "Number",
        14,
        Source::Cell(Generator::Money {
            below: 900_000,
            null_per_mille: 300,
        }),
    ),
    field("mx_Date_Of_Birth", "Date", 15, Source::Unset),
    field("Notes", "Text", NOTES, Source::Cell(Generator::Notes)),
    OWNER,
    CREATED,
    MODIFIED,
];

pub(crate) static ACTIVITY_FIELDS: [Field; 9] = [
    field("ProspectActivityId", "Text", 0, Source::Id),
    field("RelatedProspectId", "Text", LEAD, Source::Lead),
    field("ActivityEvent", "Number", EVENT, Source::Event),
    field("ActivityEvent_Note", "Text", NOTE, Source::Pairs),
    field("Status", "Select", 5, Source::Cell(ANSWERED)),
    field("mx_Custom_1", "Text", 6, Source::Cell(Generator::Notes)),
    field("OwnerId", "ActiveUsers", 42, Source::Owner),
    CREATED,
    MODIFIED,
];

pub(crate) static OPPORTUNITY_FIELDS: [Field; 9] = [
    field("OpportunityId", "Text", 0, Source::Id),
    field("RelatedProspectId", "Text", LEAD, Source::Lead),
    field("OpportunityEvent", "Number", EVENT, Source::Fixed("12000")),
    field(
        "OpportunityNote",
        "Text",
        NOTE,
        Source::Cell(Generator::DealName),
    ),
    field("Status", "Select", 5, Source::Cell(OUTCOME)),
    field(
        "mx_Custom_8",
        "Number",
        6,
        Source::Cell(Generator::Money {
            below: 500_000,
            null_per_mille: 100,
        }),
    ),
    field("Owner", "ActiveUsers", 42, Source::Owner),
    CREATED,
    MODIFIED,
];

const fn count(below: u32, null_per_mille: u32) -> Source {
    Source::Cell(Generator::Count {
        below,
        null_per_mille,
    })
}

const fn choice(
    options: &'static [(&'static str, &'static str)],
    null_per_mille: u32,
) -> Generator {
    Generator::Choice {
        options,
        null_per_mille,
    }
}

const SOURCE: Generator = choice(
    &[
        ("Organic Search", ""),
        ("Referral Sites", ""),
        ("Inbound Phone call", ""),
    ],
    200,
);
const STAGE: Generator = choice(
    &[
        ("Prospect", ""),
        ("Opportunity", ""),
        ("Customer", ""),
        ("Disqualified", ""),
    ],
    0,
);
/// The second type is what accounts use for contacts.
const TYPE: Generator = choice(&[("OT_0", ""), ("OT_0", ""), ("OT_1", "")], 0);
const FLAG: Generator = choice(&[("0", ""), ("1", "")], 0);
const ANSWERED: Generator = choice(&[("Answered", ""), ("NotAnswered", "")], 200);
const OUTCOME: Generator = choice(&[("Open", ""), ("Won", ""), ("Lost", "")], 0);

/// The fields of a kind.
pub(crate) fn fields(kind: Kind) -> &'static [Field] {
    match kind {
        Kind::Leads => &LEAD_FIELDS,
        Kind::Activities => &ACTIVITY_FIELDS,
        Kind::Opportunities => &OPPORTUNITY_FIELDS,
    }
}

/// The field of this name, in whatever case.
pub(crate) fn find(kind: Kind, name: &str) -> Option<&'static Field> {
    let mut fields = fields(kind).iter();
    fields.find(|field| field.name.eq_ignore_ascii_case(name))
}

/// The options of a field that has some.
pub(crate) fn options(field: &Field) -> &'static [(&'static str, &'static str)] {
    match field.source {
        Source::Cell(Generator::Choice { options, .. }) if field.data_type == "Select" => options,
        _ => &[],
    }
}
