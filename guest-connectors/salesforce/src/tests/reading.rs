//! What is emitted and saved while partitions are read by queries.

use tidegate_sdk::{Directive, Target};

use super::*;

fn small_pages(count: u64) -> Org {
    let org = recent(count);
    org.set(|settings| settings.page = 20);
    org
}

#[test]
fn a_slice_is_read_in_the_order_of_ids_and_each_page_saved() {
    let org = small_pages(50);
    let memory = memory(&org);
    let end = read(&memory, &accounts(), &hour());
    assert_eq!(end.until, NOW_MS);
    assert_eq!(ids(&memory.emitted()), keys(1..=50));
    let after = |id| {
        state(&Cursor {
            until: NOW_MS,
            deletes: None,
            position: Position::After(key(id)),
        })
    };
    assert_eq!(memory.saves(), [after(20).unwrap(), after(40).unwrap()]);
    assert_eq!(asked(&memory, "/queryAll"), 3, "three pages of 50 records");
    assert_eq!(asked(&memory, "/describe"), 1);
}

#[test]
fn a_record_lands_without_what_only_query_answers_say() {
    let memory = memory(&recent(1));
    read(&memory, &accounts(), &hour());
    let record = &memory.emitted()[0];
    assert_eq!(record.change, Change::Upsert);
    assert_eq!(
        record.cursor.as_deref(),
        Some("2026-11-22T07:00:00.000+0000")
    );
    assert_eq!(
        record.record,
        json!({
            "Id": key(1), "IsDeleted": false, "Name": "Account 1", "BillingCity": null,
            "AnnualRevenue": 1.5e7, "NumberOfEmployees": null, "Founded__c": null,
            "SystemModstamp": "2026-11-22T07:00:00.000+0000",
            "CreatedDate": "2026-11-22T07:00:00.000+0000"
        })
    );
}

#[test]
fn the_lower_bound_is_inside_and_the_upper_one_is_not() {
    let org = Org::of(3, NOW_MS - 2_000);
    let memory = memory(&org);
    let slice = Slice {
        since: NOW_MS - 2_000,
        until: NOW_MS,
        ..hour()
    };
    read(&memory, &accounts(), &slice);
    assert_eq!(ids(&memory.emitted()), keys(1..=2));
}

#[test]
fn equal_times_over_the_edge_of_a_page_lose_nothing() {
    let org = small_pages(50);
    for id in 1..=50 {
        org.edit(id, |account| account.modified = NOW_MS - MINUTE_MS);
    }
    let memory = memory(&org);
    read(&memory, &accounts(), &hour());
    assert_eq!(ids(&memory.emitted()), keys(1..=50));
}

#[test]
fn records_edited_while_a_slice_is_read_make_no_other_one_missing() {
    let org = small_pages(60);
    let memory = memory(&org).directing([Directive::YieldSoon]);
    let first = memory.call::<Salesforce>(&accounts(), &hour()).unwrap();
    assert!(matches!(first, Outcome::More));
    for id in 1..=20 {
        org.edit(id, |account| account.modified = NOW_MS + 1);
    }
    let rest = Calls {
        state: memory.saves().pop(),
        ..accounts()
    };
    read(&memory, &rest, &hour());
    assert_eq!(ids(&memory.emitted()), keys(1..=60));
}

#[test]
fn a_deleted_record_is_a_delete_and_an_undeleted_one_is_not() {
    let org = recent(3);
    org.edit(2, |account| account.deleted = true);
    let memory = memory(&org);
    read(&memory, &accounts(), &hour());
    let changes: Vec<Change> = memory.emitted().iter().map(|one| one.change).collect();
    assert_eq!(changes, [Change::Upsert, Change::Delete, Change::Upsert]);

    org.edit(2, |account| account.deleted = false);
    let again = self::memory(&org);
    read(&again, &accounts(), &hour());
    assert!(
        again
            .emitted()
            .iter()
            .all(|one| one.change == Change::Upsert)
    );
}

#[test]
fn a_history_says_nothing_of_what_is_already_deleted() {
    let org = recent(3);
    org.edit(2, |account| account.deleted = true);
    let memory = memory(&org);
    let slice = Slice {
        history: true,
        since: 0,
        ..hour()
    };
    read(&memory, &accounts(), &slice);
    assert_eq!(ids(&memory.emitted()), [key(1), key(3)]);
}

#[test]
fn a_query_that_takes_too_long_is_halved_before_anything_is_saved() {
    let org = recent(10);
    org.set(|settings| settings.range_ms_max = Some(HOUR_MS / 2));
    let memory = memory(&org);
    let outcome = memory.call::<Salesforce>(&accounts(), &hour()).unwrap();
    let Outcome::Split(halves) = outcome else {
        panic!("{outcome:?}")
    };
    for half in &halves {
        read(&memory, &accounts(), &half.slice);
    }
    assert_eq!(ids(&memory.emitted()), keys(1..=10));
}

#[test]
fn a_later_page_that_takes_too_long_leaves_the_rest_to_bulk() {
    let org = small_pages(50);
    org.set(|settings| settings.slow_behind_id = true);
    let memory = memory(&org);
    read(&memory, &accounts(), &hour());
    assert_eq!(ids(&memory.emitted()), keys(1..=50), "each record once");
    assert_eq!(org.jobs_made(), 1);
}

#[test]
fn a_job_for_the_rest_that_fails_is_made_again_for_the_rest_alone() {
    let org = small_pages(50);
    org.set(|settings| {
        settings.slow_behind_id = true;
        settings.job_states = vec!["Failed"];
    });
    let memory = memory(&org);
    read(&memory, &accounts(), &hour());
    assert_eq!(ids(&memory.emitted()), keys(1..=50), "each record once");
    assert_eq!(org.jobs_made(), 2);
}

#[test]
fn chosen_fields_are_asked_for_with_what_the_connector_needs() {
    let memory = memory(&recent(1));
    let calls = Calls {
        fields: vec!["/Name".to_owned(), "/Gone__c".to_owned()],
        ..accounts()
    };
    read(&memory, &calls, &hour());
    let requests = memory.requests();
    let Target::Endpoint { query, .. } = &requests[1].target else {
        unreachable!()
    };
    assert!(
        query[0]
            .1
            .starts_with("SELECT Id,IsDeleted,Name,SystemModstamp FROM Account WHERE "),
        "{query:?}"
    );
}

#[test]
fn a_field_that_went_away_is_asked_for_no_more() {
    let org = recent(2);
    let memory = memory(&org);
    read(&memory, &accounts(), &hour());
    org.set(|settings| {
        settings.dropped = vec!["BillingCity".to_owned()];
    });
    let failure = memory.call::<Salesforce>(&accounts(), &hour()).unwrap_err();
    assert!(
        matches!(&failure, Failure::Transient(text) if text.contains("BillingCity")),
        "{failure}"
    );
    org.set(|settings| settings.dropped.clear());
    let described = asked(&memory, "/describe");
    read(&memory, &accounts(), &hour());
    assert_eq!(asked(&memory, "/describe"), described + 1, "described anew");
}

#[test]
fn a_field_that_came_is_there_from_the_next_plan_on() {
    let org = recent(1);
    let memory = memory(&org);
    let wanted = || {
        plan_of(
            SyncMode::Incremental,
            &[Cursor::end(NOW_MS - HOUR_MS, None)],
        )
    };
    Salesforce::plan(&memory.host(), wanted()).unwrap();
    org.set(|settings| settings.more_fields = vec!["New__c".to_owned()]);
    read(&memory, &accounts(), &hour());
    assert_eq!(memory.emitted()[0].record.get("New__c"), None);
    Salesforce::plan(&memory.host(), wanted()).unwrap();
    read(&memory, &accounts(), &hour());
    assert_eq!(memory.emitted()[1].record.get("New__c"), Some(&Value::Null));
    assert_eq!(asked(&memory, "/describe"), 2, "one a plan");
}

#[test]
fn more_fields_than_a_url_holds_go_by_bulk_or_to_the_user() {
    let org = recent(5);
    org.set(|settings| {
        settings.more_fields = (0..700)
            .map(|at| format!("A_long_name_of_a_field_{at}__c"))
            .collect();
    });
    let memory = memory(&org);
    read(&memory, &accounts(), &hour());
    assert_eq!(ids(&memory.emitted()), keys(1..=5));
    assert_eq!((org.jobs_made(), asked(&memory, "/queryAll")), (1, 0));

    org.set(|settings| {
        settings.bulk_refusal = Some((
            "INVALIDENTITY",
            "Entity 'X' is not supported by the Bulk API.",
        ));
    });
    let failure = memory.call::<Salesforce>(&accounts(), &hour()).unwrap_err();
    assert!(matches!(failure, Failure::Config(text) if text.contains("choose fields")));
}

#[test]
fn a_finished_partition_asks_for_nothing() {
    let memory = memory(&recent(1));
    let calls = Calls {
        state: state(&Cursor::end(NOW_MS, Some(7))),
        ..accounts()
    };
    assert_eq!(read(&memory, &calls, &hour()).deletes, Some(7));
    assert!(memory.requests().is_empty());
}
