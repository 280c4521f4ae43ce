//! How histories and changes are cut.

use super::*;
use crate::planning::{halves, plan};

const DAY_MS: u64 = 24 * HOUR_MS;

fn planned(org: &Org, wanted: Plan<Salesforce>) -> Vec<Partition<Slice>> {
    plan(&memory(org).host(), &wanted).unwrap()
}

/// One account a day for `days` days up to now, counted as `each` times as many.
fn days(days: u64) -> Org {
    let org = Org::of(days, 0);
    for id in 1..=days {
        org.edit(id, |account| {
            account.modified = NOW_MS - (days - id + 1) * DAY_MS
        });
    }
    org
}

#[test]
fn a_small_history_is_one_partition_however_long_it_is() {
    let partitions = planned(&days(3_000), plan_of(SyncMode::Incremental, &[]));
    let [whole] = &partitions[..] else {
        panic!("{partitions:?}")
    };
    assert_eq!((whole.slice.since, whole.slice.until), (0, NOW_MS));
    assert!(whole.slice.history && whole.slice.deletes.is_none());
    assert_eq!(whole.estimated_records, Some(3_000));
}

#[test]
fn a_large_history_is_cut_into_windows_that_meet_and_leave_nothing_out() {
    let mut wanted = plan_of(SyncMode::FullRefresh, &[]);
    wanted.config.bulk_above = 2;
    let partitions = planned(&days(365), wanted);
    assert_eq!(partitions.len(), 13, "of 30 days at the least");
    assert_eq!(partitions[0].slice.since, 0, "nothing is before the first");
    assert_eq!(partitions[12].slice.until, NOW_MS);
    for pair in partitions.windows(2) {
        assert_eq!(pair[0].slice.until, pair[1].slice.since);
        assert_eq!(pair[0].slice.until % 1_000, 0);
        assert_ne!(pair[0].id, pair[1].id);
    }
}

#[test]
fn windows_are_wider_where_they_would_hold_few_records() {
    let mut wanted = plan_of(SyncMode::Incremental, &[]);
    wanted.config.bulk_above = 20;
    assert_eq!(planned(&days(365), wanted).len(), 3);
}

#[test]
fn windows_hold_as_few_records_as_somebody_wants() {
    let mut wanted = plan_of(SyncMode::Incremental, &[]);
    wanted.config.window_records = Some(1);
    assert!(wanted.config.bulk_above > 365, "one query would do");
    assert_eq!(planned(&days(365), wanted).len(), 13);
}

#[test]
fn a_history_that_cannot_be_counted_in_time_is_cut_by_days_alone() {
    let org = days(10);
    org.set(|settings| settings.range_ms_max = Some(DAY_MS));
    let partitions = planned(&org, plan_of(SyncMode::Incremental, &[]));
    assert_eq!(partitions.len(), 328, "30 days each since 2000");
}

#[test]
fn bounds_of_a_history_are_kept_and_never_in_the_future() {
    let mut wanted = plan_of(SyncMode::Incremental, &[]);
    wanted.window = Some(Window {
        since: NOW_MS - 5 * DAY_MS,
        until: NOW_MS + DAY_MS,
    });
    let partitions = planned(&days(10), wanted);
    let [one] = &partitions[..] else { panic!() };
    assert_eq!(
        (one.slice.since, one.slice.until),
        (NOW_MS - 5 * DAY_MS, NOW_MS)
    );
    assert_eq!(one.estimated_records, Some(5));
}

#[test]
fn changes_begin_before_the_last_bound_and_end_at_salesforce_s_own_time() {
    let covered = NOW_MS - HOUR_MS;
    let ends = [
        Cursor::end(covered - DAY_MS, None),
        Cursor::end(covered, None),
    ];
    let wanted = plan_of(SyncMode::Incremental, &ends);
    let ahead = memory(&days(1)).at(NOW_MS + MINUTE_MS);
    let partitions = plan(&ahead.host(), &wanted).unwrap();
    let [changes] = &partitions[..] else { panic!() };
    assert_eq!(changes.slice.since, covered - 10 * MINUTE_MS);
    assert_eq!(
        changes.slice.until, NOW_MS,
        "the host's clock is a minute ahead"
    );
    assert!(!changes.slice.history);
    assert_eq!(changes.slice.deletes, Some(covered), "the history's bound");
}

#[test]
fn changes_begin_where_an_open_transaction_did() {
    let covered = NOW_MS - HOUR_MS;
    let open_since = covered - 2 * HOUR_MS;
    let ends = [Cursor::end(covered, Some(open_since))];
    let partitions = planned(&days(1), plan_of(SyncMode::Incremental, &ends));
    assert_eq!(partitions[0].slice.since, open_since);
    assert_eq!(partitions[0].slice.deletes, Some(open_since));
}

#[test]
fn a_clock_set_back_does_not_move_the_bound_back() {
    let ends = [Cursor::end(NOW_MS + HOUR_MS, None)];
    let partitions = planned(&days(1), plan_of(SyncMode::Incremental, &ends));
    assert_eq!(partitions[0].slice.until, NOW_MS + HOUR_MS);
}

#[test]
fn history_objects_are_read_by_creation_and_an_object_without_times_whole() {
    let of = |object: &str, mode| Plan {
        stream: object.to_owned(),
        ..plan_of(mode, &[])
    };
    let tree = planned(&Org::of(0, 0), of("Tree__c", SyncMode::FullRefresh));
    assert_eq!(tree[0].slice.field, None);
    assert_eq!(tree.len(), 1);
}

#[test]
fn halves_meet_in_the_middle_and_only_the_first_has_the_deletes() {
    let slice = Slice {
        deletes: Some(5),
        ..hour()
    };
    let two = halves(&slice).unwrap();
    assert_eq!(two[0].slice.until, two[1].slice.since);
    assert_eq!(two[0].slice.deletes, Some(5));
    assert_eq!(two[1].slice.deletes, None);
    let second = Slice {
        since: NOW_MS - 1_000,
        ..hour()
    };
    assert!(halves(&second).is_none());
    let unbounded = Slice {
        field: None,
        ..hour()
    };
    assert!(halves(&unbounded).is_none());
}

#[test]
fn a_plan_for_changes_is_one_call() {
    let memory = memory(&days(1));
    let wanted = plan_of(
        SyncMode::Incremental,
        &[Cursor::end(NOW_MS - HOUR_MS, None)],
    );
    plan(&memory.host(), &wanted).unwrap();
    assert_eq!(memory.requests().len(), 1);
}

#[test]
fn a_stream_that_is_no_object_s_name_never_reaches_a_path() {
    let memory = memory(&days(1));
    for name in ["../limits", "Account WHERE", "", "9a", "a'b"] {
        let wanted = Plan {
            stream: name.to_owned(),
            ..plan_of(SyncMode::Incremental, &[])
        };
        let failure = plan(&memory.host(), &wanted).unwrap_err();
        assert!(matches!(failure, Failure::Config(_)), "{name}");
    }
    assert!(memory.requests().is_empty());
}
