//! What may leave, and where to.

use crate::fixture::{
    API, Fixture, absolute, at, call, endpoint, fault, fetch, get, request, with_header,
};
use crate::server::{Server, reply, with};
use tidegate_broker::{FetchFault, Method, Payload, Request, Rule, Target};
use tidegate_domain::Fault;

async fn echo() -> Server {
    Server::start(|_| async { Ok(reply(200, "{}")) }).await
}

#[tokio::test]
async fn a_request_reaches_the_mapped_origin_as_it_was_stated() {
    let server = echo().await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    let stated = Request {
        target: Target::Endpoint {
            endpoint: "api".to_owned(),
            path: "/v1/items".to_owned(),
            query: vec![("q".to_owned(), "a b".to_owned())],
        },
        headers: vec![("x-mine".to_owned(), "1".to_owned())],
        payload: Payload::Json(r#"{"a":1}"#.to_owned()),
        ..request(Method::Post, "")
    };
    let answer = fetch(&session, stated).await.ok().unwrap();
    assert_eq!((answer.status, &answer.body[..]), (200, &b"{}"[..]));
    assert_eq!(answer.endpoint, "api");
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].method, "POST");
    assert_eq!(seen[0].path, "/v1/items?q=a%20b");
    assert_eq!(seen[0].header("content-type"), Some("application/json"));
    assert_eq!(seen[0].header("accept-encoding"), Some("gzip, br, zstd"));
    assert_eq!(seen[0].header("x-mine"), Some("1"));
    assert_eq!(&seen[0].body[..], br#"{"a":1}"#);
    let usage = session.usage();
    assert_eq!(
        (usage.requests, usage.bytes_sent, usage.bytes_received),
        (1, 7, 2)
    );
}

#[tokio::test]
async fn what_policy_refuses_opens_no_socket() {
    let server = echo().await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    let bucket = Request {
        bucket: Some("made-up".to_owned()),
        ..get("/v1/x")
    };
    for (refused, kind) in [
        (at("unknown"), Fault::Config),
        (get("/v2/x"), Fault::Config),
        (get("/v1/../v2/x"), Fault::Config),
        (get("//evil.test/v1/"), Fault::Guest),
        (absolute("https://evil.test/v1/x"), Fault::Config),
        (absolute("http://api.crm.test/v1/x"), Fault::Config),
        (absolute("http://localhost:1/v1/x"), Fault::Config),
        (with_header("host"), Fault::Config),
        (with_header("transfer-encoding"), Fault::Config),
        (with_header("a\r\nb"), Fault::Guest),
        (bucket, Fault::Guest),
    ] {
        let refusal = fault(&session, refused).await;
        assert_eq!(refusal.fault(), kind, "{refusal:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn private_addresses_are_refused_at_the_dial_by_literal_and_by_name() {
    let server = echo().await;
    let port: u16 = server.origin.rsplit(':').next().unwrap().parse().unwrap();
    let fixture = Fixture::with(&server, |_, manifest| {
        let hosts = [
            "127.0.0.1",
            "localhost",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "0.0.0.0",
        ];
        for host in hosts {
            let base = format!("https://{host}:{port}");
            manifest.endpoints.push(endpoint(host, &base, &[]));
        }
        let metadata = endpoint("metadata", "https://169.254.169.254", &[]);
        manifest.endpoints.push(metadata);
    });
    let session = fixture.session();
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "metadata",
    ] {
        let refusal = fault(&session, at(host)).await;
        assert!(
            matches!(&refusal, FetchFault::Denied(denial) if denial.rule == Rule::Address),
            "{host}: {refusal:?}"
        );
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn an_operator_can_name_a_private_host() {
    let server = echo().await;
    let port: u16 = server.origin.rsplit(':').next().unwrap().parse().unwrap();
    let fixture = Fixture::with(&server, |config, manifest| {
        config.private_hosts = vec!["localhost".to_owned()];
        config.retries_max = 0;
        let base = format!("https://localhost:{port}");
        manifest.endpoints.push(endpoint("inside", &base, &[]));
    });
    // The server speaks no TLS; that the handshake was tried shows the connection.
    let refusal = fault(&fixture.session(), at("inside")).await;
    assert!(matches!(refusal, FetchFault::Tls(_)), "{refusal:?}");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn redirects_are_returned_and_not_followed() {
    let server = Server::start(|_| async {
        let moved = with(reply(302, ""), "location", "http://169.254.169.254/");
        Ok(with(with(moved, "set-cookie", "a=b"), "x-shown", "1"))
    })
    .await;
    let answer = fetch(&Fixture::new(&server).session(), get("/v1/x")).await;
    let answer = answer.ok().unwrap();
    assert_eq!(answer.status, 302);
    let names: Vec<_> = answer
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["content-type", "location", "x-shown"]);
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn links_of_the_provider_come_back_to_its_endpoint() {
    let server = echo().await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    for origin in [API, server.origin.as_str()] {
        let link = Request {
            target: Target::Absolute(format!("{origin}/v1/next?after=7")),
            ..get("")
        };
        let answer = fetch(&session, link).await.ok().unwrap();
        assert_eq!(answer.endpoint, "api");
    }
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| seen.path == "/v1/next?after=7")
    );
}

#[tokio::test]
async fn tenants_never_share_a_connection() {
    let server = echo().await;
    let fixture = Fixture::new(&server);
    for tenant in ["acme", "acme", "globex", "acme", "globex"] {
        let mut connection = fixture.connection();
        connection.tenant = tidegate_domain::id::TenantId::parse(tenant).unwrap();
        let session = fixture.broker.session(connection);
        assert!(fetch(&session, get("/v1/x")).await.is_ok());
    }
    let peers: Vec<_> = server.seen().iter().map(|seen| seen.peer).collect();
    assert_eq!(server.connections(), 2);
    assert_eq!(
        (peers[0], peers[1], peers[3]),
        (peers[0], peers[0], peers[0])
    );
    assert_eq!(peers[2], peers[4]);
}

#[tokio::test]
async fn a_cancelled_call_ends_at_once() {
    let server = Server::start(|_| std::future::pending()).await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    let call = call();
    let cancel = async {
        while server.count() == 0 {
            tokio::task::yield_now().await;
        }
        call.cancel.cancel();
    };
    let (answer, ()) = tokio::join!(session.fetch(get("/v1/x"), &call), cancel);
    assert!(matches!(answer, Err(FetchFault::Cancelled)));
}

#[tokio::test]
async fn cookies_are_kept_for_a_partition_where_an_endpoint_declares_them() {
    let server = Server::start(|seen| async move {
        let cookie = format!("session=CANARY-{}; Path=/; Secure", seen.index);
        Ok(with(reply(200, "{}"), "set-cookie", &cookie))
    })
    .await;
    let fixture = Fixture::with(&server, |_, manifest| {
        let mut streaming = endpoint("streaming", "https://login.crm.test", &[]);
        streaming.cookies = true;
        manifest.endpoints.push(streaming);
    });
    let session = fixture.session();
    let (first, second) = (session.with_own_cookies(), session.with_own_cookies());
    for (partition, request) in [
        (&first, at("streaming")),
        (&first, at("streaming")),
        (&second, at("streaming")),
        (&first, get("/v1/x")),
        (&first.clone(), at("streaming")),
    ] {
        let answer = fetch(partition, request).await.ok().unwrap();
        assert!(answer.headers.iter().all(|(name, _)| name != "set-cookie"));
    }
    let sent: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| seen.header("cookie").map(str::to_owned))
        .collect();
    let cookie = |number: usize| Some(format!("session=CANARY-{number}"));
    assert_eq!(sent, [None, cookie(0), None, None, cookie(1)]);
}
