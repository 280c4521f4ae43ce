//! The record of requests.

use crate::fixtures::tenant;
use std::sync::Arc;
use tidegate_domain::Fault;
use tidegate_domain::id::{ConnectionId, JobId, TenantId};
use tidegate_store::ServiceStore;
use tidegate_store::flow::{RequestOrigin, RequestRecord, RequestsLost};
use tidegate_store::upkeep::Retention;

fn job(id: &str) -> JobId {
    JobId::parse(id).unwrap()
}

fn record(id: Option<&str>, sent_at_ms: u64) -> RequestRecord {
    RequestRecord {
        tenant: tenant(),
        connection: ConnectionId::parse("crm").unwrap(),
        origin: id.map(|id| RequestOrigin {
            job: job(id),
            attempt: 2,
            stream: Some("contacts".parse().unwrap()),
            partition: Some("p/1".to_owned()),
        }),
        connector: None,
        method: "GET".to_owned(),
        endpoint: "api".to_owned(),
        path: "/v3/contacts/{id}".to_owned(),
        status: None,
        fault: Some(Fault::Transient),
        bytes_sent: 1,
        bytes_received: 2,
        sent_at_ms,
        waited_ms: 3,
        took_ms: 4,
    }
}

pub(crate) async fn requests_are_read_by_tenant_and_job_page_by_page(store: Arc<dyn ServiceStore>) {
    let mut other = record(Some("a"), 5);
    other.tenant = TenantId::parse("globex").unwrap();
    let mut served = record(Some("a"), 9);
    (served.status, served.fault) = (Some(200), None);
    let all = vec![
        record(Some("a"), 7),
        other,
        record(Some("b"), 8),
        record(None, 8),
        served.clone(),
    ];
    store.record_requests(all, 0).await.unwrap();
    let page = async |after, limit| {
        let (tenant, job) = (tenant(), job("a"));
        let page = store.requests_of_job(&tenant, &job, after, limit).await;
        page.unwrap()
    };
    let first = page(0, 1).await;
    assert_eq!(first[0].1, record(Some("a"), 7));
    let rest = page(first[0].0, 9).await;
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].1, served);
}

pub(crate) async fn what_is_missing_is_counted(store: Arc<dyn ServiceStore>) {
    let lost = |dropped, cut_short| RequestsLost { dropped, cut_short };
    store.begin_recording().await.unwrap();
    store.record_requests(Vec::new(), 3).await.unwrap();
    store.end_recording().await.unwrap();
    store.begin_recording().await.unwrap();
    assert_eq!(store.requests_lost().await.unwrap(), lost(3, 0));
    store.begin_recording().await.unwrap(); // the one before never ended
    store.record_requests(Vec::new(), 1).await.unwrap();
    assert_eq!(store.requests_lost().await.unwrap(), lost(4, 1));
}

pub(crate) async fn requests_go_when_their_time_is_over(store: Arc<dyn ServiceStore>) {
    let records = [1_000, 1_001].map(|sent| record(Some("a"), sent)).to_vec();
    store.record_requests(records, 0).await.unwrap();
    let keep = Retention {
        requests_ms: 100,
        jobs_ms: u64::MAX,
        events_ms: u64::MAX,
        audit_ms: u64::MAX,
        keys_ms: u64::MAX,
    };
    store.sweep(1_101, keep).await.unwrap();
    let left = store
        .requests_of_job(&tenant(), &job("a"), 0, 9)
        .await
        .unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].1.sent_at_ms, 1_001);
}
