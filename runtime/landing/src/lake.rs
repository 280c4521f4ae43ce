//! The reader's side: what a log shows. Objects that no slot names do not exist for
//! a reader, so listing a folder is never needed and never right.

pub mod marks;

use crate::Error;
use crate::log::{Log, Logged, Position, location, stream_prefix};
use crate::target::Target;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use tidegate_domain::id::{StreamKey, StreamName, SyncId, TenantId};
use tidegate_domain::record::{Format, Operation};
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
    /// Slots in the log.
    pub slots: u64,
    /// Objects with rows, oldest first.
    pub objects: Vec<VisibleObject>,
    /// Objects with refused rows.
    pub rejected: Vec<VisibleObject>,
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
    Ok(view)
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
        Some((Landing::Overwrite, Mode::Incremental)) => generation == newest,
        Some((Landing::AppendDedup, _)) => complete.is_none_or(|complete| generation >= complete),
    };
    all.retain(|seen: &VisibleObject| in_sight(seen.generation));
    let (objects, rejected) = all
        .into_iter()
        .partition(|seen| matches!(seen.object.content, Content::Rows(_)));
    StreamView {
        key: key.clone(),
        how,
        slots: slots.len() as u64,
        objects,
        rejected,
    }
}

/// A DuckDB view over what the log shows. Under `append_dedup` it yields the newest
/// row of each key and leaves deleted keys out.
pub fn duckdb_view(view: &StreamView) -> String {
    let name = format!("{}_{}", view.key.sync, view.key.stream);
    if view.objects.is_empty() {
        return format!("-- stream {} has no committed rows yet\n", view.key.stream);
    }
    let mut sql = format!("CREATE OR REPLACE VIEW \"{name}\" AS\nWITH rows AS (\n");
    for (at, seen) in view.objects.iter().enumerate() {
        let glue = if at == 0 {
            "  "
        } else {
            "  UNION ALL BY NAME "
        };
        let location = quoted(&seen.location);
        let reader = match seen.object.format {
            Format::Parquet => format!("read_parquet({location})"),
            Format::JsonlZstd => {
                format!("read_json({location}, format='newline_delimited', compression='zstd')")
            }
            Format::JsonlGzip => {
                format!("read_json({location}, format='newline_delimited', compression='gzip')")
            }
            Format::CsvGzip => format!("read_csv({location}, header=true, compression='gzip')"),
        };
        let slot = seen.slot;
        writeln!(sql, "{glue}SELECT *, {slot} AS _tg_slot FROM {reader}")
            .expect("a String takes all");
    }
    sql.push_str(")\n");
    match view.how.map(|how| how.landing) {
        Some(Landing::AppendDedup) => {
            let deleted = Operation::Delete.as_str();
            write!(
                sql,
                "SELECT * EXCLUDE (_tg_rank) FROM (\n  SELECT *, row_number() OVER (PARTITION BY _tg_key ORDER BY TRY_CAST(_tg_version AS DECIMAL(38, 9)) DESC NULLS LAST, TRY_CAST(_tg_version AS TIMESTAMPTZ) DESC NULLS LAST, _tg_version DESC NULLS LAST, _tg_extracted_at DESC, _tg_slot DESC) AS _tg_rank FROM rows\n) WHERE _tg_rank = 1 AND _tg_op <> '{deleted}';\n"
            )
            .expect("a String takes all");
        }
        _ => sql.push_str("SELECT * FROM rows;\n"),
    }
    sql
}

fn quoted(text: &str) -> String {
    format!(
        "'{}'",
        text.trim_start_matches("file://").replace('\'', "''")
    )
}
