//! What landed, row by row, beside what the org's records really were.

use crate::salesforce::org::Site;
use crm_sim::salesforce::Object;
use serde::Deserialize;
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::sync::Arc;
use tidegate_domain::id::{StreamKey, StreamName, SyncId, TenantId};
use tidegate_domain::record::CursorOrder;
use tidegate_landing::cut::compare;
use tidegate_landing::directory::DirectoryTarget;
use tidegate_landing::lake;
use tidegate_landing::target::Target;

/// What a row says of itself.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
struct Row {
    #[serde(rename = "_tg_key")]
    key: String,
    #[serde(rename = "_tg_op")]
    operation: String,
    #[serde(rename = "_tg_version")]
    version: String,
    #[serde(rename = "_tg_extracted_at")]
    extracted_at: String,
}

impl Row {
    /// Whether a reader keeps this one rather than the one that lay before it.
    fn is_newer(&self, than: &Row) -> bool {
        let version = compare(CursorOrder::Timestamp, &self.version, &than.version);
        match version.expect("versions are times") {
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal => {
                let at = compare(
                    CursorOrder::Timestamp,
                    &self.extracted_at,
                    &than.extracted_at,
                );
                at.expect("a time") != Ordering::Less
            }
        }
    }
}

/// What a reader sees of an object who keeps the newest row of each key.
pub(crate) struct Landed {
    newest: BTreeMap<String, Row>,
    /// Whole rows of the keys that are looked at closely, by key.
    records: BTreeMap<String, Value>,
    /// Rows of every kind.
    pub(crate) rows: u64,
}

/// Figures of a comparison that found no difference.
#[derive(Debug, Default)]
pub(crate) struct Same {
    pub(crate) live: usize,
    pub(crate) deleted: usize,
    pub(crate) rows: u64,
    /// Records that were compared field by field.
    pub(crate) whole: usize,
}

/// The files with an object's rows that readers see, in the log's order.
pub(crate) async fn objects_of(site: &Site, object: Object) -> Vec<Vec<u8>> {
    let lake: Arc<dyn Target> = Arc::new(DirectoryTarget::open(&site.path("lake")).unwrap());
    let key = StreamKey {
        tenant: TenantId::parse("acme").unwrap(),
        sync: SyncId::parse("crm").unwrap(),
        stream: StreamName::parse(object.name()).unwrap(),
    };
    let view = lake::view(&lake, &key).await.unwrap();
    assert!(view.rejected.is_empty(), "rows were refused");
    let mut objects = Vec::new();
    for seen in view.objects {
        let bytes = lake.read(&seen.key).await.unwrap();
        objects.push(bytes.expect("a slot names it").to_vec());
    }
    objects
}

/// Hands over each line of the object's rows that readers see, in the log's order.
pub(crate) async fn for_each_line(site: &Site, object: Object, mut each: impl FnMut(&[u8])) {
    for bytes in objects_of(site, object).await {
        let mut lines = BufReader::new(flate2::read::MultiGzDecoder::new(&bytes[..]));
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).unwrap() > 0 {
            each(&line);
            line.clear();
        }
    }
}

impl Landed {
    /// Reads all rows of an object; those of `closely` are kept whole.
    pub(crate) async fn of(site: &Site, object: Object, closely: &BTreeSet<String>) -> Landed {
        let mut landed = Landed {
            newest: BTreeMap::new(),
            records: BTreeMap::new(),
            rows: 0,
        };
        for_each_line(site, object, |line| landed.take(line, closely)).await;
        landed
    }

    fn take(&mut self, line: &[u8], closely: &BTreeSet<String>) {
        let row: Row = serde_json::from_slice(line).unwrap();
        self.rows += 1;
        let held = self.newest.get(&row.key);
        if held.is_some_and(|held| !row.is_newer(held)) {
            return;
        }
        if closely.contains(&row.key) {
            let record = serde_json::from_slice(line).unwrap();
            self.records.insert(row.key.clone(), record);
        }
        self.newest.insert(row.key.clone(), row);
    }

    /// Fails unless keys, versions and deletes are those of the org as it is now.
    pub(crate) fn assert_is_truth(&self, site: &Site, object: Object, when: &str) -> Same {
        let mut same = Same {
            rows: self.rows,
            ..Same::default()
        };
        let mut wrong = Vec::new();
        let mut unseen = self.newest.len();
        for truth in site.org.current(object) {
            let key = site.org.wire_id(object, truth.id);
            let row = self.newest.get(&key);
            unseen -= usize::from(row.is_some());
            let version = crm_sim::hubspot::iso(truth.modified_ms);
            let is_right = match row {
                // What was deleted before it was ever read is nobody's loss.
                None => truth.archived,
                Some(row) => {
                    (row.operation == "delete") == truth.archived
                        && compare(CursorOrder::Timestamp, &row.version, &version)
                            == Some(Ordering::Equal)
                }
            };
            match truth.archived {
                true => same.deleted += usize::from(row.is_some()),
                false => same.live += 1,
            }
            if !is_right {
                wrong.push(format!("{truth:?} {version} landed as {row:?}"));
            }
            if let Some(record) = self.records.get(&key).filter(|_| !truth.archived) {
                same.whole += 1;
                let truth = site.org.record_json(object, truth.id).unwrap();
                let truth: Value = serde_json::from_str(&truth).unwrap();
                wrong.extend(differences(&truth, record).map(|found| format!("{key}: {found}")));
            }
        }
        assert!(
            wrong.is_empty() && unseen == 0,
            "{when}, {}: {} of {} wrong, {unseen} unknown to the org: {:#?}",
            object.name(),
            wrong.len(),
            same.live + same.deleted,
            &wrong[..wrong.len().min(5)]
        );
        same
    }
}

/// Fields of which the landed row says other things than the org. Compounds are read by
/// their parts, files not at all.
fn differences<'a>(truth: &'a Value, landed: &'a Value) -> impl Iterator<Item = String> + 'a {
    let fields = truth.as_object().unwrap().iter();
    let fields = fields.filter(|(name, value)| *name != "attributes" && !value.is_object());
    fields.filter_map(move |(name, value)| {
        let found = landed.get(name).unwrap_or(&Value::Null);
        (found != value).then(|| format!("{name} is {value}, landed as {found}"))
    })
}
