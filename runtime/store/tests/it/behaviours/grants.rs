//! Grants, the right to refresh them, and data keys.

use crate::fixtures::{LONG_MS, connection, tenant, token};
use std::sync::Arc;
use tidegate_domain::id::{ConnectionId, TenantId};
use tidegate_store::Store;
use tidegate_store::grants::{GrantKey, GrantState, StoredGrant};
use tokio::task::JoinSet;

fn key() -> GrantKey {
    GrantKey {
        tenant: tenant(),
        connection: connection(),
        method: "oauth".to_owned(),
    }
}

/// `noted_at_ms` is the database's own.
fn without_time(found: Option<StoredGrant>) -> Option<StoredGrant> {
    found.map(|grant| StoredGrant {
        noted_at_ms: 0,
        ..grant
    })
}

fn stored(version: u64, sealed: &[u8], state: GrantState) -> Option<StoredGrant> {
    Some(StoredGrant {
        holder: key().own_holder(),
        approvals: 1,
        noted_at_ms: 0,
        version,
        sealed: sealed.to_vec(),
        state,
    })
}

pub(crate) async fn versions_grow_by_one(store: Arc<dyn Store>) {
    assert_eq!(store.grant(&key()).await.unwrap(), None);
    assert!(!store.put_grant(&key(), 2, b"skipped").await.unwrap());
    assert!(store.put_grant(&key(), 1, b"one").await.unwrap());
    assert!(!store.put_grant(&key(), 1, b"again").await.unwrap());
    assert!(!store.put_grant(&key(), 3, b"skipped").await.unwrap());
    assert!(store.put_grant(&key(), 2, b"two").await.unwrap());
    let found = store.grant(&key()).await.unwrap();
    assert_eq!(without_time(found), stored(2, b"two", GrantState::Active));
    let other = GrantKey {
        method: "key".to_owned(),
        ..key()
    };
    assert_eq!(store.grant(&other).await.unwrap(), None);
}

pub(crate) async fn one_of_two_refreshers_wins(store: Arc<dyn Store>) {
    assert!(
        !store
            .begin_refresh(&key(), 1, token(1), LONG_MS)
            .await
            .unwrap(),
        "no grant"
    );
    store.put_grant(&key(), 1, b"one").await.unwrap();
    let mut tasks = JoinSet::new();
    for number in 0..16 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let won = store
                .begin_refresh(&key(), 1, token(number), LONG_MS)
                .await
                .unwrap();
            let finished = store
                .finish_refresh(&key(), 1, token(number), &[number])
                .await
                .unwrap();
            assert_eq!(won, finished, "only the winner finishes");
            won.then_some(number)
        });
    }
    let winners: Vec<u8> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    let found = store.grant(&key()).await.unwrap();
    assert_eq!(without_time(found), stored(2, &winners, GrantState::Active));
}

pub(crate) async fn a_loser_never_changes_a_winners_grant(store: Arc<dyn Store>) {
    store.put_grant(&key(), 1, b"one").await.unwrap();
    assert!(store.begin_refresh(&key(), 1, token(1), 0).await.unwrap());
    assert!(
        store
            .begin_refresh(&key(), 1, token(2), LONG_MS)
            .await
            .unwrap(),
        "it ran out"
    );
    let reauth = GrantState::NeedsReauth;
    assert!(
        !store
            .abandon_refresh(&key(), 1, token(1), reauth)
            .await
            .unwrap()
    );
    assert!(
        !store
            .finish_refresh(&key(), 1, token(1), b"late")
            .await
            .unwrap()
    );
    assert!(
        store
            .finish_refresh(&key(), 1, token(2), b"two")
            .await
            .unwrap()
    );
    assert!(
        !store
            .abandon_refresh(&key(), 1, token(2), reauth)
            .await
            .unwrap()
    );
    assert!(
        !store
            .abandon_refresh(&key(), 2, token(2), reauth)
            .await
            .unwrap()
    );
    assert!(
        !store
            .begin_refresh(&key(), 1, token(3), LONG_MS)
            .await
            .unwrap(),
        "a stale version"
    );
    let found = store.grant(&key()).await.unwrap();
    assert_eq!(without_time(found), stored(2, b"two", GrantState::Active));
}

pub(crate) async fn a_right_that_ran_out_passes_on(store: Arc<dyn Store>) {
    store.put_grant(&key(), 1, b"one").await.unwrap();
    assert!(
        store
            .begin_refresh(&key(), 1, token(1), LONG_MS)
            .await
            .unwrap()
    );
    assert!(
        !store
            .begin_refresh(&key(), 1, token(2), LONG_MS)
            .await
            .unwrap()
    );
    assert!(
        store
            .abandon_refresh(&key(), 1, token(1), GrantState::Unknown)
            .await
            .unwrap()
    );
    let found = store.grant(&key()).await.unwrap();
    assert_eq!(without_time(found), stored(1, b"one", GrantState::Unknown));
    assert!(
        store.begin_refresh(&key(), 1, token(2), 0).await.unwrap(),
        "given back"
    );
    assert!(
        store
            .begin_refresh(&key(), 1, token(3), LONG_MS)
            .await
            .unwrap(),
        "ran out"
    );
    assert!(
        store
            .finish_refresh(&key(), 1, token(3), b"two")
            .await
            .unwrap()
    );
    let found = store.grant(&key()).await.unwrap();
    assert_eq!(without_time(found), stored(2, b"two", GrantState::Active));
}

pub(crate) async fn a_new_authorisation_ends_a_refresh(store: Arc<dyn Store>) {
    store.put_grant(&key(), 1, b"one").await.unwrap();
    assert!(
        store
            .begin_refresh(&key(), 1, token(1), LONG_MS)
            .await
            .unwrap()
    );
    assert!(store.put_grant(&key(), 2, b"two").await.unwrap());
    assert!(
        !store
            .finish_refresh(&key(), 1, token(1), b"stale")
            .await
            .unwrap()
    );
    assert!(
        store
            .begin_refresh(&key(), 2, token(2), LONG_MS)
            .await
            .unwrap()
    );
}

pub(crate) async fn the_first_data_key_stays(store: Arc<dyn Store>) {
    assert_eq!(store.data_key(&tenant()).await.unwrap(), None);
    assert_eq!(
        store.put_data_key(&tenant(), b"first").await.unwrap(),
        b"first"
    );
    assert_eq!(
        store.put_data_key(&tenant(), b"second").await.unwrap(),
        b"first"
    );
    assert_eq!(
        store.data_key(&tenant()).await.unwrap(),
        Some(b"first".to_vec())
    );
    let other = TenantId::parse("other").unwrap();
    assert_eq!(store.data_key(&other).await.unwrap(), None);
}

pub(crate) async fn a_grant_says_since_when_it_is_as_it_is(store: Arc<dyn Store>) {
    let noted = async || store.grant(&key()).await.unwrap().unwrap().noted_at_ms;
    store.put_grant(&key(), 1, b"one").await.unwrap();
    let granted = noted().await;
    assert!(granted > 1_700_000_000_000);
    let other = GrantKey {
        method: "other".to_owned(),
        ..key()
    };
    store.put_grant(&other, 1, b"one").await.unwrap();
    let idle = store.idle_grants(u64::MAX >> 1, 10).await.unwrap();
    assert_eq!(idle.len(), 2);
    assert_eq!(store.idle_grants(u64::MAX >> 1, 1).await.unwrap().len(), 1);
    assert!(store.idle_grants(granted, 10).await.unwrap().is_empty());

    let refuse = async |state| {
        store
            .begin_refresh(&key(), 1, token(1), LONG_MS)
            .await
            .unwrap();
        store
            .abandon_refresh(&key(), 1, token(1), state)
            .await
            .unwrap()
    };
    let wait = async || {
        let begun = noted().await;
        while tidegate_store::clock::now_ms() <= begun {
            tokio::task::yield_now().await;
        }
    };
    wait().await;
    assert!(refuse(GrantState::Refused).await);
    let refused = noted().await;
    assert!(refused > granted, "another state, another time");
    wait().await;
    assert!(refuse(GrantState::Refused).await);
    assert_eq!(noted().await, refused, "the same state, the same time");
    let idle = store.idle_grants(u64::MAX >> 1, 10).await.unwrap();
    assert_eq!(idle, [other], "only active grants are idle");
    assert!(store.remove_grant(&key()).await.unwrap());
    assert!(!store.remove_grant(&key()).await.unwrap());
    assert!(store.grant(&key()).await.unwrap().is_none());
}

pub(crate) async fn connections_share_a_grant_until_the_last_of_them_ends(store: Arc<dyn Store>) {
    let other = GrantKey {
        connection: ConnectionId::parse("crm-2").unwrap(),
        ..key()
    };
    // What it had on its own goes when it shares.
    store.put_grant(&key(), 1, b"own").await.unwrap();
    let shared = store.share_grant(&key(), "~ada", 1, b"one").await.unwrap();
    assert_eq!(shared, Some(1));
    let own = store
        .held_grant(&tenant(), &key().own_holder())
        .await
        .unwrap();
    assert!(own.is_none());
    let stale = store.share_grant(&other, "~ada", 1, b"late").await.unwrap();
    assert_eq!(stale, None, "another was quicker");
    assert!(store.grant(&other).await.unwrap().is_none());
    let shared = store.share_grant(&other, "~ada", 2, b"two").await.unwrap();
    assert_eq!(shared, Some(2), "approvals");
    let found = store.grant(&key()).await.unwrap().unwrap();
    assert_eq!((found.version, &found.sealed[..]), (2, &b"two"[..]));

    // One right to refresh for both.
    let begin = async |key: &GrantKey, owner| {
        let begun = store.begin_refresh(key, 2, token(owner), LONG_MS).await;
        begun.unwrap()
    };
    assert!(begin(&key(), 1).await);
    assert!(!begin(&other, 2).await);
    let finished = store.finish_refresh(&key(), 2, token(1), b"three").await;
    assert!(finished.unwrap());
    assert_eq!(store.grant(&other).await.unwrap().unwrap().version, 3);
    assert_eq!(store.idle_grants(u64::MAX >> 1, 10).await.unwrap().len(), 1);

    assert!(store.remove_grant(&key()).await.unwrap());
    assert!(store.grant(&key()).await.unwrap().is_none());
    assert!(store.grant(&other).await.unwrap().is_some(), "it goes on");
    assert!(store.remove_grant(&other).await.unwrap());
    let left = store.held_grant(&tenant(), "~ada").await.unwrap();
    assert!(left.is_none(), "the last one takes it along");
}

pub(crate) async fn a_data_key_is_rewrapped_once_and_destroyed_with_its_grants(
    store: Arc<dyn Store>,
) {
    let (acme, globex) = (tenant(), TenantId::parse("globex").unwrap());
    store.put_data_key(&acme, b"old").await.unwrap();
    store.put_data_key(&globex, b"theirs").await.unwrap();
    store.put_grant(&key(), 1, b"one").await.unwrap();
    assert!(store.rewrap_data_key(&acme, b"old", b"new").await.unwrap());
    assert!(
        !store
            .rewrap_data_key(&acme, b"old", b"newer")
            .await
            .unwrap()
    );
    let mut keys = store.data_keys().await.unwrap();
    keys.sort();
    let mut expected = [
        (acme.clone(), b"new".to_vec()),
        (globex.clone(), b"theirs".to_vec()),
    ];
    expected.sort();
    assert_eq!(keys, expected);
    assert!(store.destroy_data_key(&acme).await.unwrap());
    assert!(!store.destroy_data_key(&acme).await.unwrap());
    assert!(store.data_key(&acme).await.unwrap().is_none());
    assert!(store.grant(&key()).await.unwrap().is_none());
    assert!(store.data_key(&globex).await.unwrap().is_some());
}
