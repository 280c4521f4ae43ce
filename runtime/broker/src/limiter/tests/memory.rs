//! What a million accounts take, and what is left of them. Widened by `cargo proof`.

use super::simulation::{is_proof, publish};
use super::*;

/// Bytes that this process keeps in memory.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[tokio::test(start_paused = true)]
async fn a_million_accounts_take_bounded_memory_and_idle_ones_none() {
    let accounts: u64 = if is_proof() { 1_000_000 } else { 10_000 };
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(dir.path()).unwrap());
    let config = Config {
        limit_accounts_max: usize::try_from(accounts).unwrap(),
        ..Config::default()
    };
    let limiter = limiter_on(store, Clock::simulated(START, None), config);
    let limits = vec![
        limit("default", LimitRule::Rolling, 100),
        limit("default", LimitRule::Concurrent, 10),
    ];
    let mut connection = connection(limits, Class::Live);
    // Nothing recovers while they are counted: the clock stands still for this process.
    let mut of_account = |account: u64| {
        connection.account = Some(format!("portal-{account}"));
        connection.clone()
    };
    let before = resident_bytes();
    for account in 0..accounts {
        let plan = limiter.plan(&of_account(account)).await.unwrap();
        let state = &mut plan.group.lock();
        let lane = plan.bucket(None).unwrap().lane;
        let moment = plan.group.clock.now();
        let request = tidegate_domain::limit::Request {
            lane,
            class: Class::Live,
            tenant: 0,
            units: 1,
        };
        assert!(state.admission.admit(request, moment).is_some());
        let spent = tidegate_domain::limit::Spent {
            units: 1,
            at: moment.now,
        };
        state.admission.answered(lane, spent, 1, moment);
        state.admission.finished(lane);
    }
    let bytes = resident_bytes().saturating_sub(before) / accounts;
    let known = || limiter.groups.lock().unwrap().by_key.len() as u64;
    let held = known();
    assert!(bytes < 4_096, "{bytes} bytes for each account");
    tokio::time::sleep(Duration::from_secs(3)).await;
    limiter.groups.lock().unwrap().tidy_at = 0;
    for account in 0..2_000 {
        drop(limiter.plan(&of_account(accounts + account)).await.unwrap());
    }
    assert!(known() <= 3_100, "{} are left", known());
    publish(
        "limit-memory.md",
        &format!(
            "# Memory of limits\n\n{held} accounts with a rolling and a concurrent limit each were held at once, in {bytes} bytes each; once their limits had recovered, {} were left.\n",
            known()
        ),
    );
}
