//! Changes to records: each adds a version to the overlay.

use std::sync::{PoisonError, RwLockWriteGuard};

use super::{ID_JITTER, ID_STRIDE, Records};
use crate::generate::mix;
use crate::overlay::{Changes, Origin, Overlay, Version};

/// A change that a client or a test asks for.
pub(crate) struct Write {
    pub(crate) modified_ms: i64,
    /// When the simulator takes it, by the simulated clock.
    pub(crate) applied_ms: i64,
    pub(crate) changes: Changes,
}

impl Records {
    /// Ids of `count` distinct live records, spread over the generated ones;
    /// `turn` selects a different set each time.
    pub(crate) fn pick(&self, count: usize, turn: u64) -> Vec<u64> {
        let overlay = self.overlay();
        let start = mix(self.seed ^ turn) % u64::from(self.count.max(1));
        let mut picked: Vec<u64> = (0..self.count)
            .map(|step| {
                let place = (start + u64::from(step)) % u64::from(self.count);
                self.id_at(self.permutation.position(u32::try_from(place).unwrap_or(0)))
            })
            .filter(|id| !overlay.archived.contains(id))
            .take(count)
            .collect();
        let created = overlay
            .entries
            .iter()
            .filter(|(_, entry)| !matches!(entry.origin, Origin::Generated(_)))
            .filter(|(_, entry)| !entry.is_archived())
            .map(|(id, _)| *id);
        let missing = count - picked.len();
        picked.extend(created.take(missing));
        picked
    }

    /// Adds a version to a live record; returns its modification time, which
    /// always moves forward. `None` if there is no such live record.
    pub(crate) fn edit(&self, id: u64, write: Write) -> Option<i64> {
        self.change(id, write, false)
    }

    /// Archives a live record. Archiving leaves the modification time alone.
    pub(crate) fn archive(&self, id: u64, at_ms: i64, applied_ms: i64) -> bool {
        let write = Write {
            modified_ms: at_ms,
            applied_ms,
            changes: Changes::new(),
        };
        self.change(id, write, true).is_some()
    }

    fn change(&self, id: u64, write: Write, archive: bool) -> Option<i64> {
        let mut overlay = self.write_overlay();
        let (origin, created_ms, last_ms, old) = match overlay.entries.get(&id) {
            Some(entry) if entry.is_archived() => return None,
            Some(entry) => {
                let current = entry.current();
                let changes = merged(&current.changes, write.changes);
                (entry.origin, entry.created_ms, current.modified_ms, changes)
            }
            None => {
                let row = self.row(self.index_of(id)?);
                let origin = Origin::Generated(u32::try_from(row.index).ok()?);
                (origin, row.created_ms, row.modified_ms, write.changes)
            }
        };
        let modified_ms = if archive {
            last_ms
        } else {
            write.modified_ms.max(last_ms + 1)
        };
        let version = Version {
            modified_ms,
            applied_ms: write.applied_ms,
            archived_ms: archive.then_some(write.modified_ms),
            changes: old,
        };
        overlay.push(id, origin, created_ms, version);
        Some(modified_ms)
    }

    /// Creates a record; a blank one holds only what is written and what the
    /// API derives from it.
    pub(crate) fn create(&self, mut write: Write, blank: bool) -> u64 {
        let mut overlay = self.write_overlay();
        let serial = u64::try_from(overlay.entries.len()).unwrap_or(0);
        let id = self.free_id(&overlay, serial);
        let origin = if blank {
            write.changes.extend(self.schema.derive(id, &write.changes));
            Origin::Blank
        } else {
            Origin::Synthetic(u64::from(self.count) + serial)
        };
        let version = Version {
            modified_ms: write.modified_ms,
            applied_ms: write.applied_ms,
            archived_ms: None,
            changes: write.changes,
        };
        overlay.push(id, origin, write.modified_ms, version);
        id
    }

    /// An unused id in no order of creation: half of them lie between the
    /// generated ones, where a list that is under way may have passed already.
    fn free_id(&self, overlay: &Overlay, serial: u64) -> u64 {
        let wide = u64::from(self.count).max(1 << 20) * 2;
        (0..)
            .map(|attempt: u64| {
                let hash = mix(self.seed ^ mix(serial.wrapping_add(attempt << 40)));
                let between = hash & 1 == 0 && attempt < 8;
                let strides = if between {
                    u64::from(self.count).max(1)
                } else {
                    wide
                };
                let place = (hash >> 8) % strides;
                self.first_id + place * ID_STRIDE + ID_JITTER + (hash >> 4) % ID_JITTER
            })
            .find(|id| !overlay.entries.contains_key(id))
            .expect("the id space is far larger than the overlay")
    }

    fn write_overlay(&self) -> RwLockWriteGuard<'_, Overlay> {
        self.overlay.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Merges new values over old ones.
fn merged(old: &Changes, new: Changes) -> Changes {
    let mut all: Changes = old
        .iter()
        .filter(|(column, _)| new.iter().all(|(at, _)| at != column))
        .cloned()
        .collect();
    all.extend(new);
    all
}
