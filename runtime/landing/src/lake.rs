//! The reader's side: what a log shows. Objects that no slot names do not exist for
//! a reader, so listing a folder is never needed and never right.

mod duckdb;
pub mod marks;

pub use duckdb::duckdb_view;

use crate::Error;
use crate::log::{Log, Logged, Position, location, stream_prefix};
use crate::schema;
use crate::target::Target;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidegate_domain::id::{StreamKey, StreamName, SyncId, TenantId};
use tidegate_domain::schema::Columns;
use tidegate_domain::slot::{Content, Entry, Object};
use tidegate_domain::stream::GenerationKind;
use tidegate_domain::sync::{Landing, Mode};

/// An object that a reader sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisibleObject {
    /// The slot that made it visible; later slots hold newer rows.
    pub slot: u64,
    /// The generation that its rows belong to.
    pub generation: u64,
    /// What it is.
    pub object: Object,
    /// Its key on the target.
    pub key: String,
    /// Where it is, for people and engines.
    pub location: String,
}

/// What the log of one stream shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamView {
    /// Which stream.
    pub key: StreamKey,
    /// How its newest generation is read and landed; none before the first.
    pub how: Option<GenerationKind>,
    /// Whether a full refresh has read everything, so that what it did not see is gone.
    pub complete: bool,
    /// Slots in the log.
    pub slots: u64,
    /// Objects with rows, oldest first.
    pub objects: Vec<VisibleObject>,
    /// Objects with refused rows.
    pub rejected: Vec<VisibleObject>,
    /// The columns of each schema id that objects name, where they are known.
    pub schemas: BTreeMap<String, Columns>,
    /// The logs of the stream's backfills, once [`with_backfills`] put them here.
    pub backfills: Vec<StreamView>,
}

/// The streams of a sync that have a log on the target.
///
/// # Errors
/// Where the target cannot be listed.
pub async fn streams(
    target: &dyn Target,
    tenant: &TenantId,
    sync: &SyncId,
) -> Result<Vec<StreamKey>, Error> {
    let folder = format!("tenant={tenant}/sync={sync}/");
    let mut found = BTreeSet::new();
    let mut after: Option<String> = None;
    loop {
        let keys = target.list(&folder, after.as_deref(), 1_000).await?;
        let Some(last) = keys.last() else { break };
        // Jump behind the stream's own keys: `~` sorts after every name we allow.
        after = stream_of(&folder, last)
            .map(|name| format!("{folder}stream={name}/~"))
            .or_else(|| Some(last.clone()));
        found.extend(
            keys.iter()
                .filter_map(|key| stream_of(&folder, key))
                .map(str::to_owned),
        );
    }
    let parse = |name: String| StreamName::parse(name).ok();
    let key = |stream| StreamKey {
        tenant: tenant.clone(),
        sync: sync.clone(),
        stream,
    };
    Ok(found.into_iter().filter_map(parse).map(key).collect())
}

fn stream_of<'a>(folder: &str, key: &'a str) -> Option<&'a str> {
    key.strip_prefix(folder)?
        .strip_prefix("stream=")?
        .split('/')
        .next()
}

/// Reads the whole log of a stream and says what a reader sees.
///
/// # Errors
/// [`Error::LogBroken`] or [`Error::LogBehind`] where the log is damaged.
pub async fn view(target: &Arc<dyn Target>, key: &StreamKey) -> Result<StreamView, Error> {
    let log = Log::new(Arc::clone(target), key.clone());
    let slots = log
        .read_from(&Position {
            slot: 0,
            previous: None,
        })
        .await?;
    let mut view = visible(key, &slots);
    for seen in view.objects.iter_mut().chain(&mut view.rejected) {
        seen.location = location(&**target, key, &seen.object);
    }
    let used = view
        .objects
        .iter()
        .filter_map(|seen| seen.object.schema.clone());
    for id in used.collect::<BTreeSet<_>>() {
        if let Some(columns) = schema::read(&**target, key, &id).await? {
            view.schemas.insert(id, columns);
        }
    }
    Ok(view)
}

/// Puts the logs of backfills into the views of the streams that they are of: what a
/// reader of a stream means is all of its logs.
pub fn with_backfills(views: Vec<StreamView>) -> Vec<StreamView> {
    let mut streams: Vec<StreamView> = Vec::new();
    let (beside, own): (Vec<_>, Vec<_>) = views
        .into_iter()
        .partition(|view| stream_of_backfill(&view.key.stream).is_some());
    streams.extend(own);
    for view in beside {
        let Some(stream) = stream_of_backfill(&view.key.stream) else {
            continue;
        };
        if let Some(found) = streams.iter_mut().find(|own| own.key.stream == stream) {
            found.backfills.push(view);
            continue;
        }
        let key = StreamKey {
            stream,
            ..view.key.clone()
        };
        streams.push(StreamView {
            how: view.how,
            backfills: vec![view],
            ..visible(&key, &[])
        });
    }
    streams
}

/// The stream that a log beside its own is of: that of a backfill
/// (`contacts.backfill-1704067200000-1706745600000`) or of a live read (`contacts.live`).
fn stream_of_backfill(log: &StreamName) -> Option<StreamName> {
    if let Some(stream) = log.as_str().strip_suffix(".live") {
        return StreamName::parse(stream).ok();
    }
    let (stream, span) = log.as_str().rsplit_once(".backfill-")?;
    let (since, until) = span.split_once('-')?;
    let is_time = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_time(since) && is_time(until)).then(|| StreamName::parse(stream).ok())?
}

/// What slots add up to for a reader: under `append` every generation; under
/// `overwrite` the newest complete one; under `append_dedup` the newest complete one
/// and what came after it, since a complete full refresh replaces what was before.
fn visible(key: &StreamKey, slots: &[Logged]) -> StreamView {
    let mut how = None;
    let mut newest = 0;
    let mut complete = None;
    let mut all = Vec::new();
    for logged in slots {
        match &logged.slot.entry {
            Entry::Begin {
                generation,
                how: begun,
                ..
            } => {
                how = Some(*begun);
                newest = *generation;
            }
            Entry::Complete { generation, .. } => complete = Some(*generation),
            Entry::Commit {
                generation,
                objects,
                ..
            } => {
                let seen = |object: &Object| VisibleObject {
                    slot: logged.slot.slot,
                    generation: *generation,
                    object: object.clone(),
                    key: format!("{}/{}", stream_prefix(key), object.key),
                    location: String::new(),
                };
                all.extend(objects.iter().map(seen));
            }
            Entry::Fence | Entry::Plan { .. } | Entry::Edit { .. } => {}
        }
    }
    let in_sight = |generation: u64| match how.map(|how: GenerationKind| (how.landing, how.mode)) {
        None | Some((Landing::Append, _)) => true,
        Some((Landing::Overwrite, Mode::FullRefresh)) => complete == Some(generation),
        Some((Landing::Overwrite, Mode::Incremental | Mode::Live)) => generation == newest,
        Some((Landing::AppendDedup, _)) => complete.is_none_or(|complete| generation >= complete),
    };
    all.retain(|seen: &VisibleObject| in_sight(seen.generation));
    let (objects, rejected) = all
        .into_iter()
        .partition(|seen| matches!(seen.object.content, Content::Rows(_)));
    StreamView {
        key: key.clone(),
        how,
        complete: complete.is_some(),
        slots: slots.len() as u64,
        objects,
        rejected,
        schemas: BTreeMap::new(),
        backfills: Vec::new(),
    }
}
