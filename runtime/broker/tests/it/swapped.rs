//! Rows that somebody with the database moved: to another tenant, another connection,
//! another method, or an older version. None of them opens.

use crate::fixture::{Fixture, fault, fetch, signed};
use crate::server::{Server, reply};
use std::sync::Arc;
use tidegate_broker::{Broker, Connection, Error, FetchFault, Keyring};
use tidegate_domain::id::{ConnectionId, TenantId};

const GRANTS: usize = 16;

fn connection(fixture: &Fixture, number: usize) -> Connection {
    let mut connection = fixture.connection();
    connection.tenant = TenantId::parse(format!("tenant-{}", number % 4)).unwrap();
    connection.id = ConnectionId::parse(format!("crm-{}", number / 4)).unwrap();
    connection
}

/// Changes the database behind the store's back, and starts anew.
fn edited(fixture: &Fixture, sql: &str) -> Broker {
    let dir = fixture.dir.path();
    let behind = rusqlite::Connection::open(dir.join("state/tidegate.db")).unwrap();
    behind.execute_batch(sql).unwrap();
    let keyring = Keyring::open(&dir.join("keys/node.key")).unwrap();
    let grants = Arc::clone(&fixture.grants);
    Broker::new(
        fixture.config.clone(),
        grants,
        fixture.limits(),
        Arc::new(keyring),
    )
    .unwrap()
}

/// Gives every row what the next one holds.
const TURN: &str = "
    CREATE TEMP TABLE turned AS SELECT tenant, holder, sealed,
        row_number() OVER (ORDER BY tenant, holder) AS number FROM grants;
    UPDATE grants SET sealed = (
        SELECT other.sealed FROM turned AS mine JOIN turned AS other
            ON other.number = mine.number % (SELECT count(*) FROM turned) + 1
        WHERE (mine.tenant, mine.holder) = (grants.tenant, grants.holder));";

#[tokio::test]
async fn rows_that_were_swapped_between_tenants_and_connections_never_open() {
    let answer = r#"{"access_token":"a","refresh_token":"r","expires_in":3600}"#;
    let server = Server::start(move |_| async move { Ok(reply(200, answer)) }).await;
    let fixture = Fixture::new(&server);
    for number in 0..GRANTS {
        let session = fixture.broker.session(connection(&fixture, number));
        fixture.authorise(&session).await;
    }
    let asked = server.count();
    // By one to fifteen places in the order of the rows.
    let mut refused = 0;
    for _ in 1..GRANTS {
        let broker = edited(&fixture, TURN);
        for number in 0..GRANTS {
            let session = broker.session(connection(&fixture, number));
            let refusal = fault(&session, signed("/v1/x", "oauth")).await;
            assert!(
                matches!(refusal, FetchFault::Host(Error::Unseal { .. })),
                "{refusal:?}"
            );
            refused += 1;
        }
    }
    assert_eq!(refused, GRANTS * (GRANTS - 1));
    // Back in place they do.
    let broker = edited(&fixture, TURN);
    for number in 0..GRANTS {
        let session = broker.session(connection(&fixture, number));
        assert!(fetch(&session, signed("/v1/x", "oauth")).await.is_ok());
    }
    let swap = "UPDATE data_keys SET wrapped = (SELECT wrapped FROM data_keys AS other
                    WHERE other.tenant > data_keys.tenant LIMIT 1) WHERE tenant = 'tenant-0'";
    let broker = edited(&fixture, swap);
    let session = broker.session(connection(&fixture, 0));
    let refusal = fault(&session, signed("/v1/x", "oauth")).await;
    assert!(
        matches!(refusal, FetchFault::Host(Error::Unseal { .. })),
        "{refusal:?}"
    );
    let broker = edited(&fixture, "UPDATE grants SET version = version + 1");
    let session = broker.session(connection(&fixture, 1));
    let refusal = fault(&session, signed("/v1/x", "oauth")).await;
    assert!(
        matches!(refusal, FetchFault::Host(Error::Unseal { .. })),
        "{refusal:?}"
    );
    assert_eq!(server.count(), asked + GRANTS, "nothing else was sent");
}
