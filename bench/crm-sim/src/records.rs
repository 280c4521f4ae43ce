//! All records of one object type of any API: the generated ones and what was
//! written over them.

mod between_ids;
mod by_time;
mod edits;
mod view;

use std::ops::Range;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

pub(crate) use self::by_time::{Moment, TimeOrder};
pub(crate) use self::edits::Write;
pub(crate) use self::view::{Cell, View, base_view};
use crate::generate::{Grain, Permutation, Row, Timeline, mix};
pub(crate) use crate::overlay::Snapshot;
use crate::overlay::{Entry, Origin, Overlay, Version};

/// Ids are this far apart, so that later records find room between them.
const ID_STRIDE: u64 = 16;
/// Generated records sit in the lower half of their stride, created ones above.
const ID_JITTER: u64 = 8;

/// Which records a walk shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Live,
    Archived,
    All,
}

impl Shown {
    pub(crate) fn admits(self, archived: bool) -> bool {
        match self {
            Shown::Live => !archived,
            Shown::Archived => archived,
            Shown::All => true,
        }
    }
}

/// How the ids of an API come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ids {
    /// In no order of creation, with room between them.
    Scattered,
    /// One after the other, in the order of creation.
    Serial,
}

/// How many records there are, and how they share their times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Population {
    pub(crate) count: u32,
    pub(crate) seed: u64,
    /// The smallest id.
    pub(crate) first_id: u64,
    /// Records that share each moment.
    pub(crate) tie_group: u32,
    /// Records that share one single moment.
    pub(crate) tie_burst: u32,
    pub(crate) grain: Grain,
}

#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) count: u32,
    pub(crate) timeline: Timeline,
    seed: u64,
    first_id: u64,
    ids: Ids,
    grain: Grain,
    permutation: Permutation,
    overlay: RwLock<Overlay>,
}

/// One page of a list in id order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListPage {
    /// The id of the last record, when more follow.
    pub(crate) next_after: Option<u64>,
    pub(crate) returned: u64,
}

impl Records {
    pub(crate) fn new(population: Population) -> Records {
        let count = population.count;
        let seed = mix(population.seed ^ population.first_id);
        Records {
            count,
            timeline: Timeline::new(
                count,
                population.tie_group,
                population.tie_burst,
                population.grain,
            ),
            grain: population.grain,
            seed,
            first_id: population.first_id,
            ids: Ids::Scattered,
            permutation: Permutation::new(count, mix(seed)),
            overlay: RwLock::default(),
        }
    }

    /// The same records under ids that follow each other in the order of creation.
    pub(crate) fn numbered(self) -> Records {
        Records {
            ids: Ids::Serial,
            ..self
        }
    }

    pub(crate) fn overlay(&self) -> RwLockReadGuard<'_, Overlay> {
        self.overlay.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id at a place in id order; rises with the place.
    pub(crate) fn id_at(&self, position: u32) -> u64 {
        let position = u64::from(position);
        match self.ids {
            Ids::Scattered => {
                self.first_id + position * ID_STRIDE + mix(self.seed ^ position) % ID_JITTER
            }
            Ids::Serial => self.first_id + position,
        }
    }

    /// The first place whose id is at or above `id`.
    pub(crate) fn position_from(&self, id: u64) -> u32 {
        let stride = match self.ids {
            Ids::Scattered => ID_STRIDE,
            Ids::Serial => 1,
        };
        let Ok(position) = u32::try_from(id.saturating_sub(self.first_id) / stride) else {
            return self.count;
        };
        if position >= self.count {
            return self.count;
        }
        position + u32::from(self.id_at(position) < id)
    }

    pub(crate) fn position_of_index(&self, index: u32) -> u32 {
        self.permutation.position(index)
    }

    pub(crate) fn index_at(&self, position: u32) -> u32 {
        self.permutation.index(position)
    }

    /// The index of the generated record with this id.
    pub(crate) fn index_of(&self, id: u64) -> Option<u32> {
        let position = self.position_from(id);
        (position < self.count && self.id_at(position) == id)
            .then(|| self.permutation.index(position))
    }

    /// The generated record at an index below the count.
    pub(crate) fn row(&self, index: u32) -> Row {
        self.row_with_id(index, self.id_at(self.permutation.position(index)))
    }

    fn row_with_id(&self, index: u32, id: u64) -> Row {
        Row {
            index: u64::from(index),
            id,
            hash: mix(self.seed.wrapping_add(u64::from(index))),
            created_ms: match self.ids {
                Ids::Scattered => self.timeline.created_ms(index),
                // In the order of creation, and before anything was modified.
                Ids::Serial => self.timeline.founded_ms(id - self.first_id),
            },
            modified_ms: self.timeline.modified_ms(index),
        }
    }

    /// The generated record at a place in id order.
    pub(crate) fn row_at(&self, position: u32) -> Row {
        self.row_with_id(self.permutation.index(position), self.id_at(position))
    }

    /// A written record in one of its versions.
    pub(crate) fn view_of<'a>(&self, id: u64, entry: &'a Entry, version: &'a Version) -> View<'a> {
        let (index, blank) = match entry.origin {
            Origin::Generated(index) => (u64::from(index), false),
            Origin::Synthetic(index) => (index, false),
            Origin::Blank => (0, true),
        };
        View {
            row: Row {
                index,
                id,
                hash: mix(self.seed.wrapping_add(index)),
                created_ms: entry.created_ms,
                modified_ms: version.modified_ms,
            },
            blank,
            changes: &version.changes,
            archived_ms: version.archived_ms,
        }
    }

    /// The current version of a record, archived or not.
    pub(crate) fn view_in<'o>(&self, overlay: &'o Overlay, id: u64) -> Option<View<'o>> {
        match overlay.entries.get(&id) {
            Some(entry) => Some(self.view_of(id, entry, entry.current())),
            None => Some(base_view(self.row(self.index_of(id)?))),
        }
    }

    /// Calls `use_view` with the current version of a record, archived or not.
    pub(crate) fn with_view<T>(&self, id: u64, use_view: impl FnOnce(View<'_>) -> T) -> Option<T> {
        self.view_in(&self.overlay(), id).map(use_view)
    }

    /// The version of a record at a snapshot; `None` if it was not there yet.
    pub(crate) fn view_at<'o>(
        &self,
        overlay: &'o Overlay,
        id: u64,
        snapshot: Snapshot,
    ) -> Option<View<'o>> {
        if let Some(entry) = overlay.entries.get(&id)
            && let Some(version) = entry.at(snapshot)
        {
            return Some(self.view_of(id, entry, version));
        }
        Some(base_view(self.row(self.index_of(id)?)))
    }

    /// The state of all records now, for later.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.overlay().snapshot()
    }

    /// Calls `use_view` with a record as the version of this time had it.
    pub(crate) fn with_version<T>(
        &self,
        id: u64,
        modified_ms: i64,
        use_view: impl FnOnce(View<'_>) -> T,
    ) -> Option<T> {
        let overlay = self.overlay();
        let written = overlay.entries.get(&id).and_then(|entry| {
            let mut versions = entry.versions.iter().rev();
            let version = versions.find(|version| version.modified_ms == modified_ms)?;
            Some(self.view_of(id, entry, version))
        });
        let view = match written {
            Some(view) => view,
            None => base_view(self.row(self.index_of(id)?)),
        };
        (view.row.modified_ms == modified_ms).then(|| use_view(view))
    }

    /// Shows up to `limit` records from an id on, in id order.
    pub(crate) fn walk(
        &self,
        from: u64,
        limit: usize,
        shown: Shown,
        mut show: impl FnMut(&View<'_>),
    ) -> ListPage {
        let overlay = self.overlay();
        let mut views = self.by_id(&overlay, from, shown, Snapshot::NOW).peekable();
        let mut last = None;
        for taken in 0..limit {
            let Some(view) = views.next() else {
                return ListPage {
                    next_after: None,
                    returned: taken as u64,
                };
            };
            show(&view);
            last = Some(view.row.id);
        }
        ListPage {
            next_after: views.peek().map(|_| last.unwrap_or(from.saturating_sub(1))),
            returned: limit as u64,
        }
    }

    /// Records from an id on, in id order, as they were at a snapshot; `overlay` is
    /// this type's own.
    pub(crate) fn by_id<'a>(
        &'a self,
        overlay: &'a Overlay,
        from: u64,
        shown: Shown,
        snapshot: Snapshot,
    ) -> impl Iterator<Item = View<'a>> + 'a {
        let count = if shown == Shown::Archived {
            0
        } else {
            self.count
        };
        let mut base = self.position_from(from)..count;
        let mut written = overlay.range(from, shown, snapshot).peekable();
        let mut next_written = overlay.entries.range(from..).peekable();
        std::iter::from_fn(move || {
            let base_id = loop {
                let Some(id) = base.clone().next().map(|position| self.id_at(position)) else {
                    break None;
                };
                while next_written.next_if(|(known, _)| **known < id).is_some() {}
                let overwritten = next_written
                    .peek()
                    .is_some_and(|(known, entry)| **known == id && entry.at(snapshot).is_some());
                if !overwritten {
                    break Some(id);
                }
                base.start += 1;
            };
            match (base_id, written.peek().map(|(id, _, _)| *id)) {
                (Some(id), other) if other.is_none_or(|other| id < other) => {
                    let position = base.start;
                    base.start += 1;
                    Some(base_view(self.row_with_id(self.index_at(position), id)))
                }
                _ => {
                    let (id, entry, version) = written.next()?;
                    Some(self.view_of(id, entry, version))
                }
            }
        })
    }

    /// Every generated index.
    pub(crate) fn indices(&self) -> Range<u32> {
        0..self.count
    }

    /// How many records are live now.
    pub(crate) fn live_count(&self) -> usize {
        let overlay = self.overlay();
        let generated = overlay.generated_in(self.indices()).count();
        self.count as usize + overlay.entries.len() - generated - overlay.archived.len()
    }
}
