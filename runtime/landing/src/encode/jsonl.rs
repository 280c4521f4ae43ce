//! JSON lines: each record as it came, with what is said of it spliced in front.

use super::columnar::Cutter;
use super::sink::{Blocks, Compressor};
use super::{EncodeError, Encoder, Finished};
use crate::json::{escape, quote};
use crate::moment::rfc3339;
use crate::page::{Page, Rejected, Row, Scratch};
use tidegate_domain::schema::Columns;
use tidegate_domain::slot::Content;

/// Rows, or rejected records.
pub(super) struct Lines<C> {
    out: Blocks<C>,
    content: Content,
    /// Looks records through for fields that are in none of the columns.
    look: Option<Cutter>,
    scratch: Scratch,
    rows: u64,
    drifted: u64,
}

impl<C: Compressor> Lines<C> {
    pub(super) fn new(compressor: C, content: Content, columns: Option<&Columns>) -> Self {
        Lines {
            out: Blocks::new(compressor),
            content,
            look: columns.map(Cutter::new),
            scratch: Scratch::default(),
            rows: 0,
            drifted: 0,
        }
    }
}

impl<C: Compressor> Encoder for Lines<C> {
    fn write(&mut self, page: &Page, rows: &[usize]) -> Result<(), EncodeError> {
        let behind = format!(
            r#"","_tg_extracted_at":"{}""#,
            rfc3339(page.extracted_at_ms)
        );
        for at in rows {
            match self.content {
                Content::Rows(_) => {
                    let row = &page.rows[*at];
                    let record = page.record(&row.record, &mut self.scratch);
                    if let Some(look) = &mut self.look {
                        let record = simdutf8::basic::from_utf8(record);
                        let record = record.map_err(|_| EncodeError::Record)?;
                        self.drifted += u64::from(look.row(record, |_, _, _| {})?.is_some());
                    }
                    write_row(page, row, record, &behind, &mut self.out.block);
                }
                Content::Rejected => {
                    let rejected = &page.rejected[*at];
                    let record = page.record(&rejected.record, &mut self.scratch);
                    write_rejected(rejected, record, &mut self.out.block);
                }
            }
            self.rows += 1;
            self.out.row_ended()?;
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.out.bytes()
    }

    fn rows(&self) -> u64 {
        self.rows
    }

    fn finish(self: Box<Self>) -> Result<Finished, EncodeError> {
        let misfits = self.look.as_ref().map(Cutter::misfits);
        Ok(Finished {
            misfits: misfits.unwrap_or_default(),
            ..self.out.finish(self.rows, self.drifted)?
        })
    }
}

fn write_row(page: &Page, row: &Row, record: &[u8], behind: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"_tg_key":""#);
    escape(page.text(&row.key), out);
    out.extend_from_slice(br#"","_tg_op":""#);
    out.extend_from_slice(row.operation.as_str().as_bytes());
    if let Some(version) = &row.version {
        out.extend_from_slice(br#"","_tg_version":""#);
        escape(page.text(version), out);
    }
    out.extend_from_slice(behind.as_bytes());
    let inside = record.get(1..).unwrap_or(b"}");
    if !inside.trim_ascii_start().starts_with(b"}") {
        out.push(b',');
    }
    push_line(inside, out);
    out.push(b'\n');
}

/// A record may lie on many lines; a line break in JSON is white space.
fn push_line(json: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(json);
    let has_break = |bytes: &[u8]| bytes.iter().fold(false, |any, byte| any | (*byte < b' '));
    if json.chunks(64).any(has_break) {
        for byte in &mut out[start..] {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    }
}

fn write_rejected(rejected: &Rejected, record: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"reason":"#);
    quote(&rejected.reason, out);
    out.extend_from_slice(br#","record":"#);
    // As text: it was refused, so it may be nothing that a JSON reader takes.
    quote(&String::from_utf8_lossy(record), out);
    out.extend_from_slice(b"}\n");
}
