//! What discoveries found, with their history, and what streams land under.

use crate::Error;
use crate::events::NewEvent;
use async_trait::async_trait;
use tidegate_domain::catalog::Catalog;
use tidegate_domain::contract::Contract;
use tidegate_domain::id::{ConnectionId, Sha256, StreamKey, TenantId};

/// Catalogs that are kept of a connection: the newest.
pub const CATALOGS_KEPT: u64 = 30;

/// Of which connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogKey {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub connection: ConnectionId,
}

/// A catalog of a connection's history.
#[derive(Clone, Debug)]
pub struct CatalogRow {
    /// Grows with every change; counted from 1 in each connection.
    pub number: u64,
    /// What was found.
    pub catalog: Catalog,
    /// A hash of what the connector was asked with: its configuration counts.
    pub asked: Sha256,
    /// When it was first found, in milliseconds since the epoch.
    pub found_at_ms: u64,
    /// When it was last found so, in milliseconds since the epoch.
    pub confirmed_at_ms: u64,
}

/// A contract, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractRow {
    /// Grows with every change.
    pub revision: u64,
    /// What the stream lands under.
    pub contract: Contract,
    /// When it last changed, in milliseconds since the epoch.
    pub updated_at_ms: u64,
}

/// Catalogs and contracts.
#[async_trait]
pub trait SchemaStore: Send + Sync {
    /// The connection's catalog of this number, or its newest.
    async fn catalog(
        &self,
        key: &CatalogKey,
        number: Option<u64>,
    ) -> Result<Option<CatalogRow>, Error>;

    /// The connection's catalogs before a number, newest first, `limit` at the most.
    async fn catalogs(
        &self,
        key: &CatalogKey,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<CatalogRow>, Error>;

    /// Keeps what a discovery found: where it is what the newest says, that one is
    /// confirmed; otherwise it is the newest from now on, and subscribers hear the
    /// events. False, and nothing done, where the newest is not `newest` any more.
    async fn keep_catalog(
        &self,
        key: &CatalogKey,
        newest: Option<u64>,
        catalog: &Catalog,
        asked: &Sha256,
        at_ms: u64,
        events: Vec<NewEvent>,
    ) -> Result<bool, Error>;

    /// What a stream lands under.
    async fn contract(&self, key: &StreamKey) -> Result<Option<ContractRow>, Error>;

    /// Changes what a stream lands under, and lets subscribers hear of it. False, and
    /// nothing done, where it is not at `revision` (none: not there) any more.
    async fn put_contract(
        &self,
        key: &StreamKey,
        revision: Option<u64>,
        contract: &Contract,
        at_ms: u64,
        events: Vec<NewEvent>,
    ) -> Result<bool, Error>;
}
