#![expect(clippy::unwrap_used, reason = "tests")]
//! With a clock that tests move.
mod cost;
mod memory;
mod simulation;
mod still;

use super::*;
use crate::OauthApp;
use crate::config::LimitSetting;
use std::time::Duration;
use tidegate_domain::id::ConnectionId;
use tidegate_domain::job::Class;
use tidegate_domain::manifest::{Limit, LimitRule, Manifest};
use tidegate_store::SqliteStore;
use tokio::task::JoinSet;
use tokio::time::Instant;

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
        quota_share: None,
        class,
        connector: None,
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

/// A limiter on a clock that the test moves.
fn limiter_on(store: Arc<dyn LimitStore>, clock: Clock, config: Config) -> Limiter {
    let limiter = Limiter::new(Arc::new(config), store);
    let running = limiter.with_clock(clock);
    assert!(limiter.running.set(running).is_ok());
    limiter
}

fn limiter() -> (tempfile::TempDir, Limiter) {
    let (dir, store) = database();
    let clock = Clock::simulated(START, None);
    (dir, limiter_on(store, clock, Config::default()))
}

fn database() -> (tempfile::TempDir, Arc<dyn LimitStore>) {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(dir.path()).unwrap());
    (dir, Arc::new(still::Still::new(store)))
}

/// Some moment in 2026.
const START: u64 = 1_790_000_123_456_000_000;

impl Limiter {
    fn now(&self) -> u64 {
        self.running.get().unwrap().clock.now().now
    }
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
    let mut groups = groups.by_key.values();
    groups.all(|group| group.lock().is_idle())
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
        let now = limiter.now();
        let until = plan.throttled(bucket, None, u64::MAX);
        assert_eq!(
            plan.throttled(bucket, None, 0),
            until,
            "one storm counts once"
        );
        waits.push((until - now) / (1000 * MS));
        let left = Duration::from_nanos(until - limiter.now());
        tokio::time::sleep(left).await;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    plan.served(bucket);
    let now = limiter.now();
    assert_eq!(
        (plan.throttled(bucket, None, u64::MAX) - now) / (1000 * MS),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn an_operator_lowers_replaces_and_adds_limits() {
    let setting = |capacity, instead, account: Option<&str>| LimitSetting {
        connector: "crm".to_owned(),
        account: account.map(str::to_owned),
        buckets: Vec::new(),
        scope: LimitScope::RemoteAccount,
        rule: LimitRule::Concurrent,
        capacity,
        per_ms: 0,
        counts_requests: false,
        instead,
    };
    for (settings, allowed) in [
        (vec![], 3),
        (vec![setting(2, false, None)], 2),
        (vec![setting(9, false, None)], 3),
        (vec![setting(5, true, None)], 5),
        (vec![setting(5, true, Some("another"))], 3),
        (vec![setting(5, true, Some("portal"))], 5),
    ] {
        let config = Config {
            limits: settings.clone(),
            ..Config::default()
        };
        let (_dir, store) = database();
        let limiter = limiter_on(store, Clock::simulated(START, None), config);
        let declared = vec![limit("default", LimitRule::Concurrent, 3)];
        let mut connection = connection(declared, Class::Live);
        connection.account = Some("portal".to_owned());
        let plan = limiter.plan(&connection).await.unwrap();
        let mut held = Vec::new();
        while let Ok(permit) = admit(&plan, "default", Duration::ZERO).await {
            held.push(permit);
        }
        assert_eq!(held.len(), allowed, "{settings:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_owner_leaves_a_part_to_other_applications_and_the_least_part_holds() {
    let (_dir, limiter) = limiter();
    let of = |id: &str, quota_share| {
        let mut app = limit("default", LimitRule::Concurrent, 100);
        app.scope = LimitScope::Application;
        let limits = vec![limit("default", LimitRule::Concurrent, 10), app];
        let mut connection = connection(limits, Class::Live);
        connection.id = ConnectionId::parse(id).unwrap();
        connection.account = Some("portal".to_owned());
        connection.quota_share = quota_share;
        connection.oauth_app = Some(OauthApp {
            client_id: format!("app-{id}"),
            client_secret: "secret".into(),
        });
        connection
    };
    let whole = limiter.plan(&of("a", None)).await.unwrap();
    let views = limiter.view(&of("a", None)).await.unwrap();
    assert_eq!((views[0].capacity, views[1].capacity), (10, 100));
    let _half = limiter.plan(&of("b", Some(50))).await.unwrap();
    let mut held = Vec::new();
    while let Ok(permit) = admit(&whole, "default", Duration::ZERO).await {
        held.push(permit);
    }
    assert_eq!(held.len(), 5);
    let views = limiter.view(&of("b", Some(50))).await.unwrap();
    assert_eq!((views[0].declared, views[0].capacity), (10, 5));
    assert_eq!((views[0].used, views[0].remaining), (5, 0));
    assert_eq!(
        views[1].capacity, 100,
        "an application's limit is nobody else's"
    );
}

#[tokio::test(start_paused = true)]
async fn idle_accounts_are_forgotten_once_their_limits_have_recovered() {
    let (_dir, store) = database();
    let config = Config {
        limit_accounts_max: 2,
        ..Config::default()
    };
    let limiter = limiter_on(store, Clock::simulated(START, None), config);
    let of = |account: &str| {
        let limits = vec![limit("default", LimitRule::Paced(1), 1)];
        let mut connection = connection(limits, Class::Live);
        connection.account = Some(account.to_owned());
        connection
    };
    let mut used = Vec::new();
    for account in ["a", "b"] {
        used.push(limiter.plan(&of(account)).await.unwrap());
    }
    for plan in &used {
        admit(plan, "default", LONG).await.unwrap().sent();
    }
    let full = limiter.plan(&of("c")).await.err().unwrap();
    assert!(matches!(full, Error::TooManyAccounts { max: 2 }), "{full}");
    drop(used);
    assert!(
        limiter.plan(&of("c")).await.is_err(),
        "neither has recovered"
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    let held = limiter.plan(&of("c")).await.unwrap();
    assert!(limiter.plan(&of("d")).await.is_ok());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(limiter.plan(&of("e")).await.is_ok(), "d is idle");
    admit(&held, "default", LONG).await.unwrap().sent();
}

#[tokio::test(start_paused = true)]
async fn a_cost_is_reserved_by_its_estimate_and_settled_by_the_answer() {
    let (_dir, limiter) = limiter();
    let points = limit("default", LimitRule::Paced(100), 100);
    let mut requests = limit("default", LimitRule::Concurrent, 50);
    requests.per_ms = 0;
    let mut connection = connection(vec![points, requests], Class::Live);
    let mut manifest = (*connection.manifest).clone();
    manifest.extra =
        r#"{"limits":[{"cost_header":"x-cost","cost_pointer":"/cost"},{"counts":"requests"}]}"#
            .to_owned();
    connection.manifest = Arc::new(manifest);
    let plan = limiter.plan(&connection).await.unwrap();
    let bucket = plan.bucket(None).unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let used = async || {
        let views = limiter.view(&connection).await.unwrap();
        views[0].used
    };
    let spend = async |units| {
        let admitted = plan.admit(bucket, units, Instant::now()).await;
        let mut permit = admitted.unwrap().unwrap();
        permit.sent();
        permit
    };
    let mut by_header = spend(60).await;
    assert_eq!(used().await, 60);
    let mut headers = http::HeaderMap::new();
    headers.insert("x-cost", "10".parse().unwrap());
    by_header.answered(&headers);
    assert_eq!(used().await, 10);
    let mut by_body = spend(20).await;
    by_body.answered(&http::HeaderMap::new());
    by_body.received(br#"{"cost": 44.5}"#);
    assert_eq!(used().await, 55);
    let mut unknown = spend(5).await;
    unknown.answered(&http::HeaderMap::new());
    unknown.received(b"[]");
    assert_eq!(used().await, 60);
    drop(spend(7).await); // no answer came: it counts as spent
    assert_eq!(used().await, 67);
}

#[test]
fn what_extra_says_of_limits_is_checked() {
    for (extra, sound) in [
        ("", true),
        (r#"{"blind":true}"#, true),
        (r#"{"limits":[{"counts":"requests"}]}"#, true),
        (r#"{"limits":[{"counts":"sheep"}]}"#, false),
        (r#"{"limits":[{},{}]}"#, false),
        (r#"{"limits":[{"cost":1}]}"#, false),
    ] {
        let mut manifest = manifest(vec![limit("default", LimitRule::Concurrent, 1)]);
        manifest.extra = extra.to_owned();
        assert_eq!(check_manifest(&manifest).is_ok(), sound, "{extra}");
    }
}
