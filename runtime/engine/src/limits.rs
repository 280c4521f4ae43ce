//! How full the limits of a stored connection are, without its secrets and without its
//! connector: the manifest that was kept with it says which there are.

use crate::documents;
use crate::error::Error;
use crate::node::Node;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_broker::{Connection, LimitView, OauthApp};
use tidegate_domain::id::{ConnectionId, TenantId};
use tidegate_domain::job::Class;
use tidegate_domain::manifest::Manifest;
use tidegate_domain::spec::ConnectionSpec;

impl Node {
    /// The limits that requests of the connection meet.
    ///
    /// # Errors
    /// [`Error::Setting`] where the connection has no connector whose manifest can be
    /// read; [`Error::Broker`] where a limit cannot be counted.
    pub async fn limits(
        &self,
        tenant: &TenantId,
        id: &ConnectionId,
        spec: ConnectionSpec,
    ) -> Result<Vec<LimitView>, Error> {
        let digest = documents::digest(id, &spec)?;
        let name = || format!("connector sha256:{digest}");
        let row = self.store.connector(tenant, &digest).await?;
        let row = row.ok_or_else(|| Error::setting(name(), "does not exist"))?;
        let manifest: Manifest = serde_json::from_str(&row.manifest)
            .map_err(|_| Error::setting(name(), "has no manifest that can be read"))?;
        let connection = Connection {
            tenant: tenant.clone(),
            id: id.clone(),
            manifest: Arc::new(manifest),
            config: spec.config,
            secrets: BTreeMap::new(),
            oauth_app: spec.oauth_app.map(|app| OauthApp {
                client_id: app.client_id,
                client_secret: SecretString::from(""), // only the id names a limit
            }),
            account: spec.account,
            quota_share: spec.quota_share,
            class: Class::Live,
            connector: None,
        };
        Ok(self.broker.limits(&connection).await?)
    }
}
