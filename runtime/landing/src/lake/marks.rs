//! What every landed row says about itself, read back from an object of any format.

use arrow_array::{Array as _, RecordBatch, StringArray};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserialize;
use std::borrow::Cow;
use tidegate_domain::record::Format;

/// A row's own account of itself.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Mark<'a> {
    /// `_tg_key`.
    #[serde(rename = "_tg_key", borrow)]
    pub key: Cow<'a, str>,
    /// `_tg_op`.
    #[serde(rename = "_tg_op", borrow)]
    pub operation: Cow<'a, str>,
    /// `_tg_version`.
    #[serde(rename = "_tg_version", borrow, default)]
    pub version: Option<Cow<'a, str>>,
}

/// Why an object could not be read back.
#[derive(Debug, thiserror::Error)]
#[error("an object of format {format} cannot be read back")]
pub struct Unreadable {
    format: &'static str,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// Calls `each` with the mark of every row, in order.
///
/// # Errors
/// [`Unreadable`] where the bytes are not what the format says.
pub fn for_each(
    format: Format,
    bytes: Bytes,
    each: impl FnMut(Mark<'_>),
) -> Result<(), Unreadable> {
    let read = match format {
        Format::Parquet => parquet_rows(bytes, each),
        Format::JsonlZstd => zstd::Decoder::new(&bytes[..])
            .map_err(Into::into)
            .and_then(|text| json_lines(std::io::BufReader::new(text), each)),
        Format::JsonlGzip => json_lines(
            std::io::BufReader::new(flate2::read::MultiGzDecoder::new(&bytes[..])),
            each,
        ),
        Format::CsvGzip => csv_rows(flate2::read::MultiGzDecoder::new(&bytes[..]), each),
    };
    read.map_err(|source| Unreadable {
        format: format.extension(),
        source,
    })
}

type Read = Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn json_lines(mut text: impl std::io::BufRead, mut each: impl FnMut(Mark<'_>)) -> Read {
    let mut line = Vec::new();
    while text.read_until(b'\n', &mut line)? > 0 {
        each(serde_json::from_slice(&line)?);
        line.clear();
    }
    Ok(())
}

fn csv_rows(text: impl std::io::Read, mut each: impl FnMut(Mark<'_>)) -> Read {
    let mut reader = csv::Reader::from_reader(text);
    let header = reader.headers()?.clone();
    let place = |name: &str| {
        let found = header.iter().position(|column| column == name);
        found.ok_or_else(|| format!("there is no column {name}"))
    };
    let (key, operation, version) = (place("_tg_key")?, place("_tg_op")?, place("_tg_version")?);
    let mut row = csv::StringRecord::new();
    while reader.read_record(&mut row)? {
        let cell = |at: usize| row.get(at).unwrap_or_default();
        each(Mark {
            key: cell(key).into(),
            operation: cell(operation).into(),
            version: Some(cell(version))
                .filter(|text| !text.is_empty())
                .map(Into::into),
        });
    }
    Ok(())
}

fn parquet_rows(bytes: Bytes, mut each: impl FnMut(Mark<'_>)) -> Read {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let columns = ["_tg_key", "_tg_op", "_tg_version"];
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
    for batch in builder.with_projection(mask).build()? {
        let batch = batch?;
        let [keys, operations, versions] = columns.map(|name| texts(&batch, name));
        let (keys, operations, versions) = (keys?, operations?, versions?);
        for row in 0..batch.num_rows() {
            each(Mark {
                key: keys.value(row).into(),
                operation: operations.value(row).into(),
                version: versions.is_valid(row).then(|| versions.value(row).into()),
            });
        }
    }
    Ok(())
}

fn texts<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray, String> {
    let column = batch.column_by_name(name);
    let texts = column.and_then(|column| column.as_any().downcast_ref::<StringArray>());
    texts.ok_or_else(|| format!("there is no text column {name}"))
}
