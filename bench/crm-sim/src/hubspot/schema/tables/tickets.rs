//! The properties of tickets.

use super::{Options, choice, text, typed};
use crate::generate::Generator;
use crate::hubspot::schema::{Property, PropertyType};

/// Stages of the one pipeline, by their ids.
const STAGES: Options = &[
    ("1", "New"),
    ("2", "Waiting on contact"),
    ("3", "Waiting on us"),
    ("4", "Closed"),
];
const PIPELINES: Options = &[("0", "Support Pipeline")];
const PRIORITIES: Options = &[("LOW", "Low"), ("MEDIUM", "Medium"), ("HIGH", "High")];
const CATEGORIES: Options = &[
    ("PRODUCT_ISSUE", "Product issue"),
    ("BILLING_ISSUE", "Billing issue"),
    ("FEATURE_REQUEST", "Feature request"),
    ("GENERAL_INQUIRY", "General inquiry"),
];
const SOURCES: Options = &[
    ("CHAT", "Chat"),
    ("EMAIL", "Email"),
    ("FORM", "Form"),
    ("PHONE", "Phone"),
];

/// What a response holds when the request names no properties.
pub(super) const DEFAULTS: &[&str] = &[
    "content",
    "hs_pipeline",
    "hs_pipeline_stage",
    "hs_ticket_category",
    "hs_ticket_priority",
    "subject",
];

pub(super) fn properties() -> Vec<Property> {
    vec![
        text("subject", "Ticket name", Generator::DealName),
        text("content", "Ticket description", Generator::Notes),
        choice("hs_pipeline", "Pipeline", PIPELINES, 0),
        choice("hs_pipeline_stage", "Ticket status", STAGES, 0),
        choice("hs_ticket_priority", "Priority", PRIORITIES, 250),
        choice("hs_ticket_category", "Category", CATEGORIES, 300),
        choice("source_type", "Source", SOURCES, 200),
        typed(
            "closed_date",
            "Close date",
            PropertyType::DateTime,
            Generator::Unset,
        ),
    ]
}
