//! Pages of records: what is asked for, in which order, and where the next one starts.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use crate::generate::{Row, mix};
use crate::overlay::{Changes, Overlay};
use crate::pipedrive::account::{Account, Collection};
use crate::pipedrive::render::{Projection, RECORD_BYTES, column_text, is_set, record};
use crate::pipedrive::schema::Schema;
use crate::records::{Shown, Snapshot, TimeOrder, View};

/// For how long a deleted record can still be found.
pub(crate) const DELETED_FOR_MS: i64 = 30 * 86_400_000;

/// What a page is sorted by. Creation follows the ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sort {
    Id,
    Created,
    Updated,
}

/// Which records a list holds, and in which order.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    pub(crate) sort: Sort,
    pub(crate) descending: bool,
    pub(crate) since_ms: Option<i64>,
    /// Exclusive.
    pub(crate) until_ms: Option<i64>,
    /// Columns with the texts that they may have.
    pub(crate) wanted: Vec<(u16, Vec<String>)>,
    /// One pipeline alone; it follows from the stage.
    pub(crate) pipeline: Option<u64>,
    pub(crate) archived: bool,
    pub(crate) deleted: bool,
    pub(crate) ids: Option<Vec<u64>>,
}

/// Where a page ended: the last record's place in the order. Records that move
/// meanwhile are seen again, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    #[serde(rename = "id")]
    id: u64,
    #[serde(rename = "time")]
    modified_ms: i64,
    /// Of the parameters that the first page was asked with.
    #[serde(rename = "query")]
    pub(crate) query: u64,
}

/// One record apart from the store, for dialects that look into other records.
struct Detached {
    row: Row,
    blank: bool,
    changes: Changes,
    archived_ms: Option<i64>,
}

/// A rendered page.
pub(crate) struct Page {
    /// Records as JSON, comma-separated.
    pub(crate) records: Vec<u8>,
    pub(crate) returned: u64,
    /// The last record's place, when more follow.
    pub(crate) next: Option<Cursor>,
}

/// How a page is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    /// Continues after this record.
    pub(crate) after: Option<Cursor>,
    /// Leaves out this many.
    pub(crate) skip: usize,
    pub(crate) limit: usize,
    /// Renders no more than this many of them.
    pub(crate) keep: usize,
}

impl Cursor {
    /// The same place in the list of this query.
    pub(crate) fn of(self, query: u64) -> Cursor {
        Cursor { query, ..self }
    }

    pub(crate) fn text(self) -> String {
        BASE64.encode(&serde_json::to_vec(&self).unwrap_or_default())
    }

    pub(crate) fn parse(text: &str) -> Option<Cursor> {
        serde_json::from_slice(&BASE64.decode(text.as_bytes()).ok()?).ok()
    }
}

impl Selection {
    /// Every live record by id.
    pub(crate) fn all() -> Selection {
        Selection {
            sort: Sort::Id,
            descending: false,
            since_ms: None,
            until_ms: None,
            wanted: Vec::new(),
            pipeline: None,
            archived: false,
            deleted: false,
            ids: None,
        }
    }

    fn shown(&self) -> Shown {
        if self.deleted {
            Shown::Archived
        } else {
            Shown::Live
        }
    }

    fn holds(&self, view: &View<'_>, schema: &Schema, archived: Option<u16>, now_ms: i64) -> bool {
        let modified_ms = view.row.modified_ms;
        if self.since_ms.is_some_and(|since_ms| modified_ms < since_ms)
            || self
                .until_ms
                .is_some_and(|until_ms| modified_ms >= until_ms)
            || view.archived_ms.is_some() != self.deleted
            || view
                .archived_ms
                .is_some_and(|at_ms| at_ms <= now_ms - DELETED_FOR_MS)
            || (!self.deleted && is_set(view, schema, archived) != self.archived)
        {
            return false;
        }
        let mut text = Vec::new();
        let fits = self.wanted.iter().all(|(column, texts)| {
            text.clear();
            column_text(view, schema, *column, &mut text)
                && texts.iter().any(|wanted| wanted.as_bytes() == text)
        });
        fits && self.pipeline.is_none_or(|pipeline| {
            text.clear();
            let stage = schema.column("stage_id");
            stage.is_some_and(|stage| column_text(view, schema, stage, &mut text))
                && std::str::from_utf8(&text)
                    .ok()
                    .and_then(|text| text.parse().ok())
                    .is_some_and(|stage| crate::pipedrive::pipeline_of(stage) == pipeline)
        })
    }

    /// Records in order that may belong to the list, from the cursor on.
    fn candidates<'a>(
        &self,
        collection: &'a Collection,
        overlay: &'a Overlay,
        after: Option<Cursor>,
    ) -> Box<dyn Iterator<Item = View<'a>> + 'a> {
        let records = &collection.records;
        let (since_ms, until_ms) = (
            self.since_ms.unwrap_or(i64::MIN / 2),
            self.until_ms.unwrap_or(i64::MAX / 2),
        );
        if let Some(ids) = &self.ids {
            let mut ids = ids.clone();
            ids.sort_unstable();
            ids.dedup();
            return Box::new(
                ids.into_iter()
                    .filter_map(|id| collection.view_in(overlay, id)),
            );
        }
        if self.sort == Sort::Updated {
            let (mut from, mut until) = ((since_ms, 0), (until_ms, 0));
            match after {
                Some(last) if self.descending => until = until.min((last.modified_ms, last.id)),
                Some(last) => from = from.max((last.modified_ms, last.id + 1)),
                None => {}
            }
            let order = if self.descending {
                TimeOrder::NewestFirst
            } else {
                TimeOrder::OldestFirst
            };
            return Box::new(records.by_time(
                overlay,
                from..until,
                order,
                self.shown(),
                Snapshot::NOW,
            ));
        }
        let (mut from, mut until) = (0, u64::MAX);
        match after {
            Some(last) if self.descending => until = last.id,
            Some(last) => from = last.id + 1,
            None => {}
        }
        let windowed = self.since_ms.is_some() || self.until_ms.is_some();
        let within = records.timeline.modified_between(since_ms, until_ms).len();
        if windowed && within < records.count as usize / 64 {
            // Few records: they are found by time and put into the order of their ids.
            let moments = (since_ms, 0)..(until_ms, 0);
            let order = TimeOrder::OldestFirst;
            let found = records.by_time(overlay, moments, order, self.shown(), Snapshot::NOW);
            let mut found: Vec<View<'a>> = found
                .filter(|view| (from..until).contains(&view.row.id))
                .collect();
            found.sort_unstable_by_key(|view| view.row.id);
            if self.descending {
                found.reverse();
            }
            return Box::new(found.into_iter());
        }
        Box::new(records.between_ids(overlay, from..until, self.descending, self.shown()))
    }
}

/// Renders one page. `detached` lets go of the store before it renders, which looks
/// into other records.
pub(crate) fn render(
    account: &Account,
    collection: &Collection,
    schema: &Schema,
    selection: &Selection,
    cut: Cut,
    projection: &Projection,
    detached: bool,
) -> Page {
    let archived = schema.column("is_archived");
    let now_ms = account.clock.now_ms();
    let overlay = collection.records.overlay();
    let matching = selection
        .candidates(collection, &overlay, cut.after)
        .filter(|view| selection.holds(view, schema, archived, now_ms));
    let mut matching = matching.skip(cut.skip);
    let mut page = Page {
        records: Vec::with_capacity(cut.limit.min(cut.keep) * RECORD_BYTES / 2),
        returned: 0,
        next: None,
    };
    let mut last = None;
    let mut waiting = Vec::new();
    for view in matching.by_ref().take(cut.limit) {
        last = Some((view.row.id, view.row.modified_ms));
        if page.returned >= cut.keep as u64 {
            continue;
        }
        page.returned += 1;
        if detached {
            waiting.push(Detached::new(&view));
        } else {
            account.with_company(|company| {
                append(&mut page.records, |out| {
                    record(&view, schema, projection, company, out);
                });
            });
        }
    }
    if matching.next().is_some() {
        page.next = last.map(|(id, modified_ms)| Cursor {
            id,
            modified_ms,
            query: 0,
        });
    }
    drop(matching);
    drop(overlay);
    for record_apart in &waiting {
        account.with_company(|company| {
            append(&mut page.records, |out| {
                record(&record_apart.view(), schema, projection, company, out);
            });
        });
    }
    page
}

/// Renders one record, deleted or not; none where there is no such record any more.
pub(crate) fn single(
    account: &Account,
    collection: &Collection,
    schema: &Schema,
    id: u64,
    projection: &Projection,
) -> Option<Vec<u8>> {
    let now_ms = account.clock.now_ms();
    let detach = |view: View<'_>| {
        let kept = view
            .archived_ms
            .is_none_or(|at_ms| at_ms > now_ms - DELETED_FOR_MS);
        kept.then(|| Detached::new(&view))
    };
    let found = collection.records.with_view(id, detach)??;
    let mut out = Vec::with_capacity(RECORD_BYTES);
    account.with_company(|company| record(&found.view(), schema, projection, company, &mut out));
    Some(out)
}

fn append(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if !out.is_empty() {
        out.push(b',');
    }
    write(out);
}

impl Detached {
    fn new(view: &View<'_>) -> Detached {
        Detached {
            row: view.row,
            blank: view.blank,
            changes: view.changes.to_vec(),
            archived_ms: view.archived_ms,
        }
    }

    fn view(&self) -> View<'_> {
        View {
            row: self.row,
            blank: self.blank,
            changes: &self.changes,
            archived_ms: self.archived_ms,
        }
    }
}

/// A number for a list of parameters, the same in any order.
pub(crate) fn fingerprint<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> u64 {
    let hash = |text: &str| {
        let mut hash = mix(text.len() as u64);
        for byte in text.bytes() {
            hash = mix(hash ^ u64::from(byte));
        }
        hash
    };
    pairs.fold(0, |sum, (name, value)| {
        sum ^ mix(hash(name) ^ hash(value).rotate_left(17))
    }) >> 12
}
