//! The property tables themselves.

mod custom;
mod tickets;

use std::sync::RwLock;

use super::{Property, PropertyType, Standing};
use crate::generate::Generator;
use crate::hubspot::config::Config;
use crate::hubspot::kind::Kind;

type Options = &'static [(&'static str, &'static str)];

const LIFECYCLE: Options = &[
    ("subscriber", "Subscriber"),
    ("lead", "Lead"),
    ("marketingqualifiedlead", "Marketing Qualified Lead"),
    ("salesqualifiedlead", "Sales Qualified Lead"),
    ("opportunity", "Opportunity"),
    ("customer", "Customer"),
    ("evangelist", "Evangelist"),
    ("other", "Other"),
];
const LEAD_STATUS: Options = &[
    ("NEW", "New"),
    ("OPEN", "Open"),
    ("IN_PROGRESS", "In Progress"),
    ("UNQUALIFIED", "Unqualified"),
    ("CONNECTED", "Connected"),
];
const TIERS: Options = &[
    ("bronze", "Bronze"),
    ("silver", "Silver"),
    ("gold", "Gold"),
    ("platinum", "Platinum"),
];
const INTERESTS: Options = &[
    ("api", "API"),
    ("reporting", "Reporting"),
    ("security", "Security"),
    ("exports", "Exports"),
];
const INDUSTRIES: Options = &[
    ("COMPUTER_SOFTWARE", "Computer Software"),
    ("RETAIL", "Retail"),
    ("BANKING", "Banking"),
    ("FOOD_PRODUCTION", "Food Production"),
    ("HOSPITAL_HEALTH_CARE", "Hospital & Health Care"),
];
const DEAL_STAGES: Options = &[
    ("appointmentscheduled", "Appointment Scheduled"),
    ("qualifiedtobuy", "Qualified To Buy"),
    ("presentationscheduled", "Presentation Scheduled"),
    ("contractsent", "Contract Sent"),
    ("closedwon", "Closed Won"),
    ("closedlost", "Closed Lost"),
];
const DEAL_TYPES: Options = &[
    ("newbusiness", "New Business"),
    ("existingbusiness", "Existing Business"),
];
const PIPELINES: Options = &[("default", "Sales Pipeline")];

/// Properties that a response holds when the request names none.
pub(super) fn defaults(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Contacts => &["email", "firstname", "lastname"],
        Kind::Companies => &["domain", "name"],
        Kind::Deals => &["amount", "closedate", "dealname", "dealstage", "pipeline"],
        Kind::Tickets => tickets::DEFAULTS,
        Kind::Custom(_) => &[],
    }
}

/// The property that a simulated edit changes.
pub(super) fn edited(kind: Kind, config: &Config) -> &str {
    match kind {
        Kind::Contacts => "jobtitle",
        Kind::Companies | Kind::Deals => "description",
        Kind::Tickets => "content",
        Kind::Custom(place) => custom::named(&config.custom_types[usize::from(place)]),
    }
}

/// The property that lists the records which were merged into this one.
pub(super) fn merged() -> Property {
    system(
        "hs_merged_object_ids",
        "Merged object IDs",
        PropertyType::Enumeration,
        Generator::Unset,
    )
}

pub(super) fn properties(kind: Kind, config: &Config) -> Vec<Property> {
    let mut properties = vec![
        system(
            kind.created_property(),
            "Create Date",
            PropertyType::DateTime,
            Generator::Created,
        ),
        system(
            "hs_object_id",
            "Record ID",
            PropertyType::Number,
            Generator::ObjectId,
        ),
        system(
            kind.modified_property(),
            "Last Modified Date",
            PropertyType::DateTime,
            Generator::Modified,
        ),
    ];
    if !matches!(kind, Kind::Custom(_)) {
        properties.push(choice_owner());
    }
    properties.extend(match kind {
        Kind::Contacts => contacts(),
        Kind::Companies => companies(),
        Kind::Deals => deals(),
        Kind::Tickets => tickets::properties(),
        Kind::Custom(place) => custom::properties(&config.custom_types[usize::from(place)]),
    });
    properties
}

/// Properties that the API derives for new contacts.
pub(super) fn derived(kind: Kind) -> Vec<Property> {
    if kind != Kind::Contacts {
        return Vec::new();
    }
    [
        ("hs_all_contact_vids", "All vids for a contact"),
        ("hs_email_domain", "Email Domain"),
        ("hs_is_contact", "Is a contact"),
        ("hs_is_unworked", "Contact unworked"),
        ("hs_pipeline", "Pipeline"),
    ]
    .into_iter()
    .map(|(name, label)| system(name, label, PropertyType::String, Generator::Unset))
    .collect()
}

fn contacts() -> Vec<Property> {
    let money = Generator::Money {
        below: 100_000,
        null_per_mille: 250,
    };
    vec![
        text("email", "Email", Generator::Email),
        text("firstname", "First Name", Generator::FirstName),
        text("lastname", "Last Name", Generator::LastName),
        text("phone", "Phone Number", Generator::Phone),
        text("address", "Street Address", Generator::Street),
        text("city", "City", Generator::City),
        text("country", "Country/Region", Generator::Country),
        text("zip", "Postal Code", Generator::PostCode),
        text("company", "Company Name", Generator::Company),
        text("jobtitle", "Job Title", Generator::JobTitle),
        text("message", "Message", Generator::Notes),
        choice("lifecyclestage", "Lifecycle Stage", LIFECYCLE, 0),
        choice("hs_lead_status", "Lead Status", LEAD_STATUS, 300),
        flag("hs_email_optout", "Unsubscribed from all email"),
        custom(
            "loyalty_points",
            "Loyalty points",
            PropertyType::Number,
            money,
        ),
        custom_choice("customer_tier", "Customer tier", TIERS, 400),
        custom(
            "renewal_date",
            "Renewal date",
            PropertyType::Date,
            Generator::Day,
        ),
        interests(),
    ]
}

fn companies() -> Vec<Property> {
    let employees = Generator::Count {
        below: 20_000,
        null_per_mille: 200,
    };
    let revenue = Generator::Money {
        below: 50_000_000,
        null_per_mille: 300,
    };
    vec![
        text("name", "Company name", Generator::Company),
        text("domain", "Company Domain Name", Generator::Domain),
        text("website", "Website URL", Generator::Website),
        text("phone", "Phone Number", Generator::Phone),
        text("address", "Street Address", Generator::Street),
        text("city", "City", Generator::City),
        text("country", "Country/Region", Generator::Country),
        text("zip", "Postal Code", Generator::PostCode),
        text("description", "Description", Generator::Notes),
        text("twitterhandle", "Twitter Handle", Generator::Unset),
        typed(
            "facebookfans",
            "Facebook Fans",
            PropertyType::Number,
            Generator::Unset,
        ),
        choice("industry", "Industry", INDUSTRIES, 150),
        choice("lifecyclestage", "Lifecycle Stage", LIFECYCLE, 0),
        typed(
            "numberofemployees",
            "Number of Employees",
            PropertyType::Number,
            employees,
        ),
        typed(
            "annualrevenue",
            "Annual Revenue",
            PropertyType::Number,
            revenue,
        ),
        custom_choice("customer_tier", "Customer tier", TIERS, 400),
    ]
}

fn deals() -> Vec<Property> {
    let amount = Generator::Money {
        below: 900_000,
        null_per_mille: 100,
    };
    let score = Generator::Count {
        below: 101,
        null_per_mille: 500,
    };
    vec![
        text("dealname", "Deal Name", Generator::DealName),
        text("description", "Deal Description", Generator::Notes),
        typed("amount", "Amount", PropertyType::Number, amount),
        typed(
            "closedate",
            "Close Date",
            PropertyType::DateTime,
            Generator::Moment,
        ),
        choice("dealstage", "Deal Stage", DEAL_STAGES, 0),
        choice("pipeline", "Pipeline", PIPELINES, 0),
        choice("dealtype", "Deal Type", DEAL_TYPES, 350),
        flag("hs_is_closed", "Is deal closed?"),
        custom("health_score", "Health score", PropertyType::Number, score),
        custom_choice("customer_tier", "Customer tier", TIERS, 400),
    ]
}

fn typed(name: &str, label: &str, property_type: PropertyType, generator: Generator) -> Property {
    Property {
        name: name.to_owned(),
        label: label.to_owned(),
        standing: RwLock::new(Standing {
            property_type,
            archived: false,
        }),
        options: &[],
        standard: true,
        came_with_type: false,
        read_only: false,
        generator,
        salt: 0,
    }
}

fn system(name: &str, label: &str, property_type: PropertyType, generator: Generator) -> Property {
    Property {
        read_only: true,
        ..typed(name, label, property_type, generator)
    }
}

fn custom(name: &str, label: &str, property_type: PropertyType, generator: Generator) -> Property {
    Property {
        standard: false,
        ..typed(name, label, property_type, generator)
    }
}

fn text(name: &str, label: &str, generator: Generator) -> Property {
    typed(name, label, PropertyType::String, generator)
}

fn flag(name: &str, label: &str) -> Property {
    typed(name, label, PropertyType::Bool, Generator::Flag)
}

fn choice(name: &str, label: &str, options: Options, null_per_mille: u32) -> Property {
    let generator = Generator::Choice {
        options,
        null_per_mille,
    };
    Property {
        options,
        ..typed(name, label, PropertyType::Enumeration, generator)
    }
}

fn custom_choice(name: &str, label: &str, options: Options, null_per_mille: u32) -> Property {
    Property {
        standard: false,
        ..choice(name, label, options, null_per_mille)
    }
}

fn interests() -> Property {
    Property {
        options: INTERESTS,
        standard: false,
        ..typed(
            "interests",
            "Interests",
            PropertyType::Enumeration,
            Generator::Choices { options: INTERESTS },
        )
    }
}

/// Owners are an enumeration whose options live in another endpoint.
fn choice_owner() -> Property {
    typed(
        "hubspot_owner_id",
        "Owner",
        PropertyType::Enumeration,
        Generator::Owner,
    )
}
