//! Documents: what a tenant configured, read and written the same way whether they
//! come one by one or as a whole set.

pub(crate) mod check;
mod shape;

pub(crate) use shape::{Document, Spec};

use crate::api::Api;
use crate::caller::Caller;
use crate::change::Change;
use crate::etag::Answer;
use crate::page::{Page, Paging};
use crate::problem::{Code, Problem};
use http::StatusCode;
use std::collections::BTreeMap;
use tidegate_domain::id::{ConnectionId, InvalidId, SubscriptionId, SyncId, TenantId};
use tidegate_domain::spec::{ConnectionSpec, DocumentSet, SubscriptionSpec, SyncSpec};
use tidegate_store::control::{self, DocumentRow, Expected, Reference, Write};

/// Rows that are read at a time where all are needed.
const ALL_PAGE: u32 = 500;

/// Reads a document, if it is there.
pub(crate) async fn find<T: Spec>(
    api: &Api,
    tenant: &TenantId,
    id: &str,
) -> Result<Option<Document<T>>, Problem> {
    let row = api.store().document(tenant, T::KIND, id).await?;
    row.map(Document::from_row).transpose()
}

/// Reads a document.
pub(crate) async fn read<T: Spec>(
    api: &Api,
    tenant: &TenantId,
    id: &str,
) -> Result<Document<T>, Problem> {
    let found = find(api, tenant, id).await?;
    found.ok_or_else(|| Problem::not_found(T::KIND.as_str(), &id))
}

/// Reads a page of documents.
pub(crate) async fn list<T: Spec>(
    api: &Api,
    tenant: &TenantId,
    paging: &Paging,
) -> Result<Page<Document<T>>, Problem> {
    let found = api
        .store()
        .documents(tenant, T::KIND, &paging.names()?)
        .await?;
    let page = Page::of(
        found,
        paging.limit()?,
        |row: &DocumentRow| row.id.clone(),
        |row| row,
    );
    Ok(Page {
        items: page
            .items
            .into_iter()
            .map(Document::from_row)
            .collect::<Result<_, _>>()?,
        next: page.next,
    })
}

/// Reads all documents of a kind.
async fn all_of<T: Spec>(
    api: &Api,
    tenant: &TenantId,
) -> Result<BTreeMap<String, Document<T>>, Problem> {
    let mut found = BTreeMap::new();
    let mut page = control::Page {
        after: None,
        limit: ALL_PAGE,
    };
    loop {
        let rows = api.store().documents(tenant, T::KIND, &page).await?;
        let is_last = rows.len() < ALL_PAGE as usize;
        page.after = rows.last().map(|row| row.id.clone());
        for row in rows {
            let document = Document::from_row(row)?;
            found.insert(document.id.clone(), document);
        }
        if is_last {
            return Ok(found);
        }
    }
}

/// All of a tenant's documents.
pub(crate) struct Stored {
    pub(crate) connections: BTreeMap<ConnectionId, Document<ConnectionSpec>>,
    pub(crate) syncs: BTreeMap<SyncId, Document<SyncSpec>>,
    pub(crate) subscriptions: BTreeMap<SubscriptionId, Document<SubscriptionSpec>>,
    /// The same, as a set.
    pub(crate) set: DocumentSet,
}

/// Reads all of a tenant's documents.
pub(crate) async fn stored(api: &Api, tenant: &TenantId) -> Result<Stored, Problem> {
    let broken = |error: InvalidId| Problem::internal("reading a document", &error);
    let mut all = Stored {
        connections: BTreeMap::new(),
        syncs: BTreeMap::new(),
        subscriptions: BTreeMap::new(),
        set: DocumentSet::default(),
    };
    for (id, document) in all_of::<ConnectionSpec>(api, tenant).await? {
        let id = ConnectionId::parse(id).map_err(broken)?;
        all.set
            .connections
            .insert(id.clone(), document.spec.clone());
        all.connections.insert(id, document);
    }
    for (id, document) in all_of::<SyncSpec>(api, tenant).await? {
        let id = SyncId::parse(id).map_err(broken)?;
        all.set.syncs.insert(id.clone(), document.spec.clone());
        all.syncs.insert(id, document);
    }
    for (id, document) in all_of::<SubscriptionSpec>(api, tenant).await? {
        let id = SubscriptionId::parse(id).map_err(broken)?;
        all.set
            .subscriptions
            .insert(id.clone(), document.spec.clone());
        all.subscriptions.insert(id, document);
    }
    Ok(all)
}

/// The write that stores a document.
pub(crate) fn write_of<T: Spec>(
    id: &str,
    spec: &T,
    expected: Expected,
    references: Vec<Reference>,
) -> Write {
    Write::PutDocument {
        kind: T::KIND,
        id: id.to_owned(),
        expected,
        body: serde_json::to_string(spec).expect("documents are made of JSON types"),
        references,
    }
}

/// The write that removes a document that was read.
pub(crate) fn removal_of<T: Spec>(id: &str, before: Option<&Document<T>>) -> Write {
    Write::DeleteDocument {
        kind: T::KIND,
        id: id.to_owned(),
        expected: expected_of(Expected::Any, before),
    }
}

/// What must be there for a document to be written that was checked against `before`:
/// what was checked against one state is only written over that state.
pub(crate) fn expected_of<T>(asked: Expected, before: Option<&Document<T>>) -> Expected {
    match (asked, before) {
        (Expected::Any, Some(before)) => Expected::Revision(before.revision),
        (Expected::Any, None) => Expected::Absent,
        (asked, _) => asked,
    }
}

/// Writes a checked document, and what goes with it.
pub(crate) async fn put<T: Spec>(
    api: &Api,
    caller: &Caller,
    id: &str,
    before: Option<&Document<T>>,
    writes: Vec<Write>,
) -> Result<Answer<Document<T>>, Problem> {
    let kind = T::KIND.as_str();
    let change = Change::new(format!("{kind}.put"), format!("{kind} {id}")).writes(writes);
    let put = api.commit(caller, change).await;
    put.map_err(dangling_is_invalid)?;
    // Jobs may have rested until this.
    api.worker().wake();
    Ok(Answer::put(
        read(api, &caller.tenant, id).await?,
        before.is_none(),
    ))
}

/// Removes a document with what goes with it, if the client's precondition holds.
pub(crate) async fn delete<T: Spec>(
    api: &Api,
    caller: &Caller,
    id: &str,
    asked: Expected,
    before: &Document<T>,
    writes: Vec<Write>,
) -> Result<StatusCode, Problem> {
    match asked {
        Expected::Absent => {
            return Err(Problem::new(
                Code::Malformed,
                "If-None-Match: what is not there cannot be removed",
            ));
        }
        Expected::Revision(revision) if revision != before.revision => {
            return Err(Problem::new(
                Code::Changed,
                format!("it is at revision {}", before.revision),
            ));
        }
        Expected::Any | Expected::Present | Expected::Revision(_) => {}
    }
    let kind = T::KIND.as_str();
    let change = Change::new(format!("{kind}.delete"), format!("{kind} {id}")).writes(writes);
    api.commit(caller, change).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is written mentions something that is not there: the client's mistake, not a
/// conflict.
pub(crate) fn dangling_is_invalid(problem: Problem) -> Problem {
    match problem.code() {
        Code::InUse => Problem::new(Code::Invalid, problem.detail())
            .with_fix("Make what it mentions first, or in the same apply."),
        _ => problem,
    }
}
