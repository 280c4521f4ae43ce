//! The only outgoing HTTP to third parties: egress policy, limiter, grants,
//! transport. It knows no CRM; all it learns of one is the manifest.
//!
//! **Invariants:** no byte leaves before policy, limiter and address filter said
//! yes, in that order; a new pair of tokens is durable before its first use; no
//! error text, `Debug` output or stored byte holds a secret in the clear.

mod answer;
mod broker;
mod call;
mod config;
mod connection;
pub mod dial;
mod endpoint;
mod error;
mod flow;
mod grant;
mod header;
mod keyring;
mod limiter;
mod request;
mod session;
pub mod spool;
mod transport;

pub use broker::Broker;
pub use call::{Call, Meter, Usage};
pub use config::{Config, LimitSetting, Mapping, Origin};
pub use connection::{Connection, OauthApp};
pub use error::{Error, FetchFault, Rule};
pub use grant::PendingAuthorization;
pub use keyring::Keyring;
pub use limiter::LimitView;
pub use request::{Method, Payload, Request, Response, Target};
pub use session::Session;
