//! Grants beyond a single refresh: salvaged, kept alive, and ended.

use crate::faulty::Faulty;
use crate::fixture::{Fixture, fault, fetch, signed};
use crate::grants::{key, provider, stored};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tidegate_broker::FetchFault;
use tidegate_store::SqliteStore;
use tidegate_store::grants::GrantState;

#[tokio::test]
async fn a_pair_that_the_dead_process_could_not_store_is_salvaged() {
    let (provider, server) = provider(0).await;
    let dir = tempfile::tempdir().unwrap();
    let salvage_dir = dir.path().join("salvage");
    let store = Arc::new(SqliteStore::open(&dir.path().join("state")).unwrap());
    let faulty = Arc::new(Faulty::new(Arc::clone(&store)));
    let fixture = Fixture::on(
        dir,
        Arc::clone(&faulty) as _,
        store,
        &server,
        |config, _| {
            config.salvage_dir = Some(salvage_dir.clone());
        },
    );
    let session = fixture.session();
    fixture.authorise(&session).await;
    provider.life_s.store(3600, Ordering::SeqCst);
    faulty.finishes_to_fail.store(u32::MAX, Ordering::SeqCst);
    let refusal = fault(&session, signed("/v1/x", "oauth")).await;
    assert!(matches!(refusal, FetchFault::Host(_)), "{refusal:?}");
    assert_eq!(std::fs::read_dir(&salvage_dir).unwrap().count(), 1);
    // The pair in the memory of this process is gone with it.
    let restarted = fixture.second_broker().session(fixture.connection());
    assert!(fetch(&restarted, signed("/v1/x", "oauth")).await.is_ok());
    assert_eq!(
        provider.token_requests(),
        2,
        "the code and the refresh of the dead"
    );
    assert_eq!(stored(&fixture).await, (2, GrantState::Active));
    assert_eq!(std::fs::read_dir(&salvage_dir).unwrap().count(), 0);
}

#[tokio::test]
async fn an_idle_grant_is_renewed_before_the_provider_lets_it_lapse() {
    let (provider, server) = provider(3600).await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    assert!(
        !session.keep_alive("oauth", 0).await.unwrap(),
        "nothing to renew"
    );
    fixture.authorise(&session).await;
    assert!(
        !session.keep_alive("oauth", 60_000).await.unwrap(),
        "not idle"
    );
    assert!(session.keep_alive("oauth", 0).await.unwrap());
    assert_eq!(stored(&fixture).await, (2, GrantState::Active));
    assert_eq!(provider.token_requests(), 2);
}

#[tokio::test]
async fn a_connection_that_takes_a_removed_ones_name_does_not_take_its_token() {
    let (provider, server) = provider(3600).await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    fixture.authorise(&session).await;
    assert!(fetch(&session, signed("/v1/x", "oauth")).await.is_ok());
    let used = server.count();
    // As the removal of a connection does: its row goes with its document.
    assert!(fixture.grants.remove_grant(&key()).await.unwrap());
    let key = key();
    fixture
        .broker
        .forget_connection(&key.tenant, &key.connection);
    let refusal = fault(&fixture.session(), signed("/v1/x", "oauth")).await;
    assert!(matches!(refusal, FetchFault::Auth(_)), "{refusal:?}");
    assert_eq!((server.count(), provider.token_requests()), (used, 1));
}

#[tokio::test]
async fn a_revoked_grant_is_gone_from_memory_and_store() {
    let (provider, server) = provider(3600).await;
    let fixture = Fixture::new(&server);
    let session = fixture.session();
    fixture.authorise(&session).await;
    assert!(fetch(&session, signed("/v1/x", "oauth")).await.is_ok());
    assert!(session.revoke("oauth").await.unwrap());
    assert!(!session.revoke("oauth").await.unwrap());
    let refusal = fault(&session, signed("/v1/x", "oauth")).await;
    assert!(matches!(refusal, FetchFault::Auth(_)), "{refusal:?}");
    assert!(fixture.grants.grant(&key()).await.unwrap().is_none());
    assert_eq!(provider.token_requests(), 1);
}
