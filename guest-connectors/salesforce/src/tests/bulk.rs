//! Jobs: when they are made, how they are waited for, what becomes of their pages.

use tidegate_sdk::Directive;

use super::*;

/// Enough for Bulk, in pages of 100.
fn many() -> (Org, Calls) {
    let mut calls = accounts();
    calls.config["bulk_page_records"] = json!(100);
    (recent(260), calls)
}

fn locators(memory: &MemoryHost) -> Vec<Option<String>> {
    let saves = memory.saves().into_iter();
    let jobs = saves.filter_map(|save| save["position"]["job"].as_object().cloned());
    jobs.map(|job| job["locator"].as_str().map(str::to_owned))
        .collect()
}

#[test]
fn many_records_are_read_by_a_job_whose_pages_are_saved_one_by_one() {
    let (org, calls) = many();
    let memory = memory(&org);
    let end = read(&memory, &calls, &hour());
    assert_eq!(end.until, NOW_MS);
    assert_eq!(ids(&memory.emitted()), keys(1..=260));
    let at = |row: u64| Some(format!("at{row}"));
    assert_eq!(locators(&memory), [None, at(100), at(200)]);
    assert_eq!(
        (org.jobs_made(), org.open_jobs()),
        (1, 1),
        "a process that dies now asks for the last page again"
    );
    assert!(
        memory
            .log_lines()
            .iter()
            .any(|(_, line)| line == "reading by Bulk")
    );
}

#[test]
fn the_choice_is_by_the_number_that_the_first_page_tells() {
    let (org, mut calls) = many();
    calls.config["bulk_above"] = json!(260);
    let memory = memory(&org);
    read(&memory, &calls, &hour());
    assert_eq!((org.jobs_made(), asked(&memory, "/queryAll")), (0, 1));
    assert!(
        memory
            .log_lines()
            .iter()
            .any(|(_, line)| line == "reading by query")
    );
}

#[test]
fn a_csv_row_is_told_as_deleted_and_its_empty_values_are_null() {
    let (org, calls) = many();
    org.edit(7, |account| {
        account.deleted = true;
        account.name = None;
    });
    org.edit(8, |account| {
        account.name = Some("a \"b\",\nc\u{0}".to_owned())
    });
    let memory = memory(&org);
    read(&memory, &calls, &hour());
    let emitted = memory.emitted();
    let of = |id| emitted.iter().find(|record| record.key == key(id)).unwrap();
    assert_eq!(of(7).change, Change::Delete);
    assert_eq!(of(7).record["Name"], Value::Null);
    assert_eq!(of(8).record["Name"], json!("a \"b\",\nc\u{0}"));
    assert_eq!(
        of(8).cursor.as_deref(),
        Some("2026-11-22T07:00:07.000+0000")
    );
}

#[test]
fn a_job_that_is_not_ready_parks_and_is_not_made_again() {
    let (org, calls) = many();
    org.set(|settings| settings.job_states = vec!["InProgress", "UploadComplete"]);
    let memory = memory(&org);
    let outcome = memory.call::<Salesforce>(&calls, &hour()).unwrap();
    assert!(matches!(outcome, Outcome::WaitUntil(at) if at == NOW_MS + 250 + 2_000));
    let saved = memory.saves().pop();
    assert_eq!(
        saved.as_ref().unwrap()["position"]["job"]["id"],
        "750000000000000001"
    );
    // Whatever became of the process meanwhile, the job is gone on with.
    let calls = Calls {
        state: saved,
        ..calls
    };
    let later = self::memory(&org).at(NOW_MS + 41_000);
    let outcome = later.call::<Salesforce>(&calls, &hour()).unwrap();
    assert!(matches!(outcome, Outcome::WaitUntil(at) if at > NOW_MS + 50_000));
    assert_eq!(later.requests().len(), 1, "one question a wait");
    read(&memory, &calls, &hour());
    assert_eq!(ids(&memory.emitted()), keys(1..=260));
    assert_eq!(org.jobs_made(), 1);
}

#[test]
fn a_restart_asks_again_for_one_page_at_most() {
    let (org, calls) = many();
    let first = memory(&org).directing([Directive::Proceed, Directive::Stop]);
    let parked = first.call::<Salesforce>(&calls, &hour()).unwrap();
    assert!(matches!(parked, Outcome::WaitUntil(_)));
    let calls = |memory: &MemoryHost| Calls {
        state: memory.saves().pop(),
        ..calls.clone()
    };
    let stopped = first.call::<Salesforce>(&calls(&first), &hour()).unwrap();
    assert!(matches!(stopped, Outcome::More));
    assert_eq!(first.emitted().len(), 100);
    let second = memory(&org);
    read(&second, &calls(&first), &hour());
    assert_eq!(ids(&second.emitted()), keys(101..=260));
}

#[test]
fn what_bulk_refuses_is_read_by_query() {
    for refusal in [
        (
            "INVALIDENTITY",
            "Entity 'Account' is not supported by the Bulk API.",
        ),
        ("API_ERROR", "Implementation restriction: no"),
        (
            "FUNCTIONALITY_NOT_ENABLED",
            "Selecting compound data not supported in Bulk Query",
        ),
        ("LIMIT_EXCEEDED", "Too many query jobs"),
        ("INVALIDJOB", "Account does not support query"),
    ] {
        let (org, calls) = (recent(150), accounts());
        org.set(|settings| settings.bulk_refusal = Some(refusal));
        let memory = memory(&org);
        read(&memory, &calls, &hour());
        assert_eq!(ids(&memory.emitted()), keys(1..=150));
        assert_eq!(
            asked(&memory, "/queryAll"),
            1,
            "the first page is not asked for again"
        );
    }
}

#[test]
fn another_refusal_is_no_reason_to_query() {
    let (org, calls) = many();
    org.set(|settings| settings.bulk_refusal = Some(("MALFORMED_QUERY", "unexpected token")));
    let failure = memory(&org)
        .call::<Salesforce>(&calls, &hour())
        .unwrap_err();
    assert!(matches!(failure, Failure::Fatal(text) if text.contains("MALFORMED_QUERY")));
}

#[test]
fn a_failed_job_is_made_once_more_and_then_queried() {
    let (org, calls) = many();
    org.set(|settings| settings.job_states = vec!["Failed"]);
    let memory = memory(&org);
    read(&memory, &calls, &hour());
    assert_eq!(org.jobs_made(), 2);
    assert_eq!(ids(&memory.emitted()), keys(1..=260));

    let (org, calls) = many();
    org.set(|settings| settings.job_states = vec!["Aborted", "Failed"]);
    let memory = self::memory(&org);
    read(&memory, &calls, &hour());
    assert_eq!((org.jobs_made(), asked(&memory, "/queryAll")), (2, 2));
    assert_eq!(ids(&memory.emitted()), keys(1..=260));
}

#[test]
fn results_that_are_no_longer_kept_are_made_anew() {
    for stale in [false, true] {
        let (org, calls) = many();
        let memory = memory(&org).directing([Directive::Proceed, Directive::Stop]);
        let _ = memory.call::<Salesforce>(&calls, &hour()).unwrap();
        let calls = |memory: &MemoryHost| Calls {
            state: memory.saves().pop(),
            ..calls.clone()
        };
        let _ = memory.call::<Salesforce>(&calls(&memory), &hour()).unwrap();
        let set = |gone: bool| {
            org.set(|settings| {
                settings.results_gone = gone && !stale;
                settings.locators_stale = gone && stale;
            });
        };
        set(true);
        let parked = memory.call::<Salesforce>(&calls(&memory), &hour()).unwrap();
        assert!(matches!(parked, Outcome::WaitUntil(_)));
        set(false);
        read(&memory, &calls(&memory), &hour());
        let mut found = ids(&memory.emitted());
        found.dedup();
        assert_eq!(found, keys(1..=260), "the first page twice, none missing");
        assert_eq!(org.jobs_made(), 2);
    }
}

#[test]
fn pages_that_hold_fewer_records_than_the_job_counted_are_not_believed() {
    let (org, calls) = many();
    org.set(|settings| settings.bulk_short = 3);
    let memory = memory(&org);
    read(&memory, &calls, &hour());
    let mut found = ids(&memory.emitted());
    found.dedup();
    assert_eq!(found, keys(1..=260), "the query brought the rest");
}

#[test]
fn a_lost_locator_is_the_end_only_where_the_count_agrees() {
    let (org, mut calls) = many();
    org.set(|settings| settings.locator_lost = true);
    let whole = memory(&org);
    calls.config["bulk_page_records"] = json!(2_000);
    read(&whole, &calls, &hour());
    assert_eq!((whole.emitted().len(), org.jobs_made()), (260, 1));

    calls.config["bulk_page_records"] = json!(100);
    let cut = memory(&org);
    read(&cut, &calls, &hour());
    let mut found = ids(&cut.emitted());
    found.dedup();
    assert_eq!(found, keys(1..=260));
}

#[test]
fn a_page_too_large_for_the_host_is_asked_for_in_smaller_ones() {
    let (org, mut calls) = many();
    calls.config["bulk_page_records"] = json!(4_000);
    org.set(|settings| settings.body_records_max = Some(1_000));
    let memory = memory(&org);
    read(&memory, &calls, &hour());
    assert_eq!(ids(&memory.emitted()), keys(1..=260));
}

#[test]
fn a_page_that_was_cut_off_is_not_saved() {
    let (org, calls) = many();
    let mut answers = org.remote();
    let memory = MemoryHost::new(move |request| {
        let answer = answers(request);
        let tidegate_sdk::Target::Endpoint { path, .. } = &request.target else {
            unreachable!()
        };
        match path.ends_with("/results") {
            true => tidegate_sdk::testing::Answer::body("\"Id\"\n\"001\"\n")
                .header("Sforce-NumberOfRecords", "2")
                .header("Sforce-Locator", "at1"),
            false => answer,
        }
    })
    .at(NOW_MS)
    .blind(&Salesforce::manifest());
    let _ = memory.call::<Salesforce>(&calls, &hour()).unwrap();
    let calls = Calls {
        state: memory.saves().pop(),
        ..calls
    };
    let failure = memory.call::<Salesforce>(&calls, &hour()).unwrap_err();
    assert!(matches!(failure, Failure::Transient(_)), "{failure}");
    assert_eq!(memory.saves().len(), 1);
    assert!(memory.emitted().is_empty());
}

#[test]
fn a_job_without_records_ends() {
    let (org, mut calls) = many();
    org.accounts.borrow_mut().truncate(0);
    org.set(|settings| {
        settings.more_fields = (0..700)
            .map(|at| format!("A_long_name_of_a_field_{at}__c"))
            .collect();
    });
    calls.config["bulk_above"] = json!(0);
    let memory = memory(&org);
    read(&memory, &calls, &hour());
    assert!(memory.emitted().is_empty());
    assert_eq!(asked(&memory, "/results"), 1);
}
