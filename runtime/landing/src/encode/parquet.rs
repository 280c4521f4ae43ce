//! Parquet: typed columns, zstd pages, row groups small enough to be held.

use super::columnar::{Cell, Cutter};
use super::sink::HashedFile;
use super::{EncodeError, Encoder, Finished};
use crate::page::{Page, Scratch};
use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Int64Builder, StringBuilder,
    TimestampMillisecondBuilder,
};
use arrow_array::cast::AsArray as _;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::sync::Arc;
use tidegate_domain::schema::{ColumnType, Columns, EXTRA_COLUMN, ROW_COLUMNS};

/// Rows that are built before they are encoded: enough to amortise a call per column.
const BATCH_ROWS: usize = 4_096;
/// Bytes of records likewise, since a record may have 16 MiB.
const BATCH_BYTES: usize = 4 << 20;
const ROW_GROUP_ROWS: usize = 64 << 10;
/// What the open row group may hold in memory.
const ROW_GROUP_BYTES: usize = 32 << 20;
const ZSTD_LEVEL: i32 = 1;
/// A file of less stays uncompressed: a compressor for each column costs more than the
/// rows, and blocks of disks and fees for requests are larger.
const PLAIN_BYTES_MAX: usize = 64 << 10;
const UTC: &str = "UTC";

pub(super) struct Rows {
    file: File,
    /// Made when the first rows are encoded, which tell how.
    writer: Option<ArrowWriter<HashedFile>>,
    schema: SchemaRef,
    cutter: Cutter,
    scratch: Scratch,
    own: Own,
    columns: Vec<Builder>,
    extra: StringBuilder,
    batch_bytes: usize,
    rows: u64,
    drifted: u64,
}

/// What a row says about itself.
struct Own {
    key: StringBuilder,
    operation: StringBuilder,
    version: StringBuilder,
    extracted_at: TimestampMillisecondBuilder,
}

enum Builder {
    Text(StringBuilder),
    Boolean(BooleanBuilder),
    Integer(Int64Builder),
    Decimal(Decimal128Builder),
    Date(Date32Builder),
    Timestamp(TimestampMillisecondBuilder),
}

impl Rows {
    pub(super) fn new(file: File, columns: &Columns) -> Result<Self, EncodeError> {
        let schema = Arc::new(schema(columns));
        let kinds = columns.as_slice().iter().map(|column| column.kind);
        Ok(Rows {
            file,
            writer: None,
            cutter: Cutter::new(columns),
            scratch: Scratch::default(),
            own: Own {
                key: StringBuilder::new(),
                operation: StringBuilder::new(),
                version: StringBuilder::new(),
                extracted_at: TimestampMillisecondBuilder::new()
                    .with_data_type(data_type(ColumnType::Timestamp)),
            },
            columns: kinds.map(Builder::new).collect(),
            extra: StringBuilder::new(),
            schema,
            batch_bytes: 0,
            rows: 0,
            drifted: 0,
        })
    }

    fn push(&mut self, page: &Page, at: usize) -> Result<(), EncodeError> {
        let row = &page.rows[at];
        let columns = &mut self.columns;
        let append = |at: usize, cell: Cell<'_>, _: &str| columns[at].append(cell);
        let extra = self
            .cutter
            .row_of(page, &row.record, &mut self.scratch, append)?;
        self.drifted += u64::from(extra.is_some());
        self.extra.append_option(extra);
        self.own.key.append_value(page.text(&row.key));
        self.own.operation.append_value(row.operation.as_str());
        let version = row.version.as_ref().map(|version| page.text(version));
        self.own.version.append_option(version);
        let extracted_at = i64::try_from(page.extracted_at_ms).unwrap_or(i64::MAX);
        self.own.extracted_at.append_value(extracted_at);
        self.rows += 1;
        self.batch_bytes += row.record.len();
        if self.extra.len() >= BATCH_ROWS || self.batch_bytes >= BATCH_BYTES {
            self.flush(compressed()?)?;
        }
        Ok(())
    }

    /// The writer, made where there is none yet, as the first rows ask for.
    fn writer(
        &mut self,
        compression: Compression,
        first: &RecordBatch,
    ) -> Result<&mut ArrowWriter<HashedFile>, EncodeError> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => {
                let file = HashedFile::new(self.file.try_clone()?);
                let properties = Some(properties(compression, first));
                ArrowWriter::try_new(file, Arc::clone(&self.schema), properties).map_err(failed)?
            }
        };
        Ok(self.writer.insert(writer))
    }

    /// Encodes the rows that were built; the first ones decide on the compression.
    fn flush(&mut self, compression: Compression) -> Result<(), EncodeError> {
        if self.extra.is_empty() {
            return Ok(());
        }
        let own = &mut self.own;
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(own.key.finish()),
            Arc::new(own.operation.finish()),
            Arc::new(own.version.finish()),
            Arc::new(own.extracted_at.finish()),
        ];
        arrays.extend(self.columns.iter_mut().map(Builder::finish));
        arrays.push(Arc::new(self.extra.finish()));
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays)
            .map_err(|error| failed(error.into()))?;
        self.batch_bytes = 0;
        let writer = self.writer(compression, &batch)?;
        writer.write(&batch).map_err(failed)?;
        if writer.memory_size() >= ROW_GROUP_BYTES {
            writer.flush().map_err(failed)?;
        }
        Ok(())
    }
}

impl Encoder for Rows {
    fn write(&mut self, page: &Page, rows: &[usize]) -> Result<(), EncodeError> {
        rows.iter().try_for_each(|at| self.push(page, *at))
    }

    fn bytes(&self) -> u64 {
        // What is not encoded yet shrinks to about a tenth.
        let encoded = self.writer.as_ref().map_or(0, |writer| {
            writer.bytes_written() + writer.in_progress_size()
        });
        (encoded + self.batch_bytes / 10) as u64
    }

    fn rows(&self) -> u64 {
        self.rows
    }

    fn finish(mut self: Box<Self>) -> Result<Finished, EncodeError> {
        let compression = match self.batch_bytes {
            ..PLAIN_BYTES_MAX => Compression::UNCOMPRESSED,
            _ => compressed()?,
        };
        self.flush(compression)?;
        let (rows, drifted) = (self.rows, self.drifted);
        let misfits = self.cutter.misfits();
        let none = RecordBatch::new_empty(Arc::clone(&self.schema));
        let writer = self.writer(compression, &none)?;
        writer.finish().map_err(failed)?;
        Ok(Finished {
            misfits,
            ..writer.inner().finished(rows, drifted)?
        })
    }
}

impl Builder {
    fn new(kind: ColumnType) -> Self {
        match kind {
            ColumnType::Text | ColumnType::Json => Builder::Text(StringBuilder::new()),
            ColumnType::Boolean => Builder::Boolean(BooleanBuilder::new()),
            ColumnType::Integer => Builder::Integer(Int64Builder::new()),
            ColumnType::Decimal { .. } => {
                Builder::Decimal(Decimal128Builder::new().with_data_type(data_type(kind)))
            }
            ColumnType::Date => Builder::Date(Date32Builder::new()),
            ColumnType::Timestamp => Builder::Timestamp(
                TimestampMillisecondBuilder::new().with_data_type(data_type(kind)),
            ),
        }
    }

    fn append(&mut self, cell: Cell<'_>) {
        match (self, cell) {
            (Builder::Text(texts), Cell::Text(text)) => texts.append_value(text),
            (Builder::Boolean(booleans), Cell::Boolean(value)) => booleans.append_value(value),
            (Builder::Integer(integers), Cell::Integer(value)) => integers.append_value(value),
            (Builder::Decimal(decimals), Cell::Decimal(value)) => decimals.append_value(value),
            (Builder::Date(dates), Cell::Date(days)) => dates.append_value(days),
            (Builder::Timestamp(times), Cell::Timestamp(ms)) => times.append_value(ms),
            (builder, _) => builder.append_null(),
        }
    }

    fn append_null(&mut self) {
        match self {
            Builder::Text(builder) => builder.append_null(),
            Builder::Boolean(builder) => builder.append_null(),
            Builder::Integer(builder) => builder.append_null(),
            Builder::Decimal(builder) => builder.append_null(),
            Builder::Date(builder) => builder.append_null(),
            Builder::Timestamp(builder) => builder.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::Text(builder) => Arc::new(builder.finish()),
            Builder::Boolean(builder) => Arc::new(builder.finish()),
            Builder::Integer(builder) => Arc::new(builder.finish()),
            Builder::Decimal(builder) => Arc::new(builder.finish()),
            Builder::Date(builder) => Arc::new(builder.finish()),
            Builder::Timestamp(builder) => Arc::new(builder.finish()),
        }
    }
}

fn schema(columns: &Columns) -> Schema {
    let [key, operation, version, extracted_at] = ROW_COLUMNS;
    let timestamp = data_type(ColumnType::Timestamp);
    let mut fields = vec![
        Field::new(key, DataType::Utf8, false),
        Field::new(operation, DataType::Utf8, false),
        Field::new(version, DataType::Utf8, true),
        Field::new(extracted_at, timestamp, false),
    ];
    let columns = columns.as_slice().iter();
    fields.extend(columns.map(|column| Field::new(&column.name, data_type(column.kind), true)));
    fields.push(Field::new(EXTRA_COLUMN, DataType::Utf8, true));
    Schema::new(fields)
}

fn data_type(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::Text | ColumnType::Json => DataType::Utf8,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Integer => DataType::Int64,
        ColumnType::Decimal { precision, scale } => {
            // A schema's scale is at most 38, its precision.
            DataType::Decimal128(precision, i8::try_from(scale).unwrap_or(i8::MAX))
        }
        ColumnType::Date => DataType::Date32,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into())),
    }
}

fn compressed() -> Result<Compression, EncodeError> {
    let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(failed)?;
    Ok(Compression::ZSTD(level))
}

fn properties(compression: Compression, first: &RecordBatch) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_created_by("tidegate".to_owned())
        .set_compression(compression)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for (field, column) in first.schema_ref().fields().iter().zip(first.columns()) {
        if is_mostly_distinct(column) {
            let path = ColumnPath::from(field.name().as_str());
            properties = properties.set_column_dictionary_enabled(path, false);
        }
    }
    properties.build()
}

/// Whether a dictionary would hold nearly every value, as of keys, addresses and times: to
/// look each one up is then a fifth of the whole work, and saves nothing.
fn is_mostly_distinct(column: &ArrayRef) -> bool {
    let (values, distinct) = if let Some(texts) = column.as_string_opt::<i32>() {
        let texts: Vec<&str> = texts.iter().flatten().collect();
        (texts.len(), texts.into_iter().collect::<HashSet<_>>().len())
    } else if let Some(times) = column.as_primitive_opt::<TimestampMillisecondType>() {
        let times: Vec<i64> = times.iter().flatten().collect();
        (times.len(), times.into_iter().collect::<HashSet<_>>().len())
    } else {
        return false;
    };
    distinct * 10 > values * 9
}

fn failed(error: ParquetError) -> EncodeError {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => EncodeError::from(*error),
            Err(source) => EncodeError::Parquet(ParquetError::External(source)),
        },
        error => EncodeError::Parquet(error),
    }
}
