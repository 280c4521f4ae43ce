//! What can go wrong in the broker, for the host and for a guest. No text here
//! holds a token, a query or a body.

use crate::{Denial, Rule};
use tidegate_domain::Fault;

/// A failed operation of the broker.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration, the connection or the manifest cannot work.
    #[error("{0}")]
    Config(String),
    /// A person must authorise, or an operator must correct the application.
    #[error("{0}")]
    Auth(String),
    /// One more authorisation may end another of the same person.
    #[error(
        "the person of this grant authorised {method} {approvals} times already, and a provider may \
         end the oldest authorisation, wherever it is in use; confirm to go on"
    )]
    Approvals {
        /// The auth method.
        method: String,
        /// How often.
        approvals: u32,
    },
    /// The provider refuses the operator's OAuth application: no tenant can help.
    #[error(
        "the provider refuses the OAuth application {client_id}; an operator must correct its id \
         or secret (no authorisation was changed)"
    )]
    Application {
        /// The public id.
        client_id: String,
    },
    /// The token endpoint could not be reached or did not answer as it should.
    #[error("the token endpoint of {method:?} failed: {reason}")]
    TokenEndpoint {
        /// The auth method.
        method: String,
        /// What happened, without anything that it said.
        reason: String,
    },
    /// The node key could not be read or made.
    #[error("cannot use the key file {path}")]
    KeyFile {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The service that wraps data keys did not answer as it should.
    #[error("the key service failed: {0}")]
    KeyService(String),
    /// A sealed value does not open: another key, another place, or damage.
    #[error(
        "the sealed {purpose} does not open; it was sealed with another key, moved, or damaged"
    )]
    Unseal {
        /// What it was sealed as.
        purpose: String,
    },
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random(#[source] getrandom::Error),
    /// A new pair of tokens could not be kept beside the store.
    #[error(
        "cannot keep a new pair of tokens in the salvage directory; check its space and rights"
    )]
    Salvage(#[source] std::io::Error),
    /// A body could not be spilled.
    #[error("cannot spill a body to the spool directory; check its space and rights")]
    Spool(#[source] std::io::Error),
    /// More accounts are in use than limits are kept of.
    #[error(
        "the limits of {max} accounts are in use, and no more are kept; raise limit_accounts_max"
    )]
    TooManyAccounts {
        /// How many are kept.
        max: usize,
    },
    /// The database failed.
    #[error("the grants or limits could not be read or written")]
    Store(#[from] tidegate_store::Error),
    /// The broker is shutting down.
    #[error("the broker is closed")]
    Closed,
}

impl Error {
    pub(crate) fn config(text: impl Into<String>) -> Self {
        Error::Config(text.into())
    }

    /// The kind of failure.
    pub fn fault(&self) -> Fault {
        match self {
            Error::Config(_) | Error::KeyFile { .. } | Error::Application { .. } => Fault::Config,
            Error::Auth(_) | Error::Approvals { .. } => Fault::Auth,
            Error::TokenEndpoint { .. } | Error::KeyService(_) | Error::TooManyAccounts { .. } => {
                Fault::Transient
            }
            Error::Store(store) => store.fault(),
            Error::Unseal { .. }
            | Error::Random(_)
            | Error::Salvage(_)
            | Error::Spool(_)
            | Error::Closed => Fault::Host,
        }
    }
}

/// Why a request has no answer; all but `Host` are the contract's own cases.
#[derive(Debug, thiserror::Error)]
pub enum FetchFault {
    /// Refused by policy before any byte left.
    #[error("refused by policy: {0}")]
    Denied(Denial),
    /// The limits allow it only later.
    #[error("the limits allow this request only at {until_ms} ms since the epoch")]
    Throttled {
        /// Milliseconds since the epoch.
        until_ms: u64,
    },
    /// The credential is missing or was refused; a person must act.
    #[error("{0}")]
    Auth(String),
    /// The name has no address.
    #[error("cannot resolve {0}")]
    Dns(String),
    /// No connection, or it broke before the answer.
    #[error("cannot reach {0}")]
    Connect(String),
    /// The peer's certificate or handshake is not acceptable.
    #[error("no secure connection to {0}")]
    Tls(String),
    /// A deadline passed.
    #[error("timed out: {0}")]
    Timeout(String),
    /// The answer is larger than allowed: this many bytes.
    #[error("the answer is larger than the {0} bytes allowed")]
    TooLarge(u64),
    /// The peer broke HTTP or the body was cut.
    #[error("broken answer: {0}")]
    Protocol(String),
    /// The call was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The guest's request is malformed.
    #[error("invalid request: {0}")]
    Invalid(String),
    /// Tidegate itself failed; a guest sees no detail.
    #[error("the broker failed")]
    Host(#[from] Error),
}

impl FetchFault {
    pub(crate) fn denied(rule: Rule, text: impl Into<String>) -> Self {
        FetchFault::Denied(Denial::new(rule, text))
    }

    /// The name of the rule that refused; none where something else went wrong.
    pub(crate) fn rule(&self) -> Option<&'static str> {
        match self {
            FetchFault::Denied(denial) => Some(denial.rule.name()),
            FetchFault::Invalid(_) => Some("malformed"),
            _ => None,
        }
    }

    /// The kind of failure.
    pub fn fault(&self) -> Fault {
        match self {
            FetchFault::Denied(..) => Fault::Config,
            FetchFault::Throttled { .. } => Fault::Throttled,
            FetchFault::Auth(_) => Fault::Auth,
            FetchFault::Dns(_)
            | FetchFault::Connect(_)
            | FetchFault::Tls(_)
            | FetchFault::Timeout(_)
            | FetchFault::Cancelled => Fault::Transient,
            FetchFault::TooLarge(_) | FetchFault::Protocol(_) => Fault::Protocol,
            FetchFault::Invalid(_) => Fault::Guest,
            FetchFault::Host(error) => error.fault(),
        }
    }
}
