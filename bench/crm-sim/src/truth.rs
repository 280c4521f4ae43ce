//! What a perfect copy of the records would hold, read without HTTP.

use std::collections::{BTreeMap, BTreeSet};

use crate::overlay::Overlay;
use crate::records::Records;

/// One version of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordVersion {
    /// The record's id; each API has its own text for it.
    pub id: u64,
    /// Its modification time in milliseconds since the epoch; on the wire it is
    /// the text of [`crate::iso`].
    pub modified_ms: i64,
    /// Whether the record is archived in this version.
    pub archived: bool,
}

/// Walks current records in id order, generated ones computed on the way.
pub(crate) struct Current<'a> {
    records: &'a Records,
    position: u32,
    written: std::iter::Peekable<std::collections::btree_map::IntoIter<u64, RecordVersion>>,
    skip: BTreeSet<u64>,
}

impl<'a> Current<'a> {
    pub(crate) fn new(records: &'a Records) -> Current<'a> {
        let written = current_written(&records.overlay());
        Current {
            records,
            position: 0,
            skip: written.keys().copied().collect(),
            written: written.into_iter().peekable(),
        }
    }
}

fn current_written(overlay: &Overlay) -> BTreeMap<u64, RecordVersion> {
    overlay
        .entries
        .iter()
        .map(|(id, entry)| {
            let version = RecordVersion {
                id: *id,
                modified_ms: entry.current().modified_ms,
                archived: entry.is_archived(),
            };
            (*id, version)
        })
        .collect()
}

impl Iterator for Current<'_> {
    type Item = RecordVersion;

    fn next(&mut self) -> Option<RecordVersion> {
        while self.position < self.records.count
            && self.skip.contains(&self.records.id_at(self.position))
        {
            self.position += 1;
        }
        let written = self.written.peek().map(|(id, _)| *id);
        if self.position == self.records.count {
            return self.written.next().map(|(_, version)| version);
        }
        let id = self.records.id_at(self.position);
        if written.is_some_and(|written| written < id) {
            return self.written.next().map(|(_, version)| version);
        }
        let index = self.records.index_at(self.position);
        self.position += 1;
        Some(RecordVersion {
            id,
            modified_ms: self.records.timeline.modified_ms(index),
            archived: false,
        })
    }
}

/// Every version that ever existed, generated ones first.
pub(crate) fn history(records: &Records) -> impl Iterator<Item = RecordVersion> + '_ {
    let generated = (0..records.count).map(|position| RecordVersion {
        id: records.id_at(position),
        modified_ms: records.timeline.modified_ms(records.index_at(position)),
        archived: false,
    });
    let written: Vec<RecordVersion> = records
        .overlay()
        .entries
        .iter()
        .flat_map(|(id, entry)| {
            entry.versions.iter().map(|version| RecordVersion {
                id: *id,
                modified_ms: version.modified_ms,
                archived: version.archived_ms.is_some(),
            })
        })
        .collect();
    generated.chain(written)
}

/// The versions of one record, oldest first; empty for an unknown id.
pub(crate) fn versions_of(records: &Records, id: u64) -> Vec<RecordVersion> {
    let generated = records.index_of(id).map(|index| RecordVersion {
        id,
        modified_ms: records.timeline.modified_ms(index),
        archived: false,
    });
    let overlay = records.overlay();
    let written = overlay
        .entries
        .get(&id)
        .map_or(&[][..], |entry| &entry.versions)
        .iter()
        .map(|version| RecordVersion {
            id,
            modified_ms: version.modified_ms,
            archived: version.archived_ms.is_some(),
        });
    generated.into_iter().chain(written).collect()
}
