//! Reads that go as they should.

use crate::bench::{Bench, Kept, kept, request};
use crate::server::Server;
use serde_json::{Value, json};
use tidegate_domain::Fault;
use tidegate_domain::sync::Mode;
use tidegate_sandbox::{Error, PlanRequest, ReadOutcome};

const CONFIG: &str = r#"{"auth":"private_app"}"#;

/// Three pages of one contact each.
async fn provider() -> Server {
    Server::start(|path| {
        if path.contains("/properties/") {
            return json!({"results": [{"name": "email", "type": "string"}]}).to_string();
        }
        if path.contains("/schemas") {
            return json!({"results": []}).to_string();
        }
        let at = ["a", "b"]
            .iter()
            .position(|token| path.contains(&format!("after={token}")));
        let page = at.map_or(0, |at| at + 1);
        let record = json!({
            "id": page.to_string(),
            "properties": {"email": "x", "lastmodifieddate": "2026-01-01T00:00:00Z"},
            "archived": false,
        });
        match ["a", "b"].get(page) {
            Some(next) => {
                json!({"results": [record], "paging": {"next": {"after": next}}}).to_string()
            }
            None => json!({"results": [record]}).to_string(),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_discovered_planned_and_read_to_its_end() {
    let bench = Bench::new();
    let connector = bench.admit("hubspot").await;
    let server = provider().await;
    let context = || bench.context(&connector, &server);
    let ((), usage) = connector.check(context(), CONFIG.to_owned()).await.unwrap();
    assert_eq!(usage.requests, 1);
    let (streams, _) = connector
        .discover(context(), CONFIG.to_owned())
        .await
        .unwrap();
    let contacts = streams
        .into_iter()
        .find(|stream| stream.name == "contacts")
        .unwrap();
    assert!(contacts.modes.contains(&Mode::FullRefresh));
    let plan = PlanRequest {
        config: CONFIG.to_owned(),
        stream: contacts.name.clone(),
        mode: Mode::FullRefresh,
        window: None,
        partitions_max: 8,
        previous: Vec::new(),
    };
    let (partitions, _) = connector.plan(context(), plan).await.unwrap();
    let mut read = request(CONFIG, "contacts", "{}");
    read.partition = partitions.into_iter().next().unwrap();
    read.stream = contacts;
    let report = connector
        .read(context(), Box::new(Kept::default()), read)
        .await;
    assert!(
        matches!(report.outcome, Ok(ReadOutcome::Done { .. })),
        "{:?}",
        report.outcome
    );
    let usage = report.usage.clone();
    let kept = kept(report.sink);
    let ids: Vec<Value> = kept
        .records()
        .iter()
        .map(|record| serde_json::from_str::<Value>(record).unwrap()["id"].clone())
        .collect();
    assert_eq!(ids, ["0", "1", "2"]);
    assert_eq!(kept.saves.len(), 2);
    assert_eq!(usage.emitted_records, 3);
    assert!(usage.requests >= 3 && usage.bytes_received > 0 && usage.emitted_bytes > 0);
    assert!(usage.cpu_us > 0 && usage.host_calls > 0);
    assert!(usage.peak_memory_bytes > 0 && usage.peak_memory_bytes <= 64 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_is_told_to_stop_goes_on_where_it_saved() {
    let bench = Bench::new();
    let connector = bench.admit("hubspot").await;
    let server = provider().await;
    let first = Kept {
        stop_at: Some(1),
        ..Kept::default()
    };
    let mut read = request(CONFIG, "contacts", r#"{"kind":"list","until":1}"#);
    read.fields = vec!["/properties/email".to_owned()];
    let context = bench.context(&connector, &server);
    let report = connector.read(context, Box::new(first), read.clone()).await;
    assert!(
        matches!(report.outcome, Ok(ReadOutcome::More)),
        "{:?}",
        report.outcome
    );
    let first = kept(report.sink);
    assert_eq!((first.records().len(), first.saves.len()), (1, 1));
    read.state = first.saves.last().cloned();
    let context = bench.context(&connector, &server);
    let report = connector
        .read(context, Box::new(Kept::default()), read)
        .await;
    assert!(
        matches!(report.outcome, Ok(ReadOutcome::Done { .. })),
        "{:?}",
        report.outcome
    );
    assert_eq!(kept(report.sink).records().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blind_connector_reads_paging_values_only() {
    let bench = Bench::new();
    let server = provider().await;
    // The good one works blind.
    let connector = bench.admit("hubspot").await;
    let mut context = bench.context(&connector, &server);
    context.blind = true;
    let read = request(CONFIG, "contacts", r#"{"kind":"list","until":1}"#);
    let report = connector
        .read(context, Box::new(Kept::default()), read)
        .await;
    assert!(
        matches!(report.outcome, Ok(ReadOutcome::Done { .. })),
        "{:?}",
        report.outcome
    );
    assert_eq!(kept(report.sink).records().len(), 3);
    // The copying one is refused at its first body, and told by which rule.
    let connector = bench.admit("copying").await;
    let mut context = bench.context(&connector, &server);
    context.blind = true;
    let report = connector
        .read(
            context,
            Box::new(Kept::default()),
            request(CONFIG, "contacts", "null"),
        )
        .await;
    let error = report.outcome.unwrap_err();
    assert!(matches!(error, Error::Failure { .. }), "{error}");
    assert!(error.to_string().contains("blind"), "{error}");
    assert!(kept(report.sink).pages.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guests_own_failure_keeps_its_class_and_words() {
    let bench = Bench::new();
    let connector = bench.admit("hubspot").await;
    let server = provider().await;
    let read = request(CONFIG, "unicorns", r#"{"kind":"list","until":1}"#);
    let report = connector
        .read(
            bench.context(&connector, &server),
            Box::new(Kept::default()),
            read,
        )
        .await;
    let error = report.outcome.unwrap_err();
    assert_eq!(error.fault(), Fault::Config);
    assert!(error.to_string().contains("unicorns"), "{error}");
    assert!(error.to_string().contains("hubspot@"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_calls_than_places_wait_for_one() {
    let bench = Bench::with(|config| config.instances_max = 1);
    let connector = bench.admit("hubspot").await;
    let server = provider().await;
    let read = || {
        let context = bench.context(&connector, &server);
        let request = request(CONFIG, "contacts", r#"{"kind":"list","until":1}"#);
        connector.read(context, Box::new(Kept::default()), request)
    };
    let (first, second, third) = tokio::join!(read(), read(), read());
    for report in [first, second, third] {
        assert!(
            matches!(report.outcome, Ok(ReadOutcome::Done { .. })),
            "{:?}",
            report.outcome
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_one_connector_run_side_by_side_in_instances_of_their_own() {
    let bench = Bench::new();
    let connector = bench.admit("hubspot").await;
    let server = provider().await;
    let read = || {
        let context = bench.context(&connector, &server);
        let request = request(CONFIG, "contacts", r#"{"kind":"list","until":1}"#);
        connector.read(context, Box::new(Kept::default()), request)
    };
    let (first, second, third) = tokio::join!(read(), read(), read());
    for report in [first, second, third] {
        assert!(
            matches!(report.outcome, Ok(ReadOutcome::Done { .. })),
            "{:?}",
            report.outcome
        );
        assert_eq!(kept(report.sink).records().len(), 3);
    }
}
