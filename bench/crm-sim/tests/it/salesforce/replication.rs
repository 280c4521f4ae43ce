//! What was changed and deleted in a span of time.

use crm_sim::salesforce::{Object, Salesforce, iso};

use super::client::{Answer, code, get, org};

/// 2026-05-28T20:26:40Z.
const NOW_MS: i64 = 1_780_000_000_000;

async fn ask(sim: &Salesforce, what: &str, start_ms: i64, end_ms: i64) -> Answer {
    let (start, end) = (iso(start_ms), iso(end_ms));
    get(
        sim,
        &format!("/sobjects/Account/{what}/?start={start}&end={end}"),
    )
    .await
}

#[tokio::test]
async fn updated_names_live_records_of_whole_minutes() {
    let sim = org(&[(Object::Account, 100)]).await;
    sim.clock().fix(NOW_MS);
    let edited = sim.edit_count(Object::Account, 3, NOW_MS - 600_000, NOW_MS - 600_000);
    let late = sim.edit_count(Object::Account, 1, NOW_MS - 5_000, NOW_MS - 5_000);
    sim.delete(Object::Account, &[edited[0].0], NOW_MS - 590_000);
    let answer = ask(&sim, "updated", NOW_MS - 3_600_000, NOW_MS)
        .await
        .json();
    let mut ids: Vec<&str> = answer["ids"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap())
        .collect();
    ids.sort_unstable();
    let mut expected: Vec<String> = edited[1..]
        .iter()
        .map(|(id, _)| sim.wire_id(Object::Account, *id))
        .collect();
    expected.sort();
    // The seconds of the end do not count, so the newest change is not in yet.
    assert_eq!(ids, expected);
    assert_eq!(answer["latestDateCovered"], "2026-05-28T20:26:00.000+0000");
    let next = ask(&sim, "updated", NOW_MS - 40_000, NOW_MS + 60_000)
        .await
        .json();
    assert_eq!(
        next["ids"][0],
        sim.wire_id(Object::Account, late[0].0).as_str()
    );
}

#[tokio::test]
async fn an_open_transaction_holds_back_what_is_covered() {
    let sim = org(&[(Object::Account, 10)]).await;
    sim.clock().fix(NOW_MS);
    sim.set_open_transaction_ms(Some(NOW_MS - 1_800_000));
    for what in ["updated", "deleted"] {
        let answer = ask(&sim, what, NOW_MS - 3_600_000, NOW_MS).await.json();
        assert_eq!(answer["latestDateCovered"], "2026-05-28T19:56:00.000+0000");
    }
    // What it commits is dated when it began.
    sim.edit_count(Object::Account, 1, NOW_MS - 1_700_000, NOW_MS - 1_700_000);
    sim.set_open_transaction_ms(None);
    let answer = ask(&sim, "updated", NOW_MS - 1_864_000, NOW_MS)
        .await
        .json();
    assert_eq!(answer["ids"].as_array().unwrap().len(), 1);
    assert_eq!(answer["latestDateCovered"], "2026-05-28T20:26:00.000+0000");
}

#[tokio::test]
async fn the_delete_log_outlives_the_recycle_bin_until_it_is_pruned() {
    let sim = org(&[(Object::Account, 100)]).await;
    sim.clock().fix(NOW_MS);
    let old = sim.delete_count(Object::Account, 2, NOW_MS - 7_200_000);
    let new = sim.delete_count(Object::Account, 1, NOW_MS - 600_000);
    sim.purge(Object::Account);
    let answer = ask(&sim, "deleted", NOW_MS - 9_000_000, NOW_MS)
        .await
        .json();
    assert_eq!(answer["deletedRecords"].as_array().unwrap().len(), 3);
    sim.prune_delete_log(Object::Account, NOW_MS - 7_200_000);
    let answer = ask(&sim, "deleted", NOW_MS - 9_000_000, NOW_MS)
        .await
        .json();
    let left = answer["deletedRecords"].as_array().unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["id"], sim.wire_id(Object::Account, new[0]).as_str());
    assert_eq!(left[0]["deletedDate"], "2026-05-28T20:16:40.000+0000");
    assert_eq!(
        answer["earliestDateAvailable"],
        "2026-05-28T18:26:40.000+0000"
    );
    assert_eq!(old.len(), 2);
}

#[tokio::test]
async fn spans_that_are_too_old_or_too_short_are_refused() {
    let sim = org(&[(Object::Account, 10)]).await;
    sim.clock().fix(NOW_MS);
    let day_ms = 86_400_000;
    for (what, start_ms, end_ms) in [
        ("updated", NOW_MS, NOW_MS - 60_000),
        ("updated", NOW_MS - 30_000, NOW_MS - 1_000),
        ("updated", NOW_MS - 32 * day_ms, NOW_MS),
        ("deleted", NOW_MS - 17 * day_ms, NOW_MS),
    ] {
        let answer = ask(&sim, what, start_ms, end_ms).await;
        assert_eq!(
            (answer.status, code(&answer).as_str()),
            (400, "INVALID_REPLICATION_DATE")
        );
    }
    let history = get(
        &sim,
        "/sobjects/TaskStatus/updated?start=2026-05-28T00:00:00Z&end=2026-05-28T01:00:00Z",
    )
    .await;
    assert_eq!(history.status, 400);
}
