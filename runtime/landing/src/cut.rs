//! Cutting records out of a response body by JSON pointer, without copying them.
//!
//! The guest says where records, keys and cursors lie and never sees a record. What
//! is malformed fails the whole body, since no cursor may move over a part of it;
//! what is well-formed but cannot be landed is rejected record by record.

mod cutter;
mod layout;
mod order;
mod outline;
mod pointer;
mod rewrite;
mod rows;

pub use order::compare;
pub use outline::Outline;
pub use pointer::{count, get, get_many};

use crate::json::Malformed;
use crate::page::Page;
use bytes::Bytes;
use cutter::{Cutter, Plan};
use layout::Layout;
use tidegate_domain::Fault;
use tidegate_domain::record::{CursorOrder, Operation};

/// How many pointers a key may join.
const KEY_POINTERS_MAX: usize = 16;

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFormat {
    /// One JSON document.
    Json,
    /// One JSON value after another, each ending its line.
    Ndjson,
    /// Comma-separated values; the first row names the fields. An empty value is null:
    /// the format has no other.
    Csv,
}

/// What to cut out of a body, and how: `emit.extraction` of the contract.
#[derive(Clone, Debug)]
pub struct Extraction {
    /// How the body is written.
    pub format: BodyFormat,
    /// Pointer to the array of records, to one record, or to null for none; unused
    /// outside JSON.
    pub records: String,
    /// Pointers to what identifies a record, joined with U+001F; none where nothing does.
    pub key: Vec<String>,
    /// Pointer to the cursor field, and how it is ordered.
    pub cursor: Option<(String, CursorOrder)>,
    /// Pointers to keep; empty keeps whole records.
    pub project: Vec<String>,
    /// What happened to the records.
    pub kind: Operation,
    /// Pointer to a flag; where it is true the record is a delete.
    pub deleted: Option<String>,
    /// Pointer to the time of creation.
    pub created: Option<String>,
    /// Pointer to what only records have; others (and null there) are skipped.
    pub present: Option<String>,
    /// Records whose cursor is below this are skipped.
    pub floor: Option<String>,
    /// Where a record holds a list of names and values to be made an object.
    pub pairs: Option<Pairs>,
    /// Fields of CSV whose values are booleans and numbers, not texts that look so.
    pub bare: Vec<String>,
}

impl Default for Extraction {
    /// The one document of a body as the record, upserted, with neither key nor cursor.
    fn default() -> Self {
        Extraction {
            format: BodyFormat::Json,
            records: String::new(),
            key: Vec::new(),
            cursor: None,
            project: Vec::new(),
            kind: Operation::Upsert,
            deleted: None,
            created: None,
            present: None,
            floor: None,
            pairs: None,
            bare: Vec::new(),
        }
    }
}

/// A list of `{name, value}` in a record that becomes an object.
#[derive(Clone, Debug)]
pub struct Pairs {
    /// Pointer to the list; empty where the record is the list.
    pub at: String,
    /// Pointer to the name inside a pair.
    pub name: String,
    /// Pointer to the value inside a pair.
    pub value: String,
}

/// What bounds one call.
#[derive(Clone, Copy, Debug)]
pub struct CutLimits {
    /// Bytes of a body, also as what CSV or pairs are read as.
    pub body_bytes_max: u64,
    /// Bytes of a record; a longer one is rejected.
    pub record_bytes_max: u64,
    /// Rows and rejected records of a body: each costs memory beside its bytes.
    pub records_max: usize,
}

impl Default for CutLimits {
    fn default() -> Self {
        CutLimits {
            body_bytes_max: 1 << 30,
            record_bytes_max: 16 << 20,
            records_max: 1_000_000,
        }
    }
}

/// Enough for paging and cursor logic without a record being seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rows of the page.
    pub records: u32,
    /// Bytes of their records.
    pub bytes: u64,
    /// Rows that are deletes.
    pub deletes: u32,
    /// Records that were refused.
    pub rejected: u32,
    /// Records below the floor or without what only records have.
    pub skipped: u32,
    /// The least cursor of rows and rejected records, by the declared order.
    pub min_cursor: Option<String>,
    /// The greatest.
    pub max_cursor: Option<String>,
    /// The key of the first row.
    pub first_key: Option<String>,
    /// The key of the last row.
    pub last_key: Option<String>,
}

/// Why a body was not cut.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CutError {
    /// It is not what its format says.
    #[error("the body is malformed at byte {offset}")]
    Malformed {
        /// The first byte that does not fit; in CSV and pairs, of the rewritten body.
        offset: u64,
    },
    /// It nests deeper than common readers go.
    #[error("the body nests deeper than 128 levels at byte {offset}")]
    TooDeep {
        /// Where.
        offset: u64,
    },
    /// It is larger than is accepted in one call.
    #[error("the body has {bytes} bytes, more than {bytes_max}")]
    TooLarge {
        /// Its bytes, as far as they were counted.
        bytes: u64,
        /// The most that is accepted.
        bytes_max: u64,
    },
    /// It has more records than are accepted in one call.
    #[error("the body has more than {records_max} records")]
    TooMany {
        /// The most that is accepted.
        records_max: usize,
    },
    /// Neither an array nor an object is where the records should be.
    #[error("there is no array of records at {pointer:?}")]
    NoRecords {
        /// The pointer to the records.
        pointer: String,
    },
    /// The extraction makes no sense.
    #[error("the extraction is not valid: {reason}")]
    Extraction {
        /// What is wrong with it.
        reason: String,
    },
}

impl CutError {
    /// The kind of failure.
    pub fn fault(&self) -> Fault {
        match self {
            CutError::Extraction { .. } => Fault::Guest,
            CutError::Malformed { .. }
            | CutError::TooDeep { .. }
            | CutError::TooLarge { .. }
            | CutError::TooMany { .. }
            | CutError::NoRecords { .. } => Fault::Protocol,
        }
    }

    fn pointer(pointer: &str) -> Self {
        CutError::Extraction {
            reason: format!("{pointer:?} is not a JSON pointer; one starts with '/'"),
        }
    }
}

impl From<Malformed> for CutError {
    fn from(found: Malformed) -> Self {
        let offset = found.offset as u64;
        if found.too_deep {
            CutError::TooDeep { offset }
        } else {
            CutError::Malformed { offset }
        }
    }
}

/// Cuts the records out of a body. `sent_at_ms` is when it was asked for; the time of
/// creation is compared with `lower_bound` (RFC 3339 or epoch milliseconds), and
/// tells nothing where there is none.
///
/// # Errors
/// [`CutError`] where no record of the body can be trusted; single records that
/// cannot be landed are in [`Page::rejected`].
pub fn cut(
    body: &Bytes,
    how: &Extraction,
    sent_at_ms: u64,
    limits: &CutLimits,
    lower_bound: Option<&str>,
) -> Result<(Page, Summary), CutError> {
    let mut outline = Outline::default();
    cut_outlined(body, how, sent_at_ms, limits, lower_bound, &mut outline)
}

/// [`cut`], which also outlines a body that is one JSON object.
///
/// # Errors
/// As [`cut`].
pub fn cut_outlined(
    body: &Bytes,
    how: &Extraction,
    sent_at_ms: u64,
    limits: &CutLimits,
    lower_bound: Option<&str>,
    outline: &mut Outline,
) -> Result<(Page, Summary), CutError> {
    let bytes_max = limits.body_bytes_max.min(u64::from(u32::MAX));
    check_size(body.len(), bytes_max)?;
    let plan = Plan::compile(how, limits, lower_bound)?;
    if how.format == BodyFormat::Csv && how.pairs.is_none() && how.project.is_empty() {
        return rows::cut(body, &how.bare, &plan, limits, sent_at_ms);
    }
    let mut body = body.clone();
    let mut layout = match how.format {
        BodyFormat::Json => Layout::document(&how.records)?,
        BodyFormat::Ndjson => Layout::Lines,
        BodyFormat::Csv => {
            body = rewrite::csv_to_lines(&body, &how.bare, bytes_max)?;
            Layout::Lines
        }
    };
    if let Some(pairs) = &how.pairs {
        body = rewrite::pairs_to_lines(&body, &layout, pairs, bytes_max)?;
        layout = Layout::Lines;
    }
    let mut cutter = Cutter::new(utf8(&body)?, &plan);
    layout.read(utf8(&body)?, &mut cutter, outline)?;
    let (mut page, summary) = cutter.finish(sent_at_ms);
    if how.project.is_empty() {
        page.body = body;
    }
    Ok((page, summary))
}

fn check_size(bytes: usize, bytes_max: u64) -> Result<(), CutError> {
    let bytes = bytes as u64;
    if bytes > bytes_max {
        return Err(CutError::TooLarge { bytes, bytes_max });
    }
    Ok(())
}

fn utf8(body: &[u8]) -> Result<&str, CutError> {
    simdutf8::compat::from_utf8(body).map_err(|error| CutError::Malformed {
        offset: error.valid_up_to() as u64,
    })
}

#[cfg(test)]
mod tests;
