//! What was edited, created or archived since the start, kept in memory on top
//! of the generated records.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, Range};

use crate::records::Shown;

/// Values by column; `None` is an explicit null.
pub(crate) type Changes = Vec<(u16, Option<Box<str>>)>;

/// Where the values come from that no version changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A generated record, by index.
    Generated(u32),
    /// A record created by the simulator, filled like a generated one.
    Synthetic(u64),
    /// A record created by a client: null where nothing was written.
    Blank,
}

/// A moment in the history of one object type, by the order of its changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Snapshot(u64);

impl Snapshot {
    /// Whatever is newest when it is looked at.
    pub(crate) const NOW: Snapshot = Snapshot(u64::MAX);
}

/// One state of a record after the generated one.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) modified_ms: i64,
    /// When the simulator took the change, by the simulated clock.
    pub(crate) applied_ms: i64,
    /// Its place among all versions of its type, given by the overlay.
    pub(crate) serial: u64,
    pub(crate) archived_ms: Option<i64>,
    /// All changed values so far, not only those of this version.
    pub(crate) changes: Changes,
}

/// A record that differs from the generated one, or has no generated one.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) origin: Origin,
    pub(crate) created_ms: i64,
    /// Oldest first, never empty.
    pub(crate) versions: Vec<Version>,
}

impl Entry {
    pub(crate) fn current(&self) -> &Version {
        self.versions.last().expect("an entry has a version")
    }

    /// The newest version at a snapshot.
    pub(crate) fn at(&self, snapshot: Snapshot) -> Option<&Version> {
        let mut versions = self.versions.iter().rev();
        versions.find(|version| version.serial <= snapshot.0)
    }

    pub(crate) fn is_archived(&self) -> bool {
        self.current().archived_ms.is_some()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Overlay {
    pub(crate) entries: BTreeMap<u64, Entry>,
    /// Current versions, archived ones included, by modification.
    by_modified: BTreeSet<(i64, u64)>,
    pub(crate) archived: BTreeSet<u64>,
    /// Indices of generated records that have an entry.
    generated: BTreeSet<u32>,
    by_applied: BTreeSet<(i64, u64)>,
    /// Versions pushed so far.
    serial: u64,
}

impl Overlay {
    /// Adds a version, and the entry when the record had none.
    pub(crate) fn push(&mut self, id: u64, origin: Origin, created_ms: i64, mut version: Version) {
        self.serial += 1;
        version.serial = self.serial;
        let entry = self.entries.entry(id).or_insert_with(|| Entry {
            origin,
            created_ms,
            versions: Vec::with_capacity(1),
        });
        if let Origin::Generated(index) = origin {
            self.generated.insert(index);
        }
        if let Some(last) = entry.versions.last() {
            self.by_modified.remove(&(last.modified_ms, id));
        }
        self.archived.remove(&id);
        self.by_applied.insert((version.applied_ms, id));
        if version.archived_ms.is_some() {
            self.archived.insert(id);
        }
        self.by_modified.insert((version.modified_ms, id));
        entry.versions.push(version);
    }

    /// The state of everything now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot(self.serial)
    }

    /// Whether a record had been written at a snapshot.
    pub(crate) fn has(&self, id: u64, snapshot: Snapshot) -> bool {
        let entry = self.entries.get(&id);
        entry.is_some_and(|entry| entry.at(snapshot).is_some())
    }

    /// Written records from an id on, in id order, as they were at a snapshot.
    pub(crate) fn range<'a>(
        &'a self,
        from: u64,
        shown: Shown,
        snapshot: Snapshot,
    ) -> Box<dyn Iterator<Item = (u64, &'a Entry, &'a Version)> + 'a> {
        if (shown, snapshot) == (Shown::Archived, Snapshot::NOW) {
            let ids = self.archived.range(from..);
            return Box::new(ids.filter_map(|id| {
                let entry = self.entries.get(id)?;
                Some((*id, entry, entry.current()))
            }));
        }
        let all = self.entries.range(from..);
        Box::new(all.filter_map(move |(id, entry)| {
            let version = entry.at(snapshot)?;
            shown
                .admits(version.archived_ms.is_some())
                .then_some((*id, entry, version))
        }))
    }

    /// The same by modification time and id, within a half-open range, at a snapshot.
    pub(crate) fn moments_at(
        &self,
        range: Range<(i64, u64)>,
        shown: Shown,
        snapshot: Snapshot,
    ) -> Vec<(i64, u64)> {
        if snapshot >= self.snapshot() {
            return self.moments(range, shown).collect();
        }
        let all = self.range(0, shown, snapshot);
        let mut moments: Vec<(i64, u64)> = all
            .map(|(id, _, version)| (version.modified_ms, id))
            .filter(|moment| range.contains(moment))
            .collect();
        moments.sort_unstable();
        moments
    }

    /// Current versions by modification time and id, within a half-open range.
    pub(crate) fn moments(
        &self,
        range: Range<(i64, u64)>,
        shown: Shown,
    ) -> impl DoubleEndedIterator<Item = (i64, u64)> + '_ {
        let moments = self.by_modified.range(range).copied();
        moments.filter(move |(_, id)| shown.admits(self.archived.contains(id)))
    }

    /// Ids of live records whose current version lies in `[from_ms, until_ms)`.
    pub(crate) fn modified_between(
        &self,
        from_ms: i64,
        until_ms: i64,
    ) -> impl Iterator<Item = u64> + '_ {
        let end = until_ms.max(from_ms);
        self.moments((from_ms, 0)..(end, 0), Shown::Live)
            .map(|(_, id)| id)
    }

    /// Indices of generated records with an entry, within a range.
    pub(crate) fn generated_in(&self, range: Range<u32>) -> impl Iterator<Item = u32> + '_ {
        self.generated.range(range).copied()
    }

    /// Ids with a version taken after a time: a lagging index misses those.
    pub(crate) fn applied_after(&self, time_ms: i64) -> BTreeSet<u64> {
        self.by_applied
            .range((Bound::Excluded((time_ms, u64::MAX)), Bound::Unbounded))
            .map(|(_, id)| *id)
            .collect()
    }
}
