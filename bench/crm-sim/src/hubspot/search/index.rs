//! The search of one object type: an immutable, cached answer over the
//! generated records, corrected by what was written since.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::bounds::Bounds;
use super::matches::Search;
use super::order::merge;
use super::request::Query;
use crate::hubspot::records::Records;
use crate::hubspot::render::{Projection, record};

/// Answers kept, and places in all of them together (4 bytes each).
const ANSWERS_MAX: usize = 16;
const PLACES_MAX: usize = 24_000_000;

/// How the index differs from the records, as the real one does or may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quirks {
    /// Changes taken after this time are not in the index yet: it still finds
    /// the previous version, and shows the current one.
    pub(crate) indexed_until_ms: i64,
    /// Record ids compare as text.
    pub(crate) text_ids: bool,
}

/// Cached answers over the generated records of one object type.
#[derive(Debug, Default)]
pub(crate) struct Index {
    answers: Mutex<VecDeque<(String, Arc<[u32]>)>>,
}

/// What a page of results says about the whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SearchPage {
    pub(crate) total: usize,
    /// Hits on this page, the archived ones included, which are not shown.
    pub(crate) hits: usize,
    pub(crate) returned: usize,
}

impl Index {
    /// Appends one page of results, comma-separated.
    pub(crate) fn search(
        &self,
        records: &Records,
        query: &Query,
        quirks: Quirks,
        projection: &Projection,
        out: &mut Vec<u8>,
    ) -> SearchPage {
        let search = Search {
            records,
            query,
            quirks,
            bounds: query
                .groups
                .iter()
                .map(|group| Bounds::new(group, records, quirks.text_ids))
                .collect(),
        };
        let base = search.base(self);
        let overlay = records.overlay();
        let (matches, written) = search.written(&overlay);
        let total = base.len().saturating_sub(search.overwritten(&overlay)) + matches;
        let base = search
            .ranked(&base)
            .filter(|ranked| !overlay.entries.contains_key(&ranked.id));
        let page = merge(base, written, query.descending)
            .skip(query.offset)
            .take(query.limit);
        let (mut hits, mut returned) = (0, 0);
        for ranked in page {
            hits += 1;
            let Some(view) = search.view(&overlay, &ranked) else {
                continue;
            };
            if returned > 0 {
                out.push(b',');
            }
            record(&view, projection, out);
            returned += 1;
        }
        SearchPage {
            total,
            hits,
            returned,
        }
    }

    /// The places under a key, computed at most once while it is remembered.
    pub(super) fn answer(&self, key: String, compute: impl FnOnce() -> Vec<u32>) -> Arc<[u32]> {
        let mut answers = self.lock();
        if let Some(at) = answers.iter().position(|(known, _)| *known == key)
            && let Some(hit) = answers.remove(at)
        {
            let places = Arc::clone(&hit.1);
            answers.push_front(hit);
            return places;
        }
        drop(answers);
        let places: Arc<[u32]> = compute().into();
        let mut answers = self.lock();
        answers.push_front((key, Arc::clone(&places)));
        let size = |answers: &VecDeque<(String, Arc<[u32]>)>| -> usize {
            answers.iter().map(|(_, places)| places.len()).sum()
        };
        while answers.len() > ANSWERS_MAX || (answers.len() > 1 && size(&answers) > PLACES_MAX) {
            answers.pop_back();
        }
        places
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(String, Arc<[u32]>)>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
