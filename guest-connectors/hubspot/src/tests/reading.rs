//! What is emitted and saved while partitions are read.

use tidegate_sdk::{Directive, Target, testing::Answer};

use super::*;
use crate::catalog::{Entity, Object};
use crate::planning::{LOOK_BACK_MS, partitions};

const LIST: Slice = Slice::List { until: NOW_MS };
const HOUR: Slice = Slice::Window {
    since: NOW_MS - 60 * MINUTE_MS,
    until: NOW_MS,
};

/// Contacts that were all modified within `HOUR`.
fn recent(count: u64) -> Crm {
    Crm::of(count, NOW_MS - 60 * MINUTE_MS)
}

#[test]
fn a_list_is_read_page_by_page_with_all_properties() {
    let crm = recent(250);
    let memory = memory(&crm);
    let outcome = memory.run::<HubSpot>(&contacts(), &LIST).unwrap();
    assert_eq!(ended_at(outcome), NOW_MS);
    assert_eq!(ids(&memory.emitted()), (1..=250).collect::<Vec<_>>());
    assert!(
        memory
            .emitted()
            .iter()
            .all(|record| record.change == Change::Upsert)
    );
    let page = |after: &str| {
        state(&Cursor {
            until: NOW_MS,
            position: Position::Page(after.to_owned()),
        })
    };
    assert_eq!(memory.saves(), [page("100").unwrap(), page("200").unwrap()]);

    let requests = memory.requests();
    let Target::Endpoint { query, .. } = &requests[1].target else {
        unreachable!()
    };
    let properties = "birthday,email,hs_merged_object_ids,lastmodifieddate,opted_out,score,stage";
    assert!(query.contains(&("properties".to_owned(), properties.to_owned())));
    assert!(
        requests
            .iter()
            .all(|request| request.auth.as_deref() == Some("oauth"))
    );
}

#[test]
fn a_list_that_yields_goes_on_with_the_bound_it_began_with() {
    let crm = recent(250);
    let memory = memory(&crm).directing([Directive::YieldSoon]);
    let outcome = memory.call::<HubSpot>(&contacts(), &LIST).unwrap();
    assert!(matches!(outcome, Outcome::More));
    assert_eq!(memory.emitted().len(), 100);
    // A plan made anew would have a later bound; what changed between the two
    // is in pages that were read before.
    let replanned = Slice::List {
        until: NOW_MS + MINUTE_MS,
    };
    let rest = Job {
        state: memory.saves().pop(),
        ..contacts()
    };
    let outcome = memory.run::<HubSpot>(&rest, &replanned).unwrap();
    assert_eq!(ended_at(outcome), NOW_MS);
    assert_eq!(ids(&memory.emitted()), (1..=250).collect::<Vec<_>>());
}

#[test]
fn the_archive_is_emitted_as_deletes_from_the_floor_on() {
    let crm = recent(5);
    let floor = NOW_MS - 10 * MINUTE_MS;
    crm.edit(1, |contact| contact.archived = Some(floor - 1));
    crm.edit(2, |contact| contact.archived = Some(floor));
    crm.edit(3, |contact| contact.archived = Some(floor + 1));
    let memory = memory(&crm);
    let slice = Slice::Archived {
        floor,
        until: NOW_MS,
    };
    assert_eq!(
        ended_at(memory.run::<HubSpot>(&contacts(), &slice).unwrap()),
        NOW_MS
    );
    assert_eq!(ids(&memory.emitted()), [2, 3]);
    assert!(
        memory
            .emitted()
            .iter()
            .all(|record| record.change == Change::Delete)
    );
}

#[test]
fn a_window_is_read_in_key_order_with_a_compound_cursor() {
    let crm = recent(450);
    let memory = memory(&crm);
    assert_eq!(
        ended_at(memory.run::<HubSpot>(&contacts(), &HOUR).unwrap()),
        NOW_MS
    );
    assert_eq!(ids(&memory.emitted()), (1..=450).collect::<Vec<_>>());
    let key = |id: &str| {
        state(&Cursor {
            until: NOW_MS,
            position: Position::Key(id.to_owned()),
        })
    };
    assert_eq!(memory.saves(), [key("200").unwrap(), key("400").unwrap()]);
    assert_eq!(
        *crm.searches.borrow(),
        3,
        "the page that showed the total is not asked for again"
    );
}

#[test]
fn a_window_holds_its_lower_bound_and_not_its_upper_one() {
    let crm = Crm::of(3, NOW_MS - 1_000);
    let memory = memory(&crm);
    let slice = Slice::Window {
        since: NOW_MS - 1_000,
        until: NOW_MS,
    };
    memory.run::<HubSpot>(&contacts(), &slice).unwrap();
    assert_eq!(ids(&memory.emitted()), [1]);
}

#[test]
fn records_edited_while_a_window_is_read_make_no_other_one_missing() {
    let crm = recent(600);
    let memory = memory(&crm).directing([Directive::YieldSoon]);
    memory.call::<HubSpot>(&contacts(), &HOUR).unwrap();
    for id in 1..=200 {
        crm.edit(id, |contact| contact.modified = NOW_MS + 1);
    }
    let rest = Job {
        state: memory.saves().pop(),
        ..contacts()
    };
    memory.run::<HubSpot>(&rest, &HOUR).unwrap();
    assert_eq!(ids(&memory.emitted()), (1..=600).collect::<Vec<_>>());
}

#[test]
fn a_short_page_is_not_the_last() {
    let crm = Crm {
        search_page: Some(7),
        ..recent(100)
    };
    let memory = memory(&crm);
    memory.run::<HubSpot>(&contacts(), &HOUR).unwrap();
    assert_eq!(ids(&memory.emitted()), (1..=100).collect::<Vec<_>>());
}

#[test]
fn a_window_with_too_many_matches_is_halved_before_anything_is_emitted() {
    let crm = recent(10);
    *crm.matches_more.borrow_mut() = 9_991;
    let memory = memory(&crm);
    let Outcome::Split(halves) = memory.run::<HubSpot>(&contacts(), &HOUR).unwrap() else {
        panic!("10,001 matches cannot be paged");
    };
    let middle = NOW_MS - 30 * MINUTE_MS;
    let slices: Vec<Slice> = halves.iter().map(|half| half.slice).collect();
    assert_eq!(
        slices,
        [
            Slice::Window {
                since: NOW_MS - 60 * MINUTE_MS,
                until: middle
            },
            Slice::Window {
                since: middle,
                until: NOW_MS
            },
        ]
    );
    assert!(memory.emitted().is_empty() && memory.saves().is_empty());
}

#[test]
fn a_millisecond_with_too_many_matches_is_read_by_key() {
    let crm = Crm::of(1, NOW_MS - 1);
    *crm.matches_more.borrow_mut() = 10_000;
    let memory = memory(&crm);
    let slice = Slice::Window {
        since: NOW_MS - 1,
        until: NOW_MS,
    };
    ended_at(memory.run::<HubSpot>(&contacts(), &slice).unwrap());
    assert_eq!(ids(&memory.emitted()), [1]);
}

#[test]
fn a_window_that_was_begun_is_never_split() {
    let crm = recent(300);
    *crm.matches_more.borrow_mut() = 20_000;
    let memory = memory(&crm);
    let begun = Cursor {
        until: NOW_MS,
        position: Position::Key("250".to_owned()),
    };
    let job = Job {
        state: state(&begun),
        ..contacts()
    };
    ended_at(memory.run::<HubSpot>(&job, &HOUR).unwrap());
    assert_eq!(ids(&memory.emitted()), (251..=300).collect::<Vec<_>>());
}

#[test]
fn a_search_that_ignores_the_key_is_a_protocol_failure() {
    let page = serde_json::json!({"total": 500, "results": [{"id": "7", "properties": {}}]});
    let memory = MemoryHost::new(move |_| Answer::json(&page));
    let job = Job {
        fields: vec!["email".to_owned()],
        ..contacts()
    };
    let failure = memory.run::<HubSpot>(&job, &HOUR).unwrap_err();
    assert!(matches!(failure, Failure::Protocol(_)), "{failure}");
}

#[test]
fn chosen_fields_are_asked_for_without_looking_up_the_schema() {
    let crm = recent(1);
    let memory = memory(&crm);
    let fields = ["email", "/properties/stage", "/createdAt", "id"]
        .map(str::to_owned)
        .to_vec();
    memory
        .run::<HubSpot>(
            &Job {
                fields,
                ..contacts()
            },
            &LIST,
        )
        .unwrap();
    let requests = memory.requests();
    assert_eq!(requests.len(), 1);
    let Target::Endpoint { query, .. } = &requests[0].target else {
        unreachable!()
    };
    let properties = (
        "properties".to_owned(),
        "email,hs_merged_object_ids,lastmodifieddate,stage".to_owned(),
    );
    assert!(query.contains(&properties), "{query:?}");
}

#[test]
fn properties_that_do_not_fit_into_an_address_are_asked_for_in_batches() {
    let crm = recent(120);
    let memory = memory(&crm);
    let fields: Vec<String> = (0..1_000)
        .map(|index| format!("property_{index:06}"))
        .collect();
    let job = Job {
        fields,
        ..contacts()
    };
    ended_at(memory.run::<HubSpot>(&job, &LIST).unwrap());
    assert_eq!(ids(&memory.emitted()), (1..=120).collect::<Vec<_>>());
    let asked = memory.requests();
    let batches = asked.iter().filter_map(|request| match &request.payload {
        tidegate_sdk::Payload::Json(body) => Some(body),
        _ => None,
    });
    let batches: Vec<&String> = batches.collect();
    assert_eq!(batches.len(), 2);
    assert!(batches.iter().all(|body| body.contains("property_000999")));
}

#[test]
fn a_private_app_sends_its_own_credential() {
    let crm = recent(1);
    let memory = memory(&crm);
    let config = serde_json::json!({"auth": "private_app"});
    memory
        .run::<HubSpot>(
            &Job {
                config,
                ..contacts()
            },
            &HOUR,
        )
        .unwrap();
    let private = |request: &Request| request.auth.as_deref() == Some("private_app");
    assert!(memory.requests().iter().all(private));
}

#[test]
fn a_cursor_of_another_kind_of_partition_is_stale() {
    let memory = memory(&recent(1));
    let page = Cursor {
        until: NOW_MS,
        position: Position::Page("100".to_owned()),
    };
    let failure = memory.run::<HubSpot>(
        &Job {
            state: state(&page),
            ..contacts()
        },
        &HOUR,
    );
    assert!(matches!(failure, Err(Failure::StaleCursor(_))));
    let other = Some(serde_json::json!({"offset": 3}));
    let failure = memory.run::<HubSpot>(
        &Job {
            state: other,
            ..contacts()
        },
        &LIST,
    );
    assert!(matches!(failure, Err(Failure::StaleCursor(_))));
}

#[test]
fn refusals_are_classified() {
    for (status, expected) in [
        (401, "credentials refused"),
        (403, "not available"),
        (429, "throttled"),
        (477, "transient"),
        (502, "transient"),
        (530, "credentials refused"),
    ] {
        let memory = MemoryHost::new(move |_| Answer::status(status));
        let failure = memory.run::<HubSpot>(&contacts(), &LIST).unwrap_err();
        assert!(
            failure.to_string().starts_with(expected),
            "{status}: {failure}"
        );
    }
}

#[test]
fn two_runs_see_every_change_between_them_even_one_that_search_showed_late() {
    let crm = recent(50);
    let first = memory(&crm);
    let until = ended_at(first.run::<HubSpot>(&contacts(), &LIST).unwrap());
    assert_eq!(ids(&first.emitted()), (1..=50).collect::<Vec<_>>());

    crm.edit(7, |contact| contact.modified = NOW_MS - LOOK_BACK_MS); // indexed late
    crm.edit(8, |contact| contact.modified = NOW_MS);
    crm.edit(9, |contact| contact.archived = Some(NOW_MS + 1));
    let later_ms = NOW_MS + 5 * MINUTE_MS;
    let second = MemoryHost::new(crm.remote())
        .at(later_ms)
        .blind(&HubSpot::manifest());
    let plan = plan_of(SyncMode::Incremental, &[(LIST, until)]);
    for partition in partitions(&Entity::Records(Object::Contacts), &plan, later_ms) {
        ended_at(
            second
                .run::<HubSpot>(&contacts(), &partition.slice)
                .unwrap(),
        );
    }
    let mut changes: Vec<(u64, Change)> = second
        .emitted()
        .iter()
        .map(|record| (record.key.parse().unwrap(), record.change))
        .collect();
    changes.sort_unstable_by_key(|(id, _)| *id);
    assert_eq!(
        changes,
        [
            (7, Change::Upsert),
            (8, Change::Upsert),
            (9, Change::Delete)
        ]
    );
}

#[test]
fn a_search_page_whose_records_were_all_archived_since_is_not_the_last() {
    let crm = recent(450);
    for id in 1..=300 {
        crm.edit(id, |contact| contact.archived = Some(NOW_MS));
    }
    // The index still finds them, and shows nothing of them.
    *crm.lags.borrow_mut() = true;
    let memory = memory(&crm);
    ended_at(memory.run::<HubSpot>(&contacts(), &HOUR).unwrap());
    assert_eq!(ids(&memory.emitted()), (301..=450).collect::<Vec<_>>());
}

#[test]
fn records_that_became_a_part_of_another_are_deleted_whichever_way_they_are_read() {
    let all = contacts();
    let some = Job {
        fields: vec!["email".to_owned()],
        ..contacts()
    };
    for job in [all, some, Job::new("deals-stages")] {
        let crm = recent(5);
        crm.edit(4, |contact| contact.merged = "2;17".to_owned());
        crm.contacts.borrow_mut().remove(1);
        let memory = memory(&crm);
        ended_at(memory.run::<HubSpot>(&job, &HOUR).unwrap());
        let emitted = memory.emitted();
        let of = |change| {
            let some = emitted.iter().filter(move |one| one.change == change);
            ids(&some.cloned().collect::<Vec<_>>())
        };
        assert_eq!(of(Change::Delete), [2, 17], "{}", job.stream);
        assert_eq!(of(Change::Upsert), [1, 3, 4, 5], "{}", job.stream);
    }
}
