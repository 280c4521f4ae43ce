//! Deletes of which only the id is left.

use super::*;

const DAY_MS: u64 = 24 * HOUR_MS;

fn since(covered: u64) -> Slice {
    Slice {
        deletes: Some(covered),
        ..hour()
    }
}

fn gone(deletes: &[(u64, u64)]) -> Org {
    let org = recent(0);
    org.deletes.borrow_mut().extend_from_slice(deletes);
    org
}

#[test]
fn ids_of_the_list_become_tombstones_at_the_time_of_their_delete() {
    let at = NOW_MS - 30 * MINUTE_MS;
    let memory = memory(&gone(&[(1, at), (2, at), (3, at + 1_000)]));
    let end = read(&memory, &accounts(), &since(NOW_MS - HOUR_MS));
    let emitted = memory.emitted();
    assert!(emitted.iter().all(|record| record.change == Change::Delete));
    let found: Vec<(String, Option<String>)> = emitted
        .into_iter()
        .map(|one| (one.key, one.cursor))
        .collect();
    let expected = |id, at: u64| (key(id), Some(at.to_string()));
    assert_eq!(
        found,
        [expected(1, at), expected(2, at), expected(3, at + 1_000)]
    );
    assert_eq!(end.deletes, Some(NOW_MS));
    assert_eq!(asked(&memory, "/deleted"), 1);
}

#[test]
fn the_list_is_read_a_little_before_where_it_was_complete() {
    let covered = NOW_MS - HOUR_MS;
    let memory = memory(&gone(&[(1, covered - MINUTE_MS)]));
    read(&memory, &accounts(), &since(covered));
    assert_eq!(ids(&memory.emitted()), [key(1)]);
}

#[test]
fn the_next_run_goes_on_where_the_list_was_complete_and_not_at_its_end() {
    let org = gone(&[]);
    let open_since = NOW_MS - 20 * MINUTE_MS;
    org.set(|settings| settings.latest_covered = Some(open_since));
    let end = read(&memory(&org), &accounts(), &since(NOW_MS - HOUR_MS));
    assert_eq!(end.deletes, Some(open_since));
}

#[test]
fn a_list_that_is_complete_already_is_not_asked_for() {
    let memory = memory(&gone(&[]));
    let end = read(&memory, &accounts(), &since(NOW_MS));
    assert_eq!((end.deletes, asked(&memory, "/deleted")), (Some(NOW_MS), 0));
}

#[test]
fn a_second_run_within_the_minute_asks_in_whole_minutes() {
    // Salesforce wants more than a minute between the bounds.
    let memory = memory(&gone(&[(1, NOW_MS - 90_000)]));
    let end = read(&memory, &accounts(), &since(NOW_MS - 30_000));
    assert_eq!(end.deletes, Some(NOW_MS));
    assert_eq!(ids(&memory.emitted()), [key(1)]);
}

#[test]
fn purged_deletes_and_too_long_a_pause_are_a_stale_cursor() {
    let covered = NOW_MS - HOUR_MS;
    let purged = gone(&[]);
    purged.set(|settings| settings.earliest_delete = covered + 1_000);
    let old = gone(&[]);
    for (org, covered) in [(purged, covered), (old, NOW_MS - 15 * DAY_MS)] {
        let failure = memory(&org)
            .call::<Salesforce>(&accounts(), &since(covered))
            .unwrap_err();
        assert!(matches!(failure, Failure::StaleCursor(_)), "{failure}");
    }
}

#[test]
fn a_purge_before_the_last_run_is_none_of_ours() {
    let covered = NOW_MS - HOUR_MS;
    let org = gone(&[]);
    org.set(|settings| settings.earliest_delete = covered - MINUTE_MS);
    read(&memory(&org), &accounts(), &since(covered));
}

#[test]
fn too_many_ids_are_asked_for_in_parts() {
    let deletes: Vec<(u64, u64)> = (1..=50).map(|id| (id, NOW_MS - id * MINUTE_MS)).collect();
    let org = gone(&deletes);
    org.set(|settings| settings.deletes_max = Some(12));
    let memory = memory(&org);
    let end = read(&memory, &accounts(), &since(NOW_MS - HOUR_MS));
    assert_eq!(ids(&memory.emitted()), keys(1..=50));
    assert_eq!(end.deletes, Some(NOW_MS));
}

#[test]
fn deletes_come_before_the_records_and_are_saved_with_them() {
    let org = recent(260);
    org.deletes
        .borrow_mut()
        .push((2_000, NOW_MS - 5 * MINUTE_MS));
    let memory = memory(&org);
    let end = read(&memory, &accounts(), &since(NOW_MS - HOUR_MS));
    let emitted = memory.emitted();
    assert_eq!(emitted[0].key, key(2_000));
    assert_eq!(emitted.len(), 261, "once, over the park of the job");
    assert_eq!(end.deletes, Some(NOW_MS));
    assert_eq!(asked(&memory, "/deleted"), 1);
}
