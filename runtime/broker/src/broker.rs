//! The one broker of a process: what sessions share.

use crate::dial::{Dialer, HttpClient, http_client};
use crate::flow::Recorder;
use crate::grant::Grants;
use crate::limiter::Limiter;
use crate::{Config, Connection, Error, Keyring, LimitView, Session};
use bytes::Bytes;
use http_body_util::Full;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tidegate_domain::id::{ConnectionId, TenantId};
use tidegate_domain::manifest::Manifest;
use tidegate_store::flow::FlowStore;
use tidegate_store::grants::{GrantKey, GrantStore};
use tidegate_store::limits::LimitStore;
use tokio::sync::Semaphore;

/// One per process. Cheap to clone.
#[derive(Clone)]
pub struct Broker {
    shared: Arc<Shared>,
}

/// What sessions share.
pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    pub(crate) limiter: Limiter,
    pub(crate) grants: Grants,
    pub(crate) recorder: Arc<OnceLock<Recorder>>,
    dialer: Dialer,
    tenants: Mutex<HashMap<TenantId, Tenant>>,
}

/// What is a tenant's own: no TLS ticket is shared between tenants, and no socket
/// between two grants.
#[derive(Clone)]
pub(crate) struct Tenant {
    dialer: Dialer,
    pools: Arc<Mutex<HashMap<PoolKey, HttpClient<Full<Bytes>>>>>,
    pub(crate) in_flight: Arc<Semaphore>,
}

/// Connection and auth method: one grant. The client's own key is the origin.
type PoolKey = (ConnectionId, Option<String>);

/// Pools of one tenant that are remembered. Past it all are forgotten: what is in
/// flight goes on, and sockets are opened anew.
const POOLS_MAX: usize = 1024;

impl Tenant {
    /// The pool of a grant, or of a connection's requests without a credential.
    pub(crate) fn client(
        &self,
        connection: &ConnectionId,
        method: Option<&str>,
    ) -> HttpClient<Full<Bytes>> {
        let key = (connection.clone(), method.map(str::to_owned));
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if pools.len() >= POOLS_MAX && !pools.contains_key(&key) {
            pools.clear();
        }
        let pool = pools
            .entry(key)
            .or_insert_with(|| http_client(&self.dialer));
        pool.clone()
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Broker")
    }
}

impl Broker {
    /// A broker with empty pools.
    ///
    /// # Errors
    /// [`Error::Config`] where the settings contradict themselves.
    pub fn new(
        config: Config,
        grants: Arc<dyn GrantStore>,
        limits: Arc<dyn LimitStore>,
        keyring: Arc<Keyring>,
    ) -> Result<Self, Error> {
        let dialer = Dialer::new(&config)?;
        Self::dialing(dialer, config, grants, limits, keyring)
    }

    /// As [`Broker::new`], with a dialer that was made before.
    ///
    /// # Errors
    /// As there.
    pub fn dialing(
        dialer: Dialer,
        config: Config,
        grants: Arc<dyn GrantStore>,
        limits: Arc<dyn LimitStore>,
        keyring: Arc<Keyring>,
    ) -> Result<Self, Error> {
        config.check()?;
        let config = Arc::new(config);
        let shared = Shared {
            dialer,
            limiter: Limiter::new(Arc::clone(&config), limits),
            grants: Grants::new(grants, keyring, config.salvage_dir.clone()),
            recorder: Arc::default(),
            tenants: Mutex::default(),
            config,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Whether this build can serve the manifest, before any connection uses it.
    ///
    /// # Errors
    /// [`Error::Config`] that names the endpoint, auth method or limit.
    pub fn check_manifest(&self, manifest: &Manifest) -> Result<(), Error> {
        crate::endpoint::check_manifest(manifest)?;
        crate::grant::check_manifest(manifest)?;
        crate::limiter::check_manifest(manifest)
    }

    /// The way out for one connection.
    pub fn session(&self, connection: Connection) -> Session {
        Session::new(Arc::clone(&self.shared), connection)
    }

    /// Forgets a grant: its tokens are gone from the store, and nothing is signed with it
    /// again. False where there was none.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn revoke(&self, key: &GrantKey) -> Result<bool, Error> {
        self.shared.grants.revoke(key).await
    }

    /// Forgets what this process remembers of a connection that is no more: one of the
    /// same name that comes after it is another.
    pub fn forget_connection(&self, tenant: &TenantId, connection: &ConnectionId) {
        self.shared.grants.forget_connection(tenant, connection);
    }

    /// Forgets what this process remembers of a tenant that is no more.
    pub fn forget_tenant(&self, tenant: &TenantId) {
        self.shared.grants.forget_tenant(tenant);
    }

    /// The dialer, for clients of other protocols (an S3 endpoint).
    pub fn dialer(&self) -> &Dialer {
        &self.shared.dialer
    }

    /// Records every request that is sent from now on; the first store is kept.
    ///
    /// # Errors
    /// [`Error::Store`] where the store does not take it.
    pub async fn record_requests(&self, store: Arc<dyn FlowStore>) -> Result<(), Error> {
        store.begin_recording().await?;
        self.shared.recorder.get_or_init(|| Recorder::start(store));
        Ok(())
    }

    /// How full the limits are that requests of this connection meet.
    ///
    /// # Errors
    /// [`Error::Config`] where a limit cannot be counted, [`Error::Store`].
    pub async fn limits(&self, connection: &Connection) -> Result<Vec<LimitView>, Error> {
        self.session(connection.clone()).limits().await
    }

    /// Waits for token refreshes that are under way: their answers must reach the
    /// store. New ones are refused. What was spent of limits is written down.
    pub async fn close(&self) {
        self.shared.grants.close().await;
        self.shared.limiter.close().await;
        if let Some(recorder) = self.shared.recorder.get() {
            recorder.close().await;
        }
    }
}

impl Shared {
    pub(crate) fn tenant(&self, tenant: &TenantId) -> Tenant {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Tenant {
            dialer: self.dialer.apart(),
            pools: Arc::default(),
            in_flight: Arc::new(Semaphore::new(self.config.tenant_requests_max)),
        };
        tenants.entry(tenant.clone()).or_insert_with(fresh).clone()
    }
}
