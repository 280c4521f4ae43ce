//! The import `emit`: records go from a body to the batch without passing the guest.

use super::State;
use super::body::{Body, brief};
use crate::bindings::emit::{self, Change, Extraction, Fault, Summary};
use crate::error::{Stop, stop};
use crate::sink::SinkError;
use crate::source::StreamInfo;
use crate::tombstone;
use bytes::Bytes;
use serde_json::Value;
use std::sync::atomic::Ordering::Relaxed;
use tidegate_domain::record::{CursorOrder, Operation};
use tidegate_landing::cut::{self, BodyFormat, CutError, CutLimits, Pairs};
use tidegate_landing::page::Page;
use wasmtime::component::Resource;

impl emit::Host for State {
    async fn ndjson(
        &mut self,
        stream_name: String,
        kind: Change,
        lines: Vec<u8>,
    ) -> wasmtime::Result<Result<Summary, Fault>> {
        if let Err(fault) = self.begin_emit(&stream_name)? {
            return Ok(Err(fault));
        }
        let (reading, _) = self.reading()?;
        let how = lines_of(&reading.stream, operation(kind));
        let sent_at_ms = self.now_ms()?;
        let mut outline = cut::Outline::default();
        self.cut(&Bytes::from(lines), &how, sent_at_ms, &mut outline)
            .await
    }

    async fn from_body(
        &mut self,
        stream_name: String,
        source: Resource<Body>,
        how: Extraction,
    ) -> wasmtime::Result<Result<Summary, Fault>> {
        if let Err(fault) = self.begin_emit(&stream_name)? {
            return Ok(Err(fault));
        }
        let body = self.table.get(&source)?;
        let (bytes, sent_at_ms) = (body.bytes.clone(), body.sent_at_ms);
        let mut outline = cut::Outline::default();
        let mut how = to_landing(how);
        if how.format == BodyFormat::Csv {
            let (reading, _) = self.reading()?;
            how.bare = bare_fields(&reading.stream.schema);
        }
        let emitted = self.cut(&bytes, &how, sent_at_ms, &mut outline).await;
        self.table.get_mut(&source)?.outline = outline;
        emitted
    }

    async fn deletes(
        &mut self,
        stream_name: String,
        keys: Vec<String>,
        at: Option<u64>,
    ) -> wasmtime::Result<Result<Summary, Fault>> {
        if let Err(fault) = self.begin_emit(&stream_name)? {
            return Ok(Err(fault));
        }
        let sent_at_ms = self.now_ms()?;
        let (reading, _) = self.reading()?;
        match tombstone::page(&reading.stream, &keys, at, sent_at_ms) {
            Ok((page, summary)) => self.push(page, summary).await,
            Err(reason) => Ok(Err(Fault::Malformed(brief(&reason)))),
        }
    }
}

impl State {
    fn begin_emit(&mut self, stream_name: &str) -> wasmtime::Result<Result<(), Fault>> {
        let cancelled = self.enter()?.is_cancelled();
        let (reading, _) = self.reading()?;
        if reading.stream.name != stream_name {
            let name = stream_name.chars().take(128).collect();
            return Ok(Err(Fault::UnknownStream(name)));
        }
        Ok(if cancelled {
            Err(Fault::Stopping)
        } else {
            Ok(())
        })
    }

    fn now_ms(&self) -> wasmtime::Result<u64> {
        match &self.live {
            Some(live) => Ok(live.now_ms()),
            None => stop(Stop::Closed),
        }
    }

    async fn cut(
        &mut self,
        body: &Bytes,
        how: &cut::Extraction,
        sent_at_ms: u64,
        outline: &mut cut::Outline,
    ) -> wasmtime::Result<Result<Summary, Fault>> {
        let (reading, _) = self.reading()?;
        let lower_bound = reading.lower_bound.as_deref();
        let limits = CutLimits::default();
        match cut::cut_outlined(body, how, sent_at_ms, &limits, lower_bound, outline) {
            Ok((page, summary)) => self.push(page, summary).await,
            Err(CutError::TooLarge { bytes, .. }) => Ok(Err(Fault::TooLarge(bytes))),
            Err(error) => Ok(Err(Fault::Malformed(brief(&error.to_string())))),
        }
    }

    async fn push(
        &mut self,
        page: Page,
        summary: cut::Summary,
    ) -> wasmtime::Result<Result<Summary, Fault>> {
        let so_far = self.meter.emitted_bytes.load(Relaxed);
        let (reading, caps) = self.reading()?;
        if so_far.saturating_add(summary.bytes) > caps.emitted_bytes_max {
            return Ok(Err(Fault::TooLarge(caps.emitted_bytes_max)));
        }
        if !page.rows.is_empty() || !page.rejected.is_empty() {
            reading.progress.emitted = true;
            match reading.sink.sink().push(page).await {
                Ok(()) => {}
                Err(SinkError::Stopping) => return Ok(Err(Fault::Stopping)),
                Err(SinkError::Failed { fault, source }) => {
                    return stop(Stop::Host {
                        what: "the batch",
                        fault,
                        source,
                    });
                }
            }
        }
        self.meter.emitted_bytes.fetch_add(summary.bytes, Relaxed);
        self.meter
            .emitted_records
            .fetch_add(summary.records.into(), Relaxed);
        self.meter
            .rejected_records
            .fetch_add(summary.rejected.into(), Relaxed);
        Ok(Ok(Summary {
            records: summary.records,
            bytes: summary.bytes,
            deletes: summary.deletes,
            rejected: summary.rejected,
            skipped: summary.skipped,
            min_cursor: summary.min_cursor,
            max_cursor: summary.max_cursor,
            first_key: summary.first_key,
            last_key: summary.last_key,
        }))
    }
}

/// Lines that the guest made: key and cursor are where the stream says.
fn lines_of(stream: &StreamInfo, kind: Operation) -> cut::Extraction {
    cut::Extraction {
        format: BodyFormat::Ndjson,
        key: stream.primary_key.clone(),
        cursor: stream
            .cursor_field
            .clone()
            .map(|field| (field, CursorOrder::Text)),
        kind,
        ..cut::Extraction::default()
    }
}

/// The fields that a stream's schema says are booleans or numbers, and never texts.
fn bare_fields(schema: &str) -> Vec<String> {
    let schema: Value = serde_json::from_str(schema).unwrap_or_default();
    let is_bare = |kind: &Value| matches!(kind.as_str(), Some("boolean" | "integer" | "number"));
    let never_text = |field: &Value| match field.get("type") {
        Some(Value::Array(kinds)) => {
            kinds.iter().any(is_bare) && kinds.iter().all(|kind| is_bare(kind) || kind == "null")
        }
        Some(kind) => is_bare(kind),
        None => false,
    };
    let fields = schema.get("properties").and_then(Value::as_object);
    let bare = fields
        .into_iter()
        .flatten()
        .filter(|(_, field)| never_text(field));
    bare.map(|(name, _)| name.clone()).collect()
}

fn to_landing(how: Extraction) -> cut::Extraction {
    cut::Extraction {
        format: match how.format {
            emit::Format::Json => BodyFormat::Json,
            emit::Format::Ndjson => BodyFormat::Ndjson,
            emit::Format::Csv => BodyFormat::Csv,
        },
        records: how.records,
        key: how.key,
        cursor: how.cursor.map(|field| (field.pointer, order(field.order))),
        project: how.project,
        kind: operation(how.kind),
        deleted: how.deleted,
        created: how.created,
        present: how.present,
        floor: how.floor,
        pairs: how.pairs.map(|pairs| Pairs {
            at: pairs.at,
            name: pairs.name,
            value: pairs.value,
        }),
        ..cut::Extraction::default()
    }
}

fn operation(change: Change) -> Operation {
    match change {
        Change::Upsert => Operation::Upsert,
        Change::Create => Operation::Create,
        Change::Update => Operation::Update,
        Change::Delete => Operation::Delete,
    }
}

fn order(order: emit::CursorOrder) -> CursorOrder {
    match order {
        emit::CursorOrder::Text => CursorOrder::Text,
        emit::CursorOrder::Number => CursorOrder::Number,
        emit::CursorOrder::Timestamp => CursorOrder::Timestamp,
    }
}

#[cfg(test)]
mod tests {
    use super::bare_fields;

    #[test]
    fn only_fields_that_are_never_texts_are_bare() {
        let schema = r#"{"properties":{
            "flag": {"type": ["boolean", "null"]},
            "size": {"type": "integer"},
            "sum": {"type": ["number", "null"], "format": "decimal"},
            "any": {"type": ["string", "number", "boolean", "null"]},
            "text": {"type": "string"},
            "none": {"type": ["null"]},
            "open": {}
        }}"#;
        assert_eq!(bare_fields(schema), ["flag", "size", "sum"]);
        assert!(bare_fields("no schema").is_empty());
    }
}
