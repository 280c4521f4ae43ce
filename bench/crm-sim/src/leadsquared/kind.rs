//! The object types that hold records, and the text of their ids.

use serde::{Deserialize, Serialize};

use crate::generate::mix;

/// An object type that holds records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// People. Some are of another lead type, which accounts use for contacts.
    Leads,
    /// What happened with leads.
    Activities,
    /// Deals with leads.
    Opportunities,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 3] = [Kind::Leads, Kind::Activities, Kind::Opportunities];

    /// `leads`, `activities` or `opportunities`.
    pub fn parse(text: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.plural() == text)
    }

    /// The name in the control API.
    pub fn plural(self) -> &'static str {
        match self {
            Kind::Leads => "leads",
            Kind::Activities => "activities",
            Kind::Opportunities => "opportunities",
        }
    }

    /// A record's id as it stands on the wire: a GUID.
    pub fn wire_id(self, id: u64) -> String {
        let hash = mix(id ^ self.first_id());
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{id:012x}",
            hash >> 32,
            (hash >> 16) & 0xffff,
            (hash >> 4) & 0xfff,
            mix(hash) & 0xfff
        )
    }

    /// The id that a GUID names, in whatever case.
    pub fn parse_id(self, text: &str) -> Option<u64> {
        let id = u64::from_str_radix(text.get(24..)?, 16).ok()?;
        let own = self.wire_id(id);
        own.eq_ignore_ascii_case(text).then_some(id)
    }

    /// The smallest id.
    pub(crate) fn first_id(self) -> u64 {
        match self {
            Kind::Leads => 1_048_576,
            Kind::Activities => 2_097_152,
            Kind::Opportunities => 4_194_304,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn guids_survive_the_round_trip_in_either_case_and_name_one_kind() {
        let text = Kind::Leads.wire_id(1_048_577);
        assert_eq!(text.len(), 36);
        assert_eq!(Kind::Leads.parse_id(&text), Some(1_048_577));
        assert_eq!(Kind::Leads.parse_id(&text.to_uppercase()), Some(1_048_577));
        assert_eq!(Kind::Activities.parse_id(&text), None);
        assert_eq!(Kind::Leads.parse_id("1048577"), None);
    }
}
