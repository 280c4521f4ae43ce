//! What a query finds, page by page, without a look at more records than it must.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::bounds::Bounds;
use super::compile::{Key, Query};
use super::filter::{Comparable, value};
use crate::overlay::Overlay;
use crate::records::{Moment, Records, Shown, Snapshot, TimeOrder, View};
use crate::salesforce::org::{Collection, Org};
use crate::salesforce::schema::Source;
use crate::salesforce::values::Reading;

/// The result of a query: how to walk it, and how much there is.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) query: Arc<Query>,
    access: Access,
    snapshot: Snapshot,
    /// Records that had left the recycle bin at the snapshot.
    purged: Arc<BTreeSet<u64>>,
    /// Records that the query found when it was asked, `LIMIT` and `OFFSET` applied.
    pub(crate) total: u64,
}

#[derive(Clone, Debug)]
enum Access {
    /// Numbers of matching records, in the order of the query.
    Listed(Arc<[u64]>),
    ById(Range<u64>),
    ByTime(Range<Moment>, TimeOrder),
}

/// Where a walk stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Records shown before.
    pub(crate) served: u64,
    after: After,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum After {
    #[default]
    Nothing,
    Record(Moment),
    Listed(usize),
}

type Keys = Vec<Comparable>;

impl Found {
    /// Runs a query. A walk at a snapshot shows the same whenever it is made; at
    /// `Snapshot::NOW` it goes on from where it stands in whatever there is by then.
    pub(crate) fn new(org: &Org, query: Query, snapshot: Snapshot) -> Found {
        let mut found = Found {
            access: natural(&query).unwrap_or_else(|| Access::Listed(Arc::default())),
            purged: org.collection(query.object).purged().records,
            query: Arc::new(query),
            snapshot,
            total: 0,
        };
        if natural(&found.query).is_none() {
            found.access = Access::Listed(found.sorted(org).into());
        }
        let query = &found.query;
        let all = match &found.access {
            Access::Listed(ids) => ids.len() as u64,
            _ => {
                let wanted = query
                    .limit
                    .map_or(u64::MAX, |limit| limit.saturating_add(query.offset));
                found.count(org, wanted)
            }
        };
        let rest = all.saturating_sub(query.offset);
        found.total = query.limit.map_or(rest, |limit| rest.min(limit));
        found
    }

    /// Shows up to `limit` records from a place on; returns how many there were, and
    /// the place of the next when there is one.
    pub(crate) fn page(
        &self,
        org: &Org,
        place: Place,
        limit: u64,
        mut show: impl FnMut(&Reading<'_>),
    ) -> (u64, Option<Place>) {
        let collection = org.collection(self.query.object);
        let overlay = collection.records.overlay();
        let purged = self.purged(collection);
        let offset = match place.after {
            After::Nothing => self.query.offset,
            After::Record(_) | After::Listed(_) => 0,
        };
        let left = self
            .query
            .limit
            .map_or(u64::MAX, |limit| limit.saturating_sub(place.served));
        let mut walk = self.walk(org, collection, &overlay, &purged, place.after);
        for _ in 0..offset {
            if walk.next().is_none() {
                break;
            }
        }
        let mut walk = walk
            .take(usize::try_from(left).unwrap_or(usize::MAX))
            .peekable();
        let mut shown = 0;
        let mut after = place.after;
        while shown < limit {
            let Some((next, view)) = walk.next() else {
                break;
            };
            show(&Reading {
                org,
                schema: &self.query.schema,
                view,
            });
            after = next;
            shown += 1;
        }
        let next = walk.peek().map(|_| Place {
            served: place.served + shown,
            after,
        });
        (shown, next)
    }

    /// Records that are in the recycle bin no longer, as far as this walk knows.
    fn purged(&self, collection: &Collection) -> Arc<BTreeSet<u64>> {
        if self.snapshot == Snapshot::NOW {
            collection.purged().records
        } else {
            Arc::clone(&self.purged)
        }
    }

    /// Every matching record from a place on, each with the place after it.
    fn walk<'a>(
        &'a self,
        org: &'a Org,
        collection: &'a Collection,
        overlay: &'a Overlay,
        purged: &'a BTreeSet<u64>,
        after: After,
    ) -> Box<dyn Iterator<Item = (After, View<'a>)> + 'a> {
        let records = &collection.records;
        let shown = self.shown();
        let Some(shown) = shown else {
            return Box::new(std::iter::empty());
        };
        if let Access::Listed(ids) = &self.access {
            let from = match after {
                After::Listed(at) => at,
                _ => 0,
            };
            let rest = ids.iter().enumerate().skip(from);
            return Box::new(rest.filter_map(move |(at, id)| {
                let view = records.view_at(overlay, *id, self.snapshot)?;
                let admitted = shown.admits(view.archived_ms.is_some()) && !purged.contains(id);
                admitted.then_some((After::Listed(at + 1), view))
            }));
        }
        let views = self.views(records, overlay, shown, after);
        let tested = !self.is_exact();
        let mut scratch = Vec::new();
        Box::new(views.filter_map(move |view| {
            let id = view.row.id;
            if view.archived_ms.is_some() && purged.contains(&id) {
                return None;
            }
            let reading = Reading {
                org,
                schema: &self.query.schema,
                view,
            };
            if tested && !self.holds(&reading, &mut scratch) {
                return None;
            }
            Some((After::Record((view.row.modified_ms, id)), view))
        }))
    }

    fn views<'a>(
        &'a self,
        records: &'a Records,
        overlay: &'a Overlay,
        shown: Shown,
        after: After,
    ) -> Box<dyn Iterator<Item = View<'a>> + 'a> {
        match &self.access {
            Access::ByTime(range, order) => {
                let mut range = range.clone();
                if let After::Record((time_ms, id)) = after {
                    match order {
                        TimeOrder::OldestFirst => range.start = (time_ms, id + 1),
                        TimeOrder::NewestFirst => range.end = (time_ms, id),
                    }
                }
                Box::new(records.by_time(overlay, range, *order, shown, self.snapshot))
            }
            Access::ById(range) => {
                let from = match after {
                    After::Record((_, id)) => id + 1,
                    _ => range.start,
                };
                let end = range.end;
                let views = records.by_id(overlay, from, shown, self.snapshot);
                Box::new(views.take_while(move |view| view.row.id < end))
            }
            Access::Listed(_) => Box::new(std::iter::empty()),
        }
    }

    /// Which records there are to look at; `None` for none.
    fn shown(&self) -> Option<Shown> {
        match (self.query.all_rows, self.query.bounds.deleted) {
            (false, Some(true)) => None,
            (false, _) | (true, Some(false)) => Some(Shown::Live),
            (true, Some(true)) => Some(Shown::Archived),
            (true, None) => Some(Shown::All),
        }
    }

    /// Whether the way of access alone admits exactly the matches.
    fn is_exact(&self) -> bool {
        let bounds = &self.query.bounds;
        bounds.complete
            && match &self.access {
                Access::ByTime(..) => bounds.ids == (0..u64::MAX),
                Access::ById(_) => bounds.modified == (i64::MIN..i64::MAX),
                Access::Listed(_) => true,
            }
    }

    fn holds(&self, reading: &Reading<'_>, scratch: &mut Vec<u8>) -> bool {
        let test = self.query.test.as_ref();
        test.is_none_or(|test| test.holds(reading, scratch))
    }

    /// How many records match, as far as anybody wants to know.
    fn count(&self, org: &Org, wanted: u64) -> u64 {
        let collection = org.collection(self.query.object);
        let records = &collection.records;
        let overlay = records.overlay();
        let purged = self.purged(collection);
        let current = self.snapshot == Snapshot::NOW || self.snapshot == overlay.snapshot();
        let Bounds { modified, ids, .. } = &self.query.bounds;
        if self.query.bounds.complete && self.shown() == Some(Shown::Live) && current {
            // In whatever order they are then shown.
            if *modified == (i64::MIN..i64::MAX) {
                return count_ids(records, &overlay, ids);
            }
            if *ids == (0..u64::MAX) {
                return records.count_between(&overlay, modified.start, modified.end) as u64;
            }
        }
        let walk = self.walk(org, collection, &overlay, &purged, After::Nothing);
        walk.take(usize::try_from(wanted).unwrap_or(usize::MAX))
            .count() as u64
    }

    /// The numbers of all matches in the order of the query.
    fn sorted(&self, org: &Org) -> Vec<u64> {
        let query = &self.query;
        let collection = org.collection(query.object);
        let records = &collection.records;
        let overlay = records.overlay();
        let Some(shown) = self.shown() else {
            return Vec::new();
        };
        let kept = query
            .limit
            .and_then(|limit| usize::try_from(limit + query.offset).ok());
        let mut scratch = Vec::new();
        let mut matches: Vec<(Keys, u64)> = Vec::new();
        let by_keys = |left: &(Keys, u64), right: &(Keys, u64)| compare(&query.order, left, right);
        for view in self.candidates(records, &overlay, shown) {
            let reading = Reading {
                org,
                schema: &query.schema,
                view,
            };
            if !self.holds(&reading, &mut scratch) {
                continue;
            }
            let keys = query.order.iter();
            let keys = keys.map(|key| value(&reading, query.schema.at(key.column), &mut scratch));
            matches.push((keys.collect(), view.row.id));
            // A bounded answer needs no memory for everything that it leaves out.
            if let Some(kept) = kept
                && matches.len() >= (2 * kept).max(4096)
            {
                matches.select_nth_unstable_by(kept, by_keys);
                matches.truncate(kept);
            }
        }
        matches.sort_unstable_by(by_keys);
        let ids = matches.into_iter().map(|(_, id)| id);
        ids.filter(|id| !self.purged.contains(id)).collect()
    }

    /// Records that may match, in no order.
    fn candidates<'a>(
        &'a self,
        records: &'a Records,
        overlay: &'a Overlay,
        shown: Shown,
    ) -> Box<dyn Iterator<Item = View<'a>> + 'a> {
        let bounds = &self.query.bounds;
        if let Some(named) = &bounds.named {
            let views = named.iter();
            let views = views.filter_map(|id| records.view_at(overlay, *id, self.snapshot));
            return Box::new(views.filter(move |view| shown.admits(view.archived_ms.is_some())));
        }
        if bounds.modified == (i64::MIN..i64::MAX) {
            return Box::new(records.by_id(overlay, bounds.ids.start, shown, self.snapshot));
        }
        let range = (bounds.modified.start, 0)..(bounds.modified.end, 0);
        let order = TimeOrder::OldestFirst;
        Box::new(records.by_time(overlay, range, order, shown, self.snapshot))
    }
}

/// The way through the records that gives the order of the query by itself.
fn natural(query: &Query) -> Option<Access> {
    let Bounds {
        modified,
        ids,
        named,
        ..
    } = &query.bounds;
    if named.is_some() {
        return None;
    }
    let sources: Vec<(Source, bool)> = query
        .order
        .iter()
        .map(|key| (query.schema.at(key.column).source, key.descending))
        .collect();
    let by_time = |order| Access::ByTime((modified.start, 0)..(modified.end, 0), order);
    match sources.as_slice() {
        [] if *modified == (i64::MIN..i64::MAX) => Some(Access::ById(ids.clone())),
        []
        | [(Source::SystemModstamp, false)]
        | [(Source::SystemModstamp, false), (Source::Id, false)] => {
            Some(by_time(TimeOrder::OldestFirst))
        }
        [(Source::SystemModstamp, true)] | [(Source::SystemModstamp, true), (Source::Id, true)] => {
            Some(by_time(TimeOrder::NewestFirst))
        }
        [(Source::Id, false)] => Some(Access::ById(ids.clone())),
        _ => None,
    }
}

fn compare(order: &[Key], left: &(Keys, u64), right: &(Keys, u64)) -> Ordering {
    for (key, (left, right)) in order.iter().zip(left.0.iter().zip(&right.0)) {
        let nulls = (*left == Comparable::Null, *right == Comparable::Null);
        let ordering = match nulls {
            // Nulls come first unless the query says otherwise, whatever the direction.
            (true, false) if key.nulls_last => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, true) if key.nulls_last => Ordering::Less,
            (false, true) => Ordering::Greater,
            _ if key.descending => right.order(left),
            _ => left.order(right),
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
    left.1.cmp(&right.1)
}

/// Live records of a range of numbers.
fn count_ids(records: &Records, overlay: &Overlay, range: &Range<u64>) -> u64 {
    let end = range.end.max(range.start);
    let generated = records.position_from(end) - records.position_from(range.start);
    let mut count = i64::from(generated);
    for (id, entry) in overlay.entries.range(range.start..end) {
        count -= i64::from(records.index_of(*id).is_some());
        count += i64::from(!entry.is_archived());
    }
    u64::try_from(count).unwrap_or(0)
}
