//! A connection as the broker needs it: whose, with what manifest and secrets.

use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_domain::id::{ConnectionId, Sha256, TenantId};
use tidegate_domain::job::Class;
use tidegate_domain::manifest::Manifest;

/// A tenant's configured use of one connector version.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Whose.
    pub tenant: TenantId,
    /// Its id.
    pub id: ConnectionId,
    /// What the connector declared.
    pub manifest: Arc<Manifest>,
    /// The connection's settings, for `{config.x}`.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// Static keys, by the names that the manifest gives them.
    pub secrets: BTreeMap<String, SecretString>,
    /// The application that tenants authorise.
    pub oauth_app: Option<OauthApp>,
    /// The provider's id of the account, if it is known: limits are shared by
    /// every connection to one account. Else the connection stands for itself.
    pub account: Option<String>,
    /// Percent of the account's limits that may be used; the rest is left to other
    /// applications. None: all of them.
    pub quota_share: Option<u8>,
    /// How urgent its requests are.
    pub class: Class,
    /// The connector's digest, for the record of requests.
    pub connector: Option<Sha256>,
}

/// An OAuth application of the operator.
#[derive(Clone, Debug)]
pub struct OauthApp {
    /// The public id.
    pub client_id: String,
    /// The secret.
    pub client_secret: SecretString,
}
