//! CSV whose first row names the fields: how a row becomes the JSON object that the same
//! record would have been.

use crate::cut::CutError;
use crate::json::{Scanner, quote};
use crate::page::Scratch;
use csv_core::{ReadRecordResult, Reader};

/// The fields of a body of CSV.
#[derive(Clone, Debug)]
pub struct Table {
    fields: Vec<Field>,
}

/// One row, split into its values.
pub(crate) struct CsvRow {
    /// Between two rows; a clone of it would not know the format.
    reader: Reader,
    cells: Vec<u8>,
    ends: Vec<usize>,
}

impl Default for CsvRow {
    fn default() -> CsvRow {
        let mut row = CsvRow {
            reader: Reader::new(),
            cells: Vec::new(),
            ends: Vec::new(),
        };
        // Only at the start of a body a byte order mark is none of the text.
        row.reader.read_record(b"", &mut [], &mut []);
        row
    }
}

#[derive(Clone, Debug)]
struct Field {
    /// Quoted, with the colon behind it.
    name: Vec<u8>,
    /// Its values are booleans and numbers, not texts that look so.
    is_bare: bool,
}

impl Table {
    /// Reads the first row; the table, and how many bytes that was. None where there is
    /// nothing at all.
    ///
    /// # Errors
    /// [`CutError::Malformed`] where two fields have one name.
    pub(crate) fn open(text: &str, bare: &[String]) -> Result<Option<(Table, usize)>, CutError> {
        let mut first = CsvRow {
            reader: Reader::new(),
            ..CsvRow::default()
        };
        let Some(read) = first.read(text.as_bytes()) else {
            return Ok(None);
        };
        let fields: Vec<Field> = first
            .cells()
            .map(|name| {
                let mut quoted = Vec::with_capacity(name.len() + 3);
                quote(name, &mut quoted);
                quoted.push(b':');
                Field {
                    name: quoted,
                    is_bare: bare.iter().any(|one| one == name),
                }
            })
            .collect();
        let mut names: Vec<&[u8]> = fields.iter().map(|field| field.name.as_slice()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(CutError::Malformed { offset: 0 });
        }
        Ok(Some((Table { fields }, read)))
    }

    /// Appends the first row of `rows` as JSON to `scratch`, and says how many bytes it
    /// was; none where no row is left. A row of another length becomes an array, which
    /// the cutter refuses.
    pub(crate) fn write(&self, rows: &[u8], scratch: &mut Scratch) -> Option<usize> {
        let Scratch { json: out, row } = scratch;
        let read = row.read(rows)?;
        let named = row.ends.len() == self.fields.len();
        for (at, value) in row.cells().enumerate() {
            out.push(match (at, named) {
                (0, true) => b'{',
                (0, false) => b'[',
                _ => b',',
            });
            if named {
                out.extend_from_slice(&self.fields[at].name);
            }
            if value.is_empty() {
                out.extend_from_slice(b"null");
            } else if named && self.fields[at].is_bare && is_bare_scalar(value) {
                out.extend_from_slice(value.as_bytes());
            } else {
                quote(value, out);
            }
        }
        out.push(if named { b'}' } else { b']' });
        Some(read)
    }
}

impl CsvRow {
    /// Reads the first row; the bytes that it took, its line end included. None where
    /// there is none.
    fn read(&mut self, rows: &[u8]) -> Option<usize> {
        let CsvRow {
            reader,
            cells,
            ends,
        } = self;
        // Room for most rows; it grows for those that are longer.
        cells.resize(cells.len().max(1 << 10), 0);
        ends.resize(ends.capacity().max(64), 0);
        let (mut read, mut written, mut ended) = (0, 0, 0);
        loop {
            let (result, taken, put, ends_put) =
                reader.read_record(&rows[read..], &mut cells[written..], &mut ends[ended..]);
            read += taken;
            written += put;
            ended += ends_put;
            match result {
                // Nothing more comes: asked once more with no input, it ends the row.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => cells.resize(cells.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => ends.resize(ends.len() * 2, 0),
                ReadRecordResult::Record => {
                    ends.truncate(ended);
                    return Some(read);
                }
                ReadRecordResult::End => return None,
            }
        }
    }

    /// The values of the row that was read. Its text was checked, and rows and values
    /// are told apart by single bytes, so they are texts too.
    fn cells(&self) -> impl Iterator<Item = &str> {
        let all = self.ends.last().copied().unwrap_or_default();
        let text = simdutf8::basic::from_utf8(&self.cells[..all]).unwrap_or_default();
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(self.ends.iter().copied())
            .map(move |(start, end)| text.get(start..end).unwrap_or_default())
    }
}

/// Whether a text is a JSON boolean or number as it stands.
fn is_bare_scalar(text: &str) -> bool {
    if matches!(text, "true" | "false") {
        return true;
    }
    let last_is_digit = text.ends_with(|last: char| last.is_ascii_digit());
    let mut scanner = Scanner::new(text);
    text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        && last_is_digit
        && scanner.skip_value().is_ok()
        && scanner.finish().is_ok()
}
