//! The outbox: dispatched once, delivered at least once.

use crate::fixtures::{LONG_MS, commit, event, make_tenant, tenant, token};
use std::sync::Arc;
use tidegate_domain::id::TenantId;
use tidegate_store::ServiceStore;
use tidegate_store::control::{Commit, DocumentKind, Expected, Write};
use tidegate_store::events::{Delivery, DeliveryCaps, DeliveryState, GIVEN_UP, Tried};
use tokio::task::JoinSet;

const NOW_MS: u64 = 5_000;
const CAPS: DeliveryCaps = DeliveryCaps {
    taken_max: 99,
    tenant_max: 99,
    subscription_max: 99,
};

/// Makes the tenant and these many events, dispatched to `hook`.
async fn dispatched(store: &dyn ServiceStore, events: usize) {
    make_tenant(store).await;
    publish(store, events).await;
    dispatch_all(store, "hook").await;
}

async fn publish(store: &dyn ServiceStore, events: usize) {
    let happened = Commit {
        events: vec![event("job.finished"); events],
        ..commit(tenant(), Vec::new())
    };
    store.commit(happened).await.unwrap();
}

async fn dispatch_all(store: &dyn ServiceStore, to: &str) {
    let events = store.undispatched(99).await.unwrap();
    let (from, through) = (events[0].seq, events[events.len() - 1].seq);
    let to = events.iter().map(|row| (row.seq, to.to_owned())).collect();
    assert!(store.dispatch(from, through, to, NOW_MS).await.unwrap());
}

async fn take(store: &dyn ServiceStore, owner: u8, now_ms: u64) -> Vec<Delivery> {
    let taken = store.claim_deliveries(token(owner), now_ms, LONG_MS, CAPS, Vec::new());
    taken.await.unwrap().due
}

async fn states(store: &dyn ServiceStore) -> Vec<(u64, DeliveryState, u32)> {
    let rows = store.deliveries(&tenant(), "hook", 0, 99).await.unwrap();
    let rows = rows.into_iter();
    rows.map(|row| (row.event, row.state, row.tried)).collect()
}

pub(crate) async fn events_are_dispatched_once_and_in_order(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    publish(&*store, 3).await;
    let waiting = store.undispatched(2).await.unwrap();
    assert_eq!(
        waiting.iter().map(|row| row.seq).collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!(waiting[0].event, event("job.finished"));
    let to = || {
        vec![
            (1, "a".to_owned()),
            (2, "b".to_owned()),
            (3, "early".to_owned()),
        ]
    };
    for (from, through) in [(2, 3), (1, 9), (2, 1)] {
        let moved = store.dispatch(from, through, to(), NOW_MS).await.unwrap();
        assert!(!moved, "{from} to {through}");
    }
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { store.dispatch(1, 2, to(), NOW_MS).await.unwrap() });
    }
    let moved = tasks.join_all().await;
    assert_eq!(moved.into_iter().filter(|moved| *moved).count(), 1);
    assert_eq!(store.undispatched(9).await.unwrap()[0].seq, 3);
    let due = take(&*store, 1, NOW_MS).await;
    let due: Vec<_> = due
        .iter()
        .map(|one| (one.event.seq, &*one.subscription))
        .collect();
    assert_eq!(due, [(1, "a"), (2, "b")]);
    let other = TenantId::parse("other").unwrap();
    assert_eq!(store.events(&other, 0, 9).await.unwrap(), []);
    assert_eq!(store.events(&tenant(), 2, 9).await.unwrap().len(), 1);
}

pub(crate) async fn a_delivery_is_one_worker_s_until_its_claim_runs_out(
    store: Arc<dyn ServiceStore>,
) {
    dispatched(&*store, 1).await;
    assert_eq!(take(&*store, 1, NOW_MS - 1).await, []);
    let taken = store
        .claim_deliveries(token(1), NOW_MS, 0, CAPS, Vec::new())
        .await
        .unwrap();
    let stale = &taken.due[0];
    let fresh = take(&*store, 2, NOW_MS).await;
    assert_eq!(fresh.len(), 1);
    assert_eq!(take(&*store, 3, NOW_MS).await, []);
    assert!(
        !store
            .settle_delivery(stale, Tried::Delivered)
            .await
            .unwrap()
    );
    assert!(
        store
            .settle_delivery(&fresh[0], Tried::Delivered)
            .await
            .unwrap()
    );
    assert!(
        !store
            .settle_delivery(&fresh[0], Tried::Delivered)
            .await
            .unwrap()
    );
    assert_eq!(states(&*store).await, [(1, DeliveryState::Delivered, 1)]);
    let idle = store
        .claim_deliveries(token(1), NOW_MS, 0, CAPS, Vec::new())
        .await
        .unwrap();
    assert_eq!((idle.due, idle.next_at_ms), (vec![], None));
}

pub(crate) async fn a_delivery_is_tried_again_and_given_up(store: Arc<dyn ServiceStore>) {
    dispatched(&*store, 1).await;
    let first = take(&*store, 1, NOW_MS).await;
    let error = || "503".to_owned();
    let again = Tried::Again {
        at_ms: 9_000,
        error: error(),
    };
    assert!(store.settle_delivery(&first[0], again).await.unwrap());
    let waiting = store
        .claim_deliveries(token(1), NOW_MS, 0, CAPS, Vec::new())
        .await
        .unwrap();
    assert_eq!((waiting.due, waiting.next_at_ms), (vec![], Some(9_000)));
    let second = take(&*store, 1, 9_000).await;
    assert_eq!((second[0].tried, second[0].since_ms), (1, NOW_MS));
    assert!(
        !store
            .settle_delivery(&first[0], Tried::Delivered)
            .await
            .unwrap()
    );
    let given_up = Tried::GivenUp { error: error() };
    assert!(store.settle_delivery(&second[0], given_up).await.unwrap());
    let row = store.deliveries(&tenant(), "hook", 0, 9).await.unwrap();
    assert_eq!((row[0].state, row[0].tried), (DeliveryState::GivenUp, 2));
    assert_eq!(row[0].error.as_deref(), Some("503"));
    let told = store.events(&tenant(), row[0].event, 9).await.unwrap();
    assert_eq!(told[0].event.kind, GIVEN_UP);
    assert_eq!(told[0].event.subject, "subscription hook");
}

pub(crate) async fn one_subscriber_s_queue_hides_no_other_s(store: Arc<dyn ServiceStore>) {
    make_tenant(&*store).await;
    publish(&*store, 5).await;
    dispatch_all(&*store, "dead").await;
    publish(&*store, 2).await;
    dispatch_all(&*store, "hook").await;
    let caps = DeliveryCaps {
        subscription_max: 2,
        ..CAPS
    };
    let take = async |caps, except| {
        let taken = store.claim_deliveries(token(1), NOW_MS, LONG_MS, caps, except);
        let taken = taken.await.unwrap().due.into_iter();
        let taken = taken.map(|found| (found.subscription, found.event.seq));
        taken.collect::<Vec<_>>()
    };
    let name = |subscription: &str, seq| (subscription.to_owned(), seq);
    let few = DeliveryCaps {
        tenant_max: 1,
        ..caps
    };
    assert_eq!(take(few, Vec::new()).await, [name("dead", 1)]);
    assert_eq!(take(few, Vec::new()).await, [], "the tenant has one");
    let resting = vec![(tenant(), "dead".to_owned())];
    let hook = [name("hook", 6), name("hook", 7)];
    assert_eq!(take(caps, resting).await, hook);
    assert_eq!(take(caps, Vec::new()).await, [name("dead", 2)]);
    assert_eq!(take(caps, Vec::new()).await, [], "each has two");
}

pub(crate) async fn a_replay_sends_what_a_subscription_was_to_hear(store: Arc<dyn ServiceStore>) {
    dispatched(&*store, 3).await;
    for delivery in take(&*store, 1, NOW_MS).await {
        store
            .settle_delivery(&delivery, Tried::Delivered)
            .await
            .unwrap();
    }
    let replay = Write::ReplayEvents {
        subscription: "hook".to_owned(),
        since: 2,
    };
    store.commit(commit(tenant(), vec![replay])).await.unwrap();
    let pending = DeliveryState::Pending;
    let delivered = DeliveryState::Delivered;
    assert_eq!(
        states(&*store).await,
        [(1, delivered, 1), (2, pending, 0), (3, pending, 0)]
    );
    assert_eq!(take(&*store, 1, NOW_MS).await.len(), 2);
}

pub(crate) async fn a_subscription_that_went_hears_nothing(store: Arc<dyn ServiceStore>) {
    dispatched(&*store, 2).await;
    let delete = Write::DeleteDocument {
        kind: DocumentKind::Subscription,
        id: "hook".to_owned(),
        expected: Expected::Any,
    };
    let under_way = take(&*store, 1, NOW_MS).await;
    store.commit(commit(tenant(), vec![delete])).await.unwrap();
    let gone = store.settle_delivery(&under_way[0], Tried::Delivered).await;
    assert!(!gone.unwrap());
    assert_eq!(states(&*store).await, []);
}
