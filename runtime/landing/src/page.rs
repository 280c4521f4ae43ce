//! A page: records cut out of one response body, still where the network put them.
//!
//! Rows are ranges of the body, so a record is not copied between the socket and
//! the encoder. A row of CSV stays CSV until then, and is written as JSON one by one.

use crate::table::{CsvRow, Table, Values};
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;
use tidegate_domain::record::Operation;

/// Records of one body, with what was cut out of each.
#[derive(Clone, Debug)]
pub struct Page {
    /// The body; every range below is one of its own.
    pub body: Bytes,
    /// Keys and versions, end to end, where they are not a plain range of the body.
    pub side: Bytes,
    /// The records, in the body's order.
    pub rows: Vec<Row>,
    /// Records that were refused, with the reason.
    pub rejected: Vec<Rejected>,
    /// When the request was sent, in milliseconds since the epoch.
    pub extracted_at_ms: u64,
    /// Reads the rows where the body is CSV; none where they are JSON already.
    pub table: Option<Arc<Table>>,
}

/// Room for the record that is looked at, used again for the next one.
#[derive(Default)]
pub struct Scratch {
    pub(crate) json: Vec<u8>,
    pub(crate) row: CsvRow,
}

/// One record of a page.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its JSON text in the body, or its row of CSV.
    pub record: Range<u32>,
    /// Its key, unescaped; several fields are joined by U+001F.
    pub key: Text,
    /// Its cursor's text, unescaped; none where the stream has no cursor.
    pub version: Option<Text>,
    /// What happened to it.
    pub operation: Operation,
}

/// Text in a page's body or beside it.
#[derive(Clone, Debug)]
pub enum Text {
    /// A range of the body.
    Body(Range<u32>),
    /// A range of `side`: the text had escapes or was joined.
    Side(Range<u32>),
}

/// A record that a cap or the schema refused.
#[derive(Clone, Debug)]
pub struct Rejected {
    /// Its text in the body.
    pub record: Range<u32>,
    /// Why, for people.
    pub reason: String,
}

impl Page {
    /// The text behind a reference. Empty where the range is not UTF-8, which the
    /// cutter never makes.
    pub fn text(&self, text: &Text) -> &str {
        let bytes = match text {
            Text::Body(range) => &self.body[range.start as usize..range.end as usize],
            Text::Side(range) => &self.side[range.start as usize..range.end as usize],
        };
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// A record's JSON text: where it lies in the body or, of a row of CSV, in `scratch`.
    pub fn record<'a>(&'a self, range: &Range<u32>, scratch: &'a mut Scratch) -> &'a [u8] {
        let Some(table) = &self.table else {
            return self.raw(range);
        };
        let Scratch { json, row } = scratch;
        json.clear();
        if let Some(values) = self.values(range, row) {
            table.write(&values, json);
        }
        json
    }

    /// The values of a row of CSV.
    pub(crate) fn values<'a>(
        &'a self,
        range: &Range<u32>,
        row: &'a mut CsvRow,
    ) -> Option<Values<'a>> {
        // The cutter has checked that it is UTF-8.
        let raw = simdutf8::basic::from_utf8(self.raw(range)).ok()?;
        row.read(raw).map(|(_, values)| values)
    }

    fn raw(&self, range: &Range<u32>) -> &[u8] {
        &self.body[range.start as usize..range.end as usize]
    }
}
