//! Merging two records into one.

use crate::hubspot::account::Account;
use crate::hubspot::associations::Change;
use crate::hubspot::kind::Kind;
use crate::hubspot::webhooks::What;
use crate::overlay::Changes;
use crate::records::Write;

impl Account {
    /// Makes one record a part of another of its kind: what the other lacks it gets,
    /// associations among it, and its modification time moves. The record that was
    /// merged away is gone without being archived. Returns the new modification time;
    /// `None` unless both are live and differ.
    pub(crate) fn merge(&self, kind: Kind, into: u64, id: u64, at_ms: i64) -> Option<i64> {
        let records = &self.collection(kind).records;
        if into == id || !records.is_live(into) || !records.is_live(id) {
            return None;
        }
        let changes = self.inherited(kind, into, id);
        for to in self.labels.kinds_from(kind) {
            for (other, types) in self.associated((kind, id), to).unwrap_or_default() {
                self.associate((kind, id), (to, other), &types, Change::Remove);
                if (to, other) != (kind, into) {
                    self.associate((kind, into), (to, other), &types, Change::Add);
                }
            }
        }
        let now_ms = self.clock.now_ms();
        records.note_merged(id, into);
        records.archive(id, at_ms, now_ms);
        let write = Write {
            modified_ms: at_ms,
            applied_ms: now_ms,
            changes,
        };
        let properties = write.changes.len();
        let modified_ms = records.edit(into, write)?;
        let merged = What::Merge {
            merged: id,
            properties,
        };
        self.tell(kind, into, merged);
        Some(modified_ms)
    }

    /// Values that the surviving record takes over, and whom it consists of now.
    fn inherited(&self, kind: Kind, into: u64, id: u64) -> Changes {
        let records = &self.collection(kind).records;
        let schema = &records.schema;
        let text = |id: u64, column: u16| {
            let text = records.with_view(id, |view| {
                let mut text = Vec::new();
                let is_set = view.text(schema.cell(column), &mut text) && !text.is_empty();
                is_set.then(|| String::from_utf8_lossy(&text).into_owned())
            });
            text.flatten()
        };
        let parts = [text(into, schema.merged), text(id, schema.merged)];
        let parts = parts.into_iter().flatten().chain([id.to_string()]);
        let merged = parts.collect::<Vec<_>>().join(";");
        let mut changes: Changes = vec![(schema.merged, Some(merged.into()))];
        for column in 0..u16::try_from(schema.properties.len()).unwrap_or(u16::MAX) {
            if schema.property(column).read_only || text(into, column).is_some() {
                continue;
            }
            if let Some(value) = text(id, column) {
                changes.push((column, Some(value.into())));
            }
        }
        changes
    }
}
