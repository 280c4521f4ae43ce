//! The page that answers a search, and what is remembered between pages.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::request::{Order, Request, Sort};
use crate::intercom::account::Account;
use crate::intercom::kind::Kind;
use crate::overlay::{Origin, Overlay};
use crate::records::{Moment, Records, Shown, Snapshot, TimeOrder, View, base_view};

/// Answers remembered at most.
const REMEMBERED_MAX: usize = 64;

/// Sort key and id of a record.
type Place = (i64, u64);

/// What was found for a query at a revision of the records.
type Remembered<T> = Mutex<HashMap<String, (u64, T)>>;

/// What earlier pages of the same searches found out, as long as no record changes.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    totals: Remembered<u64>,
    sorted: Remembered<Arc<Vec<Place>>>,
}

/// What a page says besides its records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) total: u64,
    pub(crate) returned: u64,
    /// The last record, when more follow.
    pub(crate) last: Option<Place>,
}

/// Shows the records of the page that a search asks for.
pub(crate) fn page(
    account: &Account,
    kind: Kind,
    request: &Request,
    mut show: impl FnMut(&View<'_>),
) -> Found {
    let records = account.records(kind);
    let overlay = records.overlay();
    let search = Search {
        account,
        kind,
        records,
        overlay: &overlay,
        until_ms: account.indexed_until_ms(),
        request,
    };
    let mut found = Found {
        total: search.total(),
        returned: 0,
        last: None,
    };
    let mut last = None;
    search.visit(&mut |key_ms, view| {
        if found.returned == request.per_page as u64 {
            found.last = last;
            return false;
        }
        show(view);
        last = Some((key_ms, view.row.id));
        found.returned += 1;
        true
    });
    found
}

struct Search<'a> {
    account: &'a Account,
    kind: Kind,
    records: &'a Records,
    overlay: &'a Overlay,
    /// Changes after this time are not in the index.
    until_ms: i64,
    request: &'a Request,
}

impl Search<'_> {
    /// Visits the matching records after the cursor, in order, while `visit` says so.
    fn visit(&self, visit: &mut dyn FnMut(i64, &View<'_>) -> bool) {
        if self.request.sort == Sort::Created {
            let sorted = self.sorted();
            let from = self.request.after.map_or(0, |cursor| {
                let after = (cursor.key_ms, cursor.id);
                sorted.partition_point(|place| match self.request.order {
                    Order::Ascending => *place <= after,
                    Order::Descending => *place >= after,
                })
            });
            for (key_ms, id) in &sorted[from.min(sorted.len())..] {
                let Some(view) = self.indexed(*id) else {
                    continue;
                };
                if !visit(*key_ms, &view) {
                    return;
                }
            }
            return;
        }
        let spans = self.request.query.spans().spans;
        let (Some(first), Some(last)) = (spans.first(), spans.last()) else {
            return;
        };
        let (mut from, mut until): (Moment, Moment) = ((first.0, 0), (last.1, 0));
        let order = match (self.request.order, self.request.after) {
            (Order::Ascending, after) => {
                from = after.map_or(from, |after| from.max((after.key_ms, after.id + 1)));
                TimeOrder::OldestFirst
            }
            (Order::Descending, after) => {
                until = after.map_or(until, |after| until.min((after.key_ms, after.id)));
                TimeOrder::NewestFirst
            }
        };
        self.in_order(from, until, order, &mut |view| {
            !self.matches(view) || visit(view.row.modified_ms, view)
        });
    }

    /// How many records match.
    fn total(&self) -> u64 {
        let spans = self.request.query.spans();
        let lags = self.until_ms != i64::MAX;
        if spans.exact && !lags {
            let counts = spans.spans.iter();
            let counts =
                counts.map(|(from, until)| self.records.count_between(self.overlay, *from, *until));
            return counts.sum::<usize>() as u64;
        }
        let key = format!("{:?} {}", self.kind, self.request.text);
        let revision = self.account.revision();
        if let Some((known, total)) = lock(&self.account.answers.totals).get(&key)
            && *known == revision
            && !lags
        {
            return *total;
        }
        let mut total = 0;
        self.each_match(&mut |_| total += 1);
        remember(&self.account.answers.totals, key, (revision, total));
        total
    }

    /// The matching records by creation.
    fn sorted(&self) -> Arc<Vec<Place>> {
        let (order, text) = (self.request.order, &self.request.text);
        let key = format!("{:?} {order:?} {text}", self.kind);
        let revision = self.account.revision();
        let lags = self.until_ms != i64::MAX;
        if let Some((known, sorted)) = lock(&self.account.answers.sorted).get(&key)
            && *known == revision
            && !lags
        {
            return Arc::clone(sorted);
        }
        let mut sorted = Vec::new();
        self.each_match(&mut |view| sorted.push((view.row.created_ms, view.row.id)));
        sorted.sort_unstable();
        if order == Order::Descending {
            sorted.reverse();
        }
        let sorted = Arc::new(sorted);
        let remembered = (revision, Arc::clone(&sorted));
        remember(&self.account.answers.sorted, key, remembered);
        sorted
    }

    fn each_match(&self, count: &mut dyn FnMut(&View<'_>)) {
        for (from_ms, until_ms) in self.request.query.spans().spans {
            self.in_order(
                (from_ms, 0),
                (until_ms, 0),
                TimeOrder::OldestFirst,
                &mut |view| {
                    if self.matches(view) {
                        count(view);
                    }
                    true
                },
            );
        }
    }

    fn matches(&self, view: &View<'_>) -> bool {
        self.request.query.matches(self.account, self.kind, view)
    }

    /// Visits the records as the index has them, in order of modification.
    fn in_order(
        &self,
        from: Moment,
        until: Moment,
        order: TimeOrder,
        visit: &mut dyn FnMut(&View<'_>) -> bool,
    ) {
        let current =
            self.records
                .by_time(self.overlay, from..until, order, Shown::Live, Snapshot::NOW);
        if self.until_ms == i64::MAX {
            for view in current {
                if !visit(&view) {
                    return;
                }
            }
            return;
        }
        let lagging = self.overlay.applied_after(self.until_ms);
        let moment = |view: &View<'_>| (view.row.modified_ms, view.row.id);
        let mut old: Vec<View<'_>> = lagging
            .iter()
            .filter_map(|id| self.indexed(*id))
            .filter(|view| (from..until).contains(&moment(view)))
            .collect();
        // Taken from the back.
        old.sort_unstable_by_key(|view| std::cmp::Reverse(moment(view)));
        if order == TimeOrder::NewestFirst {
            old.reverse();
        }
        let descending = order == TimeOrder::NewestFirst;
        for view in current.filter(|view| !lagging.contains(&view.row.id)) {
            while let Some(first) = old.last()
                && (moment(first) < moment(&view)) != descending
            {
                if !old.pop().is_some_and(|first| visit(&first)) {
                    return;
                }
            }
            if !visit(&view) {
                return;
            }
        }
        while let Some(first) = old.pop() {
            if !visit(&first) {
                return;
            }
        }
    }

    /// A live record as the index has it.
    fn indexed(&self, id: u64) -> Option<View<'_>> {
        let Some(entry) = self.overlay.entries.get(&id) else {
            return Some(base_view(self.records.row(self.records.index_of(id)?)));
        };
        let mut versions = entry.versions.iter().rev();
        let version = versions.find(|version| version.applied_ms <= self.until_ms);
        match (version, entry.origin) {
            (Some(version), _) if version.archived_ms.is_some() => None,
            (Some(version), _) => Some(self.records.view_of(id, entry, version)),
            (None, Origin::Generated(index)) => Some(base_view(self.records.row(index))),
            (None, _) => None,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remember<T>(answers: &Remembered<T>, key: String, answer: (u64, T)) {
    let mut answers = lock(answers);
    if answers.len() >= REMEMBERED_MAX {
        answers.clear();
    }
    answers.insert(key, answer);
}
