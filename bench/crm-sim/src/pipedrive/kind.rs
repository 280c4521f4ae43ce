//! The record types of the simulated account.

use serde::{Deserialize, Serialize};

/// A type of records, named as in the paths of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// People.
    Persons,
    /// Their companies.
    Organizations,
    /// Sales, in a stage of a pipeline.
    Deals,
    /// Calls, meetings and tasks.
    Activities,
    /// What is sold.
    Products,
    /// Deals to be; only the first version of the API lists them.
    Leads,
}

impl Kind {
    /// All of them, in a fixed order.
    pub const ALL: [Kind; 6] = [
        Kind::Persons,
        Kind::Organizations,
        Kind::Deals,
        Kind::Activities,
        Kind::Products,
        Kind::Leads,
    ];

    /// The name in paths: `persons`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Persons => "persons",
            Kind::Organizations => "organizations",
            Kind::Deals => "deals",
            Kind::Activities => "activities",
            Kind::Products => "products",
            Kind::Leads => "leads",
        }
    }

    /// The name of one record, as field paths and messages have it: `person`.
    pub fn singular(self) -> &'static str {
        match self {
            Kind::Persons => "person",
            Kind::Organizations => "organization",
            Kind::Deals => "deal",
            Kind::Activities => "activity",
            Kind::Products => "product",
            Kind::Leads => "lead",
        }
    }

    /// The type of this name in paths.
    pub fn parse(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The type of this name of one record.
    pub(crate) fn from_singular(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.singular() == name)
    }

    /// Whether records carry fields that the account defined itself.
    pub(crate) fn has_custom_fields(self) -> bool {
        self != Kind::Activities && self != Kind::Leads
    }

    /// Start of the ids; they rise with creation.
    pub(crate) fn first_id(self) -> u64 {
        match self {
            Kind::Persons => 1,
            Kind::Organizations => 2,
            Kind::Deals => 3,
            Kind::Activities => 4,
            Kind::Products => 5,
            Kind::Leads => 6,
        }
    }

    /// Start of the ids of this type's fields.
    pub(crate) fn first_field_id(self) -> u64 {
        match self {
            Kind::Persons => 9039,
            Kind::Organizations => 4002,
            Kind::Deals => 12_451,
            Kind::Activities => 14_000,
            Kind::Products => 15_000,
            Kind::Leads => 16_000,
        }
    }

    /// The first half of the scopes that open this type's records.
    pub(crate) fn scope(self) -> &'static str {
        match self {
            Kind::Persons | Kind::Organizations => "contacts",
            _ => self.name(),
        }
    }
}
