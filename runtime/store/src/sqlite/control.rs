//! The control plane in SQLite.

mod audit;
mod commit;
mod connectors;
mod reads;
mod tenants;
mod writes;

use super::SqliteStore;
use crate::Error;
use crate::control::{
    AuditRow, AuditVerdict, Commit, Committed, ConnectorRow, ControlStore, DocumentKind,
    DocumentRow, KeyRow, Page, Reference, SecretRow, TenantRow,
};
use async_trait::async_trait;
use tidegate_domain::id::{Sha256, TenantId};

#[async_trait]
impl ControlStore for SqliteStore {
    async fn commit(&self, commit: Commit) -> Result<Committed, Error> {
        self.write("commit", move |database| commit::run(database, &commit))
            .await
    }

    async fn tenant(&self, id: &TenantId) -> Result<Option<TenantRow>, Error> {
        let id = id.clone();
        self.read("tenant", move |database| reads::tenant(database, &id))
            .await
    }

    async fn tenants(&self, page: &Page) -> Result<Vec<TenantRow>, Error> {
        let page = page.clone();
        self.read("tenants", move |database| reads::tenants(database, &page))
            .await
    }

    async fn key_by_hash(&self, sha256: &Sha256) -> Result<Option<KeyRow>, Error> {
        let sha256 = sha256.clone();
        self.read("key by hash", move |database| {
            reads::key_by_hash(database, &sha256)
        })
        .await
    }

    async fn keys(&self, tenant: &TenantId, page: &Page) -> Result<Vec<KeyRow>, Error> {
        let (tenant, page) = (tenant.clone(), page.clone());
        self.read("keys", move |database| {
            reads::keys(database, &tenant, &page)
        })
        .await
    }

    async fn touch_key(&self, id: &str, at_ms: u64) -> Result<(), Error> {
        let id = id.to_owned();
        self.write("touch key", move |database| {
            writes::touch_key(database, &id, at_ms)
        })
        .await
    }

    async fn document(
        &self,
        tenant: &TenantId,
        kind: DocumentKind,
        id: &str,
    ) -> Result<Option<DocumentRow>, Error> {
        let (tenant, id) = (tenant.clone(), id.to_owned());
        self.read("document", move |database| {
            reads::document(database, &tenant, kind, &id)
        })
        .await
    }

    async fn documents(
        &self,
        tenant: &TenantId,
        kind: DocumentKind,
        page: &Page,
    ) -> Result<Vec<DocumentRow>, Error> {
        let (tenant, page) = (tenant.clone(), page.clone());
        self.read("documents", move |database| {
            reads::documents(database, &tenant, kind, &page)
        })
        .await
    }

    async fn referrers(
        &self,
        tenant: &TenantId,
        to: &Reference,
    ) -> Result<Vec<(DocumentKind, String)>, Error> {
        let (tenant, to) = (tenant.clone(), to.clone());
        self.read("referrers", move |database| {
            reads::referrers(database, &tenant, &to)
        })
        .await
    }

    async fn secret(&self, tenant: &TenantId, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let (tenant, name) = (tenant.clone(), name.to_owned());
        self.read("secret", move |database| {
            reads::secret(database, &tenant, &name)
        })
        .await
    }

    async fn secrets(&self, tenant: &TenantId, page: &Page) -> Result<Vec<SecretRow>, Error> {
        let (tenant, page) = (tenant.clone(), page.clone());
        self.read("secrets", move |database| {
            reads::secrets(database, &tenant, &page)
        })
        .await
    }

    async fn connector(
        &self,
        tenant: &TenantId,
        digest: &Sha256,
    ) -> Result<Option<ConnectorRow>, Error> {
        let (tenant, digest) = (tenant.clone(), digest.clone());
        self.read("connector", move |database| {
            connectors::find(database, &tenant, &digest)
        })
        .await
    }

    async fn connectors(&self, tenant: &TenantId, page: &Page) -> Result<Vec<ConnectorRow>, Error> {
        let (tenant, page) = (tenant.clone(), page.clone());
        self.read("connectors", move |database| {
            connectors::list(database, &tenant, &page)
        })
        .await
    }

    async fn connector_wasm(
        &self,
        tenant: &TenantId,
        digest: &Sha256,
    ) -> Result<Option<Vec<u8>>, Error> {
        let (tenant, digest) = (tenant.clone(), digest.clone());
        self.read("connector wasm", move |database| {
            connectors::wasm(database, &tenant, &digest)
        })
        .await
    }

    async fn audit(
        &self,
        tenant: Option<&TenantId>,
        after: u64,
        limit: u32,
    ) -> Result<Vec<AuditRow>, Error> {
        let tenant = tenant.cloned();
        self.read("audit", move |database| {
            audit::list(database, tenant.as_ref(), after, limit)
        })
        .await
    }

    async fn verify_audit(&self) -> Result<AuditVerdict, Error> {
        self.read("verify audit", audit::verify).await
    }
}
