//! A connection, ready to be asked: its connector, its way out, its secrets.

use crate::joblog::JobLog;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_broker::Session;
use tidegate_domain::id::{ConnectionId, StreamName, TenantId};
use tidegate_sandbox::{CallContext, CallUsage, Connector, Error, StreamInfo};
use tidegate_store::flow::RequestOrigin;
use tidegate_store::kv::{KvScope, KvStore};
use tokio_util::sync::CancellationToken;

/// A connection, ready to be asked. Cheap to clone.
#[derive(Clone)]
pub struct Source {
    /// Whose.
    pub tenant: TenantId,
    /// The connection.
    pub connection: ConnectionId,
    /// Its connector.
    pub connector: Arc<Connector>,
    /// Its way out.
    pub session: Session,
    /// Its secrets, for the vault and to be scrubbed from log lines.
    pub secrets: Arc<BTreeMap<String, SecretString>>,
    /// Whether bodies of data endpoints are closed to the connector.
    pub blind: bool,
    /// Its configuration, as JSON.
    pub config: String,
    /// Its hints.
    pub hints: Arc<dyn KvStore>,
}

impl Source {
    /// The frame of one call.
    pub(crate) fn context(
        &self,
        stop: &CancellationToken,
        log: Option<(&Arc<JobLog>, &StreamName)>,
    ) -> CallContext {
        let scope = KvScope {
            tenant: self.tenant.clone(),
            connection: self.connection.clone(),
        };
        let session = self.session.with_own_cookies();
        let mut context = CallContext::new(session, Arc::clone(&self.hints), scope, stop.clone());
        context.secrets = Arc::clone(&self.secrets);
        context.blind = self.blind;
        if let Some((log, stream)) = log {
            context.log = log.of(stream);
        }
        context
    }

    /// Asks the connector whether the connection works.
    ///
    /// # Errors
    /// What the connector found, or how it failed.
    pub async fn check(&self, stop: &CancellationToken) -> Result<CallUsage, Error> {
        let context = self.context(stop, None);
        let ((), usage) = self.connector.check(context, self.config.clone()).await?;
        Ok(usage)
    }

    /// The streams that the connection has, with their schemas.
    ///
    /// # Errors
    /// How the connector failed.
    pub async fn discover(
        &self,
        stop: &CancellationToken,
        origin: Option<&RequestOrigin>,
    ) -> Result<(Vec<StreamInfo>, CallUsage), Error> {
        let mut context = self.context(stop, None);
        context.origin = origin.cloned().map(Arc::new);
        self.connector.discover(context, self.config.clone()).await
    }
}
