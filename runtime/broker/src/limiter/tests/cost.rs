//! What an admission costs where nobody waits. Held to its bound by `cargo proof`.

use super::simulation::{is_proof, publish};
use super::*;
use futures_util::FutureExt as _;

const TIMES: u32 = 2_000;

#[tokio::test]
async fn an_admission_where_nobody_waits_costs_less_than_two_microseconds() {
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn LimitStore> = Arc::new(SqliteStore::open(dir.path()).unwrap());
    let limiter = Limiter::new(Arc::new(Config::default()), store);
    let plenty = |rule| Limit {
        per_ms: 1,
        ..limit("default", rule, u32::MAX)
    };
    let limits = vec![
        plenty(LimitRule::Paced(u32::MAX)),
        plenty(LimitRule::Concurrent),
    ];
    let plan = limiter
        .plan(&connection(limits, Class::Live))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await; // a pace starts empty
    let bucket = plan.bucket(None).unwrap();
    let mut rounds: Vec<[Duration; 2]> = Vec::new();
    let mut permits = Vec::with_capacity(TIMES as usize);
    // How many are under way is noted before they are; once in a minute.
    for _ in 0..TIMES {
        let admitted = plan.admit(bucket, 1, Instant::now()).await;
        permits.push(admitted.unwrap().unwrap());
    }
    permits.clear();
    for _ in 0..if is_proof() { 500 } else { 20 } {
        let begun = Instant::now();
        for _ in 0..TIMES {
            let admitted = plan.admit(bucket, 1, begun).now_or_never();
            permits.push(admitted.expect("nobody waits").unwrap().unwrap());
        }
        let admitted = begun.elapsed() / TIMES;
        for mut permit in permits.drain(..) {
            permit.sent();
            permit.answered(&http::HeaderMap::new());
        }
        rounds.push([admitted, begun.elapsed() / TIMES]);
    }
    rounds.sort_unstable();
    let [admitted, whole] = rounds[rounds.len() / 2];
    publish(
        "limit-cost.md",
        &format!(
            "# The cost of an admission\n\nTwo limits, nobody waiting: {admitted:?} to be admitted, {whole:?} with the answer and the end of the request (the median of {} rounds of {TIMES}, in this build's profile).\n",
            rounds.len()
        ),
    );
    if is_proof() {
        assert!(admitted < Duration::from_micros(2), "{admitted:?}");
    }
}
