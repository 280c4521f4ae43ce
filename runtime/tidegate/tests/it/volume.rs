//! A whole history on S3, read back by a reader that none of us wrote.

use crate::endpoint::Endpoint;
use crate::site::{Options, Site, is_proof, proof_fragment, rows, shown};
use crm_sim::hubspot::Kind;
use std::fmt::Write as _;
use std::process::Command;

async fn lands_whole(format: &str) {
    let contacts: u32 = if is_proof() { 1_000_000 } else { 25_000 };
    let endpoint = Endpoint::find().await;
    let prefix = format!("volume-{format}-{}", std::process::id());
    let crm = crm_sim::hubspot::Config {
        contacts,
        limit_scale: None,
        ..crm_sim::hubspot::Config::default()
    };
    let options = Options {
        stream: "mode: incremental, landing: append",
        target: endpoint.document(&prefix, format),
        batch: "{ rows_max: 400000 }",
        broker: "limit_scale: .inf",
        oauth: false,
    };
    let site = Site::new(crm, options).await;
    endpoint.admit(&site);
    let summary = site.sync_to_end().await;
    assert_eq!(summary["rows"], contacts);
    let landed = rows(&endpoint.target(&prefix)).await;
    crate::site::assert_same(&landed, &site.truth(), format);
    let verdict = verify(&site, &endpoint).await;
    let peak = summary["peak_rss_bytes"].as_u64().unwrap() / 1_000_000;
    let seconds = summary["seconds"].as_f64().unwrap();
    proof_fragment(
        &format!("volume-{format}"),
        &format!(
            "{contacts} contacts as {format}: {verdict} Peak memory of the process {peak} MB; {seconds:.1} s, debug build.\n"
        ),
    );
}

/// Lets pyarrow read what landed, where `cargo ci` has installed it.
async fn verify(site: &Site, endpoint: &Endpoint) -> String {
    let Some(python) = std::env::var_os("TIDEGATE_TEST_PYTHON") else {
        return "pyarrow is not installed, so only our own reader looked.".to_owned();
    };
    let file = site.path("sync.yaml");
    let output = site
        .run(site.tidegate(&["--json", "lake", "files", file.to_str().unwrap()]))
        .await;
    assert!(output.status.success(), "{}", shown(&output));
    std::fs::write(site.path("files"), &output.stdout).unwrap();
    let (mut truth, mut sample) = (String::new(), String::new());
    let step = (site.crm.live_count(Kind::Contacts) / 10_000).max(1);
    for (at, version) in site.crm.current(Kind::Contacts).enumerate() {
        let row = serde_json::json!({ "key": version.id.to_string(), "version": crm_sim::hubspot::iso(version.modified_ms) });
        writeln!(truth, "{row}").unwrap();
        if at % step == 0 {
            let record = site.crm.record_json(Kind::Contacts, version.id).unwrap();
            writeln!(sample, "{}", record.replace('\n', "\\n")).unwrap();
        }
    }
    site.write("truth", &truth);
    site.write("sample", &sample);
    let script =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/verify_lake.py");
    let mut command = Command::new(python);
    command
        .arg(script)
        .args([site.path("files"), site.path("truth"), site.path("sample")])
        .env("TIDEGATE_TEST_S3_ENDPOINT", &endpoint.url)
        .env("TIDEGATE_TEST_S3_ACCESS_KEY", &endpoint.access_key)
        .env("TIDEGATE_TEST_S3_SECRET_KEY", &endpoint.secret_key);
    let output = site.run(command).await;
    assert!(output.status.success(), "{}", shown(&output));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_lands_once_as_parquet() {
    lands_whole("parquet").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_record_lands_once_as_json_lines() {
    lands_whole("jsonl.zst").await;
}

/// Memory does not follow the number of records.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_the_same_for_more_records() {
    let (few, many) = if is_proof() {
        (100_000, 1_000_000)
    } else {
        (80_000, 240_000)
    };
    let mut peaks = Vec::new();
    for contacts in [few, many] {
        let crm = crm_sim::hubspot::Config {
            contacts,
            limit_scale: None,
            ..crm_sim::hubspot::Config::default()
        };
        let options = Options {
            stream: "mode: incremental, landing: append",
            target: "{ url: 'file://{folder}/lake', format: parquet }".to_owned(),
            batch: "{ rows_max: 1000000 }",
            ..Options::default()
        };
        let site = Site::new(crm, options).await;
        peaks.push(site.sync_to_end().await["peak_rss_bytes"].as_u64().unwrap());
    }
    proof_fragment(
        "memory",
        &format!(
            "Peak memory, Parquet: {} MB for {few} records, {} MB for {many}.\n",
            peaks[0] / 1_000_000,
            peaks[1] / 1_000_000
        ),
    );
    assert!(
        peaks[1] * 10 <= peaks[0] * 13,
        "{few} records: {}, {many} records: {}",
        peaks[0],
        peaks[1]
    );
}
