//! The records of a body of CSV, which stays where it is: rows are cut some at a time, and
//! only what tells them apart is written as the JSON that a cutter reads.

use super::cutter::{Cutter, Plan};
use super::layout::Layout;
use super::{CutError, CutLimits, Outline, Summary, check_size, order, utf8};
use crate::page::{Page, Rejected, Row, Text};
use crate::table::{CsvRow, Table};
use bytes::Bytes;
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;
use tidegate_domain::record::CursorOrder;

/// Bytes of JSON that exist at once, about.
const SOME_BYTES: usize = 64 << 10;
/// A byte of text has six in JSON at the most.
const ESCAPE_BYTES: u64 = 6;

/// Cuts a body of CSV. Its page holds the body as it came, with the table that reads it.
pub(super) fn cut(
    body: &Bytes,
    bare: &[String],
    plan: &Plan,
    limits: &CutLimits,
    sent_at_ms: u64,
) -> Result<(Page, Summary), CutError> {
    let text = utf8(body)?;
    let mut cut = Cut::default();
    let Some((table, at)) = Table::open(text, bare)? else {
        return Ok((cut.page(sent_at_ms), cut.summary));
    };
    let mut rows = Rows::new(text, at, &table, plan, limits.record_bytes_max);
    let order = plan.cursor_order();
    while rows.write_some() {
        let lines = utf8(&rows.json)?;
        let mut cutter = Cutter::new(lines, plan);
        Layout::Lines.read(lines, &mut cutter, &mut Outline::default())?;
        let (some, summary) = cutter.finish(sent_at_ms);
        cut.take(lines, &rows.places, some, summary, order)?;
        // What is small as CSV may be large as JSON, where each row names its fields.
        check_size(rows.whole_bytes, limits.body_bytes_max)?;
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

/// The rows of a body, as what is looked at of them.
struct Rows<'a> {
    text: &'a str,
    at: usize,
    table: &'a Table,
    /// The fields that are looked at.
    fields: Vec<usize>,
    record_bytes_max: u64,
    row: CsvRow,
    json: Vec<u8>,
    /// Where the rows that are written now start as JSON, and where they lie in the body.
    places: Vec<(usize, Range<usize>)>,
    /// What all rows so far are as JSON, about.
    whole_bytes: usize,
}

impl<'a> Rows<'a> {
    fn new(text: &'a str, at: usize, table: &'a Table, plan: &Plan, record_bytes_max: u64) -> Self {
        // Names that no record may have are looked at too.
        let is_looked_at =
            |name: &str| name.starts_with("_tg_") || plan.members().any(|member| member == name);
        let fields = table.names().enumerate();
        let fields = fields.filter_map(|(at, name)| is_looked_at(name).then_some(at));
        Rows {
            fields: fields.collect(),
            text,
            at,
            table,
            record_bytes_max,
            row: CsvRow::default(),
            json: Vec::with_capacity(2 * SOME_BYTES),
            places: Vec::new(),
            whole_bytes: 0,
        }
    }

    /// Writes the next rows in place of those before; false where there are none.
    fn write_some(&mut self) -> bool {
        self.json.clear();
        self.places.clear();
        while self.json.len() < SOME_BYTES {
            let Some((read, values)) = self.row.read(&self.text[self.at..]) else {
                break;
            };
            self.places.push((self.json.len(), self.at..self.at + read));
            self.at += read;
            let bytes = self.table.json_bytes(&values);
            self.whole_bytes += bytes;
            // Where it may be too long, its length counts.
            let is_short = bytes as u64 <= self.record_bytes_max / ESCAPE_BYTES;
            if self.table.fits(&values) && is_short {
                let fields = self.fields.iter().copied();
                self.table.write_some(&values, fields, &mut self.json);
            } else {
                self.table.write(&values, &mut self.json);
            }
            self.json.push(b'\n');
        }
        !self.places.is_empty()
    }
}

/// What was cut so far.
#[derive(Default)]
struct Cut {
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
        places: &[(usize, Range<usize>)],
        some: Page,
        summary: Summary,
        order: Option<CursorOrder>,
    ) -> Result<(), CutError> {
        let mut lies = Lies { places, at: 0 };
        let mut bytes = 0;
        for row in &some.rows {
            let record = lies.find(&row.record);
            bytes += u64::from(record.end - record.start);
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
        let mut lies = Lies { places, at: 0 };
        for rejected in some.rejected {
            let record = lies.find(&rejected.record);
            self.rejected.push(Rejected { record, ..rejected });
        }
        self.summary.add(Summary { bytes, ..summary }, order);
        check_size(self.side.len(), u64::from(u32::MAX))
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

/// Where rows lie that are asked for in their order.
struct Lies<'a> {
    places: &'a [(usize, Range<usize>)],
    at: usize,
}

impl Lies<'_> {
    /// Where the row lies in the body that starts there as JSON.
    fn find(&mut self, json: &Range<u32>) -> Range<u32> {
        while self.places[self.at].0 < json.start as usize {
            self.at += 1;
        }
        let (_, row) = &self.places[self.at];
        // A body has fewer than 2^32 bytes: `cut` has checked.
        row.start as u32..row.end as u32
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
