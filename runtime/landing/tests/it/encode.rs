//! Files as their readers find them.

use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::metadata::ColumnChunkMetaData;
use serde_json::{Value, json};
use sha2::Digest as _;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use tidegate_domain::id::Sha256;
use tidegate_domain::record::{CursorOrder, Format, Operation};
use tidegate_domain::schema::Columns;
use tidegate_domain::slot::Content;
use tidegate_landing::cut::{CutLimits, Extraction, cut};
use tidegate_landing::encode::{EncodeError, Finished, Why, encoder, format_of, schema_id};
use tidegate_landing::page::Page;

const ROWS: Content = Content::Rows(Operation::Upsert);

fn page(records: &str) -> Page {
    let how = Extraction {
        key: vec!["/id".to_owned()],
        cursor: Some(("/at".to_owned(), CursorOrder::Timestamp)),
        ..Extraction::default()
    };
    let body = Bytes::from(records.to_owned());
    let sent_at_ms = 1_700_000_000_123;
    cut(&body, &how, sent_at_ms, &CutLimits::default(), None)
        .unwrap()
        .0
}

fn columns() -> Columns {
    let schema = json!({"properties": {
        "id": {"type": "string"},
        "at": {"type": "string", "format": "date-time"},
        "born": {"type": "string", "format": "date"},
        "big": {"type": "integer"},
        "flag": {"type": "boolean"},
        "price": {"type": "number"},
        "sum": {"type": "number", "format": "decimal", "precision": 10, "scale": 2},
        "tags": {"type": "array"},
        "p": {"type": "object", "properties": {"email": {"type": "string"}}},
    }});
    Columns::from_json_schema(&schema.to_string(), &["/id".to_owned()]).unwrap()
}

const RECORDS: &str = r#"[
    {"id":"a\"1","at":"2024-02-29T12:00:00.5+01:00","born":"1999-12-31","big":9007199254740993,
     "flag":true,"price":1.10,"sum":-12.5,"tags":["x",{"y":1}],"p":{"email":"ä@x.de"}},
    {"at":"2024-01-01T00:00:00Z","id":2,"flag":"false","big":"7","p":{"email":null,"new":[1]}},
    {"id":"c","big":1e2,"born":"soon","sum":0.001,"p":"text","other":{"z":1},"nil":null},
    {"id":"d"}
]"#;

/// Encodes all rows of the page, in two writes.
fn encode(
    format: Format,
    columns: Option<&Columns>,
    page: &Page,
    content: Content,
) -> (Vec<u8>, Finished) {
    let file = tempfile::tempfile().unwrap();
    let mut encoder = encoder(format, columns, file, content).unwrap();
    let count = match content {
        Content::Rows(_) => page.rows.len(),
        Content::Rejected => page.rejected.len(),
    };
    let rows: Vec<usize> = (0..count).collect();
    let (first, rest) = rows.split_at(count.min(1));
    encoder.write(page, first).unwrap();
    encoder.write(page, rest).unwrap();
    assert_eq!(encoder.rows(), count as u64);
    let mut finished = encoder.finish().unwrap();
    finished.file.rewind().unwrap();
    let mut bytes = Vec::new();
    finished.file.read_to_end(&mut bytes).unwrap();
    assert_eq!(finished.bytes, bytes.len() as u64);
    assert_eq!(
        finished.sha256,
        Sha256::from_bytes(sha2::Sha256::digest(&bytes).into())
    );
    (bytes, finished)
}

fn plain(format: Format, bytes: &[u8]) -> String {
    match format {
        Format::JsonlZstd => String::from_utf8(zstd::decode_all(bytes).unwrap()).unwrap(),
        _ => {
            let mut text = String::new();
            let mut gzip = flate2::read::MultiGzDecoder::new(bytes);
            gzip.read_to_string(&mut text).unwrap();
            text
        }
    }
}

#[test]
fn json_lines_hold_each_record_as_it_came_behind_its_own_columns() {
    let page = page(RECORDS);
    for format in [Format::JsonlZstd, Format::JsonlGzip] {
        let (bytes, finished) = encode(format, None, &page, ROWS);
        assert_eq!((finished.rows, finished.drifted), (4, 0));
        let text = plain(format, &bytes);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        let own = r#"{"_tg_key":"a\"1","_tg_op":"upsert","_tg_version":"2024-02-29T12:00:00.5+01:00","_tg_extracted_at":"2023-11-14T22:13:20.123Z","id":"a\"1""#;
        assert!(lines[0].starts_with(own), "{}", lines[0]);
        assert!(
            lines[0].contains(r#""price":1.10,"#),
            "numbers keep their text"
        );
        assert_eq!(
            lines[3],
            r#"{"_tg_key":"d","_tg_op":"upsert","_tg_extracted_at":"2023-11-14T22:13:20.123Z","id":"d"}"#
        );
        for line in lines {
            serde_json::from_str::<Value>(line).unwrap();
        }
    }
}

#[test]
fn rejected_records_land_with_their_reason() {
    let page = page("[{\"no\":\n1},7,{\"id\":\"x\",\"s\":\"\\ud800\"}]");
    let (bytes, finished) = encode(Format::Parquet, None, &page, Content::Rejected);
    assert_eq!(
        format_of(Content::Rejected, Format::Parquet),
        Format::JsonlZstd
    );
    assert_eq!(finished.rows, 3);
    let text = plain(Format::JsonlZstd, &bytes);
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let records: Vec<_> = lines
        .iter()
        .map(|line| line["record"].as_str().unwrap())
        .collect();
    assert_eq!(records, ["{\"no\":\n1}", "7", r#"{"id":"x","s":"\ud800"}"#]);
    assert_eq!(lines[1]["reason"], "the record is not an object");
}

#[test]
fn empty_records_and_line_breaks_stay_on_one_line() {
    let mut page = page("[{ \n },{\"id\":\"x\",\r\n\"a\":1}]");
    assert_eq!(page.rejected.len(), 1, "a record without its key");
    page.rows.push(page.rows[0].clone());
    page.rows[1].record = page.rejected[0].record.clone();
    let (bytes, _) = encode(Format::JsonlZstd, None, &page, ROWS);
    let text = plain(Format::JsonlZstd, &bytes);
    let ends: Vec<_> = text
        .lines()
        .map(|line| line.split_once("Z\"").unwrap().1)
        .collect();
    assert_eq!(ends, [r#","id":"x",  "a":1}"#, "   }"]);
}

#[test]
fn csv_has_a_column_each_and_tells_null_from_empty() {
    let page = page(
        r#"[{"id":"a,1","p":{"email":""},"big":5,"tags":["x"],"flag":"TRUE","other":1},{"id":"b"}]"#,
    );
    let (bytes, finished) = encode(Format::CsvGzip, Some(&columns()), &page, ROWS);
    assert_eq!((finished.rows, finished.drifted), (2, 1));
    let expected = "_tg_key,_tg_op,_tg_version,_tg_extracted_at,at,big,born,flag,id,p__email,price,sum,tags,_tg_extra\n\
        \"a,1\",upsert,,2023-11-14T22:13:20.123Z,,5,,TRUE,\"a,1\",\"\",,,\"[\"\"x\"\"]\",\"{\"\"other\"\":1}\"\n\
        b,upsert,,2023-11-14T22:13:20.123Z,,,,,b,,,,,\n";
    assert_eq!(plain(Format::CsvGzip, &bytes), expected);
}

#[test]
fn formats_with_columns_need_a_schema() {
    for format in [Format::CsvGzip, Format::Parquet] {
        let refused = encoder(format, None, tempfile::tempfile().unwrap(), ROWS);
        assert!(matches!(refused.err(), Some(EncodeError::NoColumns { .. })));
    }
}

#[test]
fn a_schema_has_one_id() {
    assert_eq!(schema_id(&columns()), schema_id(&columns()));
    assert_eq!(schema_id(&columns()).len(), 16);
    assert_ne!(schema_id(&columns()), schema_id(&Columns::default()));
}

/// The Parquet file's rows, as Arrow shows their values.
fn parquet_rows(file: File) -> Vec<Vec<(String, String)>> {
    use arrow_array::Array as _;
    use arrow_array::cast::AsArray as _;
    use arrow_array::types::{Date32Type, Decimal128Type, Int64Type, TimestampMillisecondType};
    use arrow_schema::DataType;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .build()
        .unwrap();
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        for row in 0..batch.num_rows() {
            let schema = batch.schema();
            let cell = |at: usize| {
                let column = batch.column(at);
                let text = match column.data_type() {
                    _ if column.is_null(row) => return None,
                    DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
                    DataType::Boolean => column.as_boolean().value(row).to_string(),
                    DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
                    DataType::Date32 => column.as_primitive::<Date32Type>().value(row).to_string(),
                    DataType::Decimal128(10, 2) => {
                        column.as_primitive::<Decimal128Type>().value_as_string(row)
                    }
                    DataType::Timestamp(_, Some(zone)) if &**zone == "UTC" => column
                        .as_primitive::<TimestampMillisecondType>()
                        .value(row)
                        .to_string(),
                    other => panic!("{other}"),
                };
                Some((schema.field(at).name().clone(), text))
            };
            rows.push((0..batch.num_columns()).filter_map(cell).collect());
        }
    }
    rows
}

#[test]
fn parquet_holds_typed_columns_and_loses_nothing() {
    let (_, finished) = encode(Format::Parquet, Some(&columns()), &page(RECORDS), ROWS);
    assert_eq!((finished.rows, finished.drifted), (4, 2));
    let misfits: Vec<_> = finished
        .misfits
        .iter()
        .map(|misfit| (&*misfit.name, misfit.why, misfit.values))
        .collect();
    assert_eq!(
        misfits,
        [
            ("p__new", Why::Unknown, 1),
            ("p", Why::Mistyped, 1),
            ("other", Why::Unknown, 1),
            ("big", Why::Mistyped, 1),
            ("born", Why::Mistyped, 1),
            ("sum", Why::Mistyped, 1),
        ]
    );
    let rows = parquet_rows(finished.file);
    let own = |key: &str| {
        vec![
            ("_tg_key".to_owned(), key.to_owned()),
            ("_tg_op".to_owned(), "upsert".to_owned()),
        ]
    };
    let expected = |key: &str, rest: &[(&str, &str)]| {
        let rest = rest
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        own(key).into_iter().chain(rest).collect::<Vec<_>>()
    };
    let extracted = ("_tg_extracted_at", "1700000000123");
    assert_eq!(
        rows,
        [
            expected(
                "a\"1",
                &[
                    ("_tg_version", "2024-02-29T12:00:00.5+01:00"),
                    extracted,
                    ("at", "1709204400500"),
                    ("big", "9007199254740993"),
                    ("born", "10956"),
                    ("flag", "true"),
                    ("id", "a\"1"),
                    ("p__email", "ä@x.de"),
                    ("price", "1.10"),
                    ("sum", "-12.50"),
                    ("tags", r#"["x",{"y":1}]"#),
                ]
            ),
            expected(
                "2",
                &[
                    ("_tg_version", "2024-01-01T00:00:00Z"),
                    extracted,
                    ("at", "1704067200000"),
                    ("big", "7"),
                    ("flag", "false"),
                    ("id", "2"),
                    ("_tg_extra", r#"{"p__new":[1]}"#),
                ]
            ),
            expected(
                "c",
                &[
                    extracted,
                    ("id", "c"),
                    (
                        "_tg_extra",
                        r#"{"p":"text","other":{"z":1},"big":1e2,"born":"soon","sum":0.001}"#
                    ),
                ]
            ),
            expected("d", &[extracted, ("id", "d")]),
        ]
    );
}

/// The codec of a column, and whether it has a dictionary.
fn column_of(file: &File, name: &str) -> (Compression, bool) {
    let file = file.try_clone().unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let columns = reader.metadata().row_group(0).columns();
    let is_it = |column: &&ColumnChunkMetaData| column.column_path().string() == name;
    let column = columns.iter().find(is_it).unwrap();
    (
        column.compression(),
        column.dictionary_page_offset().is_some(),
    )
}

#[test]
fn parquet_keeps_dictionaries_of_what_repeats_and_compresses_what_is_worth_it() {
    let file_of = |count: usize| {
        let records: Vec<Value> = (0..count)
            .map(|at| {
                let minute = format!("2026-01-{:02}T{:02}:{:02}:00Z", 1 + at / 1_440, at / 60 % 24, at % 60);
                json!({"id": at.to_string(), "at": minute, "tags": ["x", "y"], "p": {"email": format!("{at}@example.com")}})
            })
            .collect();
        let page = page(&Value::from(records).to_string());
        encode(Format::Parquet, Some(&columns()), &page, ROWS)
            .1
            .file
    };
    let few = file_of(10);
    assert_eq!(column_of(&few, "tags").0, Compression::UNCOMPRESSED);
    let many = file_of(2_000);
    for (name, has_dictionary) in [
        ("_tg_key", false),
        ("_tg_op", true),
        ("_tg_version", false),
        ("at", false),
        ("tags", true),
        ("p__email", false),
    ] {
        let (codec, found) = column_of(&many, name);
        assert!(matches!(codec, Compression::ZSTD(_)), "{name}: {codec:?}");
        assert_eq!(found, has_dictionary, "{name}");
    }
}

#[test]
fn parquet_holds_no_more_than_a_row_group_in_memory() {
    let record = |at: usize| {
        let mut random = vec![0; 150_000];
        getrandom::fill(&mut random).unwrap();
        json!({"id": at, "text": data_encoding::BASE64.encode(&random)})
    };
    let records: Vec<Value> = (0..50).map(record).collect();
    let page = page(&Value::from(records).to_string());
    let schema = r#"{"properties":{"text":{"type":"string"}}}"#;
    let columns = Columns::from_json_schema(schema, &[]).unwrap();
    let mut encoder = encoder(
        Format::Parquet,
        Some(&columns),
        tempfile::tempfile().unwrap(),
        ROWS,
    )
    .unwrap();
    let rows: Vec<usize> = (0..page.rows.len()).collect();
    for _ in 0..10 {
        encoder.write(&page, &rows).unwrap();
    }
    assert!(encoder.bytes() > 0);
    let finished = encoder.finish().unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(finished.file).unwrap();
    let groups = reader.metadata().row_groups();
    assert!(groups.len() > 1, "{} groups", groups.len());
    let rows: i64 = groups.iter().map(|group| group.num_rows()).sum();
    assert_eq!(rows, 500);
}
