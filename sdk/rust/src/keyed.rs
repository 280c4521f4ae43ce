//! Keyed services of the host: small hints per connection, and secrets that
//! never enter the connector.

/// Hash function of a MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digest {
    /// SHA-1, where a provider still asks for it.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// How a MAC is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Lower-case hexadecimal.
    Hex,
    /// Upper-case hexadecimal.
    HexUpper,
    /// Base64 with padding.
    Base64,
    /// Base64 for URLs.
    Base64Url,
}

/// Why a hint could not be kept or found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KvFault {
    /// The value is over the cap.
    #[error("the value is too large")]
    TooLarge,
    /// The connection's room is used up.
    #[error("no room left")]
    Quota,
    /// Another run wrote the same key.
    #[error("another run wrote the same key")]
    Conflict,
    /// The store does not answer.
    #[error("hints are unavailable: {0}")]
    Unavailable(String),
}

/// Why the vault did not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultFault {
    /// The connection has no secret of this name.
    #[error("no secret named {0}")]
    UnknownSecret(String),
    /// Refused by policy.
    #[error("refused by policy: {0}")]
    Denied(String),
}
