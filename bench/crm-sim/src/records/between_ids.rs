//! Records in the order of their ids, from either end.

use std::ops::Range;

use super::{Records, Shown, View, base_view};
use crate::overlay::Overlay;

impl Records {
    /// Records of a half-open range of ids, the highest first if `descending`; `overlay`
    /// is this type's own.
    pub(crate) fn between_ids<'a>(
        &'a self,
        overlay: &'a Overlay,
        range: Range<u64>,
        descending: bool,
        shown: Shown,
    ) -> impl Iterator<Item = View<'a>> + 'a {
        let end = range.end.max(range.start);
        let mut base = match shown {
            Shown::Archived => 0..0,
            _ => self.position_from(range.start)..self.position_from(end),
        };
        let mut step = move || {
            let position = if descending {
                base.next_back()
            } else {
                base.next()
            };
            position.map(|position| (self.id_at(position), position))
        };
        let mut next_base = step();
        let mut written = overlay
            .entries
            .range(range.start..end)
            .filter(move |(_, entry)| shown.admits(entry.is_archived()));
        let mut step_written = move || {
            if descending {
                written.next_back()
            } else {
                written.next()
            }
        };
        let mut next_written = step_written();
        std::iter::from_fn(move || {
            while next_base.is_some_and(|(id, _)| overlay.entries.contains_key(&id)) {
                next_base = step();
            }
            let take_base = match (next_base, next_written) {
                (Some((left, _)), Some((right, _))) => (left < *right) != descending,
                (Some(_), None) => true,
                (None, _) => false,
            };
            if take_base {
                let (_, position) = next_base?;
                next_base = step();
                return Some(base_view(self.row_at(position)));
            }
            let (id, entry) = next_written?;
            next_written = step_written();
            Some(self.view_of(*id, entry, entry.current()))
        })
    }
}
