//! A store whose database can be told to fail.

use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tidegate_domain::id::{OwnerToken, TenantId};
use tidegate_store::Error;
use tidegate_store::SqliteStore;
use tidegate_store::grants::{GrantKey, GrantState, GrantStore, StoredGrant};

/// Fails the next so many ends of a refresh.
pub(crate) struct Faulty {
    pub(crate) inner: Arc<SqliteStore>,
    pub(crate) finishes_to_fail: AtomicU32,
}

impl Faulty {
    pub(crate) fn new(inner: Arc<SqliteStore>) -> Self {
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
    async fn held_grant(
        &self,
        tenant: &TenantId,
        holder: &str,
    ) -> Result<Option<StoredGrant>, Error> {
        self.inner.held_grant(tenant, holder).await
    }
    async fn share_grant(
        &self,
        key: &GrantKey,
        holder: &str,
        version: u64,
        sealed: &[u8],
    ) -> Result<Option<u32>, Error> {
        self.inner.share_grant(key, holder, version, sealed).await
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
    async fn idle_grants(
        &self,
        noted_before_ms: u64,
        limit: usize,
    ) -> Result<Vec<GrantKey>, Error> {
        self.inner.idle_grants(noted_before_ms, limit).await
    }
    async fn remove_grant(&self, key: &GrantKey) -> Result<bool, Error> {
        self.inner.remove_grant(key).await
    }
    async fn data_keys(&self) -> Result<Vec<(TenantId, Vec<u8>)>, Error> {
        self.inner.data_keys().await
    }
    async fn rewrap_data_key(
        &self,
        tenant: &TenantId,
        old: &[u8],
        new: &[u8],
    ) -> Result<bool, Error> {
        self.inner.rewrap_data_key(tenant, old, new).await
    }
    async fn destroy_data_key(&self, tenant: &TenantId) -> Result<bool, Error> {
        self.inner.destroy_data_key(tenant).await
    }
}
