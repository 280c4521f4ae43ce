//! A connection as the broker needs it: whose, with what manifest and secrets.

use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_domain::id::{ConnectionId, TenantId};
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
    /// How urgent its requests are.
    pub class: Class,
}

/// An OAuth application of the operator.
#[derive(Clone, Debug)]
pub struct OauthApp {
    /// The public id.
    pub client_id: String,
    /// The secret.
    pub client_secret: SecretString,
}

/// The class of a request, and its share of a contended limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// 60 of 100.
    Live,
    /// 30 of 100.
    Incremental,
    /// 10 of 100.
    History,
}
