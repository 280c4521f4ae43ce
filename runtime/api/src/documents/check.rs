//! What a document must be before it is stored, beside what the domain refuses: the
//! connector that it names is there and approved, and its secrets are the server's.

use crate::api::Api;
use crate::extract::wrong;
use crate::problem::{Problem, Wrong};
use tidegate_domain::id::{ConnectionId, Sha256, SubscriptionId, SyncId, TenantId};
use tidegate_domain::spec::{
    ConnectionSpec, ConnectorRef, SecretRef, SecretSlot, SubscriptionSpec, SyncSpec,
};
use tidegate_store::control::{ConnectorRow, ConnectorState, DocumentKind, Page, Reference};

/// Rows that are read at a time.
const CONNECTORS_PAGE: u32 = 200;

/// Connector versions that a tenant sees.
pub(crate) struct Connectors(Vec<ConnectorRow>);

impl Connectors {
    pub(crate) async fn read(api: &Api, tenant: &TenantId) -> Result<Connectors, Problem> {
        let mut all = Vec::new();
        let mut page = Page {
            after: None,
            limit: CONNECTORS_PAGE,
        };
        loop {
            let found = api.store().connectors(tenant, &page).await?;
            page.after = found.last().map(|row| row.digest.to_string());
            let is_last = found.len() < CONNECTORS_PAGE as usize;
            all.extend(found);
            if is_last {
                return Ok(Connectors(all));
            }
        }
    }

    /// What a reference means now: the newest approved version that fits.
    fn resolve(&self, reference: &ConnectorRef) -> Result<Sha256, String> {
        let fits = |row: &&ConnectorRow| match reference {
            ConnectorRef::Named { name, version } => {
                row.name == *name
                    && version
                        .as_ref()
                        .is_none_or(|version| row.version == *version)
            }
            ConnectorRef::Digest(digest) => row.digest == *digest,
            ConnectorRef::Path(_) => false,
        };
        if matches!(reference, ConnectorRef::Path(_)) {
            return Err("the server has no files; upload the component and name it".to_owned());
        }
        let approved = |row: &&ConnectorRow| row.state == ConnectorState::Approved;
        // The tenant's own stands before a shared one of the same age.
        let newest = |row: &&ConnectorRow| (row.created_at_ms, !row.shared);
        let found = self
            .0
            .iter()
            .filter(fits)
            .filter(approved)
            .max_by_key(newest);
        found
            .map(|row| row.digest.clone())
            .ok_or_else(|| match self.0.iter().find(fits) {
                Some(_) => format!("connector {reference} is not approved"),
                None => format!("there is no connector {reference}"),
            })
    }

    fn is_approved(&self, digest: &Sha256) -> bool {
        self.0
            .iter()
            .any(|row| row.digest == *digest && row.state == ConnectorState::Approved)
    }
}

/// Pins a connection's connector. One that is pinned already stays so for as long as
/// the document names the connector alike: no platform changes a version under a
/// tenant.
pub(crate) fn pin(
    spec: &mut ConnectionSpec,
    before: Option<&ConnectionSpec>,
    connectors: &Connectors,
) -> Option<Wrong> {
    let pinned = before.filter(|before| before.connector == spec.connector);
    spec.digest = pinned.and_then(|before| before.digest.clone());
    if spec
        .digest
        .as_ref()
        .is_some_and(|digest| connectors.is_approved(digest))
    {
        return None;
    }
    match connectors.resolve(&spec.connector) {
        Ok(digest) => {
            spec.digest = Some(digest);
            None
        }
        Err(reason) => Some(wrong("/connector", reason)),
    }
}

/// All that a connection mentions, if its secrets are the server's.
pub(crate) fn mentions_of_connection(
    id: &ConnectionId,
    spec: &mut ConnectionSpec,
) -> Result<Vec<Reference>, Vec<Wrong>> {
    secrets(spec.secret_slots(id))
}

/// All that a sync mentions, if its secrets are the server's.
pub(crate) fn mentions_of_sync(
    id: &SyncId,
    spec: &mut SyncSpec,
) -> Result<Vec<Reference>, Vec<Wrong>> {
    let mut mentioned = secrets(spec.secret_slots(id))?;
    mentioned.push(Reference::Document(
        DocumentKind::Connection,
        spec.connection.to_string(),
    ));
    let after = spec
        .schedule
        .as_ref()
        .and_then(|schedule| schedule.after.as_ref());
    mentioned.extend(after.map(|after| Reference::Document(DocumentKind::Sync, after.to_string())));
    Ok(mentioned)
}

/// All that a subscription mentions, if its secret is the server's.
pub(crate) fn mentions_of_subscription(
    id: &SubscriptionId,
    spec: &mut SubscriptionSpec,
) -> Result<Vec<Reference>, Vec<Wrong>> {
    secrets(spec.secret_slots(id))
}

/// A reference to the client's own files and variables would read the server's.
fn secrets(slots: Vec<SecretSlot<'_>>) -> Result<Vec<Reference>, Vec<Wrong>> {
    let (mut mentioned, mut errors) = (Vec::new(), Vec::new());
    for slot in slots {
        match slot.reference {
            SecretRef::Secret(name) => mentioned.push(Reference::Secret(name.to_string())),
            SecretRef::Env(_) | SecretRef::File(_) => errors.push(wrong(
                slot.pointer,
                "write the value to /v1/secrets/{name} and name it as ${secret:NAME}",
            )),
        }
    }
    if errors.is_empty() {
        Ok(mentioned)
    } else {
        Err(errors)
    }
}
