//! What every handler shares: the node, the worker's handle, and the API's own
//! bounds.

use crate::config::Config;
use crate::oauth::Authorizations;
use crate::openapi;
use crate::places::Places;
use crate::problem::Problem;
use crate::rate::Rate;
use bytes::Bytes;
use std::sync::Arc;
use tidegate_domain::id::TenantId;
use tidegate_engine::Node;
use tidegate_engine::worker::Handle;
use tidegate_store::ServiceStore;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// Calls of connectors that requests of one tenant may wait for at once.
const GUESTS_MAX: u32 = 4;

/// The API of one node. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    inner: Arc<Inner>,
}

struct Inner {
    node: Arc<Node>,
    config: Config,
    rate: Rate,
    draining: CancellationToken,
    worker: Handle,
    openapi: Bytes,
    /// For those who follow jobs.
    followers: Places,
    /// For calls of connectors that a request waits for.
    guests: Places,
    authorizations: Authorizations,
}

impl Api {
    /// The API over a node and its worker. Once `draining` is cancelled the node says that it is not
    /// ready, and answers that wait for something are given at once.
    ///
    /// # Errors
    /// Where a setting cannot work.
    pub fn new(
        node: Arc<Node>,
        worker: Handle,
        config: Config,
        draining: CancellationToken,
    ) -> Result<Api, crate::config::InvalidSetting> {
        config.check()?;
        let rate = Rate::new(&config);
        let openapi = openapi::text(&config);
        let followers = Places::new("answers that wait for a job", config.followers_max);
        Ok(Api {
            inner: Arc::new(Inner {
                node,
                config,
                rate,
                draining,
                worker,
                openapi,
                followers,
                guests: Places::new("calls of connectors", GUESTS_MAX),
                authorizations: Authorizations::default(),
            }),
        })
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.inner.node
    }

    pub(crate) fn store(&self) -> &dyn ServiceStore {
        &*self.inner.node.store
    }

    pub(crate) fn config(&self) -> &Config {
        &self.inner.config
    }

    pub(crate) fn rate(&self) -> &Rate {
        &self.inner.rate
    }

    /// The OpenAPI document, as it is served.
    pub fn openapi(&self) -> &Bytes {
        &self.inner.openapi
    }

    pub(crate) fn followers(&self) -> &Places {
        &self.inner.followers
    }

    pub(crate) fn guests(&self) -> &Places {
        &self.inner.guests
    }

    pub(crate) fn authorizations(&self) -> &Authorizations {
        &self.inner.authorizations
    }

    pub(crate) fn worker(&self) -> &Handle {
        &self.inner.worker
    }

    pub(crate) fn draining(&self) -> &CancellationToken {
        &self.inner.draining
    }

    pub(crate) async fn seal(
        &self,
        tenant: &TenantId,
        purpose: &str,
        plain: &[u8],
    ) -> Result<Vec<u8>, Problem> {
        let node = self.node();
        let sealed = node
            .keyring
            .seal(&*node.store, tenant, purpose, plain)
            .await;
        sealed.map_err(|error| Problem::internal("sealing", &error))
    }

    pub(crate) async fn unseal(
        &self,
        tenant: &TenantId,
        purpose: &str,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Problem> {
        let node = self.node();
        let plain = node
            .keyring
            .unseal(&*node.store, tenant, purpose, sealed)
            .await;
        plain.map_err(|error| Problem::internal("unsealing", &error))
    }
}
