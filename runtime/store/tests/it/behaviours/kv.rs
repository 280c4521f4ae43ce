//! Connectors' hints.

use crate::fixtures::{connection, tenant};
use std::sync::Arc;
use tidegate_domain::id::TenantId;
use tidegate_store::Store;
use tidegate_store::kv::KvScope;

fn scope(tenant: TenantId) -> KvScope {
    KvScope {
        tenant,
        connection: connection(),
    }
}

pub(crate) async fn values_are_set_replaced_and_removed(store: Arc<dyn Store>) {
    let scope = scope(tenant());
    assert_eq!(store.kv_get(&scope, "a").await.unwrap(), None);
    for value in [&b"1"[..], b"", b"\0\xFF"] {
        store.kv_set(&scope, "a", value).await.unwrap();
        assert_eq!(
            store.kv_get(&scope, "a").await.unwrap().as_deref(),
            Some(value)
        );
    }
    store.kv_remove(&scope, "a").await.unwrap();
    store.kv_remove(&scope, "a").await.unwrap();
    assert_eq!(store.kv_get(&scope, "a").await.unwrap(), None);
}

pub(crate) async fn keys_are_listed_by_prefix_in_order(store: Arc<dyn Store>) {
    let scope = scope(tenant());
    for key in ["b", "a/2", "a/1", "a", "a%", "ä", "a\0z", ""] {
        store.kv_set(&scope, key, b"").await.unwrap();
    }
    let rows: &[(&str, u32, &[&str])] = &[
        ("", 99, &["", "a", "a\0z", "a%", "a/1", "a/2", "b", "ä"]),
        ("a", 99, &["a", "a\0z", "a%", "a/1", "a/2"]),
        ("a/", 1, &["a/1"]),
        ("a%", 99, &["a%"]),
        ("a\0", 99, &["a\0z"]),
        ("ä", 99, &["ä"]),
        ("c", 99, &[]),
        ("", 0, &[]),
    ];
    for (prefix, limit, expected) in rows {
        let keys = store.kv_keys(&scope, prefix, *limit).await.unwrap();
        assert_eq!(keys, *expected, "{prefix:?}");
    }
}

pub(crate) async fn bytes_are_counted_per_scope(store: Arc<dyn Store>) {
    let (ours, theirs) = (scope(tenant()), scope(TenantId::parse("other").unwrap()));
    assert_eq!(store.kv_bytes(&ours).await.unwrap(), 0);
    store.kv_set(&ours, "ä\0", b"12345").await.unwrap();
    store.kv_set(&ours, "b", b"\0").await.unwrap();
    store.kv_set(&theirs, "b", &[0; 100]).await.unwrap();
    assert_eq!(store.kv_bytes(&ours).await.unwrap(), 3 + 5 + 1 + 1);
    store.kv_set(&ours, "ä\0", b"").await.unwrap();
    assert_eq!(store.kv_bytes(&ours).await.unwrap(), 3 + 1 + 1);
    assert_eq!(store.kv_get(&theirs, "ä\0").await.unwrap(), None);
    assert_eq!(store.kv_keys(&theirs, "", 9).await.unwrap(), ["b"]);
}
