//! What lands, while the company goes on working.

use tidegate_sdk::{Directive, testing::Answer};

use super::*;
use crate::reading::{DELETES_KEPT_MS, LOOK_BACK_MS};

type Ends = Vec<PartitionEnd<Pipedrive>>;

fn until(ends: &Ends) -> u64 {
    assert!(ends.iter().all(|end| end.cursor.position == Position::End));
    ends[0].cursor.until
}

#[test]
fn a_history_and_three_rounds_of_edits_leave_exactly_what_the_company_has() {
    for stream in ["persons", "organizations", "deals", "activities"] {
        let company = Company::of(stream, 1_200, NOW_MS - DAY_MS);
        let memory = memory(&company);
        let mut ends = memory.sync::<Pipedrive>(&job(stream), Vec::new()).unwrap();
        assert_eq!(until(&ends), NOW_MS);
        for round in 1..=3 {
            let now_ms = NOW_MS + round * 60 * SECOND_MS;
            for id in (1..=1_200).filter(|id| id % 7 == round) {
                company.put(stream, id, now_ms - id % 60 * SECOND_MS);
            }
            company.put(stream, 1_200 + round, now_ms);
            memory.set_clock(now_ms);
            ends = memory.sync::<Pipedrive>(&job(stream), ends).unwrap();
            assert_eq!(
                landed(&memory),
                company.truth(stream),
                "{stream}, round {round}"
            );
        }
    }
}

#[test]
fn records_that_are_edited_between_two_pages_make_no_other_one_missing() {
    let company = Company::of("persons", 1_700, NOW_MS - DAY_MS);
    let memory = memory(&company);
    company.before(|company, number| {
        // Read and unread records alike.
        for id in (1..=1_700).filter(|id| id % 5 == number as u64 % 5) {
            company.put("persons", id, NOW_MS + number as u64 * SECOND_MS);
        }
    });
    let ends = memory
        .sync::<Pipedrive>(&job("persons"), Vec::new())
        .unwrap();
    assert_eq!(landed(&memory).len(), 1_700);
    company.before(|_, _| {});
    memory.set_clock(NOW_MS + DAY_MS);
    memory.sync::<Pipedrive>(&job("persons"), ends).unwrap();
    assert_eq!(landed(&memory), company.truth("persons"));
}

#[test]
fn the_second_of_the_bound_is_read_again() {
    let company = Company::of("persons", 3, NOW_MS - DAY_MS);
    let memory = memory(&company);
    let ends = memory
        .sync::<Pipedrive>(&job("persons"), Vec::new())
        .unwrap();
    // In the same second as the bound, after the page was made.
    company.put("persons", 2, until(&ends) + 300);
    memory.set_clock(NOW_MS + DAY_MS);
    memory.sync::<Pipedrive>(&job("persons"), ends).unwrap();
    assert_eq!(landed(&memory), company.truth("persons"));
}

#[test]
fn a_write_that_shows_late_is_read_by_the_next_run() {
    let company = Company::of("persons", 3, NOW_MS - DAY_MS);
    let memory = memory(&company);
    let ends = memory
        .sync::<Pipedrive>(&job("persons"), Vec::new())
        .unwrap();
    company.put("persons", 4, NOW_MS - LOOK_BACK_MS);
    memory.set_clock(NOW_MS + SECOND_MS);
    memory.sync::<Pipedrive>(&job("persons"), ends).unwrap();
    assert_eq!(landed(&memory), company.truth("persons"));
}

#[test]
fn deals_that_are_archived_or_deleted_while_they_are_read_end_as_what_they_are() {
    let company = Company::of("deals", 1_100, NOW_MS - DAY_MS);
    company.change("deals", 5, NOW_MS - DAY_MS, |deal| deal.is_archived = true);
    company.change("deals", 6, NOW_MS - DAY_MS, |deal| deal.is_deleted = true);
    let memory = memory(&company);
    *company.now_ms.borrow_mut() = NOW_MS;
    company.before(|company, number| match number {
        2 => {
            // One is read, one not yet.
            company.change("deals", 7, NOW_MS + 1, |deal| deal.is_archived = true);
            company.change("deals", 900, NOW_MS + 1, |deal| deal.is_archived = true);
            company.change("deals", 8, NOW_MS + 1, |deal| deal.is_deleted = true);
            company.change("deals", 901, NOW_MS + 1, |deal| deal.is_deleted = true);
        }
        4 => company.change("deals", 5, NOW_MS + 2, |deal| deal.is_archived = false),
        _ => {}
    });
    let ends = memory.sync::<Pipedrive>(&job("deals"), Vec::new()).unwrap();
    company.before(|_, _| {});
    memory.set_clock(NOW_MS + 10 * SECOND_MS);
    memory.sync::<Pipedrive>(&job("deals"), ends).unwrap();
    assert_eq!(landed(&memory), company.truth("deals"));
    let archived = memory.landed().into_values();
    let archived: Vec<u64> = archived
        .filter(|deal| deal["is_archived"] == true)
        .map(|deal| deal["id"].as_u64().unwrap())
        .collect();
    assert_eq!(archived.len(), 2, "{archived:?}");
}

#[test]
fn a_run_after_deletes_were_forgotten_asks_for_everything_anew() {
    let company = Company::of("deals", 3, NOW_MS - DAY_MS);
    let memory = memory(&company);
    let ends = memory.sync::<Pipedrive>(&job("deals"), Vec::new()).unwrap();
    memory.set_clock(NOW_MS + DELETES_KEPT_MS);
    let late = memory.sync::<Pipedrive>(&job("deals"), ends);
    assert!(matches!(late, Err(Failure::StaleCursor(_))), "{late:?}");

    let company = Company::of("persons", 3, NOW_MS - DAY_MS);
    let memory = super::memory(&company);
    let ends = memory
        .sync::<Pipedrive>(&job("persons"), Vec::new())
        .unwrap();
    memory.set_clock(NOW_MS + 2 * DELETES_KEPT_MS);
    memory.sync::<Pipedrive>(&job("persons"), ends).unwrap();
}

#[test]
fn a_read_that_stops_anywhere_goes_on_where_it_was() {
    let company = Company::of("deals", 1_100, NOW_MS - DAY_MS);
    company.change("deals", 5, NOW_MS - DAY_MS, |deal| deal.is_archived = true);
    let memory = memory(&company).directing([Directive::YieldSoon; 8]);
    let ends = memory.sync::<Pipedrive>(&job("deals"), Vec::new()).unwrap();
    assert_eq!(until(&ends), NOW_MS);
    assert_eq!(memory.emitted().len(), 1_100, "nothing is read twice");
    assert_eq!(landed(&memory), company.truth("deals"));
}

#[test]
fn a_page_token_that_grew_old_costs_a_new_start_and_no_record() {
    let company = Company::of("persons", 1_100, NOW_MS - DAY_MS);
    let memory = memory(&company).directing([Directive::Stop]);
    let slice = Slice {
        since: None,
        before: None,
        until: NOW_MS,
    };
    let first = memory.call::<Pipedrive>(&job("persons"), &slice).unwrap();
    assert!(matches!(first, Outcome::More));
    *company.cursors_from.borrow_mut() = 2;
    let rest = Job {
        state: memory.saves().pop(),
        ..job("persons")
    };
    memory.run::<Pipedrive>(&rest, &slice).unwrap();
    assert_eq!(landed(&memory), company.truth("persons"));
}

#[test]
fn a_host_clock_that_is_ahead_moves_no_bound_past_the_companys_own_time() {
    let company = Company::of("persons", 1_100, NOW_MS - DAY_MS);
    let memory = memory(&company);
    *company.date.borrow_mut() = Some("Sun, 22 Nov 2026 07:50:00 GMT".to_owned());
    company.before(|company, number| {
        if number == 2 {
            *company.date.borrow_mut() = Some("Sun, 22 Nov 2026 07:50:30 GMT".to_owned());
        }
    });
    let ends = memory
        .sync::<Pipedrive>(&job("persons"), Vec::new())
        .unwrap();
    let ten_minutes = 600 * SECOND_MS + 400;
    assert_eq!(
        until(&ends),
        NOW_MS - ten_minutes + 999,
        "the first page tells"
    );
}

#[test]
fn a_range_of_history_holds_its_lower_second_and_not_its_upper_one() {
    let company = Company::default();
    for id in 1..=4 {
        company.put("persons", id, NOW_MS - 400 + id * SECOND_MS);
    }
    let memory = memory(&company);
    let slice = Slice {
        since: Some(NOW_MS - 400 + 2 * SECOND_MS),
        before: Some(NOW_MS - 400 + 4 * SECOND_MS),
        until: NOW_MS,
    };
    memory.run::<Pipedrive>(&job("persons"), &slice).unwrap();
    assert_eq!(landed(&memory).into_keys().collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn users_are_read_whole_from_the_host_that_the_credential_knows() {
    for (auth, endpoint) in [("oauth", "company"), ("api_token", "shared")] {
        let memory = memory(&Company::default());
        let job = Job {
            config: serde_json::json!({"auth": auth}),
            ..Job::new("users")
        };
        memory.sync::<Pipedrive>(&job, Vec::new()).unwrap();
        assert_eq!(memory.landed().len(), 1);
        for request in memory.requests() {
            assert_eq!(request.endpoint(), endpoint);
            assert_eq!(request.auth.as_deref(), Some(auth));
            assert_eq!(request.bucket.as_deref(), Some(auth));
        }
    }
}

#[test]
fn an_answer_of_another_shape_is_a_failure_and_never_an_empty_list() {
    for body in ["", "{}", "<html></html>", "{\"success\":true,\"data\":3}"] {
        let memory = MemoryHost::new(move |_| Answer::body(body))
            .at(NOW_MS)
            .blind(&Pipedrive::manifest());
        let read = memory.sync::<Pipedrive>(&job("persons"), Vec::new());
        assert!(
            matches!(read, Err(Failure::Protocol(_))),
            "{body:?}: {read:?}"
        );
    }
}

#[test]
fn an_unknown_stream_is_a_configuration_failure() {
    let memory = memory(&Company::default());
    let read = memory.sync::<Pipedrive>(&job("leads"), Vec::new());
    assert!(matches!(read, Err(Failure::Config(_))));
}
