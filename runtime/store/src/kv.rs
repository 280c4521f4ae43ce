//! Small hints that connectors keep per connection. They may be lost.

use crate::Error;
use async_trait::async_trait;
use tidegate_domain::id::{ConnectionId, TenantId};

/// Whose hints.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KvScope {
    /// The tenant.
    pub tenant: TenantId,
    /// The connection.
    pub connection: ConnectionId,
}

/// Byte values by name. Size caps are the caller's.
#[async_trait]
pub trait KvStore: Send + Sync {
    /// The value.
    async fn kv_get(&self, scope: &KvScope, key: &str) -> Result<Option<Vec<u8>>, Error>;
    /// Sets the value.
    async fn kv_set(&self, scope: &KvScope, key: &str, value: &[u8]) -> Result<(), Error>;
    /// Removes the value, if any.
    async fn kv_remove(&self, scope: &KvScope, key: &str) -> Result<(), Error>;
    /// Keys that start with `prefix`, in order, `limit` at the most.
    async fn kv_keys(
        &self,
        scope: &KvScope,
        prefix: &str,
        limit: u32,
    ) -> Result<Vec<String>, Error>;
    /// Bytes of all keys and values of the scope.
    async fn kv_bytes(&self, scope: &KvScope) -> Result<u64, Error>;
}
