//! One record in one of its versions, ready to be read cell by cell.

use crate::generate::{Generator, Row, write_value};

/// A record in one of its versions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    pub(crate) row: Row,
    /// Whether unwritten cells are null instead of generated.
    pub(crate) blank: bool,
    pub(crate) changes: &'a [(u16, Option<Box<str>>)],
    pub(crate) archived_ms: Option<i64>,
}

/// Where the value of one column comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) column: u16,
    pub(crate) generator: Generator,
    /// This column's share in a record's randomness.
    pub(crate) salt: u64,
}

impl View<'_> {
    /// What was written to a column since the record was generated, if anything was.
    pub(crate) fn written(&self, column: u16) -> Option<Option<&str>> {
        let mut changes = self.changes.iter();
        let (_, value) = changes.find(|(at, _)| *at == column)?;
        Some(value.as_deref())
    }

    /// Appends the text of a cell and returns true, or false for null.
    pub(crate) fn text(&self, cell: Cell, out: &mut Vec<u8>) -> bool {
        if let Some(written) = self.written(cell.column) {
            return written.is_some_and(|text| {
                out.extend_from_slice(text.as_bytes());
                true
            });
        }
        if self.blank && !cell.generator.is_system() {
            return false;
        }
        write_value(cell.generator, cell.salt, &self.row, out)
    }
}

/// A generated record as it was generated.
pub(crate) fn base_view(row: Row) -> View<'static> {
    View {
        row,
        blank: false,
        changes: &[],
        archived_ms: None,
    }
}
