//! CSV whose first row names the fields: how a row becomes the JSON object that the same
//! record would have been, or a part of it.

use crate::cut::CutError;
use crate::json::{Scanner, escape, quote};
use memchr::{memchr, memchr3};
use std::ops::Range;

/// The fields of a body of CSV.
#[derive(Clone, Debug)]
pub struct Table {
    fields: Vec<Field>,
    /// Bytes of all names as JSON, with what stands around a name and its value.
    names_bytes: usize,
}

#[derive(Clone, Debug)]
struct Field {
    name: String,
    /// Quoted, with the comma before and the colon behind it.
    json: String,
    /// Its values are booleans and numbers, not texts that look so.
    is_bare: bool,
}

/// Room for the values of one row, used again for the next one.
#[derive(Default)]
pub(crate) struct CsvRow {
    places: Vec<Place>,
    /// Values that do not stand in the row as they read, or that have quotes.
    copied: String,
}

struct Place {
    range: Range<usize>,
    is_copied: bool,
}

/// The values of one row.
pub(crate) struct Values<'r> {
    /// The row without its line end.
    text: &'r str,
    row: &'r CsvRow,
}

impl Table {
    /// Reads the first row; the table, and how many bytes that was. None where there is
    /// nothing at all.
    ///
    /// # Errors
    /// [`CutError::Malformed`] where two fields have one name.
    pub(crate) fn open(text: &str, bare: &[String]) -> Result<Option<(Table, usize)>, CutError> {
        // Only here a byte order mark is none of the text.
        let unmarked = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut row = CsvRow::default();
        let Some((read, names)) = row.read(unmarked) else {
            return Ok(None);
        };
        let fields: Vec<Field> = names
            .iter()
            .map(|name| {
                let mut json = vec![b','];
                quote(name, &mut json);
                json.push(b':');
                Field {
                    name: name.to_owned(),
                    json: String::from_utf8(json).unwrap_or_default(),
                    is_bare: bare.iter().any(|one| one == name),
                }
            })
            .collect();
        let mut names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(CutError::Malformed { offset: 0 });
        }
        let names_bytes = fields.iter().map(|field| field.json.len()).sum();
        let table = Table {
            fields,
            names_bytes,
        };
        Ok(Some((table, text.len() - unmarked.len() + read)))
    }

    /// The names of the fields, in their order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name.as_str())
    }

    /// A field's name as it stands in JSON, without the quotes.
    pub(crate) fn escaped_name(&self, field: usize) -> &str {
        let json = &self.fields[field].json;
        json.strip_prefix(",\"")
            .and_then(|json| json.strip_suffix("\":"))
            .unwrap_or_default()
    }

    /// A value as JSON.
    pub(crate) fn json(&self, values: &Values<'_>, field: usize) -> String {
        let mut json = Vec::new();
        values.write(field, self.fields[field].is_bare, true, &mut json);
        String::from_utf8(json).unwrap_or_default()
    }

    /// Whether a row has a value for each field and no more.
    pub(crate) fn fits(&self, values: &Values<'_>) -> bool {
        values.len() == self.fields.len()
    }

    /// How long a row's JSON is at the least, and nearly: only escapes make it longer,
    /// six times at the most.
    pub(crate) fn json_bytes(&self, values: &Values<'_>) -> usize {
        self.names_bytes + values.text.len()
    }

    /// Appends a row as JSON. A row of another length becomes an array, which the cutter
    /// refuses.
    pub(crate) fn write(&self, values: &Values<'_>, out: &mut Vec<u8>) {
        if self.fits(values) {
            return self.write_some(values, 0..self.fields.len(), out);
        }
        let escapes = values.have_escapes();
        let start = out.len();
        for at in 0..values.len() {
            out.push(b',');
            values.write(at, false, escapes, out);
        }
        out[start] = b'[';
        out.push(b']');
    }

    /// Appends an object of some values of a row that [fits](Self::fits).
    pub(crate) fn write_some(
        &self,
        values: &Values<'_>,
        fields: impl IntoIterator<Item = usize>,
        out: &mut Vec<u8>,
    ) {
        let escapes = values.have_escapes();
        let start = out.len();
        for at in fields {
            let field = &self.fields[at];
            out.extend_from_slice(field.json.as_bytes());
            values.write(at, field.is_bare, escapes, out);
        }
        match out.get_mut(start) {
            Some(comma) => *comma = b'{',
            None => out.push(b'{'),
        }
        out.push(b'}');
    }
}

impl CsvRow {
    /// Reads the first row: the bytes that it took, its line end included, and its
    /// values. None where there is none. Empty lines are none.
    ///
    /// As most readers do, it takes any line end, quotes that stand in a value without
    /// quotes, what follows a closing quote, and a last value whose quote is not closed.
    pub(crate) fn read<'r>(&'r mut self, rows: &'r str) -> Option<(usize, Values<'r>)> {
        self.places.clear();
        self.copied.clear();
        let bytes = rows.as_bytes();
        let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let start = bytes.iter().position(|byte| !is_end(byte))?;
        let mut at = start;
        loop {
            let end = match bytes.get(at) {
                Some(b'"') => self.quoted(rows, at + 1),
                _ => {
                    let end = value_end(bytes, at);
                    self.unquoted(rows, at..end);
                    end
                }
            };
            let taken = match bytes.get(end) {
                Some(b',') => {
                    at = end + 1;
                    continue;
                }
                Some(b'\r') if bytes.get(end + 1) == Some(&b'\n') => end + 2,
                Some(_) => end + 1,
                None => end,
            };
            let text = &rows[..end];
            return Some((taken, Values { text, row: self }));
        }
    }

    fn unquoted(&mut self, rows: &str, range: Range<usize>) {
        let has_quotes = rows.as_bytes()[range.clone()].contains(&b'"');
        if !has_quotes {
            return self.push(range, false);
        }
        let first = self.copied.len();
        self.copied.push_str(&rows[range]);
        self.push(first..self.copied.len(), true);
    }

    /// Takes a value behind its opening quote; where it ends.
    fn quoted(&mut self, rows: &str, start: usize) -> usize {
        let bytes = rows.as_bytes();
        let close = |from: usize| memchr(b'"', &bytes[from..]).map(|at| from + at);
        let Some(mut closing) = close(start) else {
            self.push(start..bytes.len(), false);
            return bytes.len();
        };
        if matches!(bytes.get(closing + 1), None | Some(b',' | b'\n' | b'\r')) {
            self.push(start..closing, false);
            return closing + 1;
        }
        let first = self.copied.len();
        let mut from = start;
        let end = loop {
            if bytes.get(closing + 1) != Some(&b'"') {
                self.copied.push_str(&rows[from..closing]);
                let end = value_end(bytes, closing + 1);
                self.copied.push_str(&rows[closing + 1..end]);
                break end;
            }
            // Two quotes stand for one.
            self.copied.push_str(&rows[from..=closing]);
            from = closing + 2;
            match close(from) {
                Some(next) => closing = next,
                None => {
                    self.copied.push_str(&rows[from..]);
                    break bytes.len();
                }
            }
        };
        self.push(first..self.copied.len(), true);
        end
    }

    fn push(&mut self, range: Range<usize>, is_copied: bool) {
        self.places.push(Place { range, is_copied });
    }
}

/// Where a value without quotes ends.
fn value_end(bytes: &[u8], at: usize) -> usize {
    let found = memchr3(b',', b'\n', b'\r', &bytes[at..]);
    found.map_or(bytes.len(), |found| at + found)
}

impl<'r> Values<'r> {
    pub(crate) fn len(&self) -> usize {
        self.row.places.len()
    }

    pub(crate) fn at(&self, at: usize) -> &'r str {
        let Place { range, is_copied } = &self.row.places[at];
        let text = if *is_copied {
            &self.row.copied
        } else {
            self.text
        };
        &text[range.clone()]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &'r str> {
        (0..self.len()).map(|at| self.at(at))
    }

    /// Whether a value that was not copied may have something that JSON escapes, besides
    /// quotes.
    fn have_escapes(&self) -> bool {
        let escaped = |any, byte: &u8| any | (*byte < b' ') | (*byte == b'\\');
        self.text.as_bytes().iter().fold(false, escaped)
    }

    /// Appends a value as JSON.
    fn write(&self, at: usize, is_bare: bool, escapes: bool, out: &mut Vec<u8>) {
        let value = self.at(at);
        if value.is_empty() {
            out.extend_from_slice(b"null");
        } else if is_bare && is_bare_scalar(value) {
            out.extend_from_slice(value.as_bytes());
        } else {
            out.push(b'"');
            if escapes || self.row.places[at].is_copied {
                escape(value, out);
            } else {
                out.extend_from_slice(value.as_bytes());
            }
            out.push(b'"');
        }
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn rows_of(text: &str) -> Vec<Vec<String>> {
        let mut row = CsvRow::default();
        let mut at = 0;
        let mut rows = Vec::new();
        while let Some((read, values)) = row.read(&text[at..]) {
            at += read;
            rows.push(values.iter().map(str::to_owned).collect());
        }
        rows
    }

    fn rows_of_the_library(text: &str) -> Vec<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .has_headers(false)
            .from_reader(text.as_bytes());
        let rows = reader.records().map(|row| row.unwrap());
        let rows = rows.map(|row| row.iter().map(str::to_owned).collect());
        rows.collect()
    }

    #[test]
    fn odd_rows_read_as_the_csv_library_reads_them() {
        for text in [
            "",
            "\n\r\n",
            "a",
            "a,",
            ",\n,",
            "\"\"",
            "\"",
            "\"a",
            "\"a\"\"",
            "\"a\"\"b\",c\r\nd",
            "\"a\"b\"c\",d\n",
            "a\"b,\"c\"\"\"\n\n\ne",
            "\"a,\nb\"\r\"c\"",
        ] {
            assert_eq!(rows_of(text), rows_of_the_library(text), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_reads_as_the_csv_library_reads_it(text in "[a\",,\"\"\n\r é]{0,40}") {
            prop_assert_eq!(rows_of(&text), rows_of_the_library(&text));
        }
    }
}
