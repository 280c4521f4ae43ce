//! The object types that hold records, with every name the API knows them by.

use serde::{Deserialize, Serialize};

/// An object type that holds records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// People; type id `0-1`.
    Contacts,
    /// Organisations; type id `0-2`.
    Companies,
    /// Opportunities; type id `0-3`.
    Deals,
}

impl Kind {
    /// Every kind, in type-id order.
    pub const ALL: [Kind; 3] = [Kind::Contacts, Kind::Companies, Kind::Deals];

    /// Reads any of the spellings that the API accepts in a path:
    /// `contacts`, `contact`, `CONTACT`, `0-1`, and so on.
    pub fn parse(text: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| {
            text == kind.type_id()
                || text.eq_ignore_ascii_case(kind.plural())
                || text.eq_ignore_ascii_case(kind.singular())
        })
    }

    /// `contacts`, as in the usual path.
    pub fn plural(self) -> &'static str {
        match self {
            Kind::Contacts => "contacts",
            Kind::Companies => "companies",
            Kind::Deals => "deals",
        }
    }

    /// `contact`.
    pub fn singular(self) -> &'static str {
        match self {
            Kind::Contacts => "contact",
            Kind::Companies => "company",
            Kind::Deals => "deal",
        }
    }

    /// `CONTACT`, the fully qualified name.
    pub fn upper(self) -> &'static str {
        match self {
            Kind::Contacts => "CONTACT",
            Kind::Companies => "COMPANY",
            Kind::Deals => "DEAL",
        }
    }

    /// `0-1`.
    pub fn type_id(self) -> &'static str {
        match self {
            Kind::Contacts => "0-1",
            Kind::Companies => "0-2",
            Kind::Deals => "0-3",
        }
    }

    /// The property that carries the last modification: contacts are the
    /// historical exception.
    pub fn modified_property(self) -> &'static str {
        match self {
            Kind::Contacts => "lastmodifieddate",
            Kind::Companies | Kind::Deals => "hs_lastmodifieddate",
        }
    }

    /// The smallest record id. Contact ids start short, so that ids of several
    /// widths occur and a client that orders them as text is found out.
    pub(crate) fn first_id(self) -> u64 {
        match self {
            Kind::Contacts => 101,
            Kind::Companies => 7_900_000_001,
            Kind::Deals => 9_000_001,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn every_spelling_of_a_type_resolves() {
        for text in ["contacts", "contact", "CONTACT", "CONTACTS", "0-1"] {
            assert_eq!(Kind::parse(text), Some(Kind::Contacts), "{text}");
        }
        assert_eq!(Kind::parse("COMPANY"), Some(Kind::Companies));
        assert_eq!(Kind::parse("0-3"), Some(Kind::Deals));
        assert_eq!(Kind::parse("2-1"), None);
    }
}
