//! Records as the columns of a Parquet file, through structs known when this was
//! compiled: the fastest that a loop by hand can be.

use crate::{Landing, Page, Read};
use anyhow::{Context as _, Result, bail};
use arrow_array::builder::{
    BooleanBuilder, Date32Builder, StringBuilder, TimestampMillisecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde::Deserialize;
use std::borrow::Cow;
use std::fs::File;
use std::sync::Arc;

// The bounds and the level of Tidegate, so that both write alike.
const BATCH_ROWS: usize = 4_096;
const ROW_GROUP_ROWS: usize = 64 << 10;
const ROW_GROUP_BYTES: usize = 32 << 20;
const ZSTD_LEVEL: i32 = 1;
const UTC: &str = "UTC";

/// Text that is copied only where it holds escapes. `Option<Cow<str>>` alone would
/// always copy.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Record<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    properties: Properties<'a>,
    created_at: Text<'a>,
    updated_at: Text<'a>,
    archived: bool,
}

macro_rules! properties {
    ($($name:ident: $cells:ident,)*) => {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Properties<'a> {
            $(#[serde(borrow)] $name: Option<Text<'a>>,)*
        }

        #[derive(Default)]
        struct PropertyColumns {
            $($name: $cells,)*
        }

        impl PropertyColumns {
            fn fields() -> Vec<Field> {
                vec![$(field::<$cells>(concat!("properties__", stringify!($name))),)*]
            }

            fn push(&mut self, properties: &Properties<'_>) -> Result<()> {
                $(
                    let text = properties.$name.as_ref().map(|text| &*text.0);
                    self.$name.push(text).context(stringify!($name))?;
                )*
                Ok(())
            }

            fn arrays(&mut self) -> Vec<ArrayRef> {
                vec![$(self.$name.array(),)*]
            }
        }
    };
}

properties! {
    address: StringBuilder,
    city: StringBuilder,
    company: StringBuilder,
    country: StringBuilder,
    createdate: TimestampMillisecondBuilder,
    customer_tier: StringBuilder,
    email: StringBuilder,
    firstname: StringBuilder,
    hs_email_optout: BooleanBuilder,
    hs_lead_status: StringBuilder,
    hs_object_id: StringBuilder,
    hubspot_owner_id: StringBuilder,
    interests: StringBuilder,
    jobtitle: StringBuilder,
    lastmodifieddate: TimestampMillisecondBuilder,
    lastname: StringBuilder,
    lifecyclestage: StringBuilder,
    loyalty_points: StringBuilder,
    message: StringBuilder,
    phone: StringBuilder,
    renewal_date: Date32Builder,
    zip: StringBuilder,
}

/// A column that is filled from text.
trait Cells {
    fn data_type() -> DataType;

    fn push(&mut self, text: Option<&str>) -> Result<()>;

    fn array(&mut self) -> ArrayRef;
}

impl Cells for StringBuilder {
    fn data_type() -> DataType {
        DataType::Utf8
    }

    fn push(&mut self, text: Option<&str>) -> Result<()> {
        self.append_option(text);
        Ok(())
    }

    fn array(&mut self) -> ArrayRef {
        Arc::new(self.finish())
    }
}

impl Cells for BooleanBuilder {
    fn data_type() -> DataType {
        DataType::Boolean
    }

    fn push(&mut self, text: Option<&str>) -> Result<()> {
        self.append_option(match text {
            None | Some("") => None,
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(other) => bail!("{other:?} is no boolean"),
        });
        Ok(())
    }

    fn array(&mut self) -> ArrayRef {
        Arc::new(self.finish())
    }
}

impl Cells for Date32Builder {
    fn data_type() -> DataType {
        DataType::Date32
    }

    fn push(&mut self, text: Option<&str>) -> Result<()> {
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            self.append_null();
            return Ok(());
        };
        let date: jiff::civil::Date = text.parse()?;
        let since_epoch = date.duration_since(jiff::civil::date(1970, 1, 1));
        self.append_value(i32::try_from(since_epoch.as_hours() / 24)?);
        Ok(())
    }

    fn array(&mut self) -> ArrayRef {
        Arc::new(self.finish())
    }
}

impl Cells for TimestampMillisecondBuilder {
    fn data_type() -> DataType {
        DataType::Timestamp(TimeUnit::Millisecond, Some(UTC.into()))
    }

    fn push(&mut self, text: Option<&str>) -> Result<()> {
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            self.append_null();
            return Ok(());
        };
        let moment: jiff::Timestamp = text.parse()?;
        self.append_value(moment.as_millisecond());
        Ok(())
    }

    fn array(&mut self) -> ArrayRef {
        Arc::new(self.finish().with_timezone(UTC))
    }
}

fn field<C: Cells>(name: &str) -> Field {
    Field::new(name, C::data_type(), true)
}

pub(crate) struct Rows {
    writer: ArrowWriter<File>,
    schema: SchemaRef,
    id: StringBuilder,
    properties: PropertyColumns,
    created_at: TimestampMillisecondBuilder,
    updated_at: TimestampMillisecondBuilder,
    archived: BooleanBuilder,
    rows: usize,
}

impl Rows {
    pub(crate) fn new(file: File) -> Result<Rows> {
        let mut fields = vec![field::<StringBuilder>("id")];
        fields.extend(PropertyColumns::fields());
        fields.push(field::<TimestampMillisecondBuilder>("createdAt"));
        fields.push(field::<TimestampMillisecondBuilder>("updatedAt"));
        fields.push(field::<BooleanBuilder>("archived"));
        let schema = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            // Every id is another one.
            .set_column_dictionary_enabled(ColumnPath::from("id"), false)
            .build();
        Ok(Rows {
            writer: ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))?,
            schema,
            id: StringBuilder::new(),
            properties: PropertyColumns::default(),
            created_at: TimestampMillisecondBuilder::new(),
            updated_at: TimestampMillisecondBuilder::new(),
            archived: BooleanBuilder::new(),
            rows: 0,
        })
    }

    fn push(&mut self, record: &Record<'_>) -> Result<()> {
        self.id.append_value(&record.id.0);
        self.properties.push(&record.properties)?;
        self.created_at.push(Some(&record.created_at.0))?;
        self.updated_at.push(Some(&record.updated_at.0))?;
        self.archived.append_value(record.archived);
        self.rows += 1;
        if self.rows >= BATCH_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let mut arrays = vec![self.id.array()];
        arrays.extend(self.properties.arrays());
        arrays.push(self.created_at.array());
        arrays.push(self.updated_at.array());
        arrays.push(self.archived.array());
        self.rows = 0;
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays)?;
        self.writer.write(&batch)?;
        if self.writer.memory_size() >= ROW_GROUP_BYTES {
            self.writer.flush()?;
        }
        Ok(())
    }
}

impl Landing for Rows {
    fn land(&mut self, body: &[u8]) -> Result<Read> {
        let page: Page<Record<'_>> = serde_json::from_slice(body)?;
        page.results
            .iter()
            .try_for_each(|record| self.push(record))?;
        Ok(page.read())
    }

    fn finish(mut self: Box<Self>) -> Result<File> {
        self.flush()?;
        Ok(self.writer.into_inner()?)
    }
}
