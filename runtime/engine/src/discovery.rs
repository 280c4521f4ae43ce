//! Discovery: asked at a bounded price, kept with its history, told where it changed.

use crate::error::Error;
use crate::source::Source;
use crate::stream::SyncContext;
use serde_json::json;
use serde_json::value::RawValue;
use sha2::Digest as _;
use std::sync::Arc;
use tidegate_domain::catalog::{Catalog, CatalogStream, StreamChanges};
use tidegate_domain::id::{Sha256, StreamName};
use tidegate_sandbox::{CallUsage, StreamInfo};
use tidegate_store::clock::now_ms;
use tidegate_store::events::NewEvent;
use tidegate_store::flow::RequestOrigin;
use tidegate_store::schemas::{CatalogKey, SchemaStore};
use tokio_util::sync::CancellationToken;

/// What a run knows of its source.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) catalog: Arc<Catalog>,
    /// When it was found so, in milliseconds since the epoch.
    found_at_ms: u64,
    /// Whether the source was not asked for it now.
    pub(crate) is_old: bool,
}

/// The kind of the events that tell of a changed schema.
pub(crate) const SCHEMA_CHANGED: &str = "schema.changed";
/// Changes that one event tells of.
pub(crate) const CHANGES_TOLD_MAX: usize = 200;
/// Times that a discovery is kept anew because another was kept meanwhile.
const KEEP_TRIES: u32 = 5;

/// Asks the connector which streams there are, keeps what it says as the newest of the
/// connection's catalogs, and tells subscribers where it changed. `origin` is what its
/// requests are recorded under.
///
/// # Errors
/// How the connector or the store failed.
pub async fn discover(
    source: &Source,
    store: &dyn SchemaStore,
    stop: &CancellationToken,
    origin: Option<&RequestOrigin>,
) -> Result<(Catalog, CallUsage), Error> {
    let (streams, usage) = source.discover(stop, origin).await?;
    let catalog = catalog_of(source, streams)?;
    keep(source, store, &catalog).await?;
    Ok((catalog, usage))
}

/// The connection's catalog, asked for anew where it is too old or was asked for
/// otherwise.
pub(crate) async fn current(context: &SyncContext) -> Result<Known, Error> {
    let since_ms = now_ms().saturating_sub(context.discovery_ms);
    match kept_after(context, since_ms).await? {
        Some(known) => Ok(known),
        None => refreshed(context).await,
    }
}

/// The connection's catalog, asked for now unless another has asked meanwhile.
pub(crate) async fn newer(context: &SyncContext, known: &Known) -> Result<Known, Error> {
    if !known.is_old {
        return Ok(known.clone());
    }
    match kept_after(context, known.found_at_ms).await? {
        Some(newer) => Ok(Known {
            is_old: false,
            ..newer
        }),
        None => refreshed(context).await,
    }
}

/// The stored catalog, if it was found so after a time, by asking as we would.
async fn kept_after(context: &SyncContext, after_ms: u64) -> Result<Option<Known>, Error> {
    let source = &context.source;
    let newest = context.store.catalog(&key(source), None).await?;
    let asked = asked(source);
    let newest = newest.filter(|row| row.asked == asked && row.confirmed_at_ms > after_ms);
    Ok(newest.map(|row| Known {
        catalog: Arc::new(row.catalog),
        found_at_ms: row.confirmed_at_ms,
        is_old: true,
    }))
}

/// The connection's catalog, asked for now.
pub(crate) async fn refreshed(context: &SyncContext) -> Result<Known, Error> {
    let origin = context.origin.as_ref();
    let asked = discover(&context.source, &*context.store, &context.stop, origin);
    let (catalog, usage) = asked.await?;
    context.progress.add_call(&usage);
    Ok(Known {
        catalog: Arc::new(catalog),
        found_at_ms: now_ms(),
        is_old: false,
    })
}

/// A catalog's stream, as the connector is asked about it.
pub(crate) fn stream_info(stream: &CatalogStream) -> StreamInfo {
    StreamInfo {
        name: stream.name.to_string(),
        schema: stream.schema.get().to_owned(),
        primary_key: stream.primary_key.clone(),
        cursor_field: stream.cursor_field.clone(),
        modes: stream.modes.clone(),
        has_deletes: stream.has_deletes,
        splittable: stream.splittable,
        extra: stream.extra.clone(),
    }
}

fn key(source: &Source) -> CatalogKey {
    CatalogKey {
        tenant: source.tenant.clone(),
        connection: source.connection.clone(),
    }
}

/// Of all that decides what a connector finds, but for the provider's own changes.
fn asked(source: &Source) -> Sha256 {
    let text = format!("{}\n{}", source.connector.digest(), source.config);
    hash(text.as_bytes())
}

fn hash(bytes: &[u8]) -> Sha256 {
    Sha256::from_bytes(sha2::Sha256::digest(bytes).into())
}

fn catalog_of(source: &Source, found: Vec<StreamInfo>) -> Result<Catalog, Error> {
    let mut streams = Vec::with_capacity(found.len());
    for info in found {
        let name = StreamName::parse(info.name).map_err(Error::StreamName)?;
        // What is no schema fails the streams that need columns, and only those.
        let schema =
            RawValue::from_string(info.schema).unwrap_or_else(|_| RawValue::NULL.to_owned());
        streams.push(CatalogStream {
            name,
            primary_key: info.primary_key,
            cursor_field: info.cursor_field,
            modes: info.modes,
            has_deletes: info.has_deletes,
            splittable: info.splittable,
            extra: info.extra,
            schema,
        });
    }
    streams.sort_by(|left, right| left.name.cmp(&right.name));
    let text = serde_json::to_vec(&streams).expect("streams are plain data");
    Ok(Catalog {
        id: hash(&text),
        connector: source.connector.digest().clone(),
        streams,
    })
}

async fn keep(source: &Source, store: &dyn SchemaStore, catalog: &Catalog) -> Result<(), Error> {
    let (key, asked) = (key(source), asked(source));
    for _ in 0..KEEP_TRIES {
        let newest = store.catalog(&key, None).await?;
        let changed = newest.as_ref().map(|newest| {
            let changes = catalog.changes_since(&newest.catalog);
            changed(source, &newest.catalog.id, catalog, changes)
        });
        let number = newest.map(|newest| newest.number);
        let events = Vec::from_iter(changed.flatten());
        let kept = store.keep_catalog(&key, number, catalog, &asked, now_ms(), events);
        if kept.await? {
            break;
        }
    }
    Ok(())
}

/// The event of a source that changed; none where no column would show it.
fn changed(
    source: &Source,
    before: &Sha256,
    catalog: &Catalog,
    mut changes: Vec<StreamChanges>,
) -> Option<NewEvent> {
    if changes.is_empty() {
        return None;
    }
    let mut left = CHANGES_TOLD_MAX;
    let mut is_cut = false;
    for of in &mut changes {
        is_cut |= of.changes.len() > left;
        of.changes.truncate(left);
        left -= of.changes.len();
    }
    changes.retain(|of| !of.changes.is_empty());
    let body = json!({
        "connection": source.connection,
        "before": before,
        "after": catalog.id,
        "changes": changes,
        "truncated": is_cut,
    });
    Some(NewEvent {
        kind: SCHEMA_CHANGED.to_owned(),
        subject: format!("connection {}", source.connection),
        body: body.to_string(),
    })
}
