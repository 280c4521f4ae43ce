//! Values in every format, read by query and by Bulk: typed where columns are, and byte
//! for byte what somebody wrote.

use crate::salesforce::org::{Options, Site, org_of};
use crate::salesforce::truth::{for_each_line, objects_of};
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Date32Type, Decimal128Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array as _, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use bytes::Bytes;
use crm_sim::salesforce::{Config, ExtraField, FieldType, Object, PathKind};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

/// 18 digits, as a number and as a text.
const DIGITS: &str = "123456789012345678";
/// A NUL, line breaks of both kinds, quotes, commas, more than ASCII.
const TEXT: &str = "a\u{0}b\r\n\"c\", d\n\u{1F30A} 'e' \\n \t,";
const NOTHING: &str = "N/A";

const STREAMS: &str = "[{ name: Account, mode: incremental, landing: append }, \
    { name: AccountHistory, mode: incremental, landing: append }, \
    { name: Invoice__c, mode: incremental, landing: append }]";

/// By query, by Bulk, and with compounds.
const BY_QUERY: &str = "objects: [Account, AccountHistory, Invoice__c]";
const BY_BULK: &str =
    "objects: [Account, AccountHistory, Invoice__c], bulk_above: 0, window_records: 1000000";
const WITH_COMPOUNDS: &str = "objects: [Account, AccountHistory, Invoice__c], bulk_above: 0, window_records: 1000000, compound_fields: true";

/// An org where the first account and the first invoice have awkward values.
async fn site(config: &'static str, format: &'static str) -> (Site, String, String) {
    let org = Config {
        extra_fields: vec![
            field(Object::Account, "Big__c", FieldType::Double),
            field(Object::Invoice, "Open_At__c", FieldType::Time),
        ],
        ..org_of(&[
            (Object::Account, 60),
            (Object::AccountHistory, 40),
            (Object::Invoice, 50),
        ])
    };
    let options = Options {
        config,
        format,
        streams: STREAMS,
        ..Options::default()
    };
    let site = Site::new(org, &options).await;
    let (account, invoice) = (first(&site, Object::Account), first(&site, Object::Invoice));
    let now_ms = site.org.clock().now_ms() - 60_000;
    for (object, id, name, value) in [
        (Object::Account, account, "Big__c", DIGITS),
        (Object::Account, account, "AccountNumber", DIGITS),
        (Object::Account, account, "Description", TEXT),
        (Object::Account, account, "Name", NOTHING),
        (Object::Account, account, "BillingStreet", TEXT),
        (Object::Account, account, "NumberOfEmployees", "42"),
        (Object::Invoice, invoice, "Amount__c", "-1234.50"),
        (Object::Invoice, invoice, "Paid__c", "true"),
        (Object::Invoice, invoice, "Due__c", "2024-02-29"),
        (
            Object::Invoice,
            invoice,
            "Sent_At__c",
            "2024-02-29T23:59:58.000+0000",
        ),
        (Object::Invoice, invoice, "Open_At__c", "09:30:00.000Z"),
        (Object::Invoice, invoice, "Memo__c", NOTHING),
    ] {
        let written = site.org.set_field(object, id, name, Some(value), now_ms);
        assert!(written.is_some(), "{name}");
    }
    site.sync_to_end().await;
    let key = |object, id| site.org.wire_id(object, id);
    let (account, invoice) = (key(Object::Account, account), key(Object::Invoice, invoice));
    check_the_way(&site, config);
    (site, account, invoice)
}

fn field(object: Object, name: &str, field_type: FieldType) -> ExtraField {
    ExtraField {
        object,
        name: name.to_owned(),
        field_type,
        external_id: false,
    }
}

fn first(site: &Site, object: Object) -> u64 {
    site.org.current(object).next().unwrap().id
}

/// That it was read the way that is looked at.
fn check_the_way(site: &Site, config: &str) {
    let tally = site.org.counters().tally;
    let of = |kind| tally.requests.get(&kind).copied().unwrap_or_default();
    let results = of(PathKind::BulkResults);
    match config {
        BY_QUERY => assert_eq!((of(PathKind::BulkQuery), results), (0, 0)),
        BY_BULK => assert_eq!(results, 3, "one page of each object"),
        // Bulk refuses compounds, and history has none.
        _ => assert_eq!(results, 1, "{tally:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn awkward_values_land_byte_for_byte_as_json_lines() {
    for config in [BY_QUERY, BY_BULK] {
        let (site, account, invoice) = site(config, "jsonl.gz").await;
        let mut found = Vec::new();
        for object in [Object::Account, Object::Invoice] {
            for_each_line(&site, object, |line| {
                let line = String::from_utf8(line.to_vec()).unwrap();
                if [&account, &invoice].iter().any(|key| line.contains(*key)) {
                    found.push(line);
                }
            })
            .await;
        }
        let of = |key: &str| {
            let marked = format!("\"_tg_key\":\"{key}\"");
            found.iter().find(|line| line.contains(&marked)).unwrap()
        };
        let line = of(&account);
        // The digits themselves: a reader of JSON may lose some.
        assert!(line.contains(&format!("\"Big__c\":{DIGITS}")), "{line}");
        assert!(
            line.contains(&format!("\"AccountNumber\":\"{DIGITS}\"")),
            "{line}"
        );
        let record: Value = serde_json::from_str(line).unwrap();
        for name in ["Description", "BillingStreet"] {
            assert_eq!(record[name], TEXT, "{config}: {name}");
        }
        assert_eq!(record["Name"], NOTHING);
        assert_eq!(record["Fax"], Value::Null, "{config}");
        let line = of(&invoice);
        assert!(line.contains("\"Amount__c\":-1234.50,"), "{line}");
        let record: Value = serde_json::from_str(line).unwrap();
        assert_eq!(record["Paid__c"], true);
        assert_eq!(record["Memo__c"], NOTHING);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn awkward_values_land_byte_for_byte_as_csv() {
    for config in [BY_QUERY, BY_BULK] {
        let (site, account, invoice) = site(config, "csv.gz").await;
        let accounts = table(&site, Object::Account).await;
        for (name, expected) in [
            ("Big__c", DIGITS),
            ("AccountNumber", DIGITS),
            ("Description", TEXT),
            ("BillingStreet", TEXT),
            ("Name", NOTHING),
            ("NumberOfEmployees", "42"),
            ("Fax", ""),
        ] {
            assert_eq!(accounts.cell(&account, name), expected, "{config}: {name}");
        }
        let invoices = table(&site, Object::Invoice).await;
        for (name, expected) in [
            ("Amount__c", "-1234.50"),
            ("Paid__c", "true"),
            ("Due__c", "2024-02-29"),
            ("Sent_At__c", "2024-02-29T23:59:58.000+0000"),
            ("Open_At__c", "09:30:00.000Z"),
            ("Memo__c", NOTHING),
        ] {
            assert_eq!(invoices.cell(&invoice, name), expected, "{config}: {name}");
        }
        assert_eq!(table(&site, Object::AccountHistory).await.rows.len(), 40);
    }
}

/// All rows of an object as CSV has them.
struct Table {
    header: csv::StringRecord,
    rows: Vec<csv::StringRecord>,
}

async fn table(site: &Site, object: Object) -> Table {
    let mut table = Table {
        header: csv::StringRecord::new(),
        rows: Vec::new(),
    };
    for bytes in objects_of(site, object).await {
        let text = flate2::read::MultiGzDecoder::new(&bytes[..]);
        let mut reader = csv::Reader::from_reader(text);
        table.header = reader.headers().unwrap().clone();
        table.rows.extend(reader.records().map(|row| row.unwrap()));
    }
    table
}

impl Table {
    fn cell(&self, key: &str, name: &str) -> &str {
        let at = |name: &str| {
            let found = self.header.iter().position(|column| column == name);
            found.unwrap_or_else(|| panic!("no column {name}: {:?}", self.header))
        };
        let row = self.rows.iter().find(|row| &row[at("_tg_key")] == key);
        &row.unwrap()[at(name)]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_of_every_kind_are_typed_columns_of_parquet() {
    let decimal = |precision, scale| DataType::Decimal128(precision, scale);
    let moment = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    for config in [BY_QUERY, BY_BULK, WITH_COMPOUNDS] {
        let (site, account, invoice) = site(config, "parquet").await;
        let accounts = batches(&site, Object::Account).await;
        let invoices = batches(&site, Object::Invoice).await;
        for (batches, name, kind) in [
            (&accounts, "Big__c", decimal(21, 3)),
            (&accounts, "AnnualRevenue", decimal(20, 2)),
            (&accounts, "NumberOfEmployees", DataType::Int64),
            (&accounts, "IsDeleted", DataType::Boolean),
            (&accounts, "SystemModstamp", moment.clone()),
            (&accounts, "BillingStreet", DataType::Utf8),
            (&invoices, "Paid__c", DataType::Boolean),
            (&invoices, "Due__c", DataType::Date32),
            (&invoices, "Sent_At__c", moment.clone()),
            (&invoices, "Open_At__c", DataType::Utf8),
            (&invoices, "Amount__c", decimal(20, 2)),
            // Parts of a location.
            (&invoices, "Place__Latitude__s", decimal(21, 3)),
        ] {
            let schema = batches[0].schema();
            let field = schema.field_with_name(name).unwrap();
            assert_eq!(*field.data_type(), kind, "{config}: {name}");
        }
        let (batch, row) = row_of(&accounts, &account);
        let text = |name| {
            batch
                .column_by_name(name)
                .unwrap()
                .as_string::<i32>()
                .value(row)
        };
        assert_eq!(text("Description"), TEXT, "{config}");
        assert_eq!(text("Name"), NOTHING);
        let big = batch.column_by_name("Big__c").unwrap();
        let big = big.as_primitive::<Decimal128Type>().value(row);
        assert_eq!(big.to_string(), format!("{DIGITS}000"), "{config}");
        let employees = batch.column_by_name("NumberOfEmployees").unwrap();
        assert_eq!(employees.as_primitive::<Int64Type>().value(row), 42);
        assert!(batch.column_by_name("Fax").unwrap().is_null(row));
        let (batch, row) = row_of(&invoices, &invoice);
        let column = |name| batch.column_by_name(name).unwrap();
        let amount = column("Amount__c").as_primitive::<Decimal128Type>();
        assert_eq!(amount.value(row), -123_450);
        assert_eq!(
            column("Due__c").as_primitive::<Date32Type>().value(row),
            19_782
        );
        let sent = column("Sent_At__c").as_primitive::<TimestampMillisecondType>();
        assert_eq!(sent.value(row), 1_709_251_198_000);
        let history = batches_rows(&batches(&site, Object::AccountHistory).await);
        assert_eq!(history, 40);
        for (batches, compound) in [(&accounts, "BillingAddress"), (&invoices, "Place__c")] {
            let schema = batches[0].schema();
            let parts = schema.fields().iter();
            let parts = parts.filter(|field| field.name().starts_with(&format!("{compound}__")));
            let is_there = parts.count() > 0;
            assert_eq!(is_there, config == WITH_COMPOUNDS, "{config}: {compound}");
        }
        if config == WITH_COMPOUNDS {
            let (batch, row) = row_of(&accounts, &account);
            let street = batch.column_by_name("BillingAddress__street").unwrap();
            assert_eq!(street.as_string::<i32>().value(row), TEXT);
            let (batch, row) = row_of(&invoices, &invoice);
            let of = |name| {
                let column = batch.column_by_name(name).unwrap();
                column.as_primitive::<Decimal128Type>().value(row)
            };
            // The same degrees, of 15 places and of 3.
            let places = 10_i128.pow(12);
            assert_eq!(of("Place__c__latitude"), of("Place__Latitude__s") * places);
        }
    }
}

async fn batches(site: &Site, object: Object) -> Vec<RecordBatch> {
    let mut batches = Vec::new();
    for bytes in objects_of(site, object).await {
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes));
        let reader = reader.unwrap().build().unwrap();
        batches.extend(reader.map(|batch| batch.unwrap()));
    }
    batches
}

fn batches_rows(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

fn row_of<'a>(batches: &'a [RecordBatch], key: &str) -> (&'a RecordBatch, usize) {
    let rows = batches.iter().flat_map(|batch| {
        let keys = batch.column_by_name("_tg_key").unwrap().as_string::<i32>();
        (0..batch.num_rows()).map(move |row| (batch, row, keys.value(row)))
    });
    let mut rows = rows;
    let found = rows.find(|(_, _, found)| *found == key).unwrap();
    (found.0, found.1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connector_of_these_tests_is_blind() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tidegate"));
    let component = crate::site::guest("salesforce");
    command
        .args(["--json", "connector", "inspect"])
        .arg(component)
        .env("TIDEGATE_STATE", folder.path());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    let inspected = crate::site::summary(&output);
    let extra = inspected["manifest"]["extra"].as_str().unwrap();
    let extra: Value = serde_json::from_str(extra).unwrap();
    assert_eq!(extra["blind"], true, "{inspected}");
}
