//! Changes to records: each adds a version to the overlay.

use std::sync::{PoisonError, RwLockWriteGuard};

use super::{ID_JITTER, ID_STRIDE, Ids, Records};
use crate::generate::mix;
use crate::overlay::{Changes, Origin, Overlay, Version};

/// A change that a client or a test asks for. One whose modification lies before
/// the time of its taking is a late commit: nobody could see it when it was dated.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) modified_ms: i64,
    /// When the simulator takes it, by the simulated clock.
    pub(crate) applied_ms: i64,
    pub(crate) changes: Changes,
}

/// What becomes of the record itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Edited,
    /// Archived, its modification time left alone.
    Archived,
    /// Archived, which counts as a modification.
    Deleted,
    /// Live again.
    Undeleted,
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
    /// never moves back. `None` if there is no such live record.
    pub(crate) fn edit(&self, id: u64, write: Write) -> Option<i64> {
        self.change(id, write, Fate::Edited)
    }

    /// Archives a live record. Archiving leaves the modification time alone.
    pub(crate) fn archive(&self, id: u64, at_ms: i64, applied_ms: i64) -> bool {
        let write = Write {
            modified_ms: at_ms,
            applied_ms,
            changes: Changes::new(),
        };
        self.change(id, write, Fate::Archived).is_some()
    }

    /// Archives a live record in a version of its own, for the APIs in which a
    /// deletion counts as a modification; returns its time.
    pub(crate) fn delete(&self, id: u64, write: Write) -> Option<i64> {
        self.change(id, write, Fate::Deleted)
    }

    /// Brings an archived record back; returns the time of the new version.
    pub(crate) fn undelete(&self, id: u64, write: Write) -> Option<i64> {
        self.change(id, write, Fate::Undeleted)
    }

    fn change(&self, id: u64, write: Write, fate: Fate) -> Option<i64> {
        let mut overlay = self.write_overlay();
        let (origin, created_ms, last_ms, changes) = match overlay.entries.get(&id) {
            Some(entry) if entry.is_archived() != (fate == Fate::Undeleted) => return None,
            Some(entry) => {
                let current = entry.current();
                let changes = merged(&current.changes, write.changes);
                (entry.origin, entry.created_ms, current.modified_ms, changes)
            }
            None if fate == Fate::Undeleted => return None,
            None => {
                let row = self.row(self.index_of(id)?);
                let origin = Origin::Generated(u32::try_from(row.index).ok()?);
                (origin, row.created_ms, row.modified_ms, write.changes)
            }
        };
        let modified_ms = match fate {
            Fate::Archived => last_ms,
            _ => self
                .grain
                .floor(write.modified_ms)
                .max(self.grain.after(last_ms)),
        };
        let version = Version {
            modified_ms,
            applied_ms: write.applied_ms,
            serial: 0,
            archived_ms: match fate {
                Fate::Archived => Some(write.modified_ms),
                Fate::Deleted => Some(modified_ms),
                Fate::Edited | Fate::Undeleted => None,
            },
            changes,
        };
        overlay.push(id, origin, created_ms, version);
        Some(modified_ms)
    }

    /// Creates a record filled like a generated one.
    pub(crate) fn create(&self, write: Write) -> u64 {
        let mut overlay = self.write_overlay();
        let serial = overlay.entries.len() as u64;
        let id = self.free_id(&overlay, serial);
        let origin = Origin::Synthetic(u64::from(self.count) + serial);
        self.add(&mut overlay, id, origin, write);
        id
    }

    /// Creates a record that holds only what is written and what `derive` makes
    /// of it and of the new id.
    pub(crate) fn create_blank(
        &self,
        mut write: Write,
        derive: impl FnOnce(u64, &Changes) -> Changes,
    ) -> u64 {
        let mut overlay = self.write_overlay();
        let id = self.free_id(&overlay, overlay.entries.len() as u64);
        let derived = derive(id, &write.changes);
        write.changes.extend(derived);
        self.add(&mut overlay, id, Origin::Blank, write);
        id
    }

    fn add(&self, overlay: &mut Overlay, id: u64, origin: Origin, write: Write) {
        let modified_ms = self.grain.floor(write.modified_ms);
        let version = Version {
            modified_ms,
            applied_ms: write.applied_ms,
            serial: 0,
            archived_ms: None,
            changes: write.changes,
        };
        overlay.push(id, origin, modified_ms, version);
    }

    /// An unused id: the next one, or one in no order of creation, of which half lie
    /// between the generated ones, where a list that is under way may have passed
    /// already.
    fn free_id(&self, overlay: &Overlay, serial: u64) -> u64 {
        if self.ids == Ids::Serial {
            let generated = self.first_id + u64::from(self.count);
            let written = overlay.entries.last_key_value();
            return written.map_or(generated, |(id, _)| generated.max(id + 1));
        }
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
