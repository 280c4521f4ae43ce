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
mod cookie;
mod decode;
mod denial;
pub mod dial;
mod endpoint;
mod error;
mod flow;
#[doc(hidden)]
pub mod fuzzing;
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
pub use config::{Config, LimitSetting, Mapping, Origin, PolicyMode};
pub use connection::{Connection, OauthApp};
pub use denial::{Denial, Rule};
pub use error::{Error, FetchFault};
pub use grant::PendingAuthorization;
pub use keyring::{KeyService, Keyring, Transit};
pub use limiter::LimitView;
pub use request::{Method, Payload, Request, Response, Target};
pub use session::Session;
