//! Leases, seals, marks and recovery.

use crate::fixtures::{LONG_MS, intent, key, nothing_found, seal, sha256, state, token};
use std::path::Path;
use std::sync::Arc;
use tidegate_store::streams::{IntentState, Lease, Reconciliation};
use tidegate_store::{Error, Store};
use tokio::task::JoinSet;

fn assert_fenced<T: std::fmt::Debug>(result: Result<T, Error>, what: &str) {
    assert!(
        matches!(result, Err(Error::Fenced { .. })),
        "{what}: {result:?}"
    );
}

fn assert_refused<T: std::fmt::Debug>(result: Result<T, Error>, what: &str) {
    assert!(
        matches!(result, Err(Error::Statement { .. })),
        "{what}: {result:?}"
    );
}

async fn lease(store: &dyn Store, stream: &str, owner: u8) -> Lease {
    store
        .acquire(&key(stream), token(owner), 0, LONG_MS)
        .await
        .unwrap()
}

/// Every guarded method must find the lease lost, and change nothing.
async fn assert_powerless(store: &dyn Store, lease: &Lease, what: &str) {
    let row = store.load(&lease.key).await.unwrap();
    let (batch, position) = (row.next_batch, row.next_batch);
    assert_eq!(
        row.staged,
        state(position),
        "the test seals from the staged state"
    );
    assert_fenced(store.renew(lease, LONG_MS).await, what);
    assert_fenced(store.expire(lease).await, what);
    assert_fenced(store.release(lease).await, what);
    assert_fenced(store.reconcile(lease, nothing_found()).await, what);
    assert_fenced(seal(store, lease, batch, position).await, what);
    assert_fenced(store.mark_uploaded(lease, 0).await, what);
    let marked = store
        .mark_committed(lease, 0, row.log_tail, &sha256(1), &state(1), Vec::new())
        .await;
    assert_fenced(marked, what);
    assert_eq!(store.load(&lease.key).await.unwrap(), row, "{what}");
}

pub(crate) async fn a_stream_that_was_never_read_is_empty(store: Arc<dyn Store>) {
    let row = store.load(&key("s")).await.unwrap();
    assert_eq!((row.epoch, row.log_tail, row.next_batch), (0, 0, 0));
    assert_eq!((row.staged, row.published), (state(0), state(0)));
    assert_eq!((row.log_tail_sha256, row.intents), (None, Vec::new()));
}

pub(crate) async fn a_lease_is_held_until_it_runs_out_or_is_given_back(store: Arc<dyn Store>) {
    let first = lease(&*store, "s", 1).await;
    let taken = store.acquire(&key("s"), token(2), 0, LONG_MS).await;
    let Err(Error::Held { remaining_ms, .. }) = taken else {
        panic!("{taken:?}");
    };
    assert!((1..=LONG_MS).contains(&remaining_ms));
    store.release(&first).await.unwrap();
    let second = lease(&*store, "s", 2).await;
    store.renew(&second, 0).await.unwrap();
    let third = lease(&*store, "s", 3).await;
    store.expire(&third).await.unwrap();
    let fourth = lease(&*store, "s", 4).await;
    assert_eq!(fourth.epoch, 4);
    let same = store
        .acquire(&key("s"), token(4), 0, LONG_MS)
        .await
        .unwrap();
    assert_eq!((same.epoch, same.released_before), (5, false));
    lease(&*store, "other", 5).await;
}

pub(crate) async fn an_epoch_exceeds_the_stored_one_and_the_floor(store: Arc<dyn Store>) {
    let first = store.acquire(&key("s"), token(1), 7, 0).await.unwrap();
    assert_eq!(first.epoch, 8);
    let second = store.acquire(&key("s"), token(2), 3, 0).await.unwrap();
    assert_eq!(second.epoch, 9);
    assert_eq!(store.load(&key("s")).await.unwrap().epoch, 9);
    let endless = store.acquire(&key("s"), token(3), u64::MAX, LONG_MS).await;
    assert_refused(endless, "an epoch above every number");
}

pub(crate) async fn only_a_lease_that_was_given_back_needs_no_fence(store: Arc<dyn Store>) {
    let first = lease(&*store, "s", 1).await;
    assert!(first.released_before, "there was no former owner");
    store.expire(&first).await.unwrap();
    let second = lease(&*store, "s", 2).await;
    assert!(!second.released_before, "the first expired");
    store.release(&second).await.unwrap();
    assert!(
        lease(&*store, "s", 3).await.released_before,
        "the second was given back"
    );
}

pub(crate) async fn a_zombie_can_do_nothing_after_a_takeover(store: Arc<dyn Store>) {
    let zombie = store.acquire(&key("s"), token(1), 0, 0).await.unwrap();
    seal(&*store, &zombie, 0, 0).await.unwrap();
    let owner = lease(&*store, "s", 2).await;
    assert_powerless(&*store, &zombie, "after a takeover").await;
    store.release(&owner).await.unwrap();
    assert_powerless(&*store, &owner, "after it was given back").await;
    assert_powerless(&*store, &zombie, "while nobody owns the stream").await;
}

pub(crate) async fn an_epoch_alone_or_a_token_alone_proves_nothing(store: Arc<dyn Store>) {
    let owner = lease(&*store, "s", 1).await;
    seal(&*store, &owner, 0, 0).await.unwrap();
    let ghost = Lease {
        owner: token(2),
        ..owner.clone()
    };
    assert_powerless(&*store, &ghost, "the same epoch").await;
    let early = Lease {
        epoch: owner.epoch - 1,
        ..owner.clone()
    };
    assert_powerless(&*store, &early, "the same token, an older epoch").await;
    let late = Lease {
        epoch: owner.epoch + 1,
        ..owner.clone()
    };
    assert_powerless(&*store, &late, "the same token, a newer epoch").await;
}

pub(crate) async fn a_lease_that_ran_out_still_guards_until_it_is_taken(store: Arc<dyn Store>) {
    let owner = store.acquire(&key("s"), token(1), 0, 0).await.unwrap();
    seal(&*store, &owner, 0, 0).await.unwrap();
    store.renew(&owner, LONG_MS).await.unwrap();
    let taken = store.acquire(&key("s"), token(2), 0, LONG_MS).await;
    assert!(matches!(taken, Err(Error::Held { .. })), "{taken:?}");
}

pub(crate) async fn a_seal_moves_only_from_the_staged_state(store: Arc<dyn Store>) {
    let owner = lease(&*store, "s", 1).await;
    assert_fenced(
        seal(&*store, &owner, 0, 1).await,
        "ahead of the staged state",
    );
    seal(&*store, &owner, 0, 0).await.unwrap();
    assert_fenced(seal(&*store, &owner, 1, 0).await, "behind the staged state");
    seal(&*store, &owner, 1, 1).await.unwrap();
    let row = store.load(&key("s")).await.unwrap();
    assert_eq!((row.staged, row.published), (state(2), state(0)));
    assert_eq!(row.intents, [intent(0, 0), intent(1, 1)]);
    assert_eq!(row.next_batch, 2);
}

pub(crate) async fn a_seal_that_does_not_chain_is_refused(store: Arc<dyn Store>) {
    let owner = lease(&*store, "s", 1).await;
    let skipping = store.seal(&owner, &state(0), &state(2), intent(0, 0)).await;
    assert_refused(skipping, "the cursor moves further than the change");
    let foreign = store.seal(&owner, &state(0), &state(1), intent(0, 1)).await;
    assert_refused(foreign, "the change is of another state");
    assert_eq!(store.load(&key("s")).await.unwrap().staged, state(0));
}

pub(crate) async fn batches_are_numbered_without_gaps(store: Arc<dyn Store>) {
    let owner = lease(&*store, "s", 1).await;
    assert_refused(seal(&*store, &owner, 1, 0).await, "the first is 0");
    seal(&*store, &owner, 0, 0).await.unwrap();
    assert_refused(seal(&*store, &owner, 0, 1).await, "a number that was used");
    assert_refused(
        seal(&*store, &owner, 2, 1).await,
        "a number that was skipped",
    );
    let row = store.load(&key("s")).await.unwrap();
    assert_eq!(
        (row.staged, row.next_batch, row.intents.len()),
        (state(1), 1, 1)
    );
}

pub(crate) async fn commits_are_marked_in_order_and_at_the_tail(store: Arc<dyn Store>) {
    let owner = lease(&*store, "s", 1).await;
    for number in 0..2 {
        seal(&*store, &owner, number, number).await.unwrap();
    }
    let mark = |batch, slot, position| {
        let (store, owner) = (&store, &owner);
        async move {
            store
                .mark_committed(owner, batch, slot, &sha256(9), &state(position), Vec::new())
                .await
        }
    };
    assert_refused(store.mark_uploaded(&owner, 7).await, "no such batch");
    store.mark_uploaded(&owner, 1).await.unwrap();
    assert_refused(mark(1, 0, 2).await, "an earlier batch is on its way");
    assert_refused(mark(0, 1, 1).await, "a slot after the tail");
    mark(0, 0, 1).await.unwrap();
    assert_refused(mark(0, 1, 1).await, "it is marked already");
    assert_refused(mark(1, 0, 2).await, "a slot before the tail");
    let row = store.load(&key("s")).await.unwrap();
    assert_eq!((row.log_tail, row.log_tail_sha256), (1, Some(sha256(9))));
    assert_eq!((row.published, row.staged), (state(1), state(2)));
    assert_eq!(row.intents.len(), 1);
    assert_eq!(
        (row.intents[0].batch, row.intents[0].state),
        (1, IntentState::Uploaded)
    );
    mark(1, 1, 2).await.unwrap();
    let row = store.load(&key("s")).await.unwrap();
    assert_eq!((row.published, row.intents), (state(2), Vec::new()));
}

pub(crate) async fn the_published_state_moves_by_its_intent_only(store: Arc<dyn Store>) {
    let owner = lease(&*store, "s", 1).await;
    seal(&*store, &owner, 0, 0).await.unwrap();
    for wrong in [0, 2] {
        let marked = store
            .mark_committed(&owner, 0, 0, &sha256(1), &state(wrong), Vec::new())
            .await;
        assert_refused(marked, "another state than the intent's");
    }
    assert_eq!(store.load(&key("s")).await.unwrap().log_tail, 0);
}

pub(crate) async fn reconciling_adopts_keeps_and_abandons(store: Arc<dyn Store>) {
    let owner = lease(&*store, "s", 1).await;
    for number in 0..4 {
        seal(&*store, &owner, number, number).await.unwrap();
    }
    let found = Reconciliation {
        published: state(1),
        log_tail: 2,
        log_tail_sha256: Some(sha256(2)),
        adopted: vec![0],
        abandoned: vec![2, 3],
        staged: state(2),
        next_batch: 1,
        events: Vec::new(),
    };
    store.reconcile(&owner, found).await.unwrap();
    let row = store.load(&key("s")).await.unwrap();
    assert_eq!((row.published, row.staged), (state(1), state(2)));
    assert_eq!((row.log_tail, row.log_tail_sha256), (2, Some(sha256(2))));
    assert_eq!(row.intents, [intent(1, 1)]);
    assert_eq!(
        row.next_batch, 4,
        "numbers of abandoned batches are not used again"
    );
    seal(&*store, &owner, 4, 2).await.unwrap();
    let restored = lease(&*store, "restored", 1).await;
    let ahead = Reconciliation {
        published: state(3),
        staged: state(3),
        log_tail: 5,
        log_tail_sha256: Some(sha256(5)),
        next_batch: 12,
        ..nothing_found()
    };
    store.reconcile(&restored, ahead).await.unwrap();
    seal(&*store, &restored, 12, 3).await.unwrap();
}

pub(crate) async fn reconciling_refuses_what_does_not_add_up(store: Arc<dyn Store>) {
    let owner = lease(&*store, "s", 1).await;
    seal(&*store, &owner, 0, 0).await.unwrap();
    store
        .mark_committed(&owner, 0, 0, &sha256(1), &state(1), Vec::new())
        .await
        .unwrap();
    seal(&*store, &owner, 1, 1).await.unwrap();
    let row = store.load(&key("s")).await.unwrap();
    let good = Reconciliation {
        published: state(1),
        staged: state(2),
        log_tail: 1,
        log_tail_sha256: Some(sha256(1)),
        ..nothing_found()
    };
    let shrank = Reconciliation {
        log_tail: 0,
        ..good.clone()
    };
    assert_refused(store.reconcile(&owner, shrank).await, "the log lost a slot");
    let rewound = Reconciliation {
        staged: state(1),
        ..good.clone()
    };
    assert_refused(store.reconcile(&owner, rewound).await, "an intent was kept");
    let lost = Reconciliation {
        abandoned: vec![1],
        ..good.clone()
    };
    assert_refused(store.reconcile(&owner, lost).await, "no intent was kept");
    let torn = Reconciliation {
        published: state(2),
        ..good.clone()
    };
    assert_refused(
        store.reconcile(&owner, torn).await,
        "the kept intent does not chain",
    );
    assert_eq!(store.load(&key("s")).await.unwrap(), row);
    store.reconcile(&owner, good).await.unwrap();
    assert_eq!(store.load(&key("s")).await.unwrap(), row);
}

pub(crate) async fn staged_paths_are_those_of_live_intents(store: Arc<dyn Store>) {
    for stream in ["a", "b"] {
        let owner = lease(&*store, stream, 1).await;
        seal(&*store, &owner, 0, 0).await.unwrap();
        if stream == "a" {
            store
                .mark_committed(&owner, 0, 0, &sha256(1), &state(1), Vec::new())
                .await
                .unwrap();
            seal(&*store, &owner, 1, 1).await.unwrap();
        }
    }
    let mut paths = store.staged_paths().await.unwrap();
    paths.sort();
    assert_eq!(
        paths,
        [Path::new("/staging/0-0"), Path::new("/staging/1-1")]
    );
}

pub(crate) async fn two_hundred_seals_at_once_all_land(store: Arc<dyn Store>) {
    let mut tasks = JoinSet::new();
    for number in 0..200 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let owner = lease(&*store, &format!("s{number}"), 1).await;
            seal(&*store, &owner, 0, 0).await.unwrap();
        });
    }
    tasks.join_all().await;
    for number in 0..200 {
        let row = store.load(&key(&format!("s{number}"))).await.unwrap();
        assert_eq!((row.staged, row.intents), (state(1), vec![intent(0, 0)]));
    }
}
