//! A whole set of documents at once: what would change, and making it so in one
//! transaction.

use super::secrets::{self, Hidden};
use super::{connections, subscriptions, syncs};
use crate::api::Api;
use crate::caller::Caller;
use crate::change::Change;
use crate::documents::{self, Stored};
use crate::extract::{Json, Query};
use crate::problem::{Code, Problem, Wrong};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tidegate_domain::access::Permission;
use tidegate_domain::id::{ConnectionId, SubscriptionId, SyncId};
use tidegate_domain::spec::{
    self, ChangeAction, ConnectionSpec, DocumentKey, DocumentSet, SecretName, SubscriptionSpec,
    SyncSpec,
};
use tidegate_store::control::{Expected, Write};
use utoipa::{IntoParams, ToSchema};

/// Documents and secrets of one set.
const SET_MAX: usize = 2_000;

/// A tenant's configuration as it is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Configuration {
    /// By id.
    #[serde(default)]
    connections: BTreeMap<ConnectionId, ConnectionSpec>,
    /// By id.
    #[serde(default)]
    syncs: BTreeMap<SyncId, SyncSpec>,
    /// By id.
    #[serde(default)]
    subscriptions: BTreeMap<SubscriptionId, SubscriptionSpec>,
    /// Values by name. No answer ever holds them.
    #[serde(default)]
    secrets: BTreeMap<SecretName, Hidden>,
}

/// How a set is applied.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct How {
    /// Only say what would change.
    #[serde(default)]
    #[param(required = false)]
    dry_run: bool,
    /// Remove documents that the set does not hold. Secrets stay.
    #[serde(default)]
    #[param(required = false)]
    prune: bool,
}

/// What changes, or would.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Plan {
    /// Whether it was made so.
    applied: bool,
    /// Documents that change, field by field.
    changes: Vec<spec::Change>,
    /// Names of secrets whose values change.
    secrets: Vec<String>,
    /// Documents that the set does not hold, and that stay.
    unmanaged: Vec<DocumentKey>,
}

/// Apply a set of documents
///
/// All of it or nothing. Applying the same set again changes nothing.
#[utoipa::path(post, path = "/v1/apply", tag = "apply", params(How), request_body = Configuration, responses((status = 200, description = "What changed, or would.", body = Plan)))]
pub(crate) async fn apply(
    State(api): State<Api>,
    caller: Caller,
    Query(how): Query<How>,
    Json(wanted): Json<Configuration>,
) -> Result<axum::Json<Value>, Problem> {
    let documents = wanted.connections.len() + wanted.syncs.len() + wanted.subscriptions.len();
    if documents + wanted.secrets.len() > SET_MAX {
        return Err(Problem::invalid_at(
            "",
            format!("a set holds {SET_MAX} documents and secrets at the most"),
        ));
    }
    if !wanted.secrets.is_empty() && !caller.role.allows(Permission::WriteSecrets) {
        return Err(Problem::new(
            Code::Forbidden,
            "the role may not write secrets",
        ));
    }
    let (mut writes, names) = changed_secrets(&api, &caller, wanted.secrets).await?;
    let stored = documents::stored(&api, &caller.tenant).await?;
    let wanted = DocumentSet {
        connections: wanted.connections,
        syncs: wanted.syncs,
        subscriptions: wanted.subscriptions,
    };
    let unmanaged = unmanaged(&stored.set, &wanted);
    let set = match how.prune {
        true => wanted,
        false => DocumentSet {
            connections: merged(&stored.set.connections, wanted.connections),
            syncs: merged(&stored.set.syncs, wanted.syncs),
            subscriptions: merged(&stored.set.subscriptions, wanted.subscriptions),
        },
    };
    let changes = spec::diff(&stored.set, &set);
    writes.extend(document_writes(&api, &caller, &stored, set, &changes).await?);
    let plan = Plan {
        applied: !how.dry_run,
        changes,
        secrets: names,
        unmanaged: if how.prune { Vec::new() } else { unmanaged },
    };
    commit(&api, &caller, &plan, writes).await
}

async fn commit(
    api: &Api,
    caller: &Caller,
    plan: &Plan,
    writes: Vec<Write>,
) -> Result<axum::Json<Value>, Problem> {
    let answer =
        serde_json::to_value(plan).map_err(|error| Problem::internal("the plan", &error))?;
    if !plan.applied || (writes.is_empty() && caller.repeat.is_none()) {
        return Ok(axum::Json(answer));
    }
    let noted =
        |change: &spec::Change| json!({ "document": change.document, "action": change.action });
    let detail = json!({ "changes": plan.changes.iter().map(noted).collect::<Vec<_>>(), "secrets": plan.secrets });
    let change = Change::new("apply", "documents")
        .detail(detail)
        .answer(answer)
        .writes(writes);
    let done = api.commit(caller, change).await;
    let done = done.map_err(documents::dangling_is_invalid)?;
    // Jobs may have rested until this.
    api.worker().wake();
    Ok(axum::Json(done.answer))
}

/// A value is only written where its keyed fingerprint differs from the stored one.
async fn changed_secrets(
    api: &Api,
    caller: &Caller,
    values: BTreeMap<SecretName, Hidden>,
) -> Result<(Vec<Write>, Vec<String>), Problem> {
    if values.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let stored = secrets::fingerprints(api, &caller.tenant).await?;
    let (mut writes, mut names) = (Vec::new(), Vec::new());
    for (name, value) in values {
        let pointer = format!("/secrets/{name}");
        let write =
            secrets::write_of(api, &caller.tenant, &name, value.as_bytes(), &pointer).await?;
        let is_same = matches!(&write, Write::PutSecret { fingerprint, .. } if stored.get(name.as_str()) == Some(fingerprint));
        if !is_same {
            writes.push(write);
            names.push(name.to_string());
        }
    }
    Ok((writes, names))
}

fn merged<Id: Ord + Clone, Spec: Clone>(
    stored: &BTreeMap<Id, Spec>,
    wanted: BTreeMap<Id, Spec>,
) -> BTreeMap<Id, Spec> {
    let mut all = stored.clone();
    all.extend(wanted);
    all
}

fn unmanaged(stored: &DocumentSet, wanted: &DocumentSet) -> Vec<DocumentKey> {
    let removed = |change: &spec::Change| change.action == ChangeAction::Remove;
    let gone = spec::diff(stored, wanted).into_iter().filter(removed);
    gone.map(|change| change.document).collect()
}

/// The writes that make every change so, if all of the set can work.
async fn document_writes(
    api: &Api,
    caller: &Caller,
    stored: &Stored,
    mut set: DocumentSet,
    changes: &[spec::Change],
) -> Result<Vec<Write>, Problem> {
    let connectors = documents::check::Connectors::read(api, &caller.tenant).await?;
    let mut errors: Vec<Wrong> = Vec::new();
    for (key, problem) in set.validate() {
        errors.push(below(&key, problem.into()));
    }
    let mut writes = Vec::new();
    for change in changes {
        let written = match (&change.document, change.action) {
            (DocumentKey::Connection(id), ChangeAction::Remove) => {
                Ok(connections::removal(id, stored.connections.get(id)))
            }
            (DocumentKey::Sync(id), ChangeAction::Remove) => {
                syncs::refuse_unfinished(api, &caller.tenant, id).await?;
                Ok(syncs::removal(id, stored.syncs.get(id)))
            }
            (DocumentKey::Connection(id), _) => match set.connections.get_mut(id) {
                Some(spec) => connections::writes(
                    id,
                    spec,
                    stored.connections.get(id),
                    Expected::Any,
                    &connectors,
                ),
                None => Ok(Vec::new()),
            },
            (DocumentKey::Sync(id), _) => match set.syncs.get_mut(id) {
                Some(spec) => syncs::writes(
                    api,
                    &caller.tenant,
                    id,
                    spec,
                    stored.syncs.get(id),
                    Expected::Any,
                ),
                None => Ok(Vec::new()),
            },
            (DocumentKey::Subscription(id), ChangeAction::Remove) => {
                let before = stored.subscriptions.get(id);
                Ok(vec![documents::removal_of(id.as_str(), before)])
            }
            (DocumentKey::Subscription(id), _) => match set.subscriptions.get_mut(id) {
                Some(spec) => {
                    let before = stored.subscriptions.get(id);
                    subscriptions::write(id, spec, before, Expected::Any).map(|write| vec![write])
                }
                None => Ok(Vec::new()),
            },
        };
        match written {
            Ok(more) => writes.extend(more),
            Err(wrong) => errors.extend(
                wrong
                    .into_iter()
                    .map(|wrong| below(&change.document, wrong)),
            ),
        }
    }
    if errors.is_empty() {
        Ok(writes)
    } else {
        Err(Problem::invalid(errors))
    }
}

/// An error of a document, as one of the set.
fn below(key: &DocumentKey, wrong: Wrong) -> Wrong {
    Wrong {
        pointer: format!("/{}s/{}{}", key.kind(), key.id(), wrong.pointer),
        reason: wrong.reason,
    }
}
