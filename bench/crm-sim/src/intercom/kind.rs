//! The object types that hold records, and the text of their ids.

use serde::{Deserialize, Serialize};

/// An object type that holds records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// People: users and leads.
    Contacts,
    /// Organisations.
    Companies,
    /// Conversations with their parts.
    Conversations,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 3] = [Kind::Contacts, Kind::Companies, Kind::Conversations];

    /// `contacts`, `companies` or `conversations`.
    pub fn parse(text: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.plural() == text)
    }

    /// The name in paths.
    pub fn plural(self) -> &'static str {
        match self {
            Kind::Contacts => "contacts",
            Kind::Companies => "companies",
            Kind::Conversations => "conversations",
        }
    }

    /// A record's id as it stands on the wire: 24 hexadecimal digits, or a decimal
    /// number for conversations.
    pub fn wire_id(self, id: u64) -> String {
        match self.prefix() {
            Some(prefix) => format!("{prefix:08x}{id:016x}"),
            None => id.to_string(),
        }
    }

    /// The id that a text on the wire names; only the spelling of
    /// [`wire_id`](Kind::wire_id) does.
    pub fn parse_id(self, text: &str) -> Option<u64> {
        let id = match self.prefix() {
            Some(_) => u64::from_str_radix(text.get(8..)?, 16).ok()?,
            None => text.parse().ok()?,
        };
        (self.wire_id(id) == text).then_some(id)
    }

    /// The first eight digits of every id.
    fn prefix(self) -> Option<u32> {
        match self {
            Kind::Contacts => Some(0x6064_e3d3),
            Kind::Companies => Some(0x5fe2_c1a7),
            Kind::Conversations => None,
        }
    }

    /// The smallest id. Conversation ids start short, so that several widths occur.
    pub(crate) fn first_id(self) -> u64 {
        match self {
            Kind::Contacts => 4_096,
            Kind::Companies => 65_536,
            Kind::Conversations => 401,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn ids_survive_the_round_trip_through_text() {
        for kind in Kind::ALL {
            assert_eq!(kind.parse_id(&kind.wire_id(4711)), Some(4711), "{kind:?}");
        }
        assert_eq!(Kind::Contacts.wire_id(4096), "6064e3d30000000000001000");
        assert_eq!(Kind::Contacts.parse_id("6064E3D30000000000001000"), None);
        assert_eq!(Kind::Contacts.parse_id("4096"), None);
        assert_eq!(Kind::Conversations.parse_id("0401"), None);
    }
}
