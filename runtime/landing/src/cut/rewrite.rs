//! Bodies that are not JSON objects yet, turned into lines of them.

use super::cutter::scalar;
use super::layout::{Layout, Records};
use super::{CutError, Outline, Pairs, check_size, utf8};
use crate::json::{Paths, Scanner, Walk, names, quote};
use bytes::Bytes;

/// Each row as an object, named by the first row: of strings, of nulls where a value is
/// empty, and in `bare` fields of booleans and numbers, so that a record reads the same
/// however it was asked for. A row of another length becomes an array, which the cutter
/// rejects.
pub(super) fn csv_to_lines(
    body: &[u8],
    bare: &[String],
    bytes_max: u64,
) -> Result<Bytes, CutError> {
    let text = utf8(body)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let malformed = |error: csv::Error| CutError::Malformed {
        offset: error.position().map_or(0, csv::Position::byte),
    };
    let mut row = csv::StringRecord::new();
    if !reader.read_record(&mut row).map_err(malformed)? {
        return Ok(Bytes::new());
    }
    let fields: Vec<Vec<u8>> = row.iter().map(quoted).collect();
    let is_bare: Vec<bool> = row
        .iter()
        .map(|name| bare.iter().any(|one| one == name))
        .collect();
    let mut distinct: Vec<&Vec<u8>> = fields.iter().collect();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < fields.len() {
        return Err(CutError::Malformed { offset: 0 });
    }
    let mut out = Vec::with_capacity(body.len() * 2);
    while reader.read_record(&mut row).map_err(malformed)? {
        let named = row.len() == fields.len();
        for (at, value) in row.iter().enumerate() {
            out.push(match (at, named) {
                (0, true) => b'{',
                (0, false) => b'[',
                _ => b',',
            });
            if named {
                out.extend_from_slice(&fields[at]);
                out.push(b':');
            }
            if value.is_empty() {
                out.extend_from_slice(b"null");
            } else if named && is_bare[at] && is_bare_scalar(value) {
                out.extend_from_slice(value.as_bytes());
            } else {
                quote(value, &mut out);
            }
        }
        out.extend_from_slice(if named { b"}\n" } else { b"]\n" });
        check_size(out.len(), bytes_max)?;
    }
    Ok(Bytes::from(out))
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

fn quoted(name: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + 2);
    quote(name, &mut out);
    out
}

/// Each record with its list of pairs made an object; other records as they are.
pub(super) fn pairs_to_lines(
    body: &[u8],
    layout: &Layout,
    pairs: &Pairs,
    bytes_max: u64,
) -> Result<Bytes, CutError> {
    let compile = |pointer: &str| {
        let mut paths = Paths::new();
        match (paths.add(pointer), names(pointer)) {
            (Some(_), Some(_)) => Ok(paths),
            _ => Err(CutError::pointer(pointer)),
        }
    };
    let at = compile(&pairs.at)?;
    let mut pair = Paths::new();
    for pointer in [&pairs.name, &pairs.value] {
        pair.add(pointer)
            .ok_or_else(|| CutError::pointer(pointer))?;
    }
    if pairs.name == pairs.value {
        return Err(CutError::Extraction {
            reason: "name and value of a pair are the same pointer".to_owned(),
        });
    }
    let mut rewriter = PairsRewriter {
        walk: Walk::new(&at),
        pair_walk: Walk::new(&pair),
        at,
        pair,
        out: Vec::with_capacity(body.len()),
        bytes_max,
    };
    layout.read(utf8(body)?, &mut rewriter, &mut Outline::default())?;
    Ok(Bytes::from(rewriter.out))
}

struct PairsRewriter {
    at: Paths,
    walk: Walk,
    /// The name is in slot 0, the value in slot 1.
    pair: Paths,
    pair_walk: Walk,
    out: Vec<u8>,
    bytes_max: u64,
}

impl Records for PairsRewriter {
    fn record(&mut self, scanner: &mut Scanner<'_>) -> Result<(), CutError> {
        let text = scanner.text();
        let record = self.walk.walk(scanner, &self.at, &mut |_| {})?;
        match self.walk.found(0) {
            Some(list) if list.of(text).starts_with('[') => {
                self.out
                    .extend_from_slice(&text.as_bytes()[record.start..list.start]);
                let whole = self.out.len();
                if !self.object(list.of(text))? {
                    self.out.truncate(whole);
                    self.out.extend_from_slice(list.of(text).as_bytes());
                }
                self.out
                    .extend_from_slice(&text.as_bytes()[list.end..record.end]);
            }
            _ => self.out.extend_from_slice(record.of(text).as_bytes()),
        }
        self.out.push(b'\n');
        check_size(self.out.len(), self.bytes_max)
    }

    fn restart(&mut self) {
        self.out.clear();
    }
}

impl PairsRewriter {
    /// Writes a list of pairs as an object; false where one of them is none, since
    /// nothing may be lost.
    fn object(&mut self, list: &str) -> Result<bool, CutError> {
        let mut scanner = Scanner::new(list);
        scanner.peek()?;
        scanner.open()?;
        let mut first = true;
        self.out.push(b'{');
        let start = self.out.len();
        while scanner.element(&mut first)? {
            let pair = self.pair_walk.walk(&mut scanner, &self.pair, &mut |_| {})?;
            let name = self.pair_walk.found(0).map(|span| span.of(list));
            let Some(name) = name.and_then(scalar) else {
                return Ok(false);
            };
            if !pair.of(list).starts_with(['{', '[']) {
                return Ok(false);
            }
            if self.out.len() > start {
                self.out.push(b',');
            }
            quote(&name, &mut self.out);
            self.out.push(b':');
            let value = self.pair_walk.found(1).map(|span| span.of(list));
            self.out
                .extend_from_slice(value.unwrap_or("null").as_bytes());
        }
        self.out.push(b'}');
        Ok(true)
    }
}
