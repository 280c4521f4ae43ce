//! Rows into files: JSON lines, CSV and Parquet, compressed and hashed while written.
//!
//! Encoders are synchronous: they run on the writer's blocking thread. Their memory is
//! bounded by a block, or by a row group, whatever the number of rows.

mod columnar;
mod csv;
mod extra;
mod jsonl;
mod misfit;
mod parquet;
mod sink;

pub use misfit::{Misfit, Why};

pub(crate) use misfit::merge as merge_misfits;

use crate::page::Page;
use sha2::Digest as _;
use std::fs::File;
use std::io;
use tidegate_domain::Fault;
use tidegate_domain::id::Sha256;
use tidegate_domain::record::Format;
use tidegate_domain::schema::Columns;
use tidegate_domain::slot::Content;

/// Writes rows of pages into one file.
pub trait Encoder: Send {
    /// Writes some rows of a page, or some of its rejected records where the content
    /// is [`Content::Rejected`]; `rows` are indexes of either.
    ///
    /// # Errors
    /// [`EncodeError`]; the file is of no use then.
    fn write(&mut self, page: &Page, rows: &[usize]) -> Result<(), EncodeError>;

    /// Encoded bytes so far: those written, and an estimate of those still held.
    fn bytes(&self) -> u64;

    /// Rows so far.
    fn rows(&self) -> u64;

    /// Ends the file. It is not yet synced to its disk.
    ///
    /// # Errors
    /// [`EncodeError`].
    fn finish(self: Box<Self>) -> Result<Finished, EncodeError>;
}

/// A file that is whole.
#[derive(Debug)]
pub struct Finished {
    /// The file, open at its end.
    pub file: File,
    /// Its rows.
    pub rows: u64,
    /// Rows of which some part fitted no column.
    pub drifted: u64,
    /// The fields of which values fitted no column.
    pub misfits: Vec<Misfit>,
    /// The sha256 of its bytes.
    pub sha256: Sha256,
    /// Its length.
    pub bytes: u64,
}

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The disk is full.
    #[error("the staging disk is full; free some space and run again, nothing was lost")]
    Full(#[source] io::Error),
    /// The disk failed.
    #[error("a staged file cannot be written")]
    Write(#[source] io::Error),
    /// The format needs columns, and there are none.
    #[error("{format:?} needs columns, and the stream has no schema; choose JSON lines")]
    NoColumns {
        /// The format.
        format: Format,
    },
    /// The Parquet library refused.
    #[error("rows cannot be written as Parquet")]
    Parquet(#[source] ::parquet::errors::ParquetError),
    /// A page holds a record that is not JSON, though the cutter had let it pass.
    #[error("a cut record is not JSON")]
    Record,
}

impl EncodeError {
    /// The kind of failure.
    pub fn fault(&self) -> Fault {
        match self {
            EncodeError::NoColumns { .. } => Fault::Config,
            EncodeError::Full(_)
            | EncodeError::Write(_)
            | EncodeError::Parquet(_)
            | EncodeError::Record => Fault::Host,
        }
    }
}

impl From<io::Error> for EncodeError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => EncodeError::Full(error),
            _ => EncodeError::Write(error),
        }
    }
}

/// The format in which content lands: rejected records are JSON lines, whatever the
/// rows are.
pub fn format_of(content: Content, format: Format) -> Format {
    match (content, format) {
        (Content::Rejected, Format::Parquet) => Format::JsonlZstd,
        (Content::Rejected, Format::CsvGzip) => Format::JsonlGzip,
        _ => format,
    }
}

/// The id of a schema: what its columns' JSON hashes to, shortened.
pub fn schema_id(columns: &Columns) -> String {
    let json = serde_json::to_vec(columns).expect("columns are plain data");
    Sha256::from_bytes(sha2::Sha256::digest(json).into())
        .short()
        .to_owned()
}

/// An encoder into an empty file, of [`format_of`] the content. JSON lines need no
/// columns: with some, the records are only looked through for what fits none.
///
/// # Errors
/// [`EncodeError::NoColumns`] where the format needs columns; otherwise as
/// [`Encoder::write`].
pub fn encoder(
    format: Format,
    columns: Option<&Columns>,
    file: File,
    content: Content,
) -> Result<Box<dyn Encoder>, EncodeError> {
    let looked = columns.filter(|_| matches!(content, Content::Rows(_)));
    let columns = columns.ok_or(EncodeError::NoColumns { format });
    Ok(match format_of(content, format) {
        Format::JsonlZstd => Box::new(jsonl::Lines::new(sink::zstd(file)?, content, looked)),
        Format::JsonlGzip => Box::new(jsonl::Lines::new(sink::gzip(file), content, looked)),
        Format::CsvGzip => Box::new(csv::Rows::new(sink::gzip(file), columns?)),
        Format::Parquet => Box::new(parquet::Rows::new(file, columns?)?),
    })
}

#[cfg(test)]
mod tests;
