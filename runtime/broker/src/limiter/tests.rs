#![expect(clippy::unwrap_used, reason = "tests")]
//! With a clock that tests move: paces need no store, so no other thread runs.
use super::*;
use crate::Class;
use std::time::Duration;
use tidegate_domain::id::{ConnectionId, TenantId};
use tidegate_domain::manifest::LimitRule;
use tidegate_store::SqliteStore;
use tokio::task::JoinSet;

fn manifest(limits: Vec<Limit>) -> Manifest {
    Manifest {
        id: "crm".to_owned(),
        title: String::new(),
        version: String::new(),
        config_schema: "{}".to_owned(),
        endpoints: Vec::new(),
        allowed_hosts: Vec::new(),
        auth: Vec::new(),
        limits,
        secrets: Vec::new(),
        response_headers: Vec::new(),
        responses: Vec::new(),
        paging_pointers: Vec::new(),
        extra: "{}".to_owned(),
    }
}

fn connection(limits: Vec<Limit>, class: Class) -> Connection {
    Connection {
        tenant: TenantId::parse("acme").unwrap(),
        id: ConnectionId::parse("crm-1").unwrap(),
        manifest: Arc::new(manifest(limits)),
        config: serde_json::Map::new(),
        secrets: std::collections::BTreeMap::new(),
        oauth_app: None,
        account: None,
        class,
    }
}

fn limit(bucket: &str, rule: LimitRule, capacity: u32) -> Limit {
    Limit {
        buckets: vec![bucket.to_owned()],
        scope: LimitScope::RemoteAccount,
        rule,
        capacity,
        per_ms: 1000,
        remaining_header: None,
        reset_header: None,
    }
}

fn limiter() -> (tempfile::TempDir, Limiter) {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(dir.path()).unwrap());
    (dir, Limiter::new(1.0, store))
}

async fn admit(plan: &Plan, bucket: &str, patience: Duration) -> Result<Permit, Refused> {
    let bucket = plan.bucket(Some(bucket)).unwrap();
    plan.admit(bucket, 1, Instant::now() + patience)
        .await
        .unwrap()
}

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn waiters_go_at_the_pace_of_the_limit() {
    let (_dir, limiter) = limiter();
    let paced = vec![limit("default", LimitRule::Paced(1), 10)];
    let plan = limiter.plan(&connection(paced, Class::Live)).await.unwrap();
    let begun = Instant::now();
    for _ in 0..50 {
        admit(&plan, "default", LONG).await.unwrap().sent();
    }
    let elapsed = begun.elapsed();
    assert!(elapsed >= Duration::from_secs(5), "{elapsed:?}");
    assert!(elapsed <= Duration::from_millis(5_250), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_longer_than_patience_names_its_time_at_once() {
    let (_dir, limiter) = limiter();
    let paced = vec![limit("default", LimitRule::Paced(1), 10)];
    let plan = limiter.plan(&connection(paced, Class::Live)).await.unwrap();
    let bucket = plan.bucket(None).unwrap();
    let until = plan.throttled(bucket, Some(60_000), 0);
    let begun = Instant::now();
    let refused = admit(&plan, "default", Duration::from_secs(59)).await.err();
    assert_eq!(refused, Some(Refused::Until(until.div_ceil(MS))));
    assert_eq!(begun.elapsed(), Duration::ZERO);
    admit(&plan, "default", LONG).await.unwrap().sent();
    assert!(begun.elapsed() >= Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn a_full_bucket_does_not_hold_up_another() {
    let (_dir, limiter) = limiter();
    let limits = vec![
        limit("search", LimitRule::Concurrent, 1),
        limit("default", LimitRule::Concurrent, 5),
    ];
    let plan = limiter
        .plan(&connection(limits, Class::Live))
        .await
        .unwrap();
    let held = admit(&plan, "search", LONG).await.unwrap();
    let mut waiting = Box::pin(admit(&plan, "search", LONG));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    assert!(admit(&plan, "default", Duration::ZERO).await.is_ok());
    drop(held);
    assert!(waiting.await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_leaves_the_queue_holds_nobody_up_and_keeps_nothing() {
    let (_dir, limiter) = limiter();
    let limits = vec![limit("default", LimitRule::Concurrent, 1)];
    let plan = limiter
        .plan(&connection(limits, Class::Live))
        .await
        .unwrap();
    let held = admit(&plan, "default", LONG).await.unwrap();
    let mut first = Box::pin(admit(&plan, "default", LONG));
    let mut second = Box::pin(admit(&plan, "default", LONG));
    assert!(futures_util::poll!(&mut first).is_pending());
    assert!(futures_util::poll!(&mut second).is_pending());
    drop(held); // admits the first, which never looks
    drop(first);
    assert!(second.await.is_ok());
    assert!(plan_is_idle(&limiter));
}

fn plan_is_idle(limiter: &Limiter) -> bool {
    let groups = limiter.groups.lock().unwrap();
    groups.values().all(|group| group.lock().waiting.is_empty())
}

#[tokio::test(start_paused = true)]
async fn urgent_work_is_not_stuck_behind_history() {
    let (_dir, limiter) = limiter();
    let limiter = Arc::new(limiter);
    let limits = vec![limit("default", LimitRule::Paced(1), 10)];
    let history = connection(limits.clone(), Class::History);
    let history = Arc::new(limiter.plan(&history).await.unwrap());
    let mut backlog = JoinSet::new();
    for _ in 0..500 {
        let plan = Arc::clone(&history);
        backlog.spawn(async move { admit(&plan, "default", LONG).await.map(drop) });
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let live = limiter
        .plan(&connection(limits, Class::Live))
        .await
        .unwrap();
    let begun = Instant::now();
    admit(&live, "default", LONG).await.unwrap().sent();
    assert!(
        begun.elapsed() <= Duration::from_millis(250),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn storms_close_the_bucket_longer_each_time_and_answers_end_them() {
    let (_dir, limiter) = limiter();
    let plan = limiter
        .plan(&connection(Vec::new(), Class::Live))
        .await
        .unwrap();
    let bucket = plan.bucket(None).unwrap();
    let mut waits = Vec::new();
    for _ in 0..9 {
        let now = limiter.clock().now();
        let until = plan.throttled(bucket, None, u64::MAX);
        assert_eq!(
            plan.throttled(bucket, None, 0),
            until,
            "one storm counts once"
        );
        waits.push((until - now) / (1000 * MS));
        tokio::time::sleep_until(limiter.clock().instant(until)).await;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    plan.served(bucket);
    let now = limiter.clock().now();
    assert_eq!(
        (plan.throttled(bucket, None, u64::MAX) - now) / (1000 * MS),
        1
    );
}
