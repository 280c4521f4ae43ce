//! What readers of the lake see: the newest row of each key.

use super::Stream;
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io::BufRead as _;
use std::sync::Arc;
use tidegate_domain::id::{StreamKey, StreamName, SyncId, TenantId};
use tidegate_landing::lake;
use tidegate_landing::target::Target;

/// The newest row of a key.
pub(crate) struct Newest {
    /// In milliseconds since the epoch.
    pub(crate) version_ms: i64,
    extracted_at: String,
    pub(crate) is_deleted: bool,
    /// The whole row, of keys whose fields are compared.
    pub(crate) row: Option<Value>,
}

/// A stream's rows so far.
pub(crate) struct Landed {
    key: StreamKey,
    next_slot: u64,
    pub(crate) rows: HashMap<String, Newest>,
}

#[derive(Deserialize)]
struct Mark<'a> {
    #[serde(rename = "_tg_key", borrow)]
    key: Cow<'a, str>,
    #[serde(rename = "_tg_op", borrow)]
    operation: Cow<'a, str>,
    #[serde(rename = "_tg_version", borrow)]
    version: Cow<'a, str>,
    #[serde(rename = "_tg_extracted_at", borrow)]
    extracted_at: Cow<'a, str>,
}

impl Landed {
    pub(crate) fn new(stream: &Stream) -> Landed {
        Landed {
            key: StreamKey {
                tenant: TenantId::parse("acme").unwrap(),
                sync: SyncId::parse("crm").unwrap(),
                stream: StreamName::parse(stream.name).unwrap(),
            },
            next_slot: 0,
            rows: HashMap::new(),
        }
    }

    /// Reads the slots that are new, and keeps whole rows of the keys for which `wanted`
    /// is true. Returns keys of records that landed twice in one version.
    pub(crate) async fn read(
        &mut self,
        target: &Arc<dyn Target>,
        wanted: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let view = lake::view(target, &self.key).await.unwrap();
        assert!(
            view.rejected.is_empty(),
            "{}: rows were refused",
            self.key.stream
        );
        let generations: HashSet<u64> = view.objects.iter().map(|seen| seen.generation).collect();
        assert!(
            generations.len() <= 1,
            "{}: it was read anew",
            self.key.stream
        );
        let (first, mut seen, mut twice) = (self.next_slot, HashSet::new(), Vec::new());
        for object in view.objects.iter().filter(|seen| seen.slot >= first) {
            let bytes = target.read(&object.key).await.unwrap();
            let bytes = bytes.expect("a slot names it");
            let text = std::io::BufReader::new(zstd::Decoder::new(&bytes[..]).unwrap());
            for line in text.lines() {
                let line = line.unwrap();
                let mark: Mark<'_> = serde_json::from_str(&line).unwrap();
                let version_ms = milliseconds(&mark.version);
                // A delete that is told twice deletes once.
                let is_delete = mark.operation == "delete";
                if !is_delete && !seen.insert((mark.key.to_string(), version_ms)) {
                    twice.push(mark.key.to_string());
                }
                let row = wanted(&mark.key).then(|| serde_json::from_str(&line).unwrap());
                self.take(&mark, version_ms, row);
            }
        }
        self.next_slot = view.slots;
        twice
    }

    /// Newest is the greatest version, of those the one that was asked for last.
    fn take(&mut self, mark: &Mark<'_>, version_ms: i64, row: Option<Value>) {
        let is_newer = match self.rows.get(&*mark.key) {
            None => true,
            Some(known) => {
                let known = (known.version_ms, known.extracted_at.as_str());
                (version_ms, &*mark.extracted_at) >= known
            }
        };
        if is_newer {
            let newest = Newest {
                version_ms,
                extracted_at: mark.extracted_at.to_string(),
                is_deleted: mark.operation == "delete",
                row,
            };
            self.rows.insert(mark.key.to_string(), newest);
        }
    }
}

/// A version in any of the forms in which APIs tell times.
fn milliseconds(version: &str) -> i64 {
    if let Ok(seconds) = version.parse::<i64>() {
        return seconds * 1_000;
    }
    if let Ok(time) = version.parse::<jiff::Timestamp>() {
        return time.as_millisecond();
    }
    if let Ok(time) = jiff::Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", version) {
        return time.as_millisecond();
    }
    let time: jiff::civil::DateTime = version.parse().expect("a version is a time");
    let zoned = time.to_zoned(jiff::tz::TimeZone::UTC).unwrap();
    zoned.timestamp().as_millisecond()
}
