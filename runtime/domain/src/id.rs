//! Ids: one type for each kind of thing, parsed once at the edge.
//!
//! Names that reach object keys are limited to characters that are safe in every
//! file system and every S3 dialect.

use crate::text_schema::text_schema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{kind} {text:?} is not valid: use 1 to {max} of a-z, A-Z, 0-9, '_', '-', '.', not starting with '.' or '_'"
)]
pub struct InvalidId {
    kind: &'static str,
    text: String,
    max: usize,
}

const NAME_CHARS_MAX: usize = 64;

fn check_name(kind: &'static str, text: &str, max: usize) -> Result<(), InvalidId> {
    let starts_well = text
        .bytes()
        .next()
        .is_some_and(|first| first.is_ascii_alphanumeric());
    let safe = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    if starts_well && safe && text.len() <= max {
        Ok(())
    } else {
        let text = text.chars().take(max + 1).collect();
        Err(InvalidId { kind, text, max })
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $kind:literal, $max:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses the text.
            ///
            /// # Errors
            /// [`InvalidId`] where it is empty, too long or holds another character.
            pub fn parse(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                check_name($kind, &text, $max)?;
                Ok(Self(text))
            }

            /// The text of the id.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        text_schema!($name, concat!("The id of a ", $kind, "."), "^[A-Za-z0-9][A-Za-z0-9_.-]*$", $max);
    )*};
}

names! {
    /// The unit of isolation, billing, quota and encryption.
    TenantId, "tenant", NAME_CHARS_MAX;
    /// A tenant's configured and authorised use of one connector version.
    ConnectionId, "connection", NAME_CHARS_MAX;
    /// What to move out, and where to.
    SyncId, "sync", NAME_CHARS_MAX;
    /// One named kind of record in a connection.
    StreamName, "stream", 128;
    /// A part of one stream that is read on its own.
    PartitionId, "partition", 256;
    /// One execution of a sync.
    JobId, "job", NAME_CHARS_MAX;
    /// Who hears of which events.
    SubscriptionId, "subscription", NAME_CHARS_MAX;
}

/// A stream of a sync of a tenant: what a lease, a log and a cursor belong to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StreamKey {
    /// Whose it is.
    pub tenant: TenantId,
    /// The sync that reads it.
    pub sync: SyncId,
    /// Its name in the connection.
    pub stream: StreamName,
}

impl fmt::Display for StreamKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}/{}", self.tenant, self.sync, self.stream)
    }
}

macro_rules! random_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 16]);

        impl $name {
            /// Takes 128 random bits, which the caller drew.
            pub fn from_bytes(random: [u8; 16]) -> Self {
                Self(random)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, out)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                let invalid = || InvalidId { kind: stringify!($name), text: text.clone(), max: 32 };
                if text.len() != 32 || !text.is_ascii() {
                    return Err(invalid());
                }
                let mut bytes = [0; 16];
                for (at, byte) in bytes.iter_mut().enumerate() {
                    *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| invalid())?;
                }
                Ok(Self(bytes))
            }
        }
    )*};
}

random_ids! {
    /// Drawn anew at each acquisition of a lease. An epoch alone does not tell two
    /// owners apart once a database was restored; this does.
    OwnerToken;
    /// Drawn anew for each conditional put, so that a lost answer can be told from
    /// another writer's success by reading back.
    PutId;
}

/// The sha256 of some bytes, as lower-case hex.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256(String);

impl Sha256 {
    /// Takes the 32 bytes of a finished hash.
    pub fn from_bytes(hash: [u8; 32]) -> Self {
        use fmt::Write as _;
        let mut text = String::with_capacity(64);
        for byte in hash {
            write!(text, "{byte:02x}").expect("writing to a String does not fail");
        }
        Self(text)
    }

    /// All 64 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 16 hex digits, for object names.
    pub fn short(&self) -> &str {
        &self.0[..16]
    }
}

impl TryFrom<String> for Sha256 {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        let hex = text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if hex && text.len() == 64 {
            Ok(Self(text))
        } else {
            Err(InvalidId {
                kind: "sha256",
                text,
                max: 64,
            })
        }
    }
}

impl From<Sha256> for String {
    fn from(hash: Sha256) -> String {
        hash.0
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

text_schema!(Sha256, "A sha256, in hex.", "^[0-9a-f]{64}$", 64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_their_folder_are_refused() {
        for bad in ["", ".", "..", "a/b", "a\\b", "_log", "a b", "ä", "a\0"] {
            assert!(TenantId::parse(bad).is_err(), "{bad:?} was taken");
        }
        assert!(TenantId::parse("a".repeat(65)).is_err());
        assert_eq!(
            TenantId::parse("acme-1.eu").map(String::from),
            Ok("acme-1.eu".to_owned())
        );
    }

    #[test]
    fn random_ids_survive_their_text() {
        let token = OwnerToken::from_bytes([0xA5; 16]);
        assert_eq!(OwnerToken::try_from(token.to_string()), Ok(token));
        assert!(OwnerToken::try_from("zz".repeat(16)).is_err());
    }
}
