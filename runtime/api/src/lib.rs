//! The REST API: what orchestrators, consoles and the command line drive the node by.
//!
//! **Invariants:** a request is about the tenant of its key, and only the platform's
//! routes name another; a route without a permission cannot exist; every change is
//! one audited commit; no answer and no problem holds a secret, but for a new key's
//! text, once.

mod api;
mod caller;
mod change;
pub mod config;
mod documents;
mod etag;
mod extract;
mod failure;
pub mod key;
mod oauth;
pub mod openapi;
mod page;
mod places;
pub mod problem;
mod rate;
mod repeat;
mod request;
mod router;
mod routes;
mod server;

pub use api::Api;
pub use config::Config;
pub use router::router;
pub use server::serve;
