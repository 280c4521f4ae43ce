//! Reserved blocks of limits, what was spent of them, closures, and the clock.

use std::sync::Arc;
use tidegate_store::Store;
use tidegate_store::limits::{Block, BlockId, ClockReading, Closure, Reserved, Settlement};

fn block(at_ms: u64, units: u64) -> Block {
    Block {
        at_ms,
        units,
        forget_at_ms: 1_000,
    }
}

fn settled(limit: &str, block: BlockId, counted_by_ms: u64, units: u64) -> Settlement {
    Settlement {
        limit: limit.to_owned(),
        block,
        units,
        counted_by_ms,
        forget_at_ms: 1_000,
    }
}

fn reserved(at_ms: u64, units: u64, is_settled: bool) -> Reserved {
    Reserved {
        at_ms,
        units,
        is_settled,
    }
}

pub(crate) async fn what_was_reserved_stays_until_it_is_settled(store: Arc<dyn Store>) {
    assert_eq!(store.reserved_units("api").await.unwrap(), []);
    let late = store.reserve_units("api", block(20, 5)).await.unwrap();
    let early = store.reserve_units("api", block(10, 1)).await.unwrap();
    let same = store.reserve_units("api", block(20, 2)).await.unwrap();
    let kept = store.reserved_units("api").await.unwrap();
    let open = |at_ms, units| reserved(at_ms, units, false);
    assert_eq!(kept, [open(10, 1), open(20, 5), open(20, 2)]);
    let all = vec![
        settled("api", late, 30, 4),
        settled("api", same, 30, 2),
        settled("api", early, 40, 0),
    ];
    store.settle_units(all.clone()).await.unwrap();
    let kept = [reserved(30, 6, true)];
    assert_eq!(store.reserved_units("api").await.unwrap(), kept);
    store.settle_units(all).await.unwrap(); // once more
    assert_eq!(store.reserved_units("api").await.unwrap(), kept);
}

pub(crate) async fn limits_do_not_see_one_another(store: Arc<dyn Store>) {
    let of_a = store.reserve_units("a", block(1, 1)).await.unwrap();
    store.reserve_units("b", block(2, 2)).await.unwrap();
    let wrong = vec![settled("b", of_a, 3, 0)];
    store.settle_units(wrong).await.unwrap();
    let of = async |limit| store.reserved_units(limit).await.unwrap();
    assert_eq!(of("a").await, [reserved(1, 1, false)]);
    assert_eq!(of("b").await, [reserved(2, 2, false)]);
}

pub(crate) async fn a_gate_stays_closed_until_the_last_time_given(store: Arc<dyn Store>) {
    let closed = |gate: &str, until_ms| Closure {
        account: "crm/account/1".to_owned(),
        gate: gate.to_owned(),
        until_ms,
    };
    let both = vec![closed("", 100), closed("search", 50)];
    store.close_gates(both, 0).await.unwrap();
    store.close_gates(vec![closed("", 80)], 60).await.unwrap();
    let left = store.closed_gates("crm/account/1").await.unwrap();
    assert_eq!(left, [closed("", 100)]);
    assert_eq!(store.closed_gates("crm/account/2").await.unwrap(), []);
}

pub(crate) async fn the_last_clock_reading_is_kept(store: Arc<dyn Store>) {
    assert_eq!(store.clock_reading().await.unwrap(), None);
    for now_ms in [1, 2] {
        let reading = ClockReading {
            boot: "b".to_owned(),
            uptime_ms: 7,
            now_ms,
        };
        store.keep_clock_reading(reading.clone()).await.unwrap();
        assert_eq!(store.clock_reading().await.unwrap(), Some(reading));
    }
}
