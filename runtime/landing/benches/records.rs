//! What a record costs between the socket and the file: bytes per second of one core, for
//! a page of 100 records, beside a plain copy of it.
//! `cargo bench -p tidegate-landing --bench records`.
#![expect(clippy::unwrap_used, reason = "it measures and may stop")]

use bytes::Bytes;
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use serde_json::{Value, json};
use tidegate_domain::record::{CursorOrder, Format, Operation};
use tidegate_domain::schema::Columns;
use tidegate_domain::slot::Content;
use tidegate_landing::cut::{CutLimits, Extraction, cut};
use tidegate_landing::encode::{Encoder, encoder};
use tidegate_landing::page::Page;

const PAGE: usize = 100;
/// Pages that take turns, so that a compressor does not meet one that it has just seen.
const PAGES: usize = 200;

fn main() {
    divan::main();
}

fn one_of(words: &[&'static str], at: usize) -> &'static str {
    words[at % words.len()]
}

/// 22 leaf fields, most of them nested, with accents, escapes and nulls.
fn record(at: usize) -> Value {
    let mixed = at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 17;
    let day = 1 + at % 28;
    json!({
        "id": at.to_string(),
        "properties": {
            "createdate": format!("2026-01-{day:02}T10:15:30.{:03}Z", at % 1000),
            "lastmodifieddate": format!("2026-02-{day:02}T11:00:00.{:03}Z", mixed % 1000),
            "hs_object_id": at.to_string(),
            "email": format!("person.{mixed}@example-{}.com", at % 997),
            "firstname": one_of(&["Zoë", "Max", "Łukasz", "Anna"], at),
            "lastname": format!("Müller-{}", mixed % 5000),
            "phone": format!("+49 30 {:07}", mixed % 10_000_000),
            "company": format!("Company \"{}\" GmbH", at % 3001),
            "website": format!("https://www.example-{}.com/about", at % 997),
            "jobtitle": (!at.is_multiple_of(3)).then(|| format!("Lead of {}", at % 77)),
            "city": one_of(&["Berlin", "Köln", "Paris", "Łódź"], mixed),
            "country": "Germany",
            "zip": format!("{:05}", mixed % 100_000),
            "lifecyclestage": one_of(&["lead", "customer", "subscriber"], at),
            "hs_lead_status": Value::Null,
            "annualrevenue": format!("{}.{:02}", mixed % 1_000_000, at % 100),
            "numemployees": (mixed % 5000).to_string(),
            "hubspot_owner_id": (at % 50).to_string(),
        },
        "createdAt": format!("2026-01-{day:02}T10:15:30.{:03}Z", at % 1000),
        "updatedAt": format!("2026-02-{day:02}T11:00:00.{:03}Z", mixed % 1000),
        "archived": false,
    })
}

fn schema() -> String {
    let date_time = json!({"type": "string", "format": "date-time"});
    let text = json!({"type": ["string", "null"]});
    let sample = record(1);
    let mut properties: serde_json::Map<String, Value> = sample["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(|name| (name.clone(), text.clone()))
        .collect();
    properties.insert("createdate".to_owned(), date_time.clone());
    properties.insert("lastmodifieddate".to_owned(), date_time.clone());
    json!({"properties": {
        "id": text, "createdAt": date_time, "updatedAt": date_time, "archived": {"type": "boolean"},
        "properties": {"type": "object", "properties": properties},
    }})
    .to_string()
}

fn pages() -> Vec<Bytes> {
    let page = |page: usize| {
        let records: Vec<Value> = (page * PAGE..(page + 1) * PAGE).map(record).collect();
        let next = json!({"next": {"after": page.to_string()}});
        Bytes::from(json!({"results": records, "paging": next}).to_string())
    };
    (0..PAGES).map(page).collect()
}

fn extraction() -> Extraction {
    Extraction {
        records: "/results".to_owned(),
        key: vec!["/id".to_owned()],
        cursor: Some(("/updatedAt".to_owned(), CursorOrder::Timestamp)),
        deleted: Some("/archived".to_owned()),
        ..Extraction::default()
    }
}

fn cut_page(body: &Bytes) -> Page {
    let limits = CutLimits::default();
    let (page, summary) = cut(body, &extraction(), 0, &limits, None).unwrap();
    assert_eq!(summary.records as usize, PAGE);
    page
}

/// Runs `each` on page after page.
fn over_pages(bencher: Bencher<'_, '_>, mut each: impl FnMut(&Bytes)) {
    let pages = pages();
    let bytes: usize = pages.iter().map(Bytes::len).sum();
    let mut turn = (0..PAGES).cycle();
    bencher
        .counter(BytesCount::new(bytes / PAGES))
        .counter(ItemsCount::new(PAGE))
        .bench_local(|| each(&pages[turn.next().unwrap_or(0)]));
}

#[divan::bench]
fn a_page_is_copied(bencher: Bencher<'_, '_>) {
    over_pages(bencher, |body| drop(black_box(body.to_vec())));
}

#[divan::bench]
fn a_page_is_cut(bencher: Bencher<'_, '_>) {
    over_pages(bencher, |body| drop(black_box(cut_page(body))));
}

#[divan::bench(args = [Format::JsonlZstd, Format::JsonlGzip, Format::CsvGzip, Format::Parquet])]
fn a_page_is_cut_and_encoded(bencher: Bencher<'_, '_>, format: Format) {
    let columns = Columns::from_json_schema(&schema(), &[]).unwrap();
    // Without columns JSON lines are not looked through for what fits none of them.
    let columns = matches!(format, Format::CsvGzip | Format::Parquet).then_some(&columns);
    let content = Content::Rows(Operation::Upsert);
    let file = tempfile::tempfile().unwrap();
    let mut encoder: Box<dyn Encoder> = encoder(format, columns, file, content).unwrap();
    let rows: Vec<usize> = (0..PAGE).collect();
    over_pages(bencher, |body| {
        encoder.write(&cut_page(body), &rows).unwrap()
    });
    assert_eq!(encoder.finish().unwrap().drifted, 0);
}
