//! What a document looks like from outside.

use crate::etag::Tagged;
use crate::problem::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tidegate_domain::spec::{ConnectionSpec, SubscriptionSpec, SyncSpec};
use tidegate_store::control::{DocumentKind, DocumentRow};
use utoipa::ToSchema;

/// What a document says.
pub(crate) trait Spec:
    Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync
{
    /// The kind of document that says it.
    const KIND: DocumentKind;
}

impl Spec for ConnectionSpec {
    const KIND: DocumentKind = DocumentKind::Connection;
}

impl Spec for SyncSpec {
    const KIND: DocumentKind = DocumentKind::Sync;
}

impl Spec for SubscriptionSpec {
    const KIND: DocumentKind = DocumentKind::Subscription;
}

/// A document.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Document<T> {
    /// Its name in the tenant.
    pub(crate) id: String,
    /// Grows with every change; the ETag.
    pub(crate) revision: u64,
    /// When it was made.
    pub(crate) created_at_ms: u64,
    /// When it was last written.
    pub(crate) updated_at_ms: u64,
    /// What was asked for.
    pub(crate) spec: T,
}

impl<T: Spec> Document<T> {
    pub(crate) fn from_row(row: DocumentRow) -> Result<Document<T>, Problem> {
        let spec = serde_json::from_str(&row.body);
        Ok(Document {
            spec: spec.map_err(|error| Problem::internal("reading a document", &error))?,
            id: row.id,
            revision: row.revision,
            created_at_ms: row.created_at_ms,
            updated_at_ms: row.updated_at_ms,
        })
    }
}

impl<T> Tagged for Document<T> {
    fn revision(&self) -> u64 {
        self.revision
    }
}
