//! Which records match a query, generated and written ones apart.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use super::bounds::Bounds;
use super::filter::value;
use super::index::{Index, Quirks};
use super::order::{Ranked, Source, by_modified, compare};
use super::request::Query;
use crate::hubspot::records::Records;
use crate::overlay::{Entry, Overlay};
use crate::records::{View, base_view};

/// The generated records that match, in order.
pub(super) enum Base {
    /// All places of a range, in id order.
    Places(Range<u32>),
    /// A slice of sorted places; read backwards when the order is descending by id.
    Listed(Arc<[u32]>, Range<usize>),
    /// Indices of a window of time, to be put in order as they are taken.
    Window(Range<u32>, usize),
}

impl Base {
    pub(super) fn len(&self) -> usize {
        match self {
            Base::Places(range) => range.len(),
            Base::Listed(_, range) => range.len(),
            Base::Window(_, matches) => *matches,
        }
    }
}

/// A query against one state of the index.
pub(super) struct Search<'a> {
    pub(super) records: &'a Records,
    pub(super) query: &'a Query,
    pub(super) quirks: Quirks,
    pub(super) bounds: Vec<Bounds>,
}

impl<'a> Search<'a> {
    /// The generated records that match; cached where that takes work.
    pub(super) fn base(&self, index: &Index) -> Base {
        let schema = &self.records.schema;
        let Some((range, ids)) = self.window() else {
            let places = index.answer(self.key(), || self.scan());
            let all = 0..places.len();
            return Base::Listed(places, all);
        };
        let places = self.records.position_from(ids.start)..self.records.position_from(ids.end);
        let by_id = self.query.sort_column == schema.object_id;
        if range == self.records.indices() {
            if by_id {
                return Base::Places(places);
            }
            return Base::Window(range, places.len());
        }
        let unbounded = places == (0..self.records.count);
        if !by_id && unbounded {
            let matches = range.len();
            return Base::Window(range, matches);
        }
        let listed = index.answer(format!("window {range:?}"), || self.sorted(range.clone()));
        let start = listed.partition_point(|place| *place < places.start);
        let end = listed
            .partition_point(|place| *place < places.end)
            .max(start);
        if by_id {
            Base::Listed(listed, start..end)
        } else {
            Base::Window(range, end - start)
        }
    }

    /// The window of indices and ids, when the query says no more than that
    /// and sorts by id or modification.
    fn window(&self) -> Option<(Range<u32>, Range<u64>)> {
        let schema = &self.records.schema;
        let sort = self.query.sort_column;
        if !self.query.words.is_empty() || (sort != schema.object_id && sort != schema.modified) {
            return None;
        }
        match self.bounds.as_slice() {
            [] => Some((self.records.indices(), 0..u64::MAX)),
            [bounds] if bounds.complete => Some((bounds.indices(self.records), bounds.ids.clone())),
            _ => None,
        }
    }

    fn sorted(&self, range: Range<u32>) -> Vec<u32> {
        let mut places: Vec<u32> = range
            .map(|index| self.records.position_of_index(index))
            .collect();
        places.sort_unstable();
        places
    }

    /// Looks at every record that the bounds leave.
    fn scan(&self) -> Vec<u32> {
        let mut candidates: Vec<Range<u32>> = Vec::new();
        for bounds in &self.bounds {
            match &bounds.candidates {
                Some(indices) => {
                    candidates.extend(indices.iter().map(|index| *index..index + 1));
                }
                None => candidates.push(bounds.indices(self.records)),
            }
        }
        if self.bounds.is_empty() {
            candidates.push(self.records.indices());
        }
        candidates.sort_unstable_by_key(|range| range.start);
        let mut scratch = Vec::new();
        let mut matches = Vec::new();
        let mut next = 0;
        for range in candidates {
            for index in range.start.max(next)..range.end {
                let view = base_view(self.records.row(index));
                if self.matches(&view, &mut scratch) {
                    let place = self.records.position_from(view.row.id);
                    matches.push(self.rank(&view, Source::Base(place), &mut scratch));
                }
            }
            next = next.max(range.end);
        }
        matches.sort_unstable_by(|left, right| compare(left, right, self.query.descending));
        matches
            .iter()
            .filter_map(|ranked| match ranked.source {
                Source::Base(place) => Some(place),
                Source::Written => None,
            })
            .collect()
    }

    /// The base matches in order.
    pub(super) fn ranked<'b>(&'b self, base: &'b Base) -> Box<dyn Iterator<Item = Ranked> + 'b> {
        let by_id = self.query.sort_column == self.records.schema.object_id;
        let backwards = by_id && self.query.descending;
        let mut scratch = Vec::new();
        let rank = move |place: u32| {
            let view = base_view(self.records.row_at(place));
            self.rank(&view, Source::Base(place), &mut scratch)
        };
        match base {
            Base::Places(places) if backwards => Box::new(places.clone().rev().map(rank)),
            Base::Places(places) => Box::new(places.clone().map(rank)),
            // A scan's answer is in the order of the query already; a window's
            // rises.
            Base::Listed(places, range) if backwards && self.window().is_some() => {
                Box::new(places[range.clone()].iter().rev().copied().map(rank))
            }
            Base::Listed(places, range) => {
                Box::new(places[range.clone()].iter().copied().map(rank))
            }
            Base::Window(range, _) => {
                let ids = self
                    .bounds
                    .first()
                    .map_or(0..u64::MAX, |first| first.ids.clone());
                let places = by_modified(self.records, range.clone(), self.query.descending);
                Box::new(
                    places
                        .map(rank)
                        .filter(move |ranked| ids.contains(&ranked.id)),
                )
            }
        }
    }

    /// How many base matches have been written over since.
    pub(super) fn overwritten(&self, overlay: &Overlay) -> usize {
        let mut scratch = Vec::new();
        let hull = self
            .bounds
            .iter()
            .map(|bounds| bounds.indices(self.records))
            .reduce(|left, right| left.start.min(right.start)..left.end.max(right.end))
            .unwrap_or_else(|| self.records.indices());
        overlay
            .generated_in(hull)
            .filter(|index| self.matches(&base_view(self.records.row(*index)), &mut scratch))
            .count()
    }

    /// How many written records match, and those that can be on the page or
    /// before it, in order.
    pub(super) fn written(&self, overlay: &Overlay) -> (usize, Vec<Ranked>) {
        let mut scratch = Vec::new();
        let unseen = overlay.applied_after(self.quirks.indexed_until_ms);
        let modified = self
            .bounds
            .iter()
            .map(|bounds| bounds.modified.clone())
            .reduce(|left, right| left.start.min(right.start)..left.end.max(right.end))
            .unwrap_or(i64::MIN..i64::MAX);
        let seen = overlay
            .modified_between(modified.start, modified.end)
            .filter(|id| !unseen.contains(id));
        let mut found: Vec<Ranked> = Vec::new();
        for id in seen {
            let Some(entry) = overlay.entries.get(&id) else {
                continue;
            };
            let last = entry.versions.len() - 1;
            found.extend(self.ranked_version(id, entry, last, &mut scratch));
        }
        for id in &unseen {
            found.extend(self.stale(*id, overlay, &mut scratch));
        }
        let by_rank = |left: &Ranked, right: &Ranked| compare(left, right, self.query.descending);
        let matches = found.len();
        let reached = self.query.offset + self.query.limit;
        if reached < matches {
            found.select_nth_unstable_by(reached, by_rank);
            found.truncate(reached);
        }
        found.sort_unstable_by(by_rank);
        (matches, found)
    }

    /// The version of a record that a lagging index still has.
    fn stale(&self, id: u64, overlay: &Overlay, scratch: &mut Vec<u8>) -> Option<Ranked> {
        let entry = overlay.entries.get(&id)?;
        let shown = entry
            .versions
            .iter()
            .rposition(|version| version.applied_ms <= self.quirks.indexed_until_ms);
        if let Some(number) = shown {
            return self.ranked_version(id, entry, number, scratch);
        }
        let index = self.records.index_of(id)?;
        let view = base_view(self.records.row(index));
        let place = self.records.position_of_index(index);
        self.matches(&view, scratch)
            .then(|| self.rank(&view, Source::Base(place), scratch))
    }

    fn ranked_version(
        &self,
        id: u64,
        entry: &Entry,
        number: usize,
        scratch: &mut Vec<u8>,
    ) -> Option<Ranked> {
        let version = &entry.versions[number];
        let view = self.records.view_of(id, entry, version);
        (version.archived_ms.is_none() && self.matches(&view, scratch))
            .then(|| self.rank(&view, Source::Written, scratch))
    }

    fn rank(&self, view: &View<'_>, source: Source, scratch: &mut Vec<u8>) -> Ranked {
        Ranked {
            key: value(view, &self.records.schema, self.query.sort_column, scratch),
            id: view.row.id,
            source,
        }
    }

    /// What a hit shows: the record as it is now, even where the index found an older
    /// version; nothing where it has been archived since.
    pub(super) fn view<'o>(&self, overlay: &'o Overlay, ranked: &Ranked) -> Option<View<'o>> {
        let view = match (overlay.entries.get(&ranked.id), ranked.source) {
            (Some(entry), _) => self.records.view_of(ranked.id, entry, entry.current()),
            (None, Source::Base(place)) => base_view(self.records.row_at(place)),
            (None, Source::Written) => unreachable!("a written record has an entry"),
        };
        view.archived_ms.is_none().then_some(view)
    }

    fn matches(&self, view: &View<'_>, scratch: &mut Vec<u8>) -> bool {
        let schema = &self.records.schema;
        let text_ids = self.quirks.text_ids;
        let grouped = self.query.groups.is_empty()
            || self.query.groups.iter().any(|group| {
                group
                    .iter()
                    .all(|condition| condition.matches(view, schema, text_ids, scratch))
            });
        grouped
            && self
                .query
                .words
                .iter()
                .all(|word| self.mentions(view, word, scratch))
    }

    /// Whether a searchable property mentions a word of the free-text query.
    fn mentions(&self, view: &View<'_>, word: &str, scratch: &mut Vec<u8>) -> bool {
        let schema = &self.records.schema;
        schema.defaults.iter().any(|column| {
            scratch.clear();
            view.text(schema.cell(*column), scratch)
                && String::from_utf8_lossy(scratch)
                    .to_lowercase()
                    .contains(word)
        })
    }

    /// Names a scan's answer: everything that decides it.
    fn key(&self) -> String {
        let mut key = String::new();
        for condition in self
            .query
            .groups
            .iter()
            .flat_map(|group| group.iter().map(Some).chain([None]))
        {
            // Writing to a String cannot fail.
            let _written = match condition {
                Some(condition) => write!(
                    key,
                    "{} {:?} {:?};",
                    condition.column, condition.operator, condition.raw
                ),
                None => write!(key, "|"),
            };
        }
        let query = self.query;
        let _written = write!(
            key,
            "{:?} {} {} {}",
            query.words, query.sort_column, query.descending, self.quirks.text_ids
        );
        key
    }
}
