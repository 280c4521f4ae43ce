//! Streams of a sync: how far each was read.

use crate::api::Api;
use crate::caller::Caller;
use crate::change::Change;
use crate::documents;
use crate::extract::{Id, Ids, Json, Query, wrong};
use crate::page::{Page, Paging};
use crate::problem::Problem;
use crate::routes::syncs::refuse_unfinished;
use axum::extract::State;
use http::StatusCode;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::ops::Bound;
use tidegate_domain::id::{PartitionId, StreamKey, StreamName, SyncId, TenantId};
use tidegate_domain::spec::SyncSpec;
use tidegate_domain::stream::{CursorEdit, PartitionState, Progress};
use tidegate_domain::sync::{Landing, Mode, Window};
use tidegate_store::streams::StreamRow;
use utoipa::ToSchema;

/// Partitions of one edit, and bytes of a cursor.
const EDITS_MAX: usize = 1_000;
const CURSOR_BYTES_MAX: usize = 64 * 1024;

/// A stream of a sync, and how far it was read.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Stream {
    /// Its name in the connection's catalog.
    name: StreamName,
    /// The generation that is being read; 0 before the first.
    generation: u64,
    /// How the generation is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    /// How the generation lands.
    #[serde(skip_serializing_if = "Option::is_none")]
    landing: Option<Landing>,
    /// Whether a full refresh has read everything.
    complete: bool,
    /// The number of the current plan; 0 before the first.
    run: u64,
    /// Partitions of the plan.
    partitions: usize,
    /// Partitions of the plan with more to read.
    partitions_open: usize,
    /// Slots in its commit log.
    slots: u64,
    /// Batches that are sealed and not yet in the log.
    batches_sealed: usize,
}

/// Where reading one partition got to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Checkpoint {
    /// The partition.
    partition: PartitionId,
    /// How far it is.
    progress: PartitionProgress,
    /// The committed cursor: a text that only the connector understands; none before
    /// the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    /// First millisecond of the time that it covers, where it has a window.
    #[serde(skip_serializing_if = "Option::is_none")]
    since_ms: Option<u64>,
    /// First millisecond after the time that it covers.
    #[serde(skip_serializing_if = "Option::is_none")]
    until_ms: Option<u64>,
}

/// How far a partition is.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PartitionProgress {
    /// There is more to read.
    Open,
    /// Read to its end.
    Done,
    /// Replaced by smaller partitions.
    Split,
}

impl Stream {
    fn new(name: StreamName, row: &StreamRow) -> Stream {
        let state = &row.published;
        let is_open = |partition: &&PartitionState| partition.progress == Progress::Open;
        Stream {
            name,
            generation: state.generation,
            mode: state.kind.map(|kind| kind.mode),
            landing: state.kind.map(|kind| kind.landing),
            complete: state.complete,
            run: state.run,
            partitions: state.partitions.len(),
            partitions_open: state.partitions.values().filter(is_open).count(),
            slots: row.log_tail,
            batches_sealed: row.intents.len(),
        }
    }
}

impl Checkpoint {
    fn new(partition: &PartitionState) -> Checkpoint {
        let window: Option<Window> = partition.planned.window;
        Checkpoint {
            partition: partition.planned.id.clone(),
            progress: match partition.progress {
                Progress::Open => PartitionProgress::Open,
                Progress::Done => PartitionProgress::Done,
                Progress::Split => PartitionProgress::Split,
            },
            cursor: partition.state.clone(),
            since_ms: window.map(|window| window.since_ms),
            until_ms: window.map(|window| window.until_ms),
        }
    }
}

/// List a sync's streams
#[utoipa::path(get, path = "/v1/syncs/{sync}/streams", tag = "streams", params(("sync" = SyncId, Path)), responses((status = 200, description = "In the order of the document.", body = Page<Stream>)))]
pub(crate) async fn list_streams(
    State(api): State<Api>,
    caller: Caller,
    Id(sync): Id<SyncId>,
) -> Result<axum::Json<Page<Stream>>, Problem> {
    let spec = documents::read::<SyncSpec>(&api, &caller.tenant, sync.as_str())
        .await?
        .spec;
    let mut items = Vec::with_capacity(spec.streams.len());
    for stream in spec.streams {
        let row = row_of(&api, &caller.tenant, &sync, &stream.name).await?;
        items.push(Stream::new(stream.name, &row));
    }
    Ok(axum::Json(Page { items, next: None }))
}

/// List a stream's checkpoints
///
/// What the commit log proves, by partition.
#[utoipa::path(get, path = "/v1/syncs/{sync}/streams/{stream}/checkpoints", tag = "streams", params(("sync" = SyncId, Path), ("stream" = StreamName, Path), Paging), responses((status = 200, description = "By partition.", body = Page<Checkpoint>)))]
pub(crate) async fn list_checkpoints(
    State(api): State<Api>,
    caller: Caller,
    Ids(sync, stream): Ids<SyncId, StreamName>,
    Query(paging): Query<Paging>,
) -> Result<axum::Json<Page<Checkpoint>>, Problem> {
    let (after, limit) = (paging.after::<PartitionId>()?, paging.limit()?);
    existing(&api, &caller.tenant, &sync, &stream).await?;
    let row = row_of(&api, &caller.tenant, &sync, &stream).await?;
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let rest = row.published.partitions.range((from, Bound::Unbounded));
    let found: Vec<&PartitionState> = rest
        .map(|(_, partition)| partition)
        .take(limit as usize + 1)
        .collect();
    let cursor = |partition: &&PartitionState| partition.planned.id.to_string();
    Ok(axum::Json(Page::of(found, limit, cursor, Checkpoint::new)))
}

/// Cursors to set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckpointEdits {
    /// One for each partition.
    #[schema(min_items = 1, max_items = 1000)]
    edits: Vec<CheckpointEdit>,
}

/// A cursor to set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckpointEdit {
    /// The partition.
    partition: PartitionId,
    /// Its cursor as it was listed; left out where it had none. The edit is refused
    /// where it is another one by now.
    #[serde(default)]
    before: Option<String>,
    /// The cursor to go on from: JSON, as the connector writes it; left out, the
    /// partition is read from its start.
    #[serde(default)]
    #[schema(max_length = 65536)]
    cursor: Option<String>,
}

impl CheckpointEdits {
    fn checked(self) -> Result<BTreeMap<PartitionId, CursorEdit>, Problem> {
        if !(1..=EDITS_MAX).contains(&self.edits.len()) {
            let reason = format!("name 1 to {EDITS_MAX} partitions");
            return Err(Problem::invalid_at("/edits", reason));
        }
        let (mut edits, mut errors) = (BTreeMap::new(), Vec::new());
        for (at, asked) in self.edits.into_iter().enumerate() {
            let is_json = |text: &String| serde_json::from_str::<IgnoredAny>(text).is_ok();
            let fits = |text: &String| text.len() <= CURSOR_BYTES_MAX && is_json(text);
            if !asked.cursor.as_ref().is_none_or(fits) {
                let reason = format!("a cursor is JSON of {CURSOR_BYTES_MAX} bytes at the most");
                errors.push(wrong(format!("/edits/{at}/cursor"), reason));
            }
            let edit = CursorEdit {
                before: asked.before,
                after: asked.cursor,
            };
            if edits.insert(asked.partition, edit).is_some() {
                let reason = "this partition is there twice";
                errors.push(wrong(format!("/edits/{at}/partition"), reason));
            }
        }
        match errors.is_empty() {
            true => Ok(edits),
            false => Err(Problem::invalid(errors)),
        }
    }
}

/// Set checkpoints
///
/// For when a person knows better than the cursor: all of them are set, by a slot of the
/// stream's log, or none is. Refused while a job of the sync is not over. Rows that are
/// read again land again; under `append_dedup` a reader sees each once.
#[utoipa::path(patch, path = "/v1/syncs/{sync}/streams/{stream}/checkpoints", tag = "streams", params(("sync" = SyncId, Path), ("stream" = StreamName, Path)), request_body = CheckpointEdits, responses((status = 204, description = "They are set.")))]
pub(crate) async fn edit_checkpoints(
    State(api): State<Api>,
    caller: Caller,
    Ids(sync, stream): Ids<SyncId, StreamName>,
    Json(asked): Json<CheckpointEdits>,
) -> Result<StatusCode, Problem> {
    let edits = asked.checked()?;
    existing(&api, &caller.tenant, &sync, &stream).await?;
    refuse_unfinished(&api, &caller.tenant, &sync).await?;
    // Noted before it is done, so that no edit goes unnoted; a cursor may hold what the
    // audit log must not.
    let partitions: Vec<&PartitionId> = edits.keys().collect();
    let change = Change::new("checkpoints.edit", format!("stream {sync}/{stream}"))
        .detail(json!({ "partitions": partitions }));
    api.commit(&caller, change).await?;
    let key = StreamKey {
        tenant: caller.tenant,
        sync,
        stream,
    };
    api.node().edit_checkpoints(key, edits).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A stream that the sync's document names.
async fn existing(
    api: &Api,
    tenant: &TenantId,
    sync: &SyncId,
    stream: &StreamName,
) -> Result<SyncSpec, Problem> {
    let spec = documents::read::<SyncSpec>(api, tenant, sync.as_str())
        .await?
        .spec;
    match spec.streams.iter().any(|known| known.name == *stream) {
        true => Ok(spec),
        false => Err(Problem::not_found("stream", stream)),
    }
}

async fn row_of(
    api: &Api,
    tenant: &TenantId,
    sync: &SyncId,
    stream: &StreamName,
) -> Result<StreamRow, Problem> {
    let key = StreamKey {
        tenant: tenant.clone(),
        sync: sync.clone(),
        stream: stream.clone(),
    };
    Ok(api.store().load(&key).await?)
}
