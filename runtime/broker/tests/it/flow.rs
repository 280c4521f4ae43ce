//! The record of requests, held against what the server saw.

use crate::fixture::{Fixture, call, fault, get, signed};
use crate::server::{Server, reply};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tidegate_broker::{Request, Target};
use tidegate_domain::Fault;
use tidegate_domain::id::{JobId, TenantId};
use tidegate_store::flow::{FlowStore, RequestOrigin, RequestRecord, RequestsLost};
use tidegate_store::{Error, SqliteStore};
use tokio::sync::Semaphore;

fn job() -> JobId {
    JobId::parse("job-1").unwrap()
}

fn origin() -> RequestOrigin {
    RequestOrigin {
        job: job(),
        attempt: 3,
        stream: Some("contacts".parse().unwrap()),
        partition: Some("p1".to_owned()),
    }
}

async fn recorded(store: &dyn FlowStore) -> Vec<RequestRecord> {
    let tenant = TenantId::parse("acme").unwrap();
    let found = store.requests_of_job(&tenant, &job(), 0, 10_000).await;
    found
        .unwrap()
        .into_iter()
        .map(|(_, record)| record)
        .collect()
}

#[tokio::test]
async fn every_try_is_recorded_and_no_secret_is() {
    let server = Server::start(|seen| async move {
        match seen.index {
            0 => Ok(reply(503, "sorry")),
            _ => Ok(reply(200, r#"{"email":"CANARY-body"}"#)),
        }
    })
    .await;
    let fixture = Fixture::new(&server);
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(dir.path()).unwrap());
    fixture
        .broker
        .record_requests(Arc::clone(&store) as _)
        .await
        .unwrap();
    let session = fixture.session();
    let mut call = call();
    call.origin = Some(Arc::new(origin()));
    let asked = Request {
        target: Target::Endpoint {
            endpoint: "api".to_owned(),
            path: "/v1/contacts/jane%40acme.test".to_owned(),
            query: vec![("q".to_owned(), "CANARY-query".to_owned())],
        },
        auth: Some("query_key".to_owned()),
        ..get("/v1/x")
    };
    let answered = session.fetch(asked, &call).await;
    assert!(answered.is_ok(), "{:?}", answered.err());
    fixture.broker.close().await;
    let records = recorded(&*store).await;
    let seen: Vec<_> = records
        .iter()
        .map(|record| (record.method.as_str(), record.path.as_str(), record.status))
        .collect();
    let path = "/v1/contacts/{id}";
    assert_eq!(seen, [("GET", path, Some(503)), ("GET", path, Some(200))]);
    assert_eq!(server.count(), 2);
    assert!(records.iter().all(|record| record.origin == Some(origin())));
    assert_eq!(records[1].bytes_received, 23);
    assert_eq!(records[1].endpoint, "api");
    let shown = format!("{records:?}");
    assert!(
        !shown.contains("CANARY") && !shown.contains("jane"),
        "{shown}"
    );
    assert_eq!(
        store.requests_lost().await.unwrap(),
        RequestsLost::default()
    );
}

#[tokio::test]
async fn token_requests_are_recorded_under_the_job_that_needed_them_and_counted() {
    let server = Server::start(|seen| async move {
        match (seen.path.as_str(), seen.index) {
            ("/token", 1) => Ok(reply(503, "CANARY-trouble")),
            ("/token", _) => Ok(reply(
                200,
                r#"{"access_token":"CANARY-a","refresh_token":"CANARY-r","expires_in":0}"#,
            )),
            _ => Ok(reply(200, "{}")),
        }
    })
    .await;
    let fixture = Fixture::new(&server);
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(dir.path()).unwrap());
    let recording = fixture.broker.record_requests(Arc::clone(&store) as _);
    recording.await.unwrap();
    fixture.authorise(&fixture.session()).await;
    let session = fixture.session();
    let mut call = call();
    call.origin = Some(Arc::new(origin()));
    let answered = session.fetch(signed("/v1/x", "oauth"), &call).await;
    assert!(answered.is_ok(), "{:?}", answered.err());
    fixture.broker.close().await;
    let records = recorded(&*store).await;
    let seen: Vec<_> = records
        .iter()
        .map(|record| {
            (
                record.endpoint.as_str(),
                record.path.as_str(),
                record.status,
            )
        })
        .collect();
    let token = ("token of oauth", "/token");
    let expected = [
        (token.0, token.1, Some(503)),
        (token.0, token.1, Some(200)),
        ("api", "/v1/x", Some(200)),
    ];
    assert_eq!(seen, expected);
    assert!(!format!("{records:?}").contains("CANARY"), "{records:?}");
    // The code was another session's.
    assert_eq!((server.count(), session.usage().requests), (4, 3));
}

#[tokio::test]
async fn a_job_whose_token_endpoint_is_down_has_asked_all_the_same() {
    let server = Server::start(|_| async { Ok(reply(503, "")) }).await;
    let fixture = Fixture::with(&server, |config, _| config.retries_max = 0);
    let session = fixture.session();
    let _refusal = fault(&session, signed("/v1/x", "client")).await;
    assert_eq!((server.count(), session.usage().requests), (1, 1));
}

#[tokio::test]
async fn a_request_without_an_answer_is_recorded_with_its_fault() {
    let server = Server::start(|_| async { std::future::pending().await }).await;
    let fixture = Fixture::with(&server, |config, _| config.retries_max = 0);
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(dir.path()).unwrap());
    fixture
        .broker
        .record_requests(Arc::clone(&store) as _)
        .await
        .unwrap();
    let mut call = call();
    call.origin = Some(Arc::new(origin()));
    let hasty = Request {
        timeout_ms: Some(30),
        ..get("/v1/x")
    };
    assert!(fixture.session().fetch(hasty, &call).await.is_err());
    fixture.broker.close().await;
    let records = recorded(&*store).await;
    assert_eq!(records.len(), 1);
    assert_eq!(
        (records[0].status, records[0].fault),
        (None, Some(Fault::Transient))
    );
    assert!(records[0].took_ms >= 30);
}

/// The real store behind a door that the test opens.
struct Slow {
    store: SqliteStore,
    door: Semaphore,
}

#[async_trait]
impl FlowStore for Slow {
    async fn begin_recording(&self) -> Result<(), Error> {
        self.store.begin_recording().await
    }
    async fn record_requests(
        &self,
        records: Vec<RequestRecord>,
        dropped: u64,
    ) -> Result<(), Error> {
        self.door.acquire().await.unwrap().forget();
        self.store.record_requests(records, dropped).await
    }
    async fn end_recording(&self) -> Result<(), Error> {
        self.store.end_recording().await
    }
    async fn requests_of_job(
        &self,
        tenant: &TenantId,
        job: &JobId,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(u64, RequestRecord)>, Error> {
        self.store.requests_of_job(tenant, job, after, limit).await
    }
    async fn requests_lost(&self) -> Result<RequestsLost, Error> {
        self.store.requests_lost().await
    }
}

#[tokio::test]
async fn a_slow_store_holds_up_no_request_and_what_finds_no_room_is_counted() {
    let server = Server::start(|_| async { Ok(reply(200, "{}")) }).await;
    let fixture = Fixture::with(&server, |config, _| config.limit_scale = f64::INFINITY);
    let dir = tempfile::tempdir().unwrap();
    let slow = Arc::new(Slow {
        store: SqliteStore::open(dir.path()).unwrap(),
        door: Semaphore::new(0),
    });
    fixture
        .broker
        .record_requests(Arc::clone(&slow) as _)
        .await
        .unwrap();
    let session = fixture.session();
    let mut call = call();
    call.origin = Some(Arc::new(origin()));
    call.deadline += Duration::from_secs(600);
    const SENT: usize = 9_600;
    for _ in 0..SENT / 48 {
        let batch = (0..48).map(|_| session.fetch(get("/v1/x"), &call));
        let answers = futures_util::future::join_all(batch).await;
        assert!(answers.iter().all(Result::is_ok));
    }
    slow.door.add_permits(100);
    fixture.broker.close().await;
    let kept = recorded(&*slow).await.len();
    let lost = slow.requests_lost().await.unwrap();
    assert!(lost.dropped > 0 && kept >= 8_192, "{kept} kept, {lost:?}");
    assert_eq!(kept as u64 + lost.dropped, SENT as u64);
}
