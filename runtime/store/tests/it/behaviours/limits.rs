//! Reserved blocks of limits.

use std::sync::Arc;
use tidegate_store::Store;
use tidegate_store::limits::Reserved;

fn block(at_ms: u64, units: u64) -> Reserved {
    Reserved { at_ms, units }
}

pub(crate) async fn blocks_add_up_and_old_ones_are_forgotten(store: Arc<dyn Store>) {
    assert_eq!(store.reserved_units("api").await.unwrap(), []);
    for reserved in [block(20, 5), block(10, 1), block(20, 2)] {
        store.reserve_units("api", reserved, 0).await.unwrap();
    }
    assert_eq!(
        store.reserved_units("api").await.unwrap(),
        [block(10, 1), block(20, 7)]
    );
    store.reserve_units("api", block(30, 1), 20).await.unwrap();
    assert_eq!(
        store.reserved_units("api").await.unwrap(),
        [block(20, 7), block(30, 1)]
    );
    store.reserve_units("api", block(40, 3), 40).await.unwrap();
    assert_eq!(store.reserved_units("api").await.unwrap(), [block(40, 3)]);
}

pub(crate) async fn limits_do_not_see_one_another(store: Arc<dyn Store>) {
    store.reserve_units("a", block(1, 1), 0).await.unwrap();
    store.reserve_units("b", block(2, 2), 2).await.unwrap();
    assert_eq!(store.reserved_units("a").await.unwrap(), [block(1, 1)]);
    assert_eq!(store.reserved_units("b").await.unwrap(), [block(2, 2)]);
}
