//! What every call of a connector is given.

use crate::stream::SyncContext;
use std::sync::Arc;
use tidegate_sandbox::CallContext;
use tidegate_store::kv::KvScope;

/// The frame of one call.
pub(crate) fn context(sync: &SyncContext) -> CallContext {
    let scope = KvScope {
        tenant: sync.tenant.clone(),
        connection: sync.connection.clone(),
    };
    let stop = sync.stop.clone();
    CallContext {
        secrets: Arc::clone(&sync.secrets),
        blind: sync.blind,
        ..CallContext::new(
            sync.session.clone(),
            Arc::clone(&sync.store) as _,
            scope,
            stop,
        )
    }
}

/// Asks the connector whether the connection works.
///
/// # Errors
/// What the connector found, or how it failed.
pub async fn check(sync: &SyncContext) -> Result<(), tidegate_sandbox::Error> {
    let asked = sync
        .connector
        .check(context(sync), sync.config.clone())
        .await;
    let ((), usage) = asked?;
    sync.progress.add_call(&usage);
    Ok(())
}
