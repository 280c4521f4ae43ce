//! How many records one core cuts and encodes per second of CPU:
//! `cargo run --release -p tidegate-landing --example throughput [directory for the files]`.
#![expect(clippy::print_stdout, reason = "it prints its figures")]
#![expect(clippy::unwrap_used, reason = "it measures and may stop")]

use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use std::fs::File;
use std::path::PathBuf;
use tidegate_domain::record::{CursorOrder, Format, Operation};
use tidegate_domain::schema::Columns;
use tidegate_domain::slot::Content;
use tidegate_landing::cut::{BodyFormat, CutLimits, Extraction, cut};
use tidegate_landing::encode::encoder;

const RECORDS: usize = 200_000;
const PAGE: usize = 100;

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

fn cpu_seconds() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
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

fn main() {
    let pages: Vec<Bytes> = (0..RECORDS / PAGE)
        .map(|page| {
            let records: Vec<Value> = (page * PAGE..(page + 1) * PAGE).map(record).collect();
            let next = json!({"next": {"after": page.to_string()}});
            Bytes::from(json!({"results": records, "paging": next}).to_string())
        })
        .collect();
    let bytes: usize = pages.iter().map(Bytes::len).sum();
    println!("{RECORDS} records of {} bytes", bytes / RECORDS);
    let how = Extraction {
        format: BodyFormat::Json,
        records: "/results".to_owned(),
        key: vec!["/id".to_owned()],
        cursor: Some(("/updatedAt".to_owned(), CursorOrder::Timestamp)),
        project: Vec::new(),
        kind: Operation::Upsert,
        deleted: Some("/archived".to_owned()),
        created: None,
        present: None,
        floor: None,
        pairs: None,
        bare: Vec::new(),
    };
    let limits = CutLimits::default();
    let report = |what: &str, begun: f64, file_bytes: u64| {
        let seconds = cpu_seconds() - begun;
        println!(
            "{what:10} {:9.0} records/CPU-s {:5.2} us/record {:6.0} MB/s  file {:.1} MB",
            RECORDS as f64 / seconds,
            seconds / RECORDS as f64 * 1e6,
            bytes as f64 / seconds / 1e6,
            file_bytes as f64 / 1e6
        );
    };
    let mut kept = std::env::args().nth(1).map(PathBuf::from);
    for _ in 0..3 {
        let begun = cpu_seconds();
        for page in &pages {
            assert_eq!(
                cut(page, &how, 0, &limits, None).unwrap().0.rows.len(),
                PAGE
            );
        }
        report("cut", begun, 0);
        let columns = Columns::from_json_schema(&schema(), &[]).unwrap();
        let rows: Vec<usize> = (0..PAGE).collect();
        for format in [
            Format::JsonlZstd,
            Format::JsonlGzip,
            Format::CsvGzip,
            Format::Parquet,
        ] {
            let file = match &kept {
                Some(folder) => File::create_new(folder.join(format.extension())).unwrap(),
                None => tempfile::tempfile().unwrap(),
            };
            let begun = cpu_seconds();
            let content = Content::Rows(Operation::Upsert);
            let mut encoder = encoder(format, Some(&columns), file, content).unwrap();
            for page in &pages {
                let (page, _) = cut(page, &how, 0, &limits, None).unwrap();
                encoder.write(&page, &rows).unwrap();
            }
            let finished = encoder.finish().unwrap();
            assert_eq!((finished.rows, finished.drifted), (RECORDS as u64, 0));
            report(format.extension(), begun, finished.bytes);
        }
        kept = None;
    }
}
