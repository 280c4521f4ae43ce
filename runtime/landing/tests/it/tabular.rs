//! A file of rows that came as CSV, beside one of the same records as JSON.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;
use std::io::{Read as _, Seek as _};
use tidegate_domain::record::{CursorOrder, Format, Operation};
use tidegate_domain::schema::Columns;
use tidegate_domain::slot::Content;
use tidegate_landing::cut::{BodyFormat, CutLimits, Extraction, Summary, cut};
use tidegate_landing::encode::{Misfit, encoder};
use tidegate_landing::page::{Page, Scratch};

fn columns() -> Columns {
    let schema = json!({"properties": {
        "id": {"type": "string"},
        "at": {"type": "string", "format": "date-time"},
        "day": {"type": "string", "format": "date"},
        "n": {"type": "integer"},
        "flag": {"type": "boolean"},
        "sum": {"type": "number", "format": "decimal", "precision": 6, "scale": 2},
        "text": {"type": "string"},
        "any": {"type": "array"},
        "deep": {"type": "object", "properties": {"er": {"type": "string"}}},
    }});
    Columns::from_json_schema(&schema.to_string(), &["/id".to_owned()]).unwrap()
}

fn cut_as(format: BodyFormat, body: Vec<u8>) -> (Page, Summary) {
    let how = Extraction {
        format,
        key: vec!["/id".to_owned()],
        cursor: Some(("/at".to_owned(), CursorOrder::Timestamp)),
        deleted: Some("/flag".to_owned()),
        bare: ["n", "flag", "sum"].map(str::to_owned).to_vec(),
        ..Extraction::default()
    };
    let limits = CutLimits::default();
    cut(&Bytes::from(body), &how, 1_700_000_000_123, &limits, None).unwrap()
}

/// The same records as lines of JSON.
fn as_json(page: &Page) -> Vec<u8> {
    let mut scratch = Scratch::default();
    let rows = page.rows.iter().map(|row| &row.record);
    let rows = rows.chain(page.rejected.iter().map(|rejected| &rejected.record));
    let lines = rows.map(|record| [page.record(record, &mut scratch), b"\n"].concat());
    lines.collect::<Vec<_>>().concat()
}

fn encode(format: Format, page: &Page) -> (Vec<u8>, u64, Vec<Misfit>) {
    let file = tempfile::tempfile().unwrap();
    let rows: Vec<usize> = (0..page.rows.len()).collect();
    let content = Content::Rows(Operation::Upsert);
    let mut encoder = encoder(format, Some(&columns()), file, content).unwrap();
    encoder.write(page, &rows).unwrap();
    let mut finished = encoder.finish().unwrap();
    finished.file.rewind().unwrap();
    let mut bytes = Vec::new();
    finished.file.read_to_end(&mut bytes).unwrap();
    (bytes, finished.drifted, finished.misfits)
}

const NAMES: [&str; 11] = [
    "id",
    "at",
    "day",
    "n",
    "flag",
    "sum",
    "text",
    "any",
    "deep",
    "new \"1\"",
    "_tg_x",
];

fn value() -> impl Strategy<Value = String> {
    let fitting = prop::sample::select(vec![
        "",
        "null",
        "true",
        "False",
        "7",
        "-1.50",
        "1.5E2",
        "\"7\"",
        "2024-02-29",
        "2024-02-29T12:00:00.000+0000",
        "{\"a\":1}",
    ]);
    prop_oneof![
        3 => fitting.prop_map(str::to_owned),
        1 => "[a\",\r\n\\\\\u{1}é 0-9]{0,6}",
    ]
}

proptest! {
    /// Types, what fits none, numbers of rows, all of it.
    #[test]
    fn rows_of_csv_land_as_their_json_would(
        fields in prop::sample::subsequence(NAMES.to_vec(), 1..=NAMES.len()),
        rows in prop::collection::vec(prop::collection::vec(value(), NAMES.len()), 1..12),
        cut_short: bool,
    ) {
        let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
        writer.write_record(&fields).unwrap();
        for (at, row) in rows.iter().enumerate() {
            let length = fields.len() - usize::from(cut_short && at == 0 && fields.len() > 1);
            writer.write_record(&row[..length]).unwrap();
        }
        let body = writer.into_inner().unwrap();
        let (page, summary) = cut_as(BodyFormat::Csv, body);
        let (same, expected) = cut_as(BodyFormat::Ndjson, as_json(&page));
        prop_assert_eq!(page.rows.len(), same.rows.len());
        prop_assert_eq!(Summary { bytes: 0, ..summary }, Summary { bytes: 0, ..expected });
        for (row, expected) in page.rows.iter().zip(&same.rows) {
            prop_assert_eq!(page.text(&row.key), same.text(&expected.key));
            let text = |page: &Page, version| Option::map(version, |text| page.text(text).to_owned());
            prop_assert_eq!(
                text(&page, row.version.as_ref()),
                text(&same, expected.version.as_ref())
            );
            prop_assert_eq!(row.operation, expected.operation);
        }
        for format in [Format::CsvGzip, Format::Parquet, Format::JsonlZstd] {
            prop_assert_eq!(encode(format, &page), encode(format, &same), "{:?}", format);
        }
    }
}
