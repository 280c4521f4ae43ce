//! A store whose database can be told to fail.

use async_trait::async_trait;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use tidegate_domain::id::{JobId, OwnerToken, Sha256, StreamKey, SyncId, TenantId};
use tidegate_domain::stream::StreamState;
use tidegate_store::Error;
use tidegate_store::SqliteStore;
use tidegate_store::grants::{GrantKey, GrantState, GrantStore, StoredGrant};
use tidegate_store::jobs::{JobRow, JobStore};
use tidegate_store::kv::{KvScope, KvStore};
use tidegate_store::limits::{LimitStore, Reserved};
use tidegate_store::streams::{Intent, Lease, Reconciliation, StreamRow, StreamStore};

/// Fails the next so many calls; what the broker does not use always fails.
pub(crate) struct Faulty {
    pub(crate) inner: SqliteStore,
    pub(crate) finishes_to_fail: AtomicU32,
}

impl Faulty {
    pub(crate) fn new(inner: SqliteStore) -> Self {
        Self {
            inner,
            finishes_to_fail: AtomicU32::new(0),
        }
    }
}

#[async_trait]
impl GrantStore for Faulty {
    async fn grant(&self, key: &GrantKey) -> Result<Option<StoredGrant>, Error> {
        self.inner.grant(key).await
    }
    async fn put_grant(&self, key: &GrantKey, version: u64, sealed: &[u8]) -> Result<bool, Error> {
        self.inner.put_grant(key, version, sealed).await
    }
    async fn begin_refresh(
        &self,
        key: &GrantKey,
        version: u64,
        owner: OwnerToken,
        lifetime_ms: u64,
    ) -> Result<bool, Error> {
        self.inner
            .begin_refresh(key, version, owner, lifetime_ms)
            .await
    }
    async fn finish_refresh(
        &self,
        key: &GrantKey,
        version: u64,
        owner: OwnerToken,
        sealed: &[u8],
    ) -> Result<bool, Error> {
        let left = |left: u32| left.checked_sub(1);
        let failing = self
            .finishes_to_fail
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left);
        if failing.is_ok() {
            return Err(Error::Full);
        }
        self.inner.finish_refresh(key, version, owner, sealed).await
    }
    async fn abandon_refresh(
        &self,
        key: &GrantKey,
        version: u64,
        owner: OwnerToken,
        state: GrantState,
    ) -> Result<bool, Error> {
        self.inner.abandon_refresh(key, version, owner, state).await
    }
    async fn data_key(&self, tenant: &TenantId) -> Result<Option<Vec<u8>>, Error> {
        self.inner.data_key(tenant).await
    }
    async fn put_data_key(&self, tenant: &TenantId, wrapped: &[u8]) -> Result<Vec<u8>, Error> {
        self.inner.put_data_key(tenant, wrapped).await
    }
}

#[async_trait]
impl LimitStore for Faulty {
    async fn reserve_units(
        &self,
        limit: &str,
        block: Reserved,
        forget_before_ms: u64,
    ) -> Result<(), Error> {
        self.inner
            .reserve_units(limit, block, forget_before_ms)
            .await
    }
    async fn reserved_units(&self, limit: &str) -> Result<Vec<Reserved>, Error> {
        self.inner.reserved_units(limit).await
    }
}

#[async_trait]
impl StreamStore for Faulty {
    async fn load(&self, _: &StreamKey) -> Result<StreamRow, Error> {
        Err(Error::Closed)
    }
    async fn acquire(&self, _: &StreamKey, _: OwnerToken, _: u64, _: u64) -> Result<Lease, Error> {
        Err(Error::Closed)
    }
    async fn renew(&self, _: &Lease, _: u64) -> Result<(), Error> {
        Err(Error::Closed)
    }
    async fn expire(&self, _: &Lease) -> Result<(), Error> {
        Err(Error::Closed)
    }
    async fn release(&self, _: &Lease) -> Result<(), Error> {
        Err(Error::Closed)
    }
    async fn reconcile(&self, _: &Lease, _: Reconciliation) -> Result<(), Error> {
        Err(Error::Closed)
    }
    async fn seal(
        &self,
        _: &Lease,
        _: &StreamState,
        _: &StreamState,
        _: Intent,
    ) -> Result<(), Error> {
        Err(Error::Closed)
    }
    async fn mark_uploaded(&self, _: &Lease, _: u64) -> Result<(), Error> {
        Err(Error::Closed)
    }
    async fn mark_committed(
        &self,
        _: &Lease,
        _: u64,
        _: u64,
        _: &Sha256,
        _: &StreamState,
    ) -> Result<(), Error> {
        Err(Error::Closed)
    }
    async fn staged_paths(&self) -> Result<Vec<PathBuf>, Error> {
        Err(Error::Closed)
    }
}

#[async_trait]
impl JobStore for Faulty {
    async fn put_job(&self, _: &JobRow) -> Result<(), Error> {
        Err(Error::Closed)
    }
    async fn job(&self, _: &JobId) -> Result<Option<JobRow>, Error> {
        Err(Error::Closed)
    }
    async fn jobs_of(&self, _: &TenantId, _: &SyncId, _: u32) -> Result<Vec<JobRow>, Error> {
        Err(Error::Closed)
    }
}

#[async_trait]
impl KvStore for Faulty {
    async fn kv_get(&self, _: &KvScope, _: &str) -> Result<Option<Vec<u8>>, Error> {
        Err(Error::Closed)
    }
    async fn kv_set(&self, _: &KvScope, _: &str, _: &[u8]) -> Result<(), Error> {
        Err(Error::Closed)
    }
    async fn kv_remove(&self, _: &KvScope, _: &str) -> Result<(), Error> {
        Err(Error::Closed)
    }
    async fn kv_keys(&self, _: &KvScope, _: &str, _: u32) -> Result<Vec<String>, Error> {
        Err(Error::Closed)
    }
    async fn kv_bytes(&self, _: &KvScope) -> Result<u64, Error> {
        Err(Error::Closed)
    }
}
