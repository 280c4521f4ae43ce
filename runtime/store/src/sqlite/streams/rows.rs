//! Reading streams and their intents.

use crate::sqlite::encoding::{decode, decode_word};
use crate::sqlite::failure::Failure;
use crate::streams::{Intent, StagedObject, StreamRow};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::path::PathBuf;
use tidegate_domain::id::StreamKey;
use tidegate_domain::stream::StreamState;

/// The columns of `streams` as they are stored.
struct Stored {
    id: i64,
    staged: String,
    published: String,
    log_tail: u64,
    log_tail_sha256: Option<String>,
    next_batch: u64,
    epoch: u64,
}

pub(super) fn load(database: &Connection, key: &StreamKey) -> Result<StreamRow, Failure> {
    // The stream and its intents must be of one moment.
    let snapshot = database.unchecked_transaction()?;
    let stored = snapshot
        .prepare_cached(
            "SELECT id, staged, published, log_tail, log_tail_sha256, next_batch, epoch
             FROM streams WHERE tenant = ?1 AND sync = ?2 AND stream = ?3",
        )?
        .query_row(
            params![key.tenant.as_str(), key.sync.as_str(), key.stream.as_str()],
            |row| {
                Ok(Stored {
                    id: row.get(0)?,
                    staged: row.get(1)?,
                    published: row.get(2)?,
                    log_tail: row.get(3)?,
                    log_tail_sha256: row.get(4)?,
                    next_batch: row.get(5)?,
                    epoch: row.get(6)?,
                })
            },
        )
        .optional()?;
    let Some(stored) = stored else {
        return Ok(unread());
    };
    let log_tail_sha256 = stored.log_tail_sha256.as_deref();
    Ok(StreamRow {
        staged: decode("staged state", &stored.staged)?,
        published: decode("published state", &stored.published)?,
        log_tail: stored.log_tail,
        log_tail_sha256: log_tail_sha256
            .map(|hex| decode_word("slot hash", hex))
            .transpose()?,
        next_batch: stored.next_batch,
        epoch: stored.epoch,
        intents: intents(&snapshot, stored.id)?,
    })
}

/// The row of a stream that was never read.
fn unread() -> StreamRow {
    StreamRow {
        staged: StreamState::default(),
        published: StreamState::default(),
        log_tail: 0,
        log_tail_sha256: None,
        next_batch: 0,
        epoch: 0,
        intents: Vec::new(),
    }
}

/// A stream's intents, in batch order.
pub(super) fn intents(database: &Connection, stream_id: i64) -> Result<Vec<Intent>, Failure> {
    let mut statement = database.prepare_cached(
        "SELECT batch, change, objects, state FROM intents WHERE stream_id = ?1 ORDER BY batch",
    )?;
    let mut rows = statement.query([stream_id])?;
    let mut intents = Vec::new();
    while let Some(row) = rows.next()? {
        let (change, objects, state): (String, String, String) =
            (row.get(1)?, row.get(2)?, row.get(3)?);
        intents.push(Intent {
            batch: row.get(0)?,
            change: decode("intent", &change)?,
            objects: decode("intent", &objects)?,
            state: decode_word("intent", &state)?,
        });
    }
    Ok(intents)
}

pub(super) fn staged_paths(database: &Connection) -> Result<Vec<PathBuf>, Failure> {
    let mut statement = database.prepare_cached("SELECT objects FROM intents")?;
    let mut rows = statement.query([])?;
    let mut paths = Vec::new();
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        let objects: Vec<StagedObject> = decode("intent", &text)?;
        paths.extend(objects.into_iter().map(|staged| staged.path));
    }
    Ok(paths)
}
