//! Which requests may share a socket: those of one grant to one origin.

use crate::fixture::{API, Fixture, LOGIN, call, endpoint, fetch, get, signed};
use crate::server::{Server, reply};
use crate::tls::secure_server_with;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tidegate_broker::{Broker, Origin, Request, Target, dial::Dialer};
use tidegate_domain::id::ConnectionId;

#[tokio::test]
async fn two_grants_of_a_tenant_never_share_a_socket() {
    let server = Server::start(|_| async { Ok(reply(200, "{}")) }).await;
    let fixture = Fixture::new(&server);
    let mut users: BTreeMap<SocketAddr, Vec<&str>> = BTreeMap::new();
    let mut order = Vec::new();
    for _ in 0..3 {
        for (connection, method) in [
            ("crm-1", None),
            ("crm-1", Some("header_key")),
            ("crm-1", Some("basic")),
            ("crm-2", Some("header_key")),
        ] {
            let mut wanted = fixture.connection();
            wanted.id = ConnectionId::parse(connection).unwrap();
            let request = method.map_or_else(|| get("/v1/x"), |method| signed("/v1/x", method));
            let session = fixture.broker.session(wanted);
            assert!(fetch(&session, request).await.is_ok());
            order.push(match (connection, method) {
                ("crm-1", None) => "no grant",
                ("crm-1", Some("basic")) => "basic",
                ("crm-1", _) => "key",
                _ => "another connection's key",
            });
        }
    }
    for (seen, user) in server.seen().iter().zip(order) {
        users.entry(seen.peer).or_default().push(user);
    }
    assert_eq!(server.connections(), 4);
    for (peer, users) in users {
        assert!(
            users.iter().all(|user| *user == users[0]),
            "{peer}: {users:?}"
        );
        assert_eq!(users.len(), 3, "a grant keeps its socket");
    }
}

#[derive(Debug)]
struct Loopback;

#[async_trait::async_trait]
impl tidegate_broker::dial::Resolve for Loopback {
    async fn addresses(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])
    }
}

#[tokio::test]
async fn http_2_to_two_hosts_of_one_address_and_one_certificate_takes_two_connections() {
    let server = secure_server_with("names", &[b"h2"], |_| async { Ok(reply(200, "{}")) }).await;
    let port: u16 = server.origin.rsplit(':').next().unwrap().parse().unwrap();
    let fixture = Fixture::with(&server, |config, manifest| {
        config.extra_authorities = Some(crate::tls::file("names-authority.pem"));
        for mapping in &mut config.mappings {
            let host = if mapping.from.to_string() == API {
                "a"
            } else {
                "b"
            };
            mapping.to = Origin::parse(&format!("https://{host}.crm.test:{port}")).unwrap();
        }
        manifest.endpoints.push(endpoint("second", LOGIN, &[]));
    });
    let dialer = Dialer::new(&fixture.config)
        .unwrap()
        .resolving(Arc::new(Loopback));
    let broker = Broker::dialing(
        dialer,
        fixture.config.clone(),
        Arc::clone(&fixture.grants),
        fixture.limits(),
        Arc::clone(&fixture.keyring),
    );
    let session = broker.unwrap().session(fixture.connection());
    let second = Request {
        target: Target::Endpoint {
            endpoint: "second".to_owned(),
            path: "/x".to_owned(),
            query: Vec::new(),
        },
        ..get("")
    };
    for _ in 0..3 {
        for request in [get("/v1/x"), second.clone()] {
            let answer = session.fetch(request, &call()).await;
            assert!(answer.is_ok(), "{:?}", answer.err());
        }
    }
    assert_eq!(server.count(), 6);
    assert_eq!(server.connections(), 2);
}
