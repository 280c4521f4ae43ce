//! Limits as the provider sees them: every figure is taken from the server's log.

use crate::fixture::{Fixture, call, fault, fetch, get, request, rolling, rule};
use crate::server::{Seen, Server, reply, with};
use futures_util::future::join_all;
use std::time::Duration;
use tidegate_broker::{FetchFault, Method, Request};
use tidegate_domain::manifest::{CalendarPeriod, LimitRule, ResponseClass};
use tidegate_store::clock::now_ms;

fn most_in_any_window(seen: &[Seen], per: Duration) -> usize {
    let inside = |begin: &Seen| {
        seen.iter()
            .filter(|one| one.at >= begin.at && one.at < begin.at + per)
            .count()
    };
    seen.iter().map(inside).max().unwrap_or(0)
}

#[tokio::test]
async fn the_provider_never_counts_more_than_the_limit_in_any_window() {
    let server = Server::start(|seen| async move {
        // Latency that reorders answers.
        tokio::time::sleep(Duration::from_millis((seen.index as u64 * 7) % 40)).await;
        Ok(reply(200, "{}"))
    })
    .await;
    let fixture = Fixture::with(&server, |_, manifest| {
        manifest.limits = vec![rolling(10, 500)]
    });
    let session = fixture.session();
    let answers = join_all((0..45).map(|_| fetch(&session, get("/v1/x")))).await;
    assert!(answers.iter().all(Result::is_ok));
    let most = most_in_any_window(&server.seen(), Duration::from_millis(500));
    assert!(most <= 10, "{most} in one window");
    assert!(session.usage().limit_waits >= 35);
}

#[tokio::test]
async fn connections_to_one_account_share_its_limit() {
    let server = Server::start(|_| async { Ok(reply(200, "{}")) }).await;
    let fixture = Fixture::with(&server, |_, manifest| {
        manifest.limits = vec![rolling(4, 400)]
    });
    let sessions = ["acme", "globex"].map(|tenant| {
        let mut connection = fixture.connection();
        connection.tenant = tidegate_domain::id::TenantId::parse(tenant).unwrap();
        connection.account = Some("portal-1".to_owned());
        fixture.broker.session(connection)
    });
    let calls = (0..12).map(|at| fetch(&sessions[at % 2], get("/v1/x")));
    assert!(join_all(calls).await.iter().all(Result::is_ok));
    assert!(most_in_any_window(&server.seen(), Duration::from_millis(400)) <= 4);
}

#[tokio::test]
async fn a_restart_does_not_refill_a_window() {
    let server = Server::start(|_| async { Ok(reply(200, "{}")) }).await;
    let fixture = Fixture::with(&server, |config, manifest| {
        manifest.limits = vec![rolling(10, 3_600_000)];
        config.patience_ms = 50;
    });
    let session = fixture.session();
    for _ in 0..7 {
        assert!(fetch(&session, get("/v1/x")).await.is_ok());
    }
    let after = fixture.second_broker().session(fixture.connection());
    let mut more = 0;
    while fetch(&after, get("/v1/x")).await.is_ok() {
        more += 1;
    }
    assert_eq!(more, 3);
    let refusal = fault(&after, get("/v1/x")).await;
    let FetchFault::Throttled { until_ms } = refusal else {
        panic!("{refusal:?}")
    };
    let wait_ms = until_ms - now_ms();
    assert!((3_500_000..3_700_000).contains(&wait_ms), "{wait_ms}");
    assert_eq!(server.count(), 10);
}

#[tokio::test]
async fn nothing_of_the_account_is_sent_before_retry_after_has_passed() {
    let server = Server::start(|seen| async move {
        match seen.index {
            0 => Ok(with(reply(429, "{}"), "retry-after", "1")),
            _ => Ok(reply(200, "{}")),
        }
    })
    .await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    let first = fetch(&session, get("/v1/first"));
    let others = async {
        // Once the refusal has arrived, nothing more may go.
        while session.usage().retries == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let sibling = fixture.session();
        join_all((0..20).map(|_| fetch(&sibling, get("/v1/other")))).await
    };
    let (first, others) = tokio::join!(first, others);
    assert!(first.is_ok() && others.iter().all(Result::is_ok));
    let seen = server.seen();
    for later in &seen[1..] {
        assert!(later.at - seen[0].at >= Duration::from_secs(1));
    }
}

#[tokio::test]
async fn a_long_retry_after_is_handed_over_as_a_time() {
    let server =
        Server::start(|_| async { Ok(with(reply(503, "{}"), "retry-after", "120")) }).await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    for _ in 0..3 {
        let refusal = fault(&session, get("/v1/x")).await;
        let FetchFault::Throttled { until_ms } = refusal else {
            panic!("{refusal:?}")
        };
        let wait_ms = until_ms - now_ms();
        assert!((110_000..=120_001).contains(&wait_ms), "{wait_ms}");
    }
    assert_eq!(server.count(), 1, "nothing is sent inside it");
}

#[tokio::test]
async fn a_storm_of_refusals_ends_in_answers() {
    let server = Server::start(|seen| async move {
        let status = if seen.index < 16 { 429 } else { 200 };
        Ok(reply(status, "{}"))
    })
    .await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    let answers = join_all((0..16).map(|_| fetch(&session, get("/v1/x")))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(server.count(), 32);
}

#[tokio::test]
async fn a_limit_that_stays_ends_as_throttled() {
    let server = Server::start(|_| async { Ok(reply(429, "{}")) }).await;
    let fixture = Fixture::with(&server, |config, _| config.retries_max = 1);
    let refusal = fault(&fixture.session(), get("/v1/x")).await;
    assert!(matches!(refusal, FetchFault::Throttled { until_ms } if until_ms > now_ms()));
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_long_limit_parks_without_another_try() {
    let server = Server::start(|_| async { Ok(reply(403, r#"{"policy":"DAILY"}"#)) }).await;
    let fixture = Fixture::with(&server, |_, manifest| {
        let mut daily = rule(403, ResponseClass::ThrottledLong);
        daily.body = Some(("/policy".to_owned(), "DAILY".to_owned()));
        manifest.responses = vec![daily];
    });
    let session = fixture.session();
    for _ in 0..2 {
        let refusal = fault(&session, get("/v1/x")).await;
        assert!(
            matches!(refusal, FetchFault::Throttled { until_ms } if until_ms > now_ms() + 60_000)
        );
    }
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn what_is_sent_again_depends_on_status_and_method() {
    let statuses = [(500, 1), (503, 2), (429, 2), (400, 1), (404, 1)];
    for (status, tries) in statuses {
        let server = Server::start(move |seen| async move {
            Ok(reply(if seen.index == 0 { status } else { 200 }, "{}"))
        })
        .await;
        let fixture = Fixture::new(&server);
        let session = fixture.session();
        let answer = fetch(&session, request(Method::Post, "/v1/x")).await;
        assert!(answer.is_ok(), "{status}");
        assert_eq!(server.count(), tries, "POST after {status}");
        let put = fetch(&session, request(Method::Put, "/v1/x")).await;
        assert_eq!(put.ok().unwrap().status, 200);
    }
    let server = Server::start(|_| async { Ok(reply(500, "sorry")) }).await;
    let fixture = Fixture::with(&server, |config, _| config.retries_max = 2);
    let answer = fetch(&fixture.session(), get("/v1/x")).await.ok().unwrap();
    assert_eq!((answer.status, &answer.body[..]), (500, &b"sorry"[..]));
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn headers_lower_what_is_left() {
    let server = Server::start(|_| async {
        let answer = with(reply(200, "{}"), "x-left", "2");
        Ok(with(answer, "x-reset", "9999999999"))
    })
    .await;
    let fixture = Fixture::with(&server, |config, manifest| {
        let mut limit = rolling(100, 3_600_000);
        limit.remaining_header = Some("x-left".to_owned());
        manifest.limits = vec![limit];
        config.patience_ms = 50;
    });
    let session = fixture.session();
    assert!(fetch(&session, get("/v1/x")).await.is_ok());
    let costly = Request {
        cost: 3,
        ..get("/v1/x")
    };
    assert!(matches!(
        fault(&session, costly).await,
        FetchFault::Throttled { .. }
    ));
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn an_operator_can_turn_limits_off_or_scale_them() {
    let server = Server::start(|_| async { Ok(reply(200, "{}")) }).await;
    for (scale, served) in [(f64::INFINITY, 8), (3.0, 6)] {
        let fixture = Fixture::with(&server, |config, manifest| {
            manifest.limits = vec![rolling(2, 3_600_000)];
            config.limit_scale = scale;
            config.patience_ms = 20;
        });
        let session = fixture.session();
        let calls = (0..8).map(|_| fetch(&session, get("/v1/x")));
        let answers = join_all(calls).await;
        assert_eq!(answers.iter().filter(|one| one.is_ok()).count(), served);
    }
}

#[tokio::test]
async fn a_cost_above_the_limit_is_a_guests_mistake() {
    let server = Server::start(|_| async { Ok(reply(200, "{}")) }).await;
    let fixture = Fixture::with(&server, |_, manifest| {
        manifest.limits = vec![rolling(10, 1000)]
    });
    let dear = Request {
        cost: 11,
        ..get("/v1/x")
    };
    assert!(matches!(
        fault(&fixture.session(), dear).await,
        FetchFault::Invalid(_)
    ));
}

#[tokio::test]
async fn manifests_that_cannot_be_served_are_refused_and_not_ignored() {
    let server = Server::start(|_| async { Ok(reply(200, "{}")) }).await;
    let fixture = Fixture::with(&server, |_, manifest| {
        let mut limit = rolling(10, 1000);
        limit.rule = LimitRule::Calendar {
            period: CalendarPeriod::Day,
            zone: Some("Europe/Atlantis".to_owned()),
        };
        manifest.limits = vec![limit];
    });
    assert!(fixture.broker.check_manifest(&fixture.manifest).is_err());
    let refusal = fault(&fixture.session(), get("/v1/x")).await;
    assert_eq!(refusal.fault(), tidegate_domain::Fault::Config);
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn a_deadline_ends_the_wait_for_a_limit_with_a_time() {
    let server = Server::start(|_| async { Ok(reply(200, "{}")) }).await;
    let fixture = Fixture::with(&server, |_, manifest| {
        manifest.limits = vec![rolling(1, 3_600_000)];
    });
    let session = fixture.session();
    assert!(fetch(&session, get("/v1/x")).await.is_ok());
    let mut call = call();
    call.deadline = tokio::time::Instant::now() + Duration::from_millis(30);
    let refusal = session.fetch(get("/v1/x"), &call).await.err().unwrap();
    assert!(
        matches!(refusal, FetchFault::Throttled { .. }),
        "{refusal:?}"
    );
}

/// The answer to a request that the provider lets run out of time may never come, but
/// it has counted it.
#[tokio::test]
async fn a_request_that_times_out_counts_as_spent() {
    let server = Server::start(|_| async { std::future::pending().await }).await;
    let fixture = Fixture::with(&server, |config, manifest| {
        manifest.limits = vec![rolling(3, 3_600_000)];
        config.retries_max = 0;
        config.patience_ms = 50;
    });
    let session = fixture.session();
    let hasty = || Request {
        timeout_ms: Some(50),
        ..get("/v1/x")
    };
    for _ in 0..3 {
        let refusal = fault(&session, hasty()).await;
        assert!(matches!(refusal, FetchFault::Timeout(_)), "{refusal:?}");
    }
    let refusal = fault(&session, hasty()).await;
    assert!(
        matches!(refusal, FetchFault::Throttled { .. }),
        "{refusal:?}"
    );
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn a_clean_end_gives_back_what_was_reserved_and_not_spent() {
    let server = Server::start(|_| async { Ok(reply(200, "{}")) }).await;
    let fixture = Fixture::with(&server, |config, manifest| {
        manifest.limits = vec![rolling(100, 3_600_000)];
        config.patience_ms = 50;
    });
    for _ in 0..5 {
        let broker = fixture.second_broker();
        let session = broker.session(fixture.connection());
        for _ in 0..7 {
            assert!(fetch(&session, get("/v1/x")).await.is_ok());
        }
        broker.close().await;
    }
    let view = fixture.broker.limits(&fixture.connection()).await.unwrap();
    assert_eq!((view[0].used, view[0].remaining), (35, 65));
    assert_eq!(server.count(), 35);
}

#[tokio::test]
async fn a_path_that_moves_on_with_every_get_is_asked_once() {
    let server = Server::start(|seen| async move {
        match seen.path.as_str() {
            "/v1/late" if seen.index == 0 => Ok(reply(503, "{}")),
            "/v1/late" => Ok(reply(200, "{}")),
            _ => Ok(reply(502, "{}")),
        }
    })
    .await;
    let fixture = Fixture::with(&server, |config, manifest| {
        config.retries_max = 2;
        manifest.extra = r#"{"once": ["/v1/scroll", "/v1/late"]}"#.to_owned();
        manifest.responses = vec![
            rule(502, ResponseClass::Transient),
            rule(503, ResponseClass::Transient),
        ];
    });
    let session = fixture.session();
    // A 503 says that nothing happened, so even this one is sent again.
    assert_eq!(fetch(&session, get("/v1/late")).await.unwrap().status, 200);
    let _answer = fetch(&session, get("/v1/scroll?x=1")).await;
    let _answer = fetch(&session, get("/v1/list")).await;
    let count = |path: &str| {
        let seen = server.seen();
        seen.iter().filter(|one| one.path.starts_with(path)).count()
    };
    assert_eq!(count("/v1/late"), 2);
    assert_eq!(count("/v1/scroll"), 1);
    assert_eq!(count("/v1/list"), 3);
}
