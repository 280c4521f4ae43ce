//! What a landed row says about itself, and the forms in which rows land.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What happened to a record, as far as the source tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Created or updated; the source does not tell which.
    Upsert,
    /// Created.
    Create,
    /// Updated.
    Update,
    /// Deleted; the row carries at least the primary key.
    Delete,
}

impl Operation {
    /// All of them, in the order of [`Operation::index`].
    pub const ALL: [Operation; 4] = [
        Operation::Upsert,
        Operation::Create,
        Operation::Update,
        Operation::Delete,
    ];

    /// The word in object keys (`op=upsert`) and in `_tg_op`.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Upsert => "upsert",
            Operation::Create => "create",
            Operation::Update => "update",
            Operation::Delete => "delete",
        }
    }

    /// Its place in [`Operation::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

/// The file format of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum Format {
    /// JSON lines, zstd.
    #[serde(rename = "jsonl.zst")]
    JsonlZstd,
    /// JSON lines, gzip.
    #[serde(rename = "jsonl.gz")]
    JsonlGzip,
    /// CSV with a header row, gzip.
    #[serde(rename = "csv.gz")]
    CsvGzip,
    /// Parquet, zstd pages.
    #[serde(rename = "parquet")]
    Parquet,
}

impl Format {
    /// The extension of its objects, without the leading dot.
    pub fn extension(self) -> &'static str {
        match self {
            Format::JsonlZstd => "jsonl.zst",
            Format::JsonlGzip => "jsonl.gz",
            Format::CsvGzip => "csv.gz",
            Format::Parquet => "parquet",
        }
    }
}

/// How the value of a cursor field is ordered. As text, "9" sorts after "10".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CursorOrder {
    /// By Unicode code point.
    Text,
    /// By numeric value, at any precision.
    Number,
    /// RFC 3339 or epoch milliseconds, by instant.
    Timestamp,
}
