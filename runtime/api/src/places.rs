//! Bounds on what one tenant may have under way at once.

use crate::problem::{Code, Problem};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tidegate_domain::id::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Seconds after which a place may be free again.
const RETRY_AFTER_S: u64 = 5;

/// A number of places for each tenant.
pub(crate) struct Places {
    what: &'static str,
    each: usize,
    by_tenant: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
}

impl Places {
    pub(crate) fn new(what: &'static str, each: u32) -> Places {
        Places {
            what,
            each: each as usize,
            by_tenant: Mutex::default(),
        }
    }

    /// Takes a place; it is free again when the permit is dropped.
    pub(crate) fn take(&self, tenant: &TenantId) -> Result<OwnedSemaphorePermit, Problem> {
        let places = {
            let mut by_tenant = self
                .by_tenant
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let places = by_tenant
                .entry(tenant.clone())
                .or_insert_with(|| Arc::new(Semaphore::new(self.each)));
            Arc::clone(places)
        };
        let full = |_| {
            let detail = format!(
                "the tenant has {} {} at once, and may not have more",
                self.each, self.what
            );
            Problem::new(Code::Quota, detail).with_retry_after_s(RETRY_AFTER_S)
        };
        places.try_acquire_owned().map_err(full)
    }
}
