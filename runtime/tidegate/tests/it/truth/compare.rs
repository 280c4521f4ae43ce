//! What landed of a stream against what the simulator has.

use super::Stream;
use super::lake::Landed;
use crm_sim::{Current, Simulator};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use tidegate_landing::target::Target;

/// Keys of one sort of difference, as many as there are and a few of them.
#[derive(Default)]
struct Keys {
    count: usize,
    examples: Vec<String>,
}

/// How what landed differs from the truth.
#[derive(Default)]
pub(crate) struct Differences {
    by_sort: BTreeMap<&'static str, Keys>,
    /// Records that were compared field by field.
    pub(crate) compared: u64,
}

/// One record in so many is compared field by field where there are many.
const SAMPLED: usize = 100;
const MANY: usize = 20_000;

/// Compares one stream. What was changed while the run was reading, the `unsettled`, may
/// be there or not, but in no version that never was. `once` says that no row should
/// have landed twice since the last comparison.
pub(crate) async fn compare(
    simulator: &dyn Simulator,
    stream: &Stream,
    unsettled: &BTreeSet<String>,
    (landed, once): (&mut Landed, bool),
    target: &Arc<dyn Target>,
    differences: &mut Differences,
) {
    let truth: Vec<Current> = simulator.current(stream.kind).unwrap().collect();
    let step = if truth.len() > MANY { SAMPLED } else { 1 };
    let sample = truth.iter().step_by(step).map(|record| record.id.as_str());
    let sample: HashSet<&str> = sample.collect();
    let twice = landed.read(target, |key| sample.contains(key)).await;
    if once && !stream.reads_again {
        for key in twice {
            differences.add("doubled", stream, &key, "twice in one run");
        }
    }
    let mut known: HashSet<&str> = HashSet::with_capacity(truth.len());
    for record in &truth {
        known.insert(&record.id);
        let row = landed.rows.get(&record.id);
        let version_ms = row.filter(|row| !row.is_deleted).map(|row| row.version_ms);
        let was_ever = || {
            let versions = simulator.versions_of(stream.kind, &record.id);
            version_ms.is_none_or(|version_ms| versions.contains(&version_ms))
        };
        let is_open = unsettled.contains(&record.id) || record.is_gone && !stream.tells_deletes;
        match (version_ms, is_open) {
            (_, true) if was_ever() => {}
            (None, false) if record.is_gone => {}
            (None, false) => differences.add("lost", stream, &record.id, &at(record.modified_ms)),
            (Some(found_ms), false) if !record.is_gone && found_ms == record.modified_ms => {
                let row = row.and_then(|row| row.row.as_ref());
                if let Some(row) = row.filter(|_| sample.contains(record.id.as_str())) {
                    fields(simulator, stream, record, row, differences);
                }
            }
            (Some(found_ms), false) if !record.is_gone && found_ms < record.modified_ms => {
                let text = format!("{} instead of {}", at(found_ms), at(record.modified_ms));
                differences.add("stale", stream, &record.id, &text);
            }
            (found_ms, _) => {
                let text = format!(
                    "{} where there is {}{}",
                    found_ms.map_or_else(|| "nothing".to_owned(), at),
                    at(record.modified_ms),
                    if record.is_gone { ", deleted" } else { "" }
                );
                differences.add("unexpected", stream, &record.id, &text);
            }
        }
    }
    for (key, row) in &landed.rows {
        if !known.contains(key.as_str()) && !row.is_deleted {
            differences.add("unexpected", stream, key, "no such record");
        }
    }
}

fn at(time_ms: i64) -> String {
    crm_sim::hubspot::iso(time_ms)
}

/// Compares all fields of a record, as text.
fn fields(
    simulator: &dyn Simulator,
    stream: &Stream,
    record: &Current,
    row: &Value,
    differences: &mut Differences,
) {
    let truth = simulator
        .version_json(stream.kind, &record.id, record.modified_ms)
        .expect("a current record has its version");
    let (mut expected, mut found) = (BTreeMap::new(), BTreeMap::new());
    texts(&serde_json::from_str(&truth).unwrap(), "", &mut expected);
    texts(row.pointer(stream.record_at).unwrap(), "", &mut found);
    let is_ours = |path: &str| path.starts_with("_tg_");
    let is_left_out = |path: &str| {
        let mut left_out = stream.not_compared.iter();
        left_out.any(|left_out| begins_with(path, left_out))
    };
    let paths: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    for path in paths {
        if is_ours(path) || is_left_out(path) || expected.get(path) == found.get(path) {
            continue;
        }
        let text = format!(
            "{path} is {:?}, should be {:?}",
            found.get(path),
            expected.get(path)
        );
        differences.add("different", stream, &record.id, &text);
    }
    differences.compared += 1;
}

/// Whether a path lies at or below another one, of which `*` is any one name.
fn begins_with(path: &str, left_out: &str) -> bool {
    let mut names = path.split('.');
    left_out.split('.').all(|wanted| {
        names
            .next()
            .is_some_and(|name| wanted == "*" || name == wanted)
    })
}

/// All values that are there, by path; nothing, null and the empty text are alike.
fn texts(value: &Value, path: &str, into: &mut BTreeMap<String, String>) {
    let below = |name: &str| match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    match value {
        Value::Null => {}
        Value::Object(members) => {
            for (name, value) in members {
                texts(value, &below(name), into);
            }
        }
        Value::Array(elements) => {
            for (index, value) in elements.iter().enumerate() {
                texts(value, &below(&index.to_string()), into);
            }
        }
        Value::String(text) if text.is_empty() => {}
        Value::String(text) => _ = into.insert(path.to_owned(), text.clone()),
        other => _ = into.insert(path.to_owned(), other.to_string()),
    }
}

impl Differences {
    fn add(&mut self, sort: &'static str, stream: &Stream, key: &str, text: &str) {
        let keys = self.by_sort.entry(sort).or_default();
        keys.count += 1;
        if keys.examples.len() < 3 {
            keys.examples.push(format!("{} {key}: {text}", stream.name));
        }
    }

    /// Fails with what was lost, stale, doubled, unexpected or different.
    pub(crate) fn assert_none(&self, when: &str) {
        let sorts = self.by_sort.iter().map(|(sort, keys)| {
            format!(
                "{} {sort}\n    {}",
                keys.count,
                keys.examples.join("\n    ")
            )
        });
        let sorts: Vec<String> = sorts.collect();
        assert!(sorts.is_empty(), "{when}:\n  {}", sorts.join("\n  "));
    }
}
