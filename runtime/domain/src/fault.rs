//! The eight kinds of failure; every error of every crate answers to one.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What went wrong, as far as policy is concerned. The engine decides on this
/// and never on an error's text.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The configuration cannot work; a person must change it.
    Config,
    /// Credentials are missing, refused or lack a scope; a person must act.
    Auth,
    /// A limit was reached; try again later.
    Throttled,
    /// Worth another try as it is.
    Transient,
    /// The saved cursor is no longer valid; the stream must be read anew.
    StaleCursor,
    /// The peer answered in a shape that the connector does not understand.
    Protocol,
    /// The connector trapped, broke a limit or broke the contract.
    Guest,
    /// Tidegate itself, its disk, its store or its target failed.
    Host,
}

impl Fault {
    /// Whether another attempt may succeed with nothing changed.
    pub fn is_retryable(self) -> bool {
        match self {
            Fault::Throttled | Fault::Transient | Fault::Host => true,
            Fault::Config | Fault::Auth | Fault::StaleCursor | Fault::Protocol | Fault::Guest => {
                false
            }
        }
    }

    /// The word used in JSON, logs and exit messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Fault::Config => "config",
            Fault::Auth => "auth",
            Fault::Throttled => "throttled",
            Fault::Transient => "transient",
            Fault::StaleCursor => "stale_cursor",
            Fault::Protocol => "protocol",
            Fault::Guest => "guest",
            Fault::Host => "host",
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}
