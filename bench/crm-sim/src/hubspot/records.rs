//! All records of one object type: the generated ones and what was written
//! over them.

mod edits;

use std::ops::Range;
use std::sync::{RwLock, RwLockReadGuard};

use crate::generate::{Permutation, Row, Timeline, email_index, mix};
use crate::hubspot::config::Config;
use crate::hubspot::kind::Kind;
use crate::hubspot::render::{Projection, View, record};
use crate::hubspot::schema::Schema;
use crate::overlay::{Entry, Origin, Overlay, Version};

/// Ids are this far apart, so that later records find room between them.
const ID_STRIDE: u64 = 16;
/// Generated records sit in the lower half of their stride, created ones above.
const ID_JITTER: u64 = 8;

pub(crate) use self::edits::Write;

#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) schema: Schema,
    pub(crate) count: u32,
    pub(crate) timeline: Timeline,
    seed: u64,
    first_id: u64,
    permutation: Permutation,
    overlay: RwLock<Overlay>,
}

/// One page of a list.
pub(crate) struct ListPage {
    /// The id of the last record, when more follow.
    pub(crate) next_after: Option<u64>,
    pub(crate) returned: u64,
}

impl Records {
    pub(crate) fn new(kind: Kind, config: &Config) -> Records {
        let count = config.count(kind);
        let seed = mix(config.seed ^ kind.first_id());
        Records {
            schema: Schema::new(kind, config),
            count,
            timeline: Timeline::new(count, config.tie_group, config.tie_burst),
            seed,
            first_id: kind.first_id(),
            permutation: Permutation::new(count, mix(seed)),
            overlay: RwLock::default(),
        }
    }

    pub(crate) fn overlay(&self) -> RwLockReadGuard<'_, Overlay> {
        self.overlay
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The id at a place in id order; rises with the place.
    pub(crate) fn id_at(&self, position: u32) -> u64 {
        let jitter = mix(self.seed ^ u64::from(position)) % ID_JITTER;
        self.first_id + u64::from(position) * ID_STRIDE + jitter
    }

    /// The first place whose id is at or above `id`.
    pub(crate) fn position_from(&self, id: u64) -> u32 {
        let stride = id.saturating_sub(self.first_id) / ID_STRIDE;
        let Ok(position) = u32::try_from(stride) else {
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
            created_ms: self.timeline.created_ms(index),
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

    /// Calls `use_view` with the current version of a record, archived or not.
    pub(crate) fn with_view<T>(&self, id: u64, use_view: impl FnOnce(View<'_>) -> T) -> Option<T> {
        let overlay = self.overlay();
        if let Some(entry) = overlay.entries.get(&id) {
            return Some(use_view(self.view_of(id, entry, entry.current())));
        }
        drop(overlay);
        let row = self.row(self.index_of(id)?);
        Some(use_view(base_view(row)))
    }

    /// The live record whose unique property (an id, address or domain) has
    /// this text.
    pub(crate) fn find(&self, column: u16, text: &str) -> Option<u64> {
        let overlay = self.overlay();
        let mut scratch = Vec::new();
        let mut holds = |view: View<'_>| {
            scratch.clear();
            view.value(&self.schema, column, &mut scratch)
                && scratch.eq_ignore_ascii_case(text.as_bytes())
        };
        let written = overlay
            .entries
            .iter()
            .filter(|(_, entry)| !entry.is_archived())
            .find(|(id, entry)| holds(self.view_of(**id, entry, entry.current())))
            .map(|(id, _)| *id);
        if written.is_some() {
            return written;
        }
        let index = if column == self.schema.object_id {
            self.index_of(text.parse().ok()?)?
        } else {
            u32::try_from(email_index(&text.to_lowercase())?).ok()?
        };
        let row = (index < self.count).then(|| self.row(index))?;
        (!overlay.entries.contains_key(&row.id) && holds(base_view(row))).then_some(row.id)
    }

    /// Appends up to `limit` records after an id, comma-separated, in id order.
    pub(crate) fn list(
        &self,
        after: Option<u64>,
        limit: usize,
        archived: bool,
        projection: &Projection,
        out: &mut Vec<u8>,
    ) -> ListPage {
        let overlay = self.overlay();
        let from = after.map_or(0, |id| id.saturating_add(1));
        let mut base = self.position_from(from)..if archived { 0 } else { self.count };
        let mut written = overlay.range(from, archived).peekable();
        let mut last = None;
        for taken in 0..=limit {
            let base_id = loop {
                match base.clone().next().map(|position| self.id_at(position)) {
                    Some(id) if overlay.entries.contains_key(&id) => base.start += 1,
                    other => break other,
                }
            };
            let written_id = written.peek().map(|(id, _)| *id);
            let Some(id) = base_id.into_iter().chain(written_id).min() else {
                return ListPage {
                    next_after: None,
                    returned: taken as u64,
                };
            };
            if taken == limit {
                break;
            }
            if taken > 0 {
                out.push(b',');
            }
            if base_id == Some(id) {
                record(&base_view(self.row_at(base.start)), projection, out);
                base.start += 1;
            } else if let Some((_, entry)) = written.next() {
                record(&self.view_of(id, entry, entry.current()), projection, out);
            }
            last = Some(id);
        }
        ListPage {
            next_after: last.or(after).or(Some(0)),
            returned: limit as u64,
        }
    }

    /// Every generated index.
    pub(crate) fn indices(&self) -> Range<u32> {
        0..self.count
    }
}

/// A generated record as it was generated.
pub(crate) fn base_view(row: Row) -> View<'static> {
    View {
        row,
        blank: false,
        changes: &[],
        archived_ms: None,
    }
}
