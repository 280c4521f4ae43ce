//! The field tables themselves, in the order of the wire.

use super::{Field, FieldType, Fill, Options, Source};
use crate::generate::Generator;
use crate::salesforce::object::Object;

use FieldType::{
    Boolean, Currency, Date, DateTime, Double, Email, Int, MultiPicklist, Percent, Phone, Picklist,
    Reference, String, TextArea, Url,
};

const INDUSTRIES: Options = &[
    ("Agriculture", "Agriculture"),
    ("Banking", "Banking"),
    ("Electronics", "Electronics"),
    ("Food & Beverage", "Food & Beverage"),
    ("N/A", "N/A"),
];
const ACCOUNT_TYPES: Options = &[
    ("Prospect", "Prospect"),
    ("Customer - Direct", "Customer - Direct"),
    ("Technology Partner", "Technology Partner"),
];
const RATINGS: Options = &[("Hot", "Hot"), ("Warm", "Warm"), ("Cold", "Cold")];
const SOURCES: Options = &[
    ("Web", "Web"),
    ("Phone Inquiry", "Phone Inquiry"),
    ("Partner Referral", "Partner Referral"),
    ("Other", "Other"),
];
const SALUTATIONS: Options = &[("Mr.", "Mr."), ("Ms.", "Ms."), ("Dr.", "Dr.")];
const STAGES: Options = &[
    ("Prospecting", "Prospecting"),
    ("Qualification", "Qualification"),
    ("Closed Won", "Closed Won"),
    ("Closed Lost", "Closed Lost"),
];
const LEAD_STATUS: Options = &[
    ("Open - Not Contacted", "Open - Not Contacted"),
    ("Working - Contacted", "Working - Contacted"),
    ("Closed - Converted", "Closed - Converted"),
];
const LANGUAGES: Options = &[
    ("English", "English"),
    ("German", "German"),
    ("Polish", "Polish"),
];
const INVOICE_STATUS: Options = &[("Draft", "Draft"), ("Sent", "Sent"), ("Paid", "Paid")];
const HISTORY_FIELDS: Options = &[
    ("Name", "Name"),
    ("Owner", "Owner"),
    ("Rating", "Rating"),
    ("created", "created"),
];
const FILE_TYPES: Options = &[
    ("text/plain", "text/plain"),
    ("application/pdf", "application/pdf"),
];
const TASK_STATUS: Options = &[
    ("Not Started", "Not Started"),
    ("In Progress", "In Progress"),
    ("Completed", "Completed"),
];

/// The standard fields of an object, and the custom ones that this org has always had.
pub(super) fn fields(object: Object) -> Vec<Field> {
    let mut fields = vec![id()];
    if object.abilities().deletable {
        fields.push(Field::new("IsDeleted", Boolean, Source::IsDeleted));
    }
    match object {
        Object::Account => account(&mut fields),
        Object::Contact => contact(&mut fields),
        Object::Opportunity => opportunity(&mut fields),
        Object::Lead => lead(&mut fields),
        Object::User => user(&mut fields),
        Object::AccountHistory => account_history(&mut fields),
        Object::Attachment => attachment(&mut fields),
        Object::Invoice => invoice(&mut fields),
        Object::TaskStatus => task_status(&mut fields),
    }
    fields
}

fn id() -> Field {
    Field::new("Id", FieldType::Id, Source::Id)
}

fn cell(name: &str, field_type: FieldType, generator: Generator) -> Field {
    Field::new(name, field_type, Source::Cell(Fill(generator)))
}

fn unset(name: &str, field_type: FieldType) -> Field {
    Field::new(name, field_type, Source::Unset)
}

fn choice(name: &str, options: Options, null_per_mille: u32) -> Field {
    Field {
        options,
        ..cell(
            name,
            Picklist,
            Generator::Choice {
                options,
                null_per_mille,
            },
        )
    }
}

fn refers(name: &str, object: Object, relationship: &'static str) -> Field {
    Field {
        refers: Some((object, relationship)),
        ..Field::new(name, Reference, Source::Reference(object))
    }
}

/// A reference that nothing generates.
fn may_refer(name: &str, object: Object, relationship: &'static str) -> Field {
    Field {
        refers: Some((object, relationship)),
        ..unset(name, Reference)
    }
}

fn required(field: Field) -> Field {
    Field {
        required: true,
        ..field
    }
}

fn external_id() -> Field {
    Field {
        external_id: true,
        ..Field::new("External_Id__c", String, Source::ExternalId)
    }
}

/// `MailingStreet` and so on, and the compound of them.
fn address(fields: &mut Vec<Field>, prefix: &'static str, compound: &'static str) {
    let part = |name: &str, field_type, generator| Field {
        compound: Some(compound),
        ..cell(&format!("{prefix}{name}"), field_type, generator)
    };
    fields.extend([
        part("Street", TextArea, Generator::Street),
        part("City", String, Generator::City),
        part("State", String, Generator::Unset),
        part("PostalCode", String, Generator::PostCode),
        part("Country", String, Generator::Country),
        part("Latitude", Double, Generator::Unset),
        part("Longitude", Double, Generator::Unset),
        part("GeocodeAccuracy", Picklist, Generator::Unset),
        Field::new(compound, FieldType::Address, Source::Address(prefix)),
    ]);
}

/// Owner, creation and modification.
fn audit(fields: &mut Vec<Field>, owned: bool) {
    if owned {
        fields.push(refers("OwnerId", Object::User, "Owner"));
    }
    let by = |name, relationship| Field {
        writable: false,
        ..refers(name, Object::User, relationship)
    };
    fields.extend([
        Field::new("CreatedDate", DateTime, Source::Created),
        by("CreatedById", "CreatedBy"),
        Field::new("LastModifiedDate", DateTime, Source::LastModified),
        by("LastModifiedById", "LastModifiedBy"),
        Field::new("SystemModstamp", DateTime, Source::SystemModstamp),
    ]);
}

fn count(name: &str, below: u32) -> Field {
    let generator = Generator::Count {
        below,
        null_per_mille: 200,
    };
    cell(name, Int, generator)
}

fn money(name: &str, field_type: FieldType, below: u32, null_per_mille: u32) -> Field {
    let generator = Generator::Money {
        below,
        null_per_mille,
    };
    cell(name, field_type, generator)
}

fn master(fields: &mut Vec<Field>, object: Object) {
    fields.push(Field {
        writable: false,
        ..may_refer("MasterRecordId", object, "MasterRecord")
    });
}

fn person_name(fields: &mut Vec<Field>) {
    let part = |field: Field| Field {
        compound: Some("Name"),
        ..field
    };
    fields.extend([
        part(required(cell("LastName", String, Generator::LastName))),
        part(cell("FirstName", String, Generator::FirstName)),
        part(choice("Salutation", SALUTATIONS, 600)),
        Field::new("Name", String, Source::PersonName),
    ]);
}

fn account(fields: &mut Vec<Field>) {
    master(fields, Object::Account);
    fields.extend([
        required(cell("Name", String, Generator::Company)),
        choice("Type", ACCOUNT_TYPES, 100),
        may_refer("ParentId", Object::Account, "Parent"),
    ]);
    address(fields, "Billing", "BillingAddress");
    address(fields, "Shipping", "ShippingAddress");
    fields.extend([
        cell("Phone", Phone, Generator::Phone),
        unset("Fax", Phone),
        Field::new("AccountNumber", String, Source::Unset),
        cell("Website", Url, Generator::Website),
        choice("Industry", INDUSTRIES, 50),
        money("AnnualRevenue", Currency, 9_000_000, 300),
        count("NumberOfEmployees", 50_000),
        cell("Description", TextArea, Generator::Notes),
        choice("Rating", RATINGS, 200),
        unset("Site", String),
    ]);
    audit(fields, true);
    fields.extend([
        unset("LastActivityDate", Date),
        choice("AccountSource", SOURCES, 400),
        external_id(),
        unset("Email__c", Email),
        unset("Legacy_Code__c", String),
    ]);
}

fn contact(fields: &mut Vec<Field>) {
    master(fields, Object::Contact);
    fields.push(refers("AccountId", Object::Account, "Account"));
    person_name(fields);
    address(fields, "Mailing", "MailingAddress");
    fields.extend([
        cell("Phone", Phone, Generator::Phone),
        unset("MobilePhone", Phone),
        may_refer("ReportsToId", Object::Contact, "ReportsTo"),
        cell("Email", Email, Generator::Email),
        cell("Title", String, Generator::JobTitle),
        unset("Department", String),
        choice("LeadSource", SOURCES, 400),
        cell("Birthdate", Date, Generator::Day),
        cell("Description", TextArea, Generator::Notes),
    ]);
    audit(fields, true);
    fields.extend([
        cell("EmailBouncedDate", DateTime, Generator::Unset),
        Field {
            options: LANGUAGES,
            ..cell(
                "Languages__c",
                MultiPicklist,
                Generator::Choices { options: LANGUAGES },
            )
        },
        external_id(),
    ]);
}

fn opportunity(fields: &mut Vec<Field>) {
    fields.extend([
        refers("AccountId", Object::Account, "Account"),
        required(cell("Name", String, Generator::DealName)),
        cell("Description", TextArea, Generator::Notes),
        required(choice("StageName", STAGES, 0)),
        money("Amount", Currency, 2_000_000, 100),
        money("Probability", Percent, 100, 0),
        required(cell("CloseDate", Date, Generator::Day)),
        choice("LeadSource", SOURCES, 300),
        cell("IsClosed", Boolean, Generator::Flag),
        cell("IsWon", Boolean, Generator::Flag),
    ]);
    audit(fields, true);
    fields.push(external_id());
}

fn lead(fields: &mut Vec<Field>) {
    master(fields, Object::Lead);
    person_name(fields);
    fields.extend([
        cell("Title", String, Generator::JobTitle),
        required(cell("Company", String, Generator::Company)),
    ]);
    address(fields, "", "Address");
    fields.extend([
        cell("Phone", Phone, Generator::Phone),
        cell("Email", Email, Generator::Email),
        cell("Description", TextArea, Generator::Notes),
        choice("LeadSource", SOURCES, 100),
        choice("Status", LEAD_STATUS, 0),
        cell("IsConverted", Boolean, Generator::Flag),
        cell("ConvertedDate", Date, Generator::Unset),
    ]);
    audit(fields, true);
}

fn user(fields: &mut Vec<Field>) {
    fields.push(cell("Username", String, Generator::Email));
    person_name(fields);
    fields.extend([
        cell("Email", Email, Generator::Email),
        cell("Title", String, Generator::JobTitle),
        Field::new("IsActive", Boolean, Source::Fixed("true")),
        cell("LastLoginDate", DateTime, Generator::Moment),
    ]);
    audit(fields, false);
}

fn account_history(fields: &mut Vec<Field>) {
    // A history row never changes: its creation is its last modification.
    fields.extend([
        refers("AccountId", Object::Account, "Account"),
        refers("CreatedById", Object::User, "CreatedBy"),
        Field::new("CreatedDate", DateTime, Source::SystemModstamp),
        choice("Field", HISTORY_FIELDS, 0),
        cell("OldValue", String, Generator::Company),
        cell("NewValue", String, Generator::Company),
    ]);
}

fn attachment(fields: &mut Vec<Field>) {
    fields.extend([
        required(refers("ParentId", Object::Account, "Parent")),
        required(Field::new("Name", String, Source::Numbered("file-"))),
        cell("IsPrivate", Boolean, Generator::Flag),
        choice("ContentType", FILE_TYPES, 0),
        count("BodyLength", 4096),
        required(Field::new("Body", FieldType::Base64, Source::File)),
    ]);
    audit(fields, true);
    fields.push(cell("Description", String, Generator::Notes));
}

fn invoice(fields: &mut Vec<Field>) {
    fields.push(Field::new("Name", String, Source::Numbered("INV-")));
    audit(fields, true);
    let part = |name: &str, degrees| Field {
        compound: Some("Place__c"),
        custom: true,
        ..Field::new(name, Double, Source::Degrees(degrees))
    };
    fields.extend([
        refers("Account__c", Object::Account, "Account__r"),
        money("Amount__c", Currency, 100_000, 0),
        choice("Status__c", INVOICE_STATUS, 0),
        cell("Paid__c", Boolean, Generator::Flag),
        cell("Due__c", Date, Generator::Day),
        cell("Sent_At__c", DateTime, Generator::Moment),
        cell("Memo__c", TextArea, Generator::Notes),
        external_id(),
        part("Place__Latitude__s", 90),
        part("Place__Longitude__s", 180),
        Field::new("Place__c", FieldType::Location, Source::Location("Place__")),
    ]);
}

fn task_status(fields: &mut Vec<Field>) {
    fields.extend([
        choice("MasterLabel", TASK_STATUS, 0),
        choice("ApiName", TASK_STATUS, 0),
        count("SortOrder", 10),
        cell("IsDefault", Boolean, Generator::Flag),
        cell("IsClosed", Boolean, Generator::Flag),
    ]);
    audit(fields, false);
}
