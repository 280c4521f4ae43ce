//! Which partitions a stream is cut into.

use super::*;
use tidegate_sdk::testing::Answer;

use crate::catalog::{Entity, Object};
use crate::planning::{self, LOOK_BACK_MS, WINDOW_MS_MIN};

fn partitions(plan: &Plan<HubSpot>, now_ms: u64) -> Vec<Partition<Slice>> {
    planning::partitions(&Entity::Records(Object::Contacts), plan, now_ms)
}

const LIST: Slice = Slice::List {
    until: NOW_MS - 10 * MINUTE_MS,
};

fn slices(plan: &Plan<HubSpot>) -> Vec<Slice> {
    partitions(plan, NOW_MS)
        .into_iter()
        .map(|partition| partition.slice)
        .collect()
}

#[test]
fn everything_is_one_list_that_ends_at_the_time_of_planning() {
    let list = [Slice::List { until: NOW_MS }];
    assert_eq!(slices(&plan_of(SyncMode::Incremental, &[])), list);
    let previous = [(LIST, NOW_MS - 10 * MINUTE_MS)];
    assert_eq!(slices(&plan_of(SyncMode::FullRefresh, &previous)), list);
}

#[test]
fn what_changed_is_read_in_windows_from_the_look_back_to_now_beside_the_archive() {
    let covered = NOW_MS - 4 * WINDOW_MS_MIN;
    let since = covered - LOOK_BACK_MS;
    let cut = slices(&plan_of(SyncMode::Incremental, &[(LIST, covered)]));
    let step = (NOW_MS - since) / 4;
    let window = |index| Slice::Window {
        since: since + index * step,
        until: since + (index + 1) * step,
    };
    let archived = Slice::Archived {
        floor: since,
        until: NOW_MS,
    };
    assert_eq!(cut, [window(0), window(1), window(2), window(3), archived]);
}

#[test]
fn what_changed_in_a_short_time_is_one_window_however_many_there_may_be() {
    for (ago, windows) in [(MINUTE_MS, 1), (2 * WINDOW_MS_MIN - LOOK_BACK_MS, 2)] {
        let covered = NOW_MS - ago;
        let cut = slices(&plan_of(SyncMode::Incremental, &[(LIST, covered)]));
        let [first, .., Slice::Archived { .. }] = cut[..] else {
            panic!("{cut:?}");
        };
        let since = covered - LOOK_BACK_MS;
        let until = since + (NOW_MS - since) / windows;
        assert_eq!(first, Slice::Window { since, until }, "{ago} ms ago");
    }
}

#[test]
fn the_greatest_bound_of_the_last_run_counts() {
    let covered = NOW_MS - MINUTE_MS;
    let early = Slice::Window {
        since: 0,
        until: covered / 2,
    };
    let late = Slice::Window {
        since: covered / 2,
        until: covered,
    };
    let mut plan = plan_of(
        SyncMode::Incremental,
        &[(late, covered), (early, covered / 2)],
    );
    plan.partitions_max = 1;
    let since = covered - LOOK_BACK_MS;
    assert_eq!(
        slices(&plan)[0],
        Slice::Window {
            since,
            until: NOW_MS
        }
    );
}

#[test]
fn a_clock_set_back_does_not_move_the_bound_back() {
    let covered = NOW_MS + 60 * MINUTE_MS;
    let mut plan = plan_of(SyncMode::Incremental, &[(LIST, covered)]);
    plan.partitions_max = 1;
    assert_eq!(
        slices(&plan)[0],
        Slice::Window {
            since: covered - LOOK_BACK_MS,
            until: covered
        }
    );
}

#[test]
fn a_range_of_history_is_cut_into_windows_and_nothing_else() {
    for mode in [SyncMode::Incremental, SyncMode::FullRefresh] {
        let mut plan = plan_of(mode, &[(LIST, NOW_MS)]);
        plan.window = Some(Window {
            since: 100,
            until: 110,
        });
        plan.partitions_max = 3;
        let cut = partitions(&plan, NOW_MS);
        let bounds: Vec<_> = cut.iter().map(|part| part.window.unwrap()).collect();
        let window = |since, until| Window { since, until };
        assert_eq!(
            bounds,
            [window(100, 103), window(103, 106), window(106, 110)]
        );
    }
}

#[test]
fn no_more_windows_are_made_than_there_are_milliseconds() {
    let mut plan = plan_of(SyncMode::Incremental, &[]);
    for (width, count) in [(0, 1), (1, 1), (2, 2), (5, 4)] {
        plan.window = Some(Window {
            since: 7,
            until: 7 + width,
        });
        assert_eq!(slices(&plan).len(), count, "{width} ms");
    }
    plan.partitions_max = 0;
    assert_eq!(slices(&plan).len(), 1);
}

#[test]
fn an_id_names_one_slice_so_that_no_slice_inherits_the_state_of_another() {
    let plan = plan_of(SyncMode::Incremental, &[(LIST, NOW_MS - MINUTE_MS)]);
    let at = |now_ms| partitions(&plan, now_ms);
    assert_eq!(at(NOW_MS), at(NOW_MS));
    let mut known: Vec<Partition<Slice>> = Vec::new();
    for partition in (0..10).flat_map(|later_ms| at(NOW_MS + later_ms)) {
        for other in &known {
            assert_eq!(other.id == partition.id, other.slice == partition.slice);
        }
        known.push(partition);
    }
}

#[test]
fn an_unknown_stream_is_a_configuration_failure() {
    let mut plan = plan_of(SyncMode::FullRefresh, &[]);
    plan.stream = "leads".to_owned();
    let memory = memory(&Crm::default());
    assert!(matches!(
        HubSpot::plan(&memory.host(), plan),
        Err(Failure::Config(_))
    ));
}

#[test]
fn a_host_clock_that_is_ahead_moves_no_bound_past_hubspots_own_time() {
    for (date, until) in [
        (
            "Sun, 22 Nov 2026 07:50:00 GMT",
            NOW_MS - 10 * MINUTE_MS + 999,
        ),
        ("Fri, 01 Jan 2100 00:00:00 GMT", NOW_MS),
        ("soon", NOW_MS),
    ] {
        let answer = Answer::body("{}").header("date", date);
        let memory = MemoryHost::scripted([answer]).at(NOW_MS);
        let planned = HubSpot::plan(&memory.host(), plan_of(SyncMode::Incremental, &[])).unwrap();
        assert_eq!(planned[0].slice, Slice::List { until }, "{date}");
    }
}

#[test]
fn what_hubspot_tells_no_changes_of_is_read_whole_each_time() {
    let list = Slice::List { until: NOW_MS };
    let owners_gone = Slice::Archived {
        floor: 0,
        until: NOW_MS,
    };
    let of = |object: Object| Entity::Associations(Object::Deals, object);
    for (entity, expected) in [
        (of(Object::Contacts), vec![list]),
        (Entity::Pipelines(Object::Deals), vec![list]),
        (Entity::Owners, vec![list, owners_gone]),
    ] {
        let plan = plan_of(SyncMode::FullRefresh, &[(LIST, NOW_MS - MINUTE_MS)]);
        let cut = planning::partitions(&entity, &plan, NOW_MS);
        let slices: Vec<Slice> = cut.into_iter().map(|part| part.slice).collect();
        assert_eq!(slices, expected, "{entity:?}");
    }
}
