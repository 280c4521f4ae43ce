//! One bulk query: a result that stays as it was when the job began, and can be read in
//! pages of any size for as long as the job lives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{Dialect, JobState};
use crate::meter::add;
use crate::salesforce::object::Object;
use crate::salesforce::org::Org;
use crate::salesforce::soql::{Found, Place, csv_header, csv_row};
use crate::salesforce::values::moment;
use crate::salesforce::wire_id::wire_text;

/// Rows that are rendered between two pieces of a stream.
const PIECE_ROWS: u64 = 1000;
/// Bytes of a piece, about.
const PIECE_BYTES: usize = 256 << 10;

/// What a client asks for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Asked {
    pub(crate) operation: String,
    pub(crate) query: String,
    pub(crate) content_type: Option<String>,
    pub(crate) column_delimiter: Option<String>,
    pub(crate) line_ending: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct QueryJob {
    pub(crate) id: String,
    pub(crate) operation: &'static str,
    pub(crate) version: String,
    pub(crate) dialect: Dialect,
    pub(crate) created_ms: i64,
    pub(crate) changed_ms: i64,
    pub(crate) state: JobState,
    pub(crate) fails: bool,
    pub(crate) polls: u32,
    pub(crate) found: Arc<Found>,
    /// Rows before each place that is known.
    places: BTreeMap<u64, Place>,
    /// Rows before each page that a locator was given for.
    offered: BTreeSet<u64>,
}

impl QueryJob {
    pub(crate) fn new(
        id: String,
        operation: &'static str,
        version: &str,
        dialect: Dialect,
        found: Found,
        now_ms: i64,
    ) -> QueryJob {
        QueryJob {
            id,
            operation,
            version: version.to_owned(),
            dialect,
            created_ms: now_ms,
            changed_ms: now_ms,
            state: JobState::UploadComplete,
            fails: false,
            polls: 0,
            found: Arc::new(found),
            places: BTreeMap::from([(0, Place::default())]),
            offered: BTreeSet::from([0]),
        }
    }

    /// Goes on by one poll.
    pub(crate) fn poll(&mut self, polls: u32, now_ms: i64) {
        if self.state.is_terminal() {
            return;
        }
        self.polls += 1;
        self.changed_ms = now_ms;
        self.state = match (self.polls >= polls, self.fails) {
            (false, _) => JobState::InProgress,
            (true, true) => JobState::Failed,
            (true, false) => JobState::JobComplete,
        };
    }

    /// The job as the API shows it; the answer to its creation says less.
    pub(crate) fn json(&self, org: &Org, full: bool) -> Value {
        let mut job = json!({
            "id": self.id,
            "operation": self.operation,
            "object": self.found.query.object.name(),
            "createdById": wire_text(Object::User.prefix(), org.integration_user()),
            "createdDate": moment(self.created_ms),
            "systemModstamp": moment(self.changed_ms),
            "state": self.state.name(),
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": self.version.parse::<f64>().unwrap_or(0.0),
            "lineEnding": self.dialect.line_ending_name(),
            "columnDelimiter": self.dialect.delimiter_name,
        });
        if full {
            let done = self.state == JobState::JobComplete;
            job["jobType"] = json!("V2Query");
            job["numberRecordsProcessed"] = json!(if done { self.found.total } else { 0 });
            job["retries"] = json!(0);
            job["totalProcessingTime"] = json!(u64::from(self.polls) * 350);
            job["isPkChunkingSupported"] = json!(true);
        }
        if self.state == JobState::Failed {
            job["errorMessage"] = json!("InternalServerError : Unable to process the query");
        }
        job
    }

    /// Rows of a page, and those before the next one where there is one; `None` where no
    /// locator named such a page.
    pub(crate) fn offer(&mut self, before: u64, limit: u64) -> Option<(u64, Option<u64>)> {
        if !self.offered.contains(&before) {
            return None;
        }
        let rows = limit.min(self.found.total - before);
        let next = before + rows;
        if next >= self.found.total {
            return Some((rows, None));
        }
        self.offered.insert(next);
        Some((rows, Some(next)))
    }

    /// The nearest known place that has at most so many rows before it.
    pub(crate) fn place_before(&self, rows: u64) -> Place {
        let known = self.places.range(..=rows).next_back();
        known.map(|(_, place)| *place).unwrap_or_default()
    }

    /// Remembers a place.
    pub(crate) fn reach(&mut self, place: Place) {
        self.places.insert(place.served, place);
    }
}

/// One page of a result, ready to be rendered.
pub(crate) struct Page {
    pub(crate) org: Arc<Org>,
    pub(crate) job: String,
    pub(crate) found: Arc<Found>,
    pub(crate) dialect: Dialect,
    /// A known place, and the rows from it to the page.
    pub(crate) from: Place,
    pub(crate) skip: u64,
    pub(crate) rows: u64,
}

impl Page {
    /// Renders the page into pieces; `send` says whether to go on.
    pub(crate) fn render(&self, mut send: impl FnMut(Bytes) -> bool) {
        let line_end = self.dialect.line_end.as_bytes();
        let mut out = Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 4);
        csv_header(
            &self.found.query,
            self.dialect.delimiter,
            line_end,
            &mut out,
        );
        let mut place = Some(self.from);
        if self.skip > 0 {
            (_, place) = self.found.page(&self.org, self.from, self.skip, |_| {});
        }
        let mut left = self.rows;
        while let (Some(from), true) = (place, left > 0) {
            let (shown, next) = self
                .found
                .page(&self.org, from, left.min(PIECE_ROWS), |reading| {
                    let query = &self.found.query;
                    csv_row(query, reading, self.dialect.delimiter, line_end, &mut out);
                });
            add(&self.org.meter.records, shown);
            left -= shown.min(left);
            place = next;
            if out.len() >= PIECE_BYTES {
                let piece = std::mem::replace(&mut out, Vec::with_capacity(PIECE_BYTES));
                if !send(piece.into()) {
                    return;
                }
            }
        }
        if let Some(next) = place {
            let mut jobs = self.org.jobs.lock();
            if let Some(job) = jobs.queries.get_mut(&self.job) {
                job.reach(next);
            }
        }
        send(out.into());
    }

    /// Renders the page as a whole.
    pub(crate) fn whole(&self) -> Bytes {
        let mut all = Vec::new();
        self.render(|piece| {
            all.extend_from_slice(&piece);
            true
        });
        all.into()
    }

    /// Renders the page while it is read.
    pub(crate) fn stream(self) -> mpsc::Receiver<Bytes> {
        let (sender, receiver) = mpsc::channel(4);
        tokio::task::spawn_blocking(move || {
            self.render(|piece| {
                add(&self.org.meter.body_bytes, piece.len() as u64);
                sender.blocking_send(piece).is_ok()
            });
        });
        receiver
    }
}
