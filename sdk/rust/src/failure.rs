//! What a connector may fail with: it classifies, the host decides on retries.

use crate::{EmitFault, HttpFault, KvFault, VaultFault};

/// Why a call could not be completed. The host owns the retry policy; the
/// variant is all it goes by, the text is for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Credentials are missing, revoked or lack a scope.
    #[error("credentials refused: {0}")]
    Auth(String),
    /// The tenant's configuration cannot work; say what would.
    #[error("configuration cannot work: {0}")]
    Config(String),
    /// The remote system asked to slow down, or the host's budget ran out;
    /// try again at this time (milliseconds since the epoch), where known.
    #[error("throttled")]
    Throttled(Option<u64>),
    /// Worth retrying as is.
    #[error("transient: {0}")]
    Transient(String),
    /// The saved cursor is no longer valid.
    #[error("stale cursor: {0}")]
    StaleCursor(String),
    /// The remote system answered in a shape this connector does not know.
    #[error("unexpected answer: {0}")]
    Protocol(String),
    /// The stream or operation is not available to this account.
    #[error("not available: {0}")]
    Unsupported(String),
    /// Will never succeed.
    #[error("fatal: {0}")]
    Fatal(String),
}

impl From<HttpFault> for Failure {
    fn from(fault: HttpFault) -> Self {
        let text = fault.to_string();
        match fault {
            HttpFault::Denied(_) => Self::Config(text),
            HttpFault::Throttled(at_ms) => Self::Throttled(Some(at_ms)),
            HttpFault::Auth(_) => Self::Auth(text),
            HttpFault::Dns(_)
            | HttpFault::Connect(_)
            | HttpFault::Tls(_)
            | HttpFault::Timeout(_)
            | HttpFault::Cancelled => Self::Transient(text),
            HttpFault::Protocol(_) => Self::Protocol(text),
            HttpFault::TooLarge(_) | HttpFault::Invalid(_) => Self::Fatal(text),
        }
    }
}

impl From<EmitFault> for Failure {
    fn from(fault: EmitFault) -> Self {
        let text = fault.to_string();
        match fault {
            EmitFault::Malformed(_) => Self::Protocol(text),
            EmitFault::Stopping => Self::Transient(text),
            EmitFault::UnknownStream(_) | EmitFault::TooLarge(_) => Self::Fatal(text),
        }
    }
}

impl From<KvFault> for Failure {
    fn from(fault: KvFault) -> Self {
        let text = fault.to_string();
        match fault {
            KvFault::Conflict | KvFault::Unavailable(_) => Self::Transient(text),
            KvFault::TooLarge | KvFault::Quota => Self::Fatal(text),
        }
    }
}

impl From<VaultFault> for Failure {
    fn from(fault: VaultFault) -> Self {
        Self::Config(fault.to_string())
    }
}

/// JSON from the remote system that does not have the expected shape.
impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Protocol(error.to_string())
    }
}
