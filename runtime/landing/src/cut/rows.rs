//! The records of a body of CSV, which stays where it is: rows are cut some at a time, so
//! that what they look like as JSON never exists as a whole.

use super::cutter::{Cutter, Plan};
use super::layout::Layout;
use super::{CutError, CutLimits, Outline, Summary, check_size, order, utf8};
use crate::page::{Page, Rejected, Row, Scratch, Text};
use crate::table::Table;
use bytes::Bytes;
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;
use tidegate_domain::record::CursorOrder;

/// Bytes of JSON that exist at once, about.
const SOME_BYTES: usize = 256 << 10;

/// Cuts a body of CSV. Its page holds the body as it came, with the table that reads it.
pub(super) fn cut(
    body: &Bytes,
    bare: &[String],
    plan: &Plan,
    limits: &CutLimits,
    sent_at_ms: u64,
) -> Result<(Page, Summary), CutError> {
    let text = utf8(body)?;
    let mut scratch = Scratch::default();
    let mut cut = Cut::default();
    let Some((table, mut at)) = Table::open(text, bare)? else {
        return Ok((cut.page(sent_at_ms), cut.summary));
    };
    let order = plan.cursor_order();
    loop {
        scratch.json.clear();
        cut.places.clear();
        while scratch.json.len() < SOME_BYTES {
            let start = scratch.json.len();
            let Some(read) = table.write(&body[at..], &mut scratch) else {
                break;
            };
            cut.places.push((start, at..at + read));
            scratch.json.push(b'\n');
            at += read;
        }
        if cut.places.is_empty() {
            break;
        }
        cut.json_bytes += scratch.json.len() as u64;
        if cut.json_bytes > limits.body_bytes_max {
            return Err(CutError::TooLarge {
                bytes: cut.json_bytes,
                bytes_max: limits.body_bytes_max,
            });
        }
        let lines = utf8(&scratch.json)?;
        let mut cutter = Cutter::new(lines, plan);
        Layout::Lines.read(lines, &mut cutter, &mut Outline::default())?;
        let (some, summary) = cutter.finish(sent_at_ms);
        cut.take(lines, some, summary, order)?;
        let records_max = limits.records_max;
        if cut.rows.len() + cut.rejected.len() > records_max {
            return Err(CutError::TooMany { records_max });
        }
    }
    let mut page = cut.page(sent_at_ms);
    page.body = body.clone();
    page.table = Some(Arc::new(table));
    Ok((page, cut.summary))
}

/// What was cut so far.
#[derive(Default)]
struct Cut {
    /// Where the rows that are cut now start as JSON, and where they lie in the body.
    places: Vec<(usize, Range<usize>)>,
    json_bytes: u64,
    rows: Vec<Row>,
    rejected: Vec<Rejected>,
    side: String,
    summary: Summary,
}

impl Cut {
    /// Takes what was cut from some rows, and points it at the body.
    fn take(
        &mut self,
        lines: &str,
        some: Page,
        summary: Summary,
        order: Option<CursorOrder>,
    ) -> Result<(), CutError> {
        for row in &some.rows {
            let record = self.place(&row.record);
            let key = self.aside(lines, &some, &row.key);
            let version = row.version.as_ref();
            let version = version.map(|version| self.aside(lines, &some, version));
            self.rows.push(Row {
                record,
                key,
                version,
                operation: row.operation,
            });
        }
        for rejected in some.rejected {
            let record = self.place(&rejected.record);
            self.rejected.push(Rejected { record, ..rejected });
        }
        self.summary.add(summary, order);
        check_size(self.side.len(), u64::from(u32::MAX))
    }

    /// Where the record lies in the body that starts there as JSON.
    fn place(&self, json: &Range<u32>) -> Range<u32> {
        let at = self
            .places
            .partition_point(|(start, _)| *start <= json.start as usize);
        let (_, row) = &self.places[at - 1];
        // A body has fewer than 2^32 bytes: `cut` has checked.
        row.start as u32..row.end as u32
    }

    /// Keeps a key or a version, which the body has only in quotes.
    fn aside(&mut self, lines: &str, some: &Page, text: &Text) -> Text {
        let text = match text {
            Text::Body(range) => &lines[range.start as usize..range.end as usize],
            Text::Side(_) => some.text(text),
        };
        let start = self.side.len() as u32;
        self.side.push_str(text);
        Text::Side(start..self.side.len() as u32)
    }

    fn page(&mut self, sent_at_ms: u64) -> Page {
        Page {
            body: Bytes::new(),
            side: Bytes::from(std::mem::take(&mut self.side)),
            rows: std::mem::take(&mut self.rows),
            rejected: std::mem::take(&mut self.rejected),
            extracted_at_ms: sent_at_ms,
            table: None,
        }
    }
}

impl Summary {
    /// Adds what comes behind in the same body.
    fn add(&mut self, next: Summary, order: Option<CursorOrder>) {
        self.records += next.records;
        self.bytes += next.bytes;
        self.deletes += next.deletes;
        self.rejected += next.rejected;
        self.skipped += next.skipped;
        self.first_key = self.first_key.take().or(next.first_key);
        self.last_key = next.last_key.or(self.last_key.take());
        let extremes = [
            (&mut self.min_cursor, next.min_cursor, Ordering::Less),
            (&mut self.max_cursor, next.max_cursor, Ordering::Greater),
        ];
        for (held, found, wanted) in extremes {
            let (Some(found), Some(order)) = (found, order) else {
                continue;
            };
            let is_better = match held.as_deref() {
                None => true,
                Some(held) => order::compare(order, &found, held) == Some(wanted),
            };
            if is_better {
                *held = Some(found);
            }
        }
    }
}
