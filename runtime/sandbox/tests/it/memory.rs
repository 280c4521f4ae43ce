//! What is in a guest's memory, and what never gets there.

use crate::bench::{Bench, Kept, TOKEN, kept, request};
use crate::server::Server;
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use tidegate_sandbox::ReadOutcome;

const RECORD: &str = "canary-record-c0ffee42";
const PAGE_TOKEN: &str = "canary-page-0badcafe";

/// How often each canary was seen in linear memories.
#[derive(Default)]
struct Sightings {
    memories: AtomicUsize,
    found: Mutex<Vec<&'static str>>,
}

impl Sightings {
    fn search(&self, memory: &[u8]) {
        self.memories.fetch_add(1, SeqCst);
        for canary in [TOKEN, RECORD, PAGE_TOKEN] {
            if memory
                .windows(canary.len())
                .any(|window| window == canary.as_bytes())
            {
                self.found.lock().unwrap().push(canary);
            }
        }
    }
}

async fn provider() -> Server {
    Server::start(|path| {
        if path.contains("/properties/") {
            return json!({"results": [{"name": "email", "type": "string"}]}).to_string();
        }
        let next = if path.contains(PAGE_TOKEN) {
            json!(null)
        } else {
            json!({"next": {"after": PAGE_TOKEN}})
        };
        let record = json!({
            "id": "1",
            "properties": {"email": RECORD, "lastmodifieddate": "2026-01-01T00:00:00Z"},
            "createdAt": "2026-01-01T00:00:00Z",
            "updatedAt": "2026-01-01T00:00:00Z",
            "archived": false,
        });
        match next {
            serde_json::Value::Null => json!({"results": [record]}).to_string(),
            next => json!({"results": [record], "paging": next}).to_string(),
        }
    })
    .await
}

/// Reads contacts with this guest and gives what its memory held at the end.
async fn sightings(guest: &str, descriptor: &str) -> (Arc<Sightings>, Kept, Vec<String>) {
    let sightings = Arc::new(Sightings::default());
    let inspector = Arc::clone(&sightings);
    let bench = Bench::with(|config| {
        config.inspect_memory = Some(Arc::new(move |memory: &[u8]| inspector.search(memory)));
    });
    let connector = bench.admit(guest).await;
    assert!(sightings.found.lock().unwrap().is_empty());
    let server = provider().await;
    let context = bench.context(&connector, &server);
    let mut request = request(r#"{"auth":"private_app"}"#, "contacts", descriptor);
    request.fields = vec!["/properties/email".to_owned()];
    let report = connector
        .read(context, Box::new(Kept::default()), request)
        .await;
    assert!(
        matches!(report.outcome, Ok(ReadOutcome::Done { .. })),
        "{:?}",
        report.outcome
    );
    assert!(
        sightings.memories.load(SeqCst) >= 2,
        "no memory was looked into"
    );
    (sightings, kept(report.sink), server.heads())
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_token_nor_a_record_is_ever_in_a_blind_guests_memory() {
    let (sightings, kept, heads) = sightings("hubspot", r#"{"kind":"list","until":1}"#).await;
    let found = sightings.found.lock().unwrap();
    assert!(!found.contains(&TOKEN), "the token is in the guest");
    assert!(!found.contains(&RECORD), "a record is in the guest");
    // The search works: the guest was told the page's token, and nothing else.
    assert!(found.contains(&PAGE_TOKEN));
    // The records did arrive, and the token was sent.
    assert_eq!(kept.records().len(), 2);
    assert!(kept.records().iter().all(|record| record.contains(RECORD)));
    assert!(heads.iter().any(|head| head.contains(TOKEN)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_copies_bodies_is_caught_with_a_record_but_never_with_the_token() {
    let (sightings, kept, heads) = sightings("copying", "null").await;
    let found = sightings.found.lock().unwrap();
    assert!(found.contains(&RECORD), "the search finds nothing");
    assert!(!found.contains(&TOKEN), "the token is in the guest");
    assert_eq!(kept.records().len(), 2);
    assert!(heads.iter().any(|head| head.contains(TOKEN)));
}
