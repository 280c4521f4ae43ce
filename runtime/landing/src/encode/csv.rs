//! CSV with a header row. Null is an empty field, an empty text is `""`.

use super::columnar::{Cell, Cutter};
use super::sink::{Blocks, Compressor};
use super::{EncodeError, Encoder, Finished};
use crate::moment::rfc3339;
use crate::page::{Page, Scratch};
use std::borrow::Cow;
use tidegate_domain::schema::{Columns, EXTRA_COLUMN, ROW_COLUMNS};

pub(super) struct Rows<C> {
    out: Blocks<C>,
    cutter: Cutter,
    scratch: Scratch,
    rows: u64,
    drifted: u64,
}

impl<C: Compressor> Rows<C> {
    pub(super) fn new(compressor: C, columns: &Columns) -> Self {
        let mut out = Blocks::new(compressor);
        for name in ROW_COLUMNS {
            push_field(name, &mut out.block);
        }
        for column in columns.as_slice() {
            push_field(&column.name, &mut out.block);
        }
        push_field(EXTRA_COLUMN, &mut out.block);
        end_row(&mut out.block);
        Rows {
            out,
            cutter: Cutter::new(columns),
            scratch: Scratch::default(),
            rows: 0,
            drifted: 0,
        }
    }
}

impl<C: Compressor> Encoder for Rows<C> {
    fn write(&mut self, page: &Page, rows: &[usize]) -> Result<(), EncodeError> {
        let extracted_at = rfc3339(page.extracted_at_ms);
        for at in rows {
            let row = &page.rows[*at];
            let out = &mut self.out.block;
            push_field(page.text(&row.key), out);
            push_field(row.operation.as_str(), out);
            match &row.version {
                Some(version) => push_field(page.text(version), out),
                None => out.push(b','),
            }
            push_field(&extracted_at, out);
            let cell = |_, cell: Cell<'_>, text: &str| match cell {
                Cell::Null => out.push(b','),
                Cell::Text(text) => push_field(&text, out),
                // Checked, but written as the source wrote it.
                _ => push_field(text.trim_matches('"'), out),
            };
            let extra = self
                .cutter
                .row_of(page, &row.record, &mut self.scratch, cell)?;
            match extra {
                Some(extra) => {
                    push_field(extra, out);
                    self.drifted += 1;
                }
                None => out.push(b','),
            }
            end_row(out);
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
        Ok(Finished {
            misfits: self.cutter.misfits(),
            ..self.out.finish(self.rows, self.drifted)?
        })
    }
}

fn push_field(text: &str, out: &mut Vec<u8>) {
    let special = |any, byte: &u8| any | matches!(byte, b'"' | b',' | b'\n' | b'\r');
    if text.is_empty() || text.as_bytes().iter().fold(false, special) {
        let doubled = match text.contains('"') {
            true => Cow::Owned(text.replace('"', "\"\"")),
            false => Cow::Borrowed(text),
        };
        out.push(b'"');
        out.extend_from_slice(doubled.as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(text.as_bytes());
    }
    out.push(b',');
}

/// Each field has put a comma behind itself.
fn end_row(out: &mut Vec<u8>) {
    out.pop();
    out.push(b'\n');
}
