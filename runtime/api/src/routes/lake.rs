//! What a sync landed: its logs, their slots, the objects that slots make visible.

use crate::api::Api;
use crate::caller::Caller;
use crate::documents;
use crate::extract::{Id, Ids, Query};
use crate::page::{Page, Paging};
use crate::problem::{Code, Problem};
use axum::extract::State;
use serde::Serialize;
use std::time::Duration;
use tidegate_domain::id::{Sha256, StreamName, SyncId, TenantId};
use tidegate_domain::record::Format;
use tidegate_domain::slot::{self, Content, Entry};
use tidegate_domain::spec::SyncSpec;
use utoipa::ToSchema;

/// How long a client waits for a target.
const PATIENCE: Duration = Duration::from_secs(60);

/// A log of a sync.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogName {
    /// A stream's name, or that of a backfill of it.
    log: StreamName,
}

/// A slot of a log: what became visible at once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Slot {
    /// Its number; the first is 0.
    slot: u64,
    /// What it does.
    kind: SlotKind,
    /// The generation that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    /// The batch that carried it.
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<u64>,
    /// The objects that it makes visible.
    objects: Vec<Landed>,
    /// The epoch of the owner that wrote it.
    epoch: u64,
    /// When it was written; nothing is ordered by it.
    written_at_ms: u64,
    /// The sha256 of the slot before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_sha256: Option<Sha256>,
}

/// What a slot does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SlotKind {
    /// A new owner shuts out the former one.
    Fence,
    /// A generation opens.
    Begin,
    /// A plan replaces the partitions.
    Plan,
    /// A batch becomes visible.
    Commit,
    /// A person set cursors.
    Edit,
    /// A full refresh has read everything.
    Complete,
}

/// An object on the target.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Landed {
    /// The slot that made it visible.
    slot: u64,
    /// The generation that its rows belong to.
    generation: u64,
    /// What it holds.
    content: Rows,
    /// Where it is: `s3://...` or `file:///...`.
    location: String,
    /// The file format.
    format: Format,
    /// The sha256 of its bytes.
    sha256: Sha256,
    /// Its length.
    bytes: u64,
    /// Its rows.
    rows: u64,
    /// The id of the schema under which its columns were cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<String>,
}

/// Which rows an object holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rows {
    /// Created or updated; the source does not tell which.
    Upsert,
    /// Created.
    Create,
    /// Updated.
    Update,
    /// Deleted.
    Delete,
    /// Refused by the schema or a cap, each with the reason.
    Rejected,
}

impl Rows {
    fn of(content: Content) -> Rows {
        use tidegate_domain::record::Operation;
        match content {
            Content::Rows(Operation::Upsert) => Rows::Upsert,
            Content::Rows(Operation::Create) => Rows::Create,
            Content::Rows(Operation::Update) => Rows::Update,
            Content::Rows(Operation::Delete) => Rows::Delete,
            Content::Rejected => Rows::Rejected,
        }
    }
}

/// List a sync's logs
///
/// One for each stream that ever landed, and one for each backfill.
#[utoipa::path(get, path = "/v1/syncs/{sync}/logs", tag = "streams", params(("sync" = SyncId, Path)), responses((status = 200, description = "By name.", body = Page<LogName>)))]
pub(crate) async fn list_logs(
    State(api): State<Api>,
    caller: Caller,
    Id(sync): Id<SyncId>,
) -> Result<axum::Json<Page<LogName>>, Problem> {
    documents::read::<SyncSpec>(&api, &caller.tenant, sync.as_str()).await?;
    let _place = api.guests().take(&caller.tenant)?;
    let logs = in_time(api.node().logs(&caller.tenant, &sync)).await?;
    Ok(axum::Json(Page {
        items: logs.into_iter().map(|log| LogName { log }).collect(),
        next: None,
    }))
}

/// List a log's slots
///
/// In order; what a slot shows has happened. `after` is the number of a slot.
#[utoipa::path(get, path = "/v1/syncs/{sync}/logs/{log}/slots", tag = "streams", params(("sync" = SyncId, Path), ("log" = StreamName, Path), Paging), responses((status = 200, description = "In order.", body = Page<Slot>)))]
pub(crate) async fn list_slots(
    State(api): State<Api>,
    caller: Caller,
    Ids(sync, log): Ids<SyncId, StreamName>,
    Query(paging): Query<Paging>,
) -> Result<axum::Json<Page<Slot>>, Problem> {
    slots(&api, &caller.tenant, &sync, &log, &paging)
        .await
        .map(axum::Json)
}

/// List the objects of a log
///
/// Those that its slots name, in order; nothing else on the target is of it. `after`
/// and `limit` count slots.
#[utoipa::path(get, path = "/v1/syncs/{sync}/logs/{log}/objects", tag = "streams", params(("sync" = SyncId, Path), ("log" = StreamName, Path), Paging), responses((status = 200, description = "In order.", body = Page<Landed>)))]
pub(crate) async fn list_objects(
    State(api): State<Api>,
    caller: Caller,
    Ids(sync, log): Ids<SyncId, StreamName>,
    Query(paging): Query<Paging>,
) -> Result<axum::Json<Page<Landed>>, Problem> {
    let page = slots(&api, &caller.tenant, &sync, &log, &paging).await?;
    Ok(axum::Json(Page {
        items: page
            .items
            .into_iter()
            .flat_map(|slot| slot.objects)
            .collect(),
        next: page.next,
    }))
}

async fn slots(
    api: &Api,
    tenant: &TenantId,
    sync: &SyncId,
    log: &StreamName,
    paging: &Paging,
) -> Result<Page<Slot>, Problem> {
    documents::read::<SyncSpec>(api, tenant, sync.as_str()).await?;
    let (after, limit) = (paging.after::<u64>()?, paging.limit()?);
    let from = after.map_or(0, |after| after.saturating_add(1));
    let _place = api.guests().take(tenant)?;
    let found = in_time(api.node().slots(tenant, sync, log, from, limit + 1)).await?;
    let objects: Vec<_> = found
        .iter()
        .flat_map(|slot| objects_of(&slot.entry))
        .collect();
    let locations = in_time(api.node().locate(tenant, sync, log, &objects)).await?;
    let mut locations = locations.into_iter();
    let cursor = |slot: &slot::Slot| slot.slot.to_string();
    Ok(Page::of(found, limit, cursor, |slot| {
        show(slot, &mut locations)
    }))
}

fn objects_of(entry: &Entry) -> &[slot::Object] {
    match entry {
        Entry::Commit { objects, .. } => objects,
        Entry::Fence
        | Entry::Begin { .. }
        | Entry::Plan { .. }
        | Entry::Edit { .. }
        | Entry::Complete { .. } => &[],
    }
}

/// A slot without what it does to cursors, which is sealed. `locations` are those of
/// its objects and of all after them.
fn show(slot: slot::Slot, locations: &mut impl Iterator<Item = String>) -> Slot {
    let (kind, generation, batch) = match &slot.entry {
        Entry::Fence => (SlotKind::Fence, None, None),
        Entry::Begin {
            generation, batch, ..
        } => (SlotKind::Begin, Some(*generation), Some(*batch)),
        Entry::Plan { batch, .. } => (SlotKind::Plan, None, Some(*batch)),
        Entry::Commit {
            generation, batch, ..
        } => (SlotKind::Commit, Some(*generation), Some(*batch)),
        Entry::Edit {
            generation, batch, ..
        } => (SlotKind::Edit, Some(*generation), Some(*batch)),
        Entry::Complete {
            generation, batch, ..
        } => (SlotKind::Complete, Some(*generation), Some(*batch)),
    };
    let landed = |object: &slot::Object| Landed {
        slot: slot.slot,
        generation: generation.unwrap_or_default(),
        content: Rows::of(object.content),
        location: locations.next().unwrap_or_default(),
        format: object.format,
        sha256: object.sha256.clone(),
        bytes: object.bytes,
        rows: object.rows,
        schema: object.schema.clone(),
    };
    Slot {
        slot: slot.slot,
        kind,
        generation,
        batch,
        objects: objects_of(&slot.entry).iter().map(landed).collect(),
        epoch: slot.epoch,
        written_at_ms: slot.written_at_ms,
        prev_sha256: slot.prev_sha256,
    }
}

async fn in_time<T>(
    read: impl Future<Output = Result<T, tidegate_engine::Error>>,
) -> Result<T, Problem> {
    match tokio::time::timeout(PATIENCE, read).await {
        Ok(read) => Ok(read?),
        Err(_) => Err(Problem::new(
            Code::Timeout,
            format!("the target did not answer in {} s", PATIENCE.as_secs()),
        )),
    }
}
