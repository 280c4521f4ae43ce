//! The object types that hold records, and what each of them is called.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::hubspot::config::{Config, CustomType};

/// An object type that holds records. In settings and in the control API it is
/// `contacts`, `companies`, `deals`, `tickets`, or `custom-1`, `custom-2` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Kind {
    /// People; type id `0-1`.
    Contacts,
    /// Organisations; type id `0-2`.
    Companies,
    /// Opportunities; type id `0-3`.
    Deals,
    /// Requests for help; type id `0-5`.
    Tickets,
    /// An object type of the account's own, by its place in
    /// [`Config::custom_types`].
    Custom(u8),
}

impl Kind {
    /// The kinds that every account has, in type-id order.
    pub const STANDARD: [Kind; 4] = [Kind::Contacts, Kind::Companies, Kind::Deals, Kind::Tickets];

    /// Every kind of an account.
    pub(crate) fn all(config: &Config) -> Vec<Kind> {
        let custom = (0..u8::MAX).take(config.custom_types.len());
        let standard = Kind::STANDARD.into_iter();
        standard.chain(custom.map(Kind::Custom)).collect()
    }

    /// Reads any spelling of a standard type that the API accepts in a path:
    /// `contacts`, `contact`, `CONTACT`, `0-1`, and so on; also `custom-1`, which it
    /// does not.
    pub fn parse(text: &str) -> Option<Kind> {
        if let Some(number) = text.strip_prefix("custom-") {
            let number: u8 = number.parse().ok()?;
            return Some(Kind::Custom(number.checked_sub(1)?));
        }
        let standard = Kind::STANDARD.into_iter();
        let mut named = standard.filter_map(|kind| Some((kind, Names::standard(kind)?)));
        let (kind, _) = named.find(|(_, names)| names.answer_to(text))?;
        Some(kind)
    }

    /// The property that carries the last modification: contacts are the
    /// historical exception.
    pub fn modified_property(self) -> &'static str {
        match self {
            Kind::Contacts => "lastmodifieddate",
            _ => "hs_lastmodifieddate",
        }
    }

    /// The property that carries the creation.
    pub fn created_property(self) -> &'static str {
        match self {
            Kind::Custom(_) => "hs_createdate",
            _ => "createdate",
        }
    }

    /// The smallest record id. Contact ids start short, so that ids of several
    /// widths occur and a client that orders them as text is found out.
    pub(crate) fn first_id(self) -> u64 {
        match self {
            Kind::Contacts => 101,
            Kind::Companies => 7_900_000_001,
            Kind::Deals => 9_000_001,
            Kind::Tickets => 990_001,
            Kind::Custom(place) => 90_000_001 + u64::from(place) * 1_000_000_000_000,
        }
    }

    /// The scope that an operation on records of this kind asks of a token; `verb` is
    /// `read` or `write`.
    pub(crate) fn scope(self, verb: &str) -> String {
        match self {
            Kind::Contacts => format!("crm.objects.contacts.{verb}"),
            Kind::Companies => format!("crm.objects.companies.{verb}"),
            Kind::Deals => format!("crm.objects.deals.{verb}"),
            // One for both, older than the others.
            Kind::Tickets => "tickets".to_owned(),
            Kind::Custom(_) => format!("crm.objects.custom.{verb}"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Contacts => write!(f, "contacts"),
            Kind::Companies => write!(f, "companies"),
            Kind::Deals => write!(f, "deals"),
            Kind::Tickets => write!(f, "tickets"),
            Kind::Custom(place) => write!(f, "custom-{}", u16::from(*place) + 1),
        }
    }
}

impl From<Kind> for String {
    fn from(kind: Kind) -> String {
        kind.to_string()
    }
}

impl TryFrom<String> for Kind {
    type Error = String;

    fn try_from(text: String) -> Result<Kind, String> {
        Kind::parse(&text).ok_or_else(|| format!("there is no object type {text:?}"))
    }
}

/// What one object type is called on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    /// `0-1`, `2-3604285`.
    pub(crate) type_id: String,
    /// `contact`.
    pub(crate) singular: String,
    /// `contacts`.
    pub(crate) plural: String,
    /// `CONTACT`, `machine`.
    pub(crate) name: String,
    /// `CONTACT`, `p20858235_machine`.
    pub(crate) qualified: String,
    /// What people read: `Contact`, `Contacts`.
    pub(crate) labels: [String; 2],
}

impl Names {
    pub(crate) fn of(kind: Kind, config: &Config) -> Names {
        let own = match kind {
            Kind::Custom(place) => config.custom_types.get(usize::from(place)),
            _ => None,
        };
        match own {
            Some(own) => Names::custom(own, config.portal_id),
            None => Names::standard(kind).expect("a kind of the account is standard or declared"),
        }
    }

    fn standard(kind: Kind) -> Option<Names> {
        let (number, singular, plural) = match kind {
            Kind::Contacts => (1, "contact", "contacts"),
            Kind::Companies => (2, "company", "companies"),
            Kind::Deals => (3, "deal", "deals"),
            Kind::Tickets => (5, "ticket", "tickets"),
            Kind::Custom(_) => return None,
        };
        let title = |text: &str| text[..1].to_uppercase() + &text[1..];
        Some(Names {
            type_id: format!("0-{number}"),
            singular: singular.to_owned(),
            plural: plural.to_owned(),
            name: singular.to_uppercase(),
            qualified: singular.to_uppercase(),
            labels: [title(singular), title(plural)],
        })
    }

    fn custom(own: &CustomType, portal_id: u64) -> Names {
        Names {
            type_id: format!("2-{}", own.number),
            singular: own.name.clone(),
            plural: own.name.clone(),
            name: own.name.clone(),
            qualified: format!("p{portal_id}_{}", own.name),
            labels: own.labels.clone(),
        }
    }

    /// Whether the account defined the type itself.
    pub(crate) fn is_own(&self) -> bool {
        self.type_id.starts_with("2-")
    }

    /// The group that properties belong to.
    pub(crate) fn group(&self) -> String {
        match self.is_own() {
            true => format!("{}_information", self.name),
            false => format!("{}information", self.singular),
        }
    }

    /// Whether the API takes this text in a path for the type.
    pub(crate) fn answer_to(&self, text: &str) -> bool {
        text == self.type_id
            || text.eq_ignore_ascii_case(&self.plural)
            || text.eq_ignore_ascii_case(&self.singular)
            || text.eq_ignore_ascii_case(&self.qualified)
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Names};
    use crate::hubspot::config::{Config, CustomType};

    #[test]
    fn every_spelling_of_a_type_resolves() {
        for text in ["contacts", "contact", "CONTACT", "CONTACTS", "0-1"] {
            assert_eq!(Kind::parse(text), Some(Kind::Contacts), "{text}");
        }
        assert_eq!(Kind::parse("COMPANY"), Some(Kind::Companies));
        assert_eq!(Kind::parse("0-3"), Some(Kind::Deals));
        assert_eq!(Kind::parse("0-5"), Some(Kind::Tickets));
        assert_eq!(Kind::parse("2-1"), None);
    }

    #[test]
    fn a_kind_reads_back_as_it_is_written() {
        for kind in [Kind::Tickets, Kind::Custom(0), Kind::Custom(41)] {
            assert_eq!(Kind::parse(&kind.to_string()), Some(kind));
        }
        assert_eq!(Kind::parse("custom-0"), None);
    }

    #[test]
    fn a_type_of_the_accounts_own_answers_to_its_number_and_its_qualified_name() {
        let config = Config {
            custom_types: vec![CustomType::machines(1)],
            ..Config::default()
        };
        let names = Names::of(Kind::Custom(0), &config);
        for text in ["2-3604285", "p20858235_machine", "machine"] {
            assert!(names.answer_to(text), "{text}");
        }
        assert!(!names.answer_to("2-1"));
    }
}
