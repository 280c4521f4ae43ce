//! Reading a tenant's documents as what they describe.

use crate::error::Error;
use tidegate_domain::id::{ConnectionId, Sha256, SyncId, TenantId};
use tidegate_domain::spec::{ConnectionSpec, SyncSpec};
use tidegate_store::control::{ControlStore, DocumentKind};

/// The sync's document.
///
/// # Errors
/// [`Error::Setting`] where there is none.
pub(crate) async fn sync(
    store: &dyn ControlStore,
    tenant: &TenantId,
    id: &SyncId,
) -> Result<SyncSpec, Error> {
    Ok(sync_at_revision(store, tenant, id).await?.0)
}

/// The sync's document, and the revision that it is at.
///
/// # Errors
/// [`Error::Setting`] where there is none.
pub(crate) async fn sync_at_revision(
    store: &dyn ControlStore,
    tenant: &TenantId,
    id: &SyncId,
) -> Result<(SyncSpec, u64), Error> {
    read(store, tenant, DocumentKind::Sync, id.as_str()).await
}

/// The connection's document.
///
/// # Errors
/// [`Error::Setting`] where there is none.
pub(crate) async fn connection(
    store: &dyn ControlStore,
    tenant: &TenantId,
    id: &ConnectionId,
) -> Result<ConnectionSpec, Error> {
    let kind = DocumentKind::Connection;
    Ok(read(store, tenant, kind, id.as_str()).await?.0)
}

/// The component that the connection was saved with.
///
/// # Errors
/// [`Error::Setting`] where it was saved with none.
pub(crate) fn digest(id: &ConnectionId, spec: &ConnectionSpec) -> Result<Sha256, Error> {
    spec.digest.clone().ok_or_else(|| {
        Error::setting(
            format!("connection {id}"),
            "is not pinned to a connector's digest; save it again",
        )
    })
}

async fn read<T: serde::de::DeserializeOwned>(
    store: &dyn ControlStore,
    tenant: &TenantId,
    kind: DocumentKind,
    id: &str,
) -> Result<(T, u64), Error> {
    let name = || format!("{} {id}", kind.as_str());
    let row = store.document(tenant, kind, id).await?;
    let row = row.ok_or_else(|| Error::setting(name(), "does not exist"))?;
    let spec = serde_json::from_str(&row.body);
    let spec = spec.map_err(|error| Error::setting(name(), error.to_string()))?;
    Ok((spec, row.revision))
}
