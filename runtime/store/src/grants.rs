//! Grants and data keys: encrypted before they come here.

use crate::Error;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tidegate_domain::id::{ConnectionId, OwnerToken, TenantId};

/// Which grant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GrantKey {
    /// Whose.
    pub tenant: TenantId,
    /// Of which connection.
    pub connection: ConnectionId,
    /// The manifest's auth method.
    pub method: String,
}

impl GrantKey {
    /// Where its pair is kept while no other connection shares it.
    pub fn own_holder(&self) -> String {
        format!("{}/{}", self.connection, self.method)
    }
}

/// Whether a grant can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantState {
    /// It can.
    Active,
    /// A refresh was sent and its answer lost; one more try with the same token
    /// may be within the provider's grace.
    Unknown,
    /// The provider refused the pair once; it is asked again before a person is.
    Refused,
    /// A person must authorise again.
    NeedsReauth,
}

/// A stored grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredGrant {
    /// Where it is kept: [`GrantKey::own_holder`], or a name that connections share.
    pub holder: String,
    /// Increases with every new pair of tokens.
    pub version: u64,
    /// The encrypted tokens.
    pub sealed: Vec<u8>,
    /// Whether it can be used.
    pub state: GrantState,
    /// Since when, by the database's clock: of the pair while it is active, else of
    /// the state. Milliseconds since the epoch.
    pub noted_at_ms: u64,
    /// How often its person authorised the application for it.
    pub approvals: u32,
}

/// Grants, and the lease under which one is refreshed.
#[async_trait]
pub trait GrantStore: Send + Sync {
    /// The grant, if the connection was authorised.
    async fn grant(&self, key: &GrantKey) -> Result<Option<StoredGrant>, Error>;

    /// The grant that connections of the tenant share under this name.
    async fn held_grant(
        &self,
        tenant: &TenantId,
        holder: &str,
    ) -> Result<Option<StoredGrant>, Error>;

    /// Stores a newly authorised grant that connections share under a name of their
    /// person and application, counts the approval, and lets the connection use it
    /// instead of what it used. `version` as with [`GrantStore::put_grant`], of the
    /// shared grant. How often it was approved; none where another was quicker.
    async fn share_grant(
        &self,
        key: &GrantKey,
        holder: &str,
        version: u64,
        sealed: &[u8],
    ) -> Result<Option<u32>, Error>;

    /// Stores a newly authorised grant, whatever was there; ends any refresh.
    /// `version` must be one more than the stored one (1 where there is none):
    /// the caller sealed with it. False where another was quicker.
    async fn put_grant(&self, key: &GrantKey, version: u64, sealed: &[u8]) -> Result<bool, Error>;

    /// Takes the right to refresh for `lifetime_ms`, if the version is still
    /// `version` and nobody else has it. The lifetime must exceed the token
    /// request's total deadline, since the provider cannot be fenced.
    async fn begin_refresh(
        &self,
        key: &GrantKey,
        version: u64,
        owner: OwnerToken,
        lifetime_ms: u64,
    ) -> Result<bool, Error>;

    /// Replaces the pair: `version` becomes `version + 1`. Durable on return.
    /// False where the version moved, and the caller's pair is then a stale one; and
    /// where the right ran out and passed to another. A pair whose version did not
    /// move may be the only one that the provider still takes: keep it with
    /// [`GrantStore::put_grant`].
    async fn finish_refresh(
        &self,
        key: &GrantKey,
        version: u64,
        owner: OwnerToken,
        sealed: &[u8],
    ) -> Result<bool, Error>;

    /// Gives the right back without a new pair and notes the state. False where
    /// the version moved or another has the right: a loser never changes a winner's
    /// state.
    async fn abandon_refresh(
        &self,
        key: &GrantKey,
        version: u64,
        owner: OwnerToken,
        state: GrantState,
    ) -> Result<bool, Error>;

    /// Active grants whose pair is older than this, oldest first.
    async fn idle_grants(&self, noted_before_ms: u64, limit: usize)
    -> Result<Vec<GrantKey>, Error>;

    /// Ends the connection's use of its grant, whatever its state, and forgets the grant
    /// where no other connection uses it. False where there was none.
    async fn remove_grant(&self, key: &GrantKey) -> Result<bool, Error>;

    /// The tenant's wrapped data key, if it has one.
    async fn data_key(&self, tenant: &TenantId) -> Result<Option<Vec<u8>>, Error>;

    /// Stores a wrapped data key unless there is one; returns the one that stays.
    async fn put_data_key(&self, tenant: &TenantId, wrapped: &[u8]) -> Result<Vec<u8>, Error>;

    /// Every tenant that has a data key, and the key as it is wrapped.
    async fn data_keys(&self) -> Result<Vec<(TenantId, Vec<u8>)>, Error>;

    /// Puts the same data key under another wrapping, if it still has the old one.
    /// False where it was replaced or removed meanwhile.
    async fn rewrap_data_key(
        &self,
        tenant: &TenantId,
        old: &[u8],
        new: &[u8],
    ) -> Result<bool, Error>;

    /// Destroys the tenant's data key and all grants: nothing that it sealed can be
    /// opened again. False where there was none.
    async fn destroy_data_key(&self, tenant: &TenantId) -> Result<bool, Error>;
}
