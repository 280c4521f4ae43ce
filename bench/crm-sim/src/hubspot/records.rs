//! The records of one object type with the properties that HubSpot gives them.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{PoisonError, RwLock};

use crate::generate::{Grain, email_index};
use crate::hubspot::config::Config;
use crate::hubspot::kind::Kind;
use crate::hubspot::render::{Projection, record};
use crate::hubspot::schema::Schema;
use crate::records::{ListPage, Population, Shown, Snapshot, View, Write, base_view};

#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) schema: Schema,
    stored: crate::records::Records,
    /// Records that were merged away, each with the one that it became a part of. They
    /// count as archived but are in no list of archived ones.
    merged: RwLock<BTreeMap<u64, u64>>,
}

impl Deref for Records {
    type Target = crate::records::Records;

    fn deref(&self) -> &crate::records::Records {
        &self.stored
    }
}

impl Records {
    pub(crate) fn new(kind: Kind, config: &Config) -> Records {
        Records {
            schema: Schema::new(kind, config),
            stored: crate::records::Records::new(Population {
                count: config.count(kind),
                seed: config.seed,
                first_id: kind.first_id(),
                tie_group: config.tie_group,
                tie_burst: config.tie_burst,
                grain: Grain::Millisecond,
            }),
            merged: RwLock::default(),
        }
    }

    /// Notes that a record became a part of another one.
    pub(crate) fn note_merged(&self, id: u64, into: u64) {
        let mut merged = self.merged.write().unwrap_or_else(PoisonError::into_inner);
        merged.insert(id, into);
    }

    /// The record that this one is a part of by now: itself, unless it was merged away.
    pub(crate) fn surviving(&self, id: u64) -> u64 {
        let merged = self.merged.read().unwrap_or_else(PoisonError::into_inner);
        let mut id = id;
        while let Some(into) = merged.get(&id) {
            id = *into;
        }
        id
    }

    pub(crate) fn is_live(&self, id: u64) -> bool {
        self.with_view(id, |view| view.archived_ms.is_none()) == Some(true)
    }

    /// Creates a record that holds only what a client writes and what the API
    /// derives from it.
    pub(crate) fn create_written(&self, write: Write) -> u64 {
        self.create_blank(write, |id, changes| self.schema.derive(id, changes))
    }

    /// The live record whose unique property (an id, address or domain) has
    /// this text.
    pub(crate) fn find(&self, column: u16, text: &str) -> Option<u64> {
        let overlay = self.overlay();
        let cell = self.schema.cell(column);
        let mut scratch = Vec::new();
        let mut holds = |view: View<'_>| {
            scratch.clear();
            view.text(cell, &mut scratch) && scratch.eq_ignore_ascii_case(text.as_bytes())
        };
        let written = overlay
            .range(0, Shown::Live, Snapshot::NOW)
            .find(|(id, entry, version)| holds(self.view_of(*id, entry, version)))
            .map(|(id, _, _)| id);
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
        let mut first = true;
        self.page(after, limit, archived, |view| {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            record(view, projection, out);
        })
    }

    /// Shows up to `limit` records after an id, in id order.
    pub(crate) fn page(
        &self,
        after: Option<u64>,
        limit: usize,
        archived: bool,
        mut show: impl FnMut(&View<'_>),
    ) -> ListPage {
        let from = after.map_or(0, |id| id.saturating_add(1));
        let merged = self.merged.read().unwrap_or_else(PoisonError::into_inner);
        if !archived || merged.is_empty() {
            let shown = if archived {
                Shown::Archived
            } else {
                Shown::Live
            };
            return self.walk(from, limit, shown, show);
        }
        let overlay = self.overlay();
        let views = self.by_id(&overlay, from, Shown::Archived, Snapshot::NOW);
        let mut views = views
            .filter(|view| !merged.contains_key(&view.row.id))
            .peekable();
        let (mut last, mut returned) = (None, 0);
        for view in views.by_ref().take(limit) {
            show(&view);
            last = Some(view.row.id);
            returned += 1;
        }
        ListPage {
            next_after: last.filter(|_| views.peek().is_some()),
            returned,
        }
    }
}
