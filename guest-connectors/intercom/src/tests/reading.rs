//! What lands of contacts, conversations and the short lists, while the workspace goes
//! on working.

use tidegate_sdk::Directive;

use super::*;
use crate::reading::LOOK_BACK_MS;

fn until(ends: &Ends) -> u64 {
    assert!(ends.iter().all(|end| end.cursor.position == Position::End));
    ends[0].cursor.until
}

#[test]
fn a_history_and_three_rounds_of_edits_leave_exactly_what_the_workspace_has() {
    for stream in ["contacts", "companies", "conversations"] {
        let workspace = Workspace::of(700, NOW_S - 9 * DAY_S);
        let memory = memory(&workspace);
        let mut ends = memory.sync::<Intercom>(&job(stream), Vec::new()).unwrap();
        assert_eq!(until(&ends), NOW_MS);
        // A run early in a day, one late in the day before in other zones, one much later.
        for (round, later_s) in [(1, 60), (2, 12 * 3_600), (3, 3 * DAY_S)] {
            let now_s = NOW_S + later_s;
            for id in (1..=700).filter(|id| id % 7 == round) {
                workspace.put(id, now_s - id % 50);
            }
            workspace.put(700 + round, now_s);
            if stream == "conversations" {
                workspace.delete(10 * round, now_s - 5);
            }
            memory.set_clock(now_s * 1_000);
            ends = memory.sync::<Intercom>(&job(stream), ends).unwrap();
            assert_eq!(
                landed(&memory),
                workspace.truth(),
                "{stream}, round {round}"
            );
        }
    }
}

#[test]
fn what_changed_earlier_on_the_day_of_the_last_run_is_searched_for_and_not_landed_again() {
    let workspace = Workspace::of(300, NOW_S - 3_600);
    let memory = memory(&workspace);
    let ends = memory
        .sync::<Intercom>(&job("contacts"), Vec::new())
        .unwrap();
    let before = memory.emitted().len();
    workspace.put(5, NOW_S + 10);
    memory.set_clock(NOW_MS + 20_000);
    memory.sync::<Intercom>(&job("contacts"), ends).unwrap();
    assert_eq!(memory.emitted().len(), before + 1);
    assert_eq!(landed(&memory), workspace.truth());
}

#[test]
fn records_that_are_edited_between_two_pages_make_no_other_one_missing() {
    for stream in ["contacts", "conversations"] {
        let workspace = Workspace::of(700, NOW_S - 9 * DAY_S);
        let memory = memory(&workspace);
        let ends = memory.sync::<Intercom>(&job(stream), Vec::new()).unwrap();
        for id in 1..=600 {
            workspace.put(id, NOW_S + id / 10);
        }
        memory.set_clock(NOW_MS + 60_000);
        workspace.before(|workspace, number| {
            for id in (1..=700).filter(|id| id % 97 == number as u64 % 97) {
                workspace.put(id, NOW_S + 60 + number as u64);
            }
        });
        let ends = memory.sync::<Intercom>(&job(stream), ends).unwrap();
        workspace.before(|_, _| {});
        memory.set_clock(NOW_MS + 3_600_000);
        memory.sync::<Intercom>(&job(stream), ends).unwrap();
        assert_eq!(landed(&memory), workspace.truth(), "{stream}");
    }
}

#[test]
fn what_search_shows_minutes_late_is_read_by_the_next_run() {
    let workspace = Workspace::of(300, NOW_S - 9 * DAY_S);
    let memory = memory(&workspace);
    let ends = memory
        .sync::<Intercom>(&job("contacts"), Vec::new())
        .unwrap();
    let lag_s = LOOK_BACK_MS / 1_000 / 2;
    workspace.put(7, NOW_S - lag_s);
    workspace.put(8, NOW_S + 30);
    *workspace.indexed_s.borrow_mut() = Some(NOW_S - lag_s);
    memory.set_clock(NOW_MS + 60_000);
    let ends = memory.sync::<Intercom>(&job("contacts"), ends).unwrap();
    assert_ne!(landed(&memory), workspace.truth());
    *workspace.indexed_s.borrow_mut() = None;
    memory.set_clock(NOW_MS + 120_000);
    memory.sync::<Intercom>(&job("contacts"), ends).unwrap();
    assert_eq!(landed(&memory), workspace.truth());
}

#[test]
fn conversations_are_read_one_by_one_with_their_parts() {
    let workspace = Workspace::of(320, NOW_S - 9 * DAY_S);
    let memory = memory(&workspace).directing([Directive::YieldSoon, Directive::Stop]);
    memory
        .sync::<Intercom>(&job("conversations"), Vec::new())
        .unwrap();
    assert_eq!(landed(&memory), workspace.truth());
    assert_eq!(memory.emitted().len(), 320);
    let with_parts = |record: &serde_json::Value| {
        record["conversation_parts"]["conversation_parts"][0]["id"] == "1"
    };
    assert!(memory.landed().values().all(with_parts));
    // Three pages of the list, and one request each.
    assert_eq!(memory.requests().len(), 323);
}

#[test]
fn an_answer_that_lists_no_conversations_and_counts_none_is_no_last_page() {
    let workspace = Workspace::of(320, NOW_S - 9 * DAY_S);
    let mut remote = workspace.remote();
    let memory = MemoryHost::new(move |request| match request.path() {
        "/conversations" => tidegate_sdk::testing::Answer::json(&serde_json::json!({})),
        _ => remote(request),
    });
    let memory = memory.at(NOW_MS).blind(&Intercom::manifest());
    let ended = memory.sync::<Intercom>(&job("conversations"), Vec::new());
    assert!(matches!(ended, Err(Failure::Protocol(_))), "{ended:?}");
}

#[test]
fn a_conversation_that_is_deleted_before_it_is_read_is_left_out_and_told_of_later() {
    let workspace = Workspace::of(200, NOW_S - 9 * DAY_S);
    let memory = memory(&workspace);
    workspace.before(|workspace, number| {
        if number == 3 {
            workspace.delete(150, NOW_S + 1); // named, not read yet
            workspace.delete(200, NOW_S + 1); // read
            workspace.delete(1, NOW_S + 1); // not named yet
        }
    });
    let ends = memory
        .sync::<Intercom>(&job("conversations"), Vec::new())
        .unwrap();
    workspace.before(|_, _| {});
    assert_eq!(memory.emitted().len(), 198);
    memory.set_clock(NOW_MS + 60_000);
    memory
        .sync::<Intercom>(&job("conversations"), ends)
        .unwrap();
    assert_eq!(landed(&memory), workspace.truth());
}

#[test]
fn the_feed_of_deletes_is_read_back_to_the_floor_and_no_further() {
    let workspace = Workspace::default();
    for id in 1..=100 {
        workspace.delete(id, NOW_S - 100 + id);
    }
    let memory = memory(&workspace).directing([Directive::YieldSoon]);
    let slice = Slice::Deleted {
        since: (NOW_S - 100 + 65) * 1_000,
        until: NOW_MS,
    };
    memory
        .run::<Intercom>(&job("conversations"), &slice)
        .unwrap();
    let mut keys: Vec<u64> = memory
        .emitted()
        .iter()
        .map(|deleted| deleted.key.parse().unwrap())
        .collect();
    keys.sort_unstable();
    assert_eq!(keys, (65..=100).collect::<Vec<_>>());
    assert_eq!(memory.requests().len(), 2);
}

#[test]
fn a_range_of_history_is_searched_by_its_days_and_ends_with_its_last() {
    let workspace = Workspace::default();
    for id in 1..=10 {
        workspace.put(id, NOW_S - id * DAY_S);
    }
    let memory = memory(&workspace);
    let slice = Slice::Changed {
        since: (NOW_S - 6 * DAY_S) * 1_000,
        before: Some((NOW_S - 3 * DAY_S) * 1_000),
        until: (NOW_S - 3 * DAY_S) * 1_000,
    };
    memory.run::<Intercom>(&job("contacts"), &slice).unwrap();
    assert_eq!(
        landed(&memory).into_keys().collect::<Vec<_>>(),
        [3, 4, 5, 6]
    );
}

#[test]
fn short_lists_are_read_whole() {
    for (stream, count) in [
        ("admins", 1),
        ("teams", 0),
        ("tags", 2),
        ("data_attributes", 5),
    ] {
        let memory = memory(&Workspace::default());
        memory
            .sync::<Intercom>(&Job::new(stream), Vec::new())
            .unwrap();
        assert_eq!(memory.landed().len(), count, "{stream}");
    }
}

#[test]
fn requests_go_to_the_region_with_the_credential_that_was_chosen() {
    let memory = memory(&Workspace::of(3, NOW_S - DAY_S));
    let job = Job {
        config: serde_json::json!({"auth": "access_token", "region": "au"}),
        ..job("contacts")
    };
    memory.sync::<Intercom>(&job, Vec::new()).unwrap();
    for request in memory.requests() {
        assert_eq!(request.endpoint(), "au");
        assert_eq!(request.auth.as_deref(), Some("access_token"));
    }
}
