//! Requests under way, and several limits at once, as the provider counts them.

use crate::fixture::{Fixture, call, fault, fetch, get, rolling};
use crate::server::{Server, reply};
use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tidegate_broker::{Config, FetchFault, Request};
use tidegate_domain::manifest::{Limit, LimitRule};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

fn concurrent(capacity: u32) -> Limit {
    Limit {
        rule: LimitRule::Concurrent,
        ..rolling(capacity, 0)
    }
}

/// A provider that works on a request until it is told to end, whether or not anybody
/// still waits for the answer, and knows how many it works on.
#[derive(Clone)]
struct Slow {
    working: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    ends: Arc<Semaphore>,
    tasks: TaskTracker,
}

impl Slow {
    async fn start() -> (Slow, Server) {
        let slow = Slow {
            working: Arc::default(),
            most: Arc::default(),
            ends: Arc::new(Semaphore::new(0)),
            tasks: TaskTracker::new(),
        };
        let serving = slow.clone();
        let server = Server::start(move |_| {
            let work = serving.clone().work();
            async move {
                // Goes on where the client is gone.
                work.await.unwrap();
                Ok(reply(200, "{}"))
            }
        })
        .await;
        (slow, server)
    }

    fn work(self) -> tokio::task::JoinHandle<()> {
        let working = self.working.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(working, Ordering::SeqCst);
        let tasks = self.tasks.clone();
        tasks.spawn(async move {
            self.ends.acquire().await.unwrap().forget();
            self.working.fetch_sub(1, Ordering::SeqCst);
        })
    }

    async fn until_working(&self, count: usize) {
        while self.working.load(Ordering::SeqCst) < count {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

fn fixture(server: &Server, change: impl FnOnce(&mut Config)) -> Fixture {
    Fixture::with(server, |config, manifest| {
        manifest.limits = vec![concurrent(4)];
        config.patience_ms = 50;
        config.retries_max = 0;
        change(config);
    })
}

#[tokio::test]
async fn what_a_dead_process_left_under_way_counts_until_it_must_be_over() {
    let (slow, server) = Slow::start().await;
    let fixture = fixture(&server, |_| ());
    let session = fixture.session();
    let mut calls = JoinSet::new();
    for _ in 0..3 {
        let session = session.clone();
        calls.spawn(async move { fetch(&session, get("/v1/x")).await.is_ok() });
    }
    slow.until_working(3).await;
    // The process dies: nothing more of it is written, and nobody waits for its answers.
    calls.shutdown().await;
    let after = fixture.second_broker().session(fixture.connection());
    for _ in 0..8 {
        let refusal = fault(&after, get("/v1/x")).await;
        assert!(
            matches!(refusal, FetchFault::Throttled { .. }),
            "{refusal:?}"
        );
    }
    assert_eq!(slow.most.load(Ordering::SeqCst), 3);
    let view = fixture.second_broker();
    let view = view.limits(&fixture.connection()).await.unwrap();
    assert_eq!(
        (view[0].used, view[0].remaining),
        (4, 0),
        "three, noted as four"
    );
}

#[tokio::test]
async fn what_a_dead_process_left_under_way_counts_no_longer_than_a_request_may_last() {
    let (slow, server) = Slow::start().await;
    let fixture = fixture(&server, |_| ());
    let session = fixture.session();
    let mut calls = JoinSet::new();
    for _ in 0..4 {
        let session = session.clone();
        calls.spawn(async move { fetch(&session, get("/v1/x")).await.is_ok() });
    }
    slow.until_working(4).await;
    calls.shutdown().await;
    // Long ago: as if the note had been written before.
    let database = fixture.dir.path().join("state/tidegate.db");
    let behind = rusqlite::Connection::open(database).unwrap();
    let aged = behind.execute("UPDATE limit_blocks SET at_ms = at_ms - 600000", []);
    assert!(aged.unwrap() > 0);
    slow.ends.add_permits(100);
    let after = fixture.second_broker().session(fixture.connection());
    assert!(fetch(&after, get("/v1/x")).await.is_ok());
}

#[tokio::test]
async fn a_clean_end_leaves_nothing_under_way() {
    let (slow, server) = Slow::start().await;
    slow.ends.add_permits(100);
    let fixture = fixture(&server, |_| ());
    for _ in 0..3 {
        let broker = fixture.second_broker();
        let session = broker.session(fixture.connection());
        let calls = (0..12).map(|_| fetch(&session, get("/v1/x")));
        assert!(join_all(calls).await.iter().any(Result::is_ok));
        broker.close().await;
    }
    let view = fixture.broker.limits(&fixture.connection()).await.unwrap();
    assert_eq!((view[0].used, view[0].remaining), (0, 4));
    assert!(slow.most.load(Ordering::SeqCst) <= 4);
}

#[tokio::test]
async fn a_request_that_is_given_up_is_under_way_as_long_as_its_answer_may_take() {
    let (slow, server) = Slow::start().await;
    let fixture = fixture(&server, |config| config.first_byte_timeout_ms = 1_500);
    let session = fixture.session();
    let call = call();
    let cancel = async {
        slow.until_working(4).await;
        call.cancel.cancel();
    };
    let calls = join_all((0..4).map(|_| session.fetch(get("/v1/x"), &call)));
    let (ended, ()) = tokio::join!(calls, cancel);
    assert!(
        ended
            .iter()
            .all(|one| matches!(one, Err(FetchFault::Cancelled)))
    );
    let refusal = fault(&session, get("/v1/x")).await;
    assert!(
        matches!(refusal, FetchFault::Throttled { .. }),
        "{refusal:?}"
    );
    assert_eq!(slow.most.load(Ordering::SeqCst), 4);
    // The provider has ended by then, and so has the count of it.
    slow.ends.add_permits(100);
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    assert!(fetch(&session, get("/v1/x")).await.is_ok());
    assert_eq!(slow.most.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_uses_up_no_requests_in_flight() {
    let (_, server) = Slow::start().await;
    let fixture = fixture(&server, |config| {
        for mapping in &mut config.mappings {
            mapping.to = tidegate_broker::Origin::parse("http://127.0.0.1:1").unwrap();
        }
    });
    let session = fixture.session();
    for _ in 0..9 {
        let refusal = fault(&session, get("/v1/x")).await;
        assert!(matches!(refusal, FetchFault::Connect(_)), "{refusal:?}");
    }
}

/// RL4: what one limit refuses costs nothing in another, and what passes is charged in
/// both.
#[tokio::test]
async fn a_request_is_charged_in_all_of_its_limits_or_in_none() {
    // So slow that all are asked for while the first are under way.
    let server = Server::start(|_| async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(reply(200, "{}"))
    })
    .await;
    let fixture = Fixture::with(&server, |config, manifest| {
        let mut search = rolling(5, 3_600_000);
        search.buckets = vec!["search".to_owned()];
        let mut all = rolling(20, 3_600_000);
        all.buckets = vec!["search".to_owned(), "default".to_owned()];
        manifest.limits = vec![search, all];
        config.patience_ms = 0;
    });
    let session = fixture.session();
    let search = |_| Request {
        bucket: Some("search".to_owned()),
        ..get("/v1/search")
    };
    let asked = (0..50).map(search).chain((0..50).map(|_| get("/v1/list")));
    let answers = join_all(asked.map(|request| fetch(&session, request))).await;
    assert_eq!(answers.iter().filter(|one| one.is_ok()).count(), 20);
    let count = |path: &str| server.seen().iter().filter(|one| one.path == path).count();
    assert_eq!((count("/v1/search"), count("/v1/list")), (5, 15));
    let after = join_all([search(0), get("/v1/list")].map(|request| fetch(&session, request)));
    assert!(after.await.iter().all(Result::is_err));
    assert_eq!(server.count(), 20);
}
