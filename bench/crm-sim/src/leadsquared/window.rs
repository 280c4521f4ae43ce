//! The records of a query in order, remembered between its pages as long as no record
//! changes: pages are cut from it by offset, whatever moved in between.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use crate::leadsquared::account::Account;
use crate::leadsquared::field::Place;
use crate::leadsquared::kind::Kind;
use crate::leadsquared::schema::find;
use crate::records::{Shown, Snapshot, TimeOrder, View};

/// Queries remembered at most.
const REMEMBERED_MAX: usize = 32;

/// Ids in order, with the revision of the records that they were found at.
type Found = (u64, Arc<Vec<u64>>);

#[derive(Debug, Default)]
pub(crate) struct Windows(Mutex<HashMap<String, Found>>);

/// What records are sorted by.
#[derive(Clone, Debug)]
pub(crate) struct Sorting {
    pub(crate) column: String,
    pub(crate) descending: bool,
}

impl Account {
    /// Ids of the live records that were modified within a span and that `matches` lets
    /// through, in order. `query` tells them from those of other queries.
    pub(crate) fn window(
        &self,
        kind: Kind,
        query: &str,
        modified_ms: RangeInclusive<i64>,
        sorting: &Sorting,
        matches: impl Fn(&Place<'_>, &View<'_>) -> bool,
    ) -> Arc<Vec<u64>> {
        let revision = self.revision();
        let key = format!("{kind:?} {modified_ms:?} {sorting:?} {query}");
        let known = self
            .windows
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((at, ids)) = known.get(&key)
            && *at == revision
        {
            return Arc::clone(ids);
        }
        drop(known);
        let ids = Arc::new(self.with_place(kind, |place| {
            self.sorted(place, modified_ms, sorting, &matches)
        }));
        let mut known = self
            .windows
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(key, (revision, Arc::clone(&ids)));
        ids
    }

    fn sorted(
        &self,
        place: &Place<'_>,
        modified_ms: RangeInclusive<i64>,
        sorting: &Sorting,
        matches: &impl Fn(&Place<'_>, &View<'_>) -> bool,
    ) -> Vec<u64> {
        let records = self.records(place.kind);
        let overlay = records.overlay();
        let range = (*modified_ms.start(), 0)..(modified_ms.end().saturating_add(1), 0);
        let order = if sorting.descending {
            TimeOrder::NewestFirst
        } else {
            TimeOrder::OldestFirst
        };
        let views = records
            .by_time(&overlay, range, order, Shown::Live, Snapshot::NOW)
            .filter(|view| matches(place, view));
        let by = sorting.column.as_str();
        if by.eq_ignore_ascii_case("ModifiedOn") {
            return views.map(|view| view.row.id).collect();
        }
        let field = find(place.kind, by);
        let mut keyed: Vec<(Key, u64)> = views
            .map(|view| {
                let text = field
                    .map(|field| field.string(place, &view))
                    .unwrap_or_default();
                (Key::of(text), view.row.id)
            })
            .collect();
        keyed.sort_unstable();
        if sorting.descending {
            keyed.reverse();
        }
        keyed.into_iter().map(|(_, id)| id).collect()
    }
}

/// A value as it sorts: numbers by their size, before all texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(i64),
    Text(String),
}

impl Key {
    fn of(text: String) -> Key {
        match text.parse() {
            Ok(number) => Key::Number(number),
            Err(_) => Key::Text(text),
        }
    }
}
