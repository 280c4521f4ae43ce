//! The real database, for tests in simulated time: that stands still while it works.

use super::*;
use tidegate_store::Error as StoreError;
use tidegate_store::limits::{Block, BlockId, ClockReading, Closure, Reserved, Settlement};

/// The real database.
pub(super) struct Still(Arc<SqliteStore>);

impl Still {
    pub(super) fn new(store: Arc<SqliteStore>) -> Self {
        Self(store)
    }
}

macro_rules! still {
    ($self:ident, $store:ident => $work:expr) => {{
        let $store = Arc::clone(&$self.0);
        let runtime = tokio::runtime::Handle::current();
        let work = tokio::task::spawn_blocking(move || runtime.block_on($work));
        work.await.unwrap()
    }};
}

#[async_trait::async_trait]
impl LimitStore for Still {
    async fn reserve_units(&self, limit: &str, block: Block) -> Result<BlockId, StoreError> {
        let limit = limit.to_owned();
        still!(self, store => async move { store.reserve_units(&limit, block).await })
    }
    async fn settle_units(&self, settled: Vec<Settlement>) -> Result<(), StoreError> {
        still!(self, store => async move { store.settle_units(settled).await })
    }
    async fn reserved_units(&self, limit: &str) -> Result<Vec<Reserved>, StoreError> {
        let limit = limit.to_owned();
        still!(self, store => async move { store.reserved_units(&limit).await })
    }
    async fn close_gates(&self, closed: Vec<Closure>, now_ms: u64) -> Result<(), StoreError> {
        still!(self, store => async move { store.close_gates(closed, now_ms).await })
    }
    async fn closed_gates(&self, account: &str) -> Result<Vec<Closure>, StoreError> {
        let account = account.to_owned();
        still!(self, store => async move { store.closed_gates(&account).await })
    }
    async fn clock_reading(&self) -> Result<Option<ClockReading>, StoreError> {
        still!(self, store => async move { store.clock_reading().await })
    }
    async fn keep_clock_reading(&self, reading: ClockReading) -> Result<(), StoreError> {
        still!(self, store => async move { store.keep_clock_reading(reading).await })
    }
}
