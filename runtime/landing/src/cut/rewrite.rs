//! Bodies that are not JSON objects yet, turned into lines of them.

use super::cutter::scalar;
use super::layout::{Layout, Records};
use super::{CutError, Outline, Pairs, check_size, utf8};
use crate::json::{Paths, Scanner, Walk, names, quote};
use crate::table::{CsvRow, Table};
use bytes::Bytes;

/// Each row of CSV as a line of JSON, so that a record reads the same however it was
/// asked for.
pub(super) fn csv_to_lines(
    body: &[u8],
    bare: &[String],
    bytes_max: u64,
) -> Result<Bytes, CutError> {
    let text = utf8(body)?;
    let mut row = CsvRow::default();
    let mut lines = Vec::new();
    let Some((table, mut at)) = Table::open(text, bare)? else {
        return Ok(Bytes::new());
    };
    while let Some((read, values)) = row.read(&text[at..]) {
        at += read;
        table.write(&values, &mut lines);
        lines.push(b'\n');
        check_size(lines.len(), bytes_max)?;
    }
    Ok(Bytes::from(lines))
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
