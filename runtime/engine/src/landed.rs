//! What a stored sync landed, slot by slot, as its log on the target says.

use crate::documents;
use crate::error::Error;
use crate::node::Node;
use tidegate_domain::id::{StreamKey, StreamName, SyncId, TenantId};
use tidegate_domain::slot::{Object, Slot};
use tidegate_landing::lake;
use tidegate_landing::log::{location, slot_key};

/// Slots that are read at a time at the most: each is a request to the target.
const SLOTS_MAX: u32 = 500;

impl Node {
    /// The logs of a sync: those of its streams, past ones and backfills included.
    ///
    /// # Errors
    /// [`Error::Setting`] where the sync is not complete; [`Error::Landed`] where the
    /// target cannot be listed.
    pub async fn logs(&self, tenant: &TenantId, sync: &SyncId) -> Result<Vec<StreamName>, Error> {
        let spec = documents::sync(&*self.store, tenant, sync).await?;
        let target = self.stored_target(tenant, sync, &spec.target).await?;
        let keys = lake::streams(&*target, tenant, sync).await?;
        Ok(keys.into_iter().map(|key| key.stream).collect())
    }

    /// Slots of a log from number `from` on, `limit` at the most (and never more than
    /// 500); fewer mean that its end was reached. The hash chain is not followed here:
    /// whoever takes the stream over does that.
    ///
    /// # Errors
    /// [`Error::Setting`] where the sync is not complete or a slot is not one of
    /// ours; [`Error::Target`] where the target cannot be read.
    pub async fn slots(
        &self,
        tenant: &TenantId,
        sync: &SyncId,
        log: &StreamName,
        from: u64,
        limit: u32,
    ) -> Result<Vec<Slot>, Error> {
        let spec = documents::sync(&*self.store, tenant, sync).await?;
        let target = self.stored_target(tenant, sync, &spec.target).await?;
        let key = StreamKey {
            tenant: tenant.clone(),
            sync: sync.clone(),
            stream: log.clone(),
        };
        let mut slots = Vec::new();
        for number in from..from.saturating_add(u64::from(limit.min(SLOTS_MAX))) {
            let place = slot_key(&key, number);
            let Some(bytes) = target.read(&place).await? else {
                break;
            };
            let slot = serde_json::from_slice(&bytes);
            slots.push(slot.map_err(|error| Error::setting(place, error.to_string()))?);
        }
        Ok(slots)
    }

    /// Where objects that a log's slots name are, for people and engines (`s3://…`,
    /// `file:///…`).
    ///
    /// # Errors
    /// [`Error::Setting`] where the sync is not complete.
    pub async fn locate(
        &self,
        tenant: &TenantId,
        sync: &SyncId,
        log: &StreamName,
        objects: &[&Object],
    ) -> Result<Vec<String>, Error> {
        let spec = documents::sync(&*self.store, tenant, sync).await?;
        let target = self.stored_target(tenant, sync, &spec.target).await?;
        let key = StreamKey {
            tenant: tenant.clone(),
            sync: sync.clone(),
            stream: log.clone(),
        };
        let locate = |object: &&Object| location(&*target, &key, object);
        Ok(objects.iter().map(locate).collect())
    }
}
