//! What subscribers hear of a committed slot: the shape of an S3 event, so that what
//! reads those reads ours, and beside it what only Tidegate knows.

use crate::log::{location, sha256, stream_prefix};
use crate::moment::rfc3339;
use crate::recover::Stream;
use serde_json::{Value, json};
use std::fmt::Write as _;
use tidegate_domain::id::Sha256;
use tidegate_domain::slot::{Content, Entry, Object, Slot};
use tidegate_store::events::NewEvent;

/// The kind of these events.
const KIND: &str = "objects.committed";

/// The event of a slot that made objects visible; none of any other. The same slot
/// gives the same event, whoever finds it: a receiver that hears of it twice sees one
/// id.
pub(crate) fn committed(stream: &Stream, slot: &Slot, slot_sha256: &Sha256) -> Option<NewEvent> {
    let Entry::Commit {
        generation,
        batch,
        objects,
        ..
    } = &slot.entry
    else {
        return None;
    };
    if objects.is_empty() {
        return None;
    }
    let key = &stream.key;
    let seed = format!("{KIND}/{key}/{}/{slot_sha256}", slot.slot);
    let records: Vec<Value> = objects
        .iter()
        .map(|object| record(stream, slot, object))
        .collect();
    let body = json!({
        "id": format!("evt_{}", &sha256(seed.as_bytes()).as_str()[..32]),
        "sync": key.sync,
        "stream": key.stream,
        "slot": slot.slot,
        "slot_sha256": slot_sha256,
        "generation": generation,
        "batch": batch,
        "Records": records,
    });
    Some(NewEvent {
        kind: KIND.to_owned(),
        subject: format!("stream {}/{}", key.sync, key.stream),
        body: body.to_string(),
    })
}

fn record(stream: &Stream, slot: &Slot, object: &Object) -> Value {
    let key = format!("{}/{}", stream_prefix(&stream.key), object.key);
    let url = location(&*stream.target, &stream.key, object);
    let (bucket, key) = place(&url, &key);
    let content = match object.content {
        Content::Rows(operation) => json!(operation),
        Content::Rejected => json!("rejected"),
    };
    json!({
        "eventVersion": "2.1",
        "eventSource": "tidegate:s3",
        "eventTime": rfc3339(slot.written_at_ms),
        "eventName": "ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": { "name": bucket, "arn": format!("arn:aws:s3:::{bucket}") },
            "object": {
                "key": encoded(key),
                "size": object.bytes,
                "sha256": object.sha256,
                "sequencer": format!("{:016X}", slot.slot),
            },
        },
        "tidegate": {
            "url": url,
            "content": content,
            "format": object.format,
            "rows": object.rows,
            "schema": object.schema,
        },
    })
}

/// The bucket and the key in it. A directory has no bucket; its own address stands for
/// one.
fn place<'a>(url: &'a str, key: &'a str) -> (&'a str, &'a str) {
    let in_bucket = url.strip_prefix("s3://").and_then(|it| it.split_once('/'));
    in_bucket.unwrap_or_else(|| {
        let directory = url.strip_suffix(key).unwrap_or(url);
        (directory.trim_end_matches('/'), key)
    })
}

/// A key as S3 writes it in its events: percent-encoded, a space as `+`.
fn encoded(key: &str) -> String {
    let mut text = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b' ' => text.push('+'),
            b'/' | b'-' | b'_' | b'.' | b'*' => text.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            _ => write!(text, "%{byte:02X}").expect("writing to a String does not fail"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_as_s3_writes_them() {
        assert_eq!(
            encoded("tenant=a/sync=b c/é+.zst"),
            "tenant%3Da/sync%3Db+c/%C3%A9%2B.zst"
        );
    }

    #[test]
    fn a_directory_s_address_stands_for_its_bucket() {
        for (url, key, bucket, rest) in [
            (
                "s3://lake/raw/tenant=a/x",
                "tenant=a/x",
                "lake",
                "raw/tenant=a/x",
            ),
            (
                "file:///lake/tenant=a/x",
                "tenant=a/x",
                "file:///lake",
                "tenant=a/x",
            ),
        ] {
            assert_eq!(place(url, key), (bucket, rest));
        }
    }
}
