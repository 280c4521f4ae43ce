//! What lands, while the account goes on working.

use super::*;
use crate::planning::LOOK_BACK_MS;
use crate::reading::{LEADS_PAGE, PAGE};

fn until(ends: &Ends) -> u64 {
    ends.iter().map(|end| end.cursor.until).max().unwrap()
}

/// Half of them were last touched long ago, so that few windows are halved often.
fn modified_s(index: u64) -> u64 {
    match index % 2 {
        0 => NOW_S - 9 * DAY_S + index / 100,
        _ => NOW_S - 20 * 365 * DAY_S + index,
    }
}

fn assert_same(landed: &BTreeMap<String, String>, truth: &BTreeMap<String, String>, what: &str) {
    let differs = |(key, modified): &(&String, &String)| landed.get(*key) != Some(*modified);
    let wrong: Vec<_> = truth.iter().filter(differs).take(3).collect();
    assert!(
        wrong.is_empty() && landed.len() == truth.len(),
        "{what}: {wrong:?}"
    );
}

#[test]
fn a_history_and_three_rounds_of_edits_leave_exactly_what_the_account_has() {
    for (stream, kinds, counts_pages) in [
        ("leads", &["lead"][..], false),
        ("activities", &["call", "visit"], false),
        ("activities", &["call", "visit"], true),
        ("opportunities", &["opportunity"], true),
    ] {
        let account = Account {
            counts_pages,
            ..Account::default()
        };
        let count = match stream {
            "leads" => LEADS_PAGE + 7,
            _ => PAGE + 7,
        };
        let number = |kind: usize, index: u64| index * 10 + kind as u64;
        for (at, kind) in kinds.iter().enumerate() {
            for index in 1..=count {
                account.put(kind, number(at, index), modified_s(index));
            }
        }
        let memory = memory(&account);
        let mut ends = memory
            .sync::<LeadSquared>(&job(stream), Vec::new())
            .unwrap();
        assert_eq!(until(&ends), NOW_S * 1_000);
        for round in 1..=3 {
            let now_s = NOW_S + round * 600;
            for (at, kind) in kinds.iter().enumerate() {
                for index in (1..=count).filter(|index| index % 9 == round) {
                    account.put(kind, number(at, index), now_s - 1 - index % 60);
                }
                account.put(kind, number(at, count + round), now_s - 1);
            }
            memory.set_clock(now_s * 1_000 + 700);
            ends = memory.sync::<LeadSquared>(&job(stream), ends).unwrap();
            let mut truth = BTreeMap::new();
            for kind in kinds {
                truth.extend(account.truth(kind));
            }
            assert_same(&landed(&memory), &truth, stream);
        }
    }
}

#[test]
fn leads_that_are_edited_while_they_are_read_make_no_other_one_missing() {
    let account = Account::default();
    let count = LEADS_PAGE + 500;
    for index in 1..=count {
        account.put("lead", index, modified_s(index));
    }
    let memory = memory(&account);
    account.before(move |account, request| {
        for index in (1..=count).filter(|index| index % 61 == request as u64 % 61) {
            account.put("lead", index, NOW_S + request as u64);
        }
    });
    let ends = memory
        .sync::<LeadSquared>(&job("leads"), Vec::new())
        .unwrap();
    account.before(|_, _| {});
    memory.set_clock(NOW_MS + 3_600_000);
    memory.sync::<LeadSquared>(&job("leads"), ends).unwrap();
    assert_same(&landed(&memory), &account.truth("lead"), "leads");
}

#[test]
fn a_second_that_still_runs_is_the_next_runs() {
    let account = Account::default();
    account.put("lead", 1, NOW_S);
    let memory = memory(&account);
    let ends = memory
        .sync::<LeadSquared>(&job("leads"), Vec::new())
        .unwrap();
    assert!(memory.landed().is_empty());
    account.put("lead", 2, NOW_S);
    memory.set_clock(NOW_MS + 1_000);
    memory.sync::<LeadSquared>(&job("leads"), ends).unwrap();
    assert_eq!(landed(&memory), account.truth("lead"));
}

#[test]
fn a_second_with_more_than_a_page_is_read_until_nothing_leaves_it() {
    let account = Account::default();
    let count = 2 * PAGE + 10;
    for number in 1..=count {
        account.put("call", number, NOW_S - DAY_S);
    }
    let memory = memory(&account);
    let slice = Slice::Activities {
        code: 22,
        since: (NOW_S - DAY_S) * 1_000,
        until: (NOW_S - DAY_S + 1) * 1_000,
    };
    account.before(|account, request| {
        if request == 3 {
            // Read already; all behind it move up.
            account.put("call", 1, NOW_S + 1);
        }
    });
    memory
        .run::<LeadSquared>(&job("activities"), &slice)
        .unwrap();
    assert_eq!(memory.landed().len() as u64, count);
}

#[test]
fn windows_hold_their_first_second_and_not_their_last() {
    let account = Account::default();
    for number in 1..=4 {
        account.put("lead", number, NOW_S + number);
    }
    let memory = memory(&account);
    let slice = Slice::Leads {
        since: (NOW_S + 2) * 1_000,
        until: (NOW_S + 4) * 1_000,
    };
    memory.run::<LeadSquared>(&job("leads"), &slice).unwrap();
    let numbers: Vec<bool> = (1..=4)
        .map(|number| {
            landed(&memory).contains_key(&format!("00000000-0000-0000-0000-{number:012}"))
        })
        .collect();
    assert_eq!(numbers, [false, true, true, false]);
}

#[test]
fn a_write_that_shows_late_is_read_by_the_next_run() {
    let account = Account::default();
    account.put("lead", 1, NOW_S - DAY_S);
    let memory = memory(&account);
    let ends = memory
        .sync::<LeadSquared>(&job("leads"), Vec::new())
        .unwrap();
    account.put("lead", 2, NOW_S - LOOK_BACK_MS / 1_000);
    account.put("lead", 3, NOW_S);
    memory.set_clock(NOW_MS + 5_000);
    memory.sync::<LeadSquared>(&job("leads"), ends).unwrap();
    assert_eq!(landed(&memory), account.truth("lead"));
}

#[test]
fn a_host_clock_that_is_ahead_moves_no_bound_past_the_accounts_own_time() {
    let account = Account {
        date: Some("Sun, 22 Nov 2026 07:50:00 GMT"),
        ..Account::default()
    };
    let memory = memory(&account);
    let ends = memory
        .sync::<LeadSquared>(&job("leads"), Vec::new())
        .unwrap();
    assert_eq!(until(&ends), (NOW_S - 600) * 1_000);
}

#[test]
fn opportunities_are_read_back_to_the_floor_and_no_further() {
    let account = Account::default();
    for number in 1..=3 * PAGE {
        account.put("opportunity", number, NOW_S - number);
    }
    let memory = memory(&account);
    let slice = Slice::Opportunities {
        code: 12_000,
        floor: Some((NOW_S - PAGE - 5) * 1_000),
        until: NOW_S * 1_000,
    };
    memory
        .run::<LeadSquared>(&job("opportunities"), &slice)
        .unwrap();
    assert_eq!(memory.emitted().len() as u64, PAGE + 5);
    assert_eq!(memory.requests().len(), 2);
}

#[test]
fn opportunities_that_are_deleted_while_they_are_read_make_no_other_one_missing() {
    let account = Account::default();
    for number in 1..=2 * PAGE + 10 {
        account.put("opportunity", number, NOW_S - number);
    }
    account.before(|account, request| {
        // Of those that were read already: each pulls another one over the edge.
        if request > 1 && request < 4 {
            let gone = ("opportunity", request as u64);
            account.records.borrow_mut().remove(&gone);
        }
    });
    let memory = memory(&account);
    let slice = Slice::Opportunities {
        code: 12_000,
        floor: None,
        until: NOW_S * 1_000,
    };
    memory
        .run::<LeadSquared>(&job("opportunities"), &slice)
        .unwrap();
    let landed = landed(&memory);
    let missing = account.truth("opportunity");
    let missing = missing.keys().filter(|key| !landed.contains_key(*key));
    assert_eq!(missing.count(), 0);
}

#[test]
fn leads_are_asked_for_the_fields_that_were_chosen_and_those_that_are_needed() {
    let account = Account::default();
    account.put("lead", 1, NOW_S - DAY_S);
    for (fields, expected) in [
        (
            vec![],
            "ProspectID,ModifiedOn,mx_City,mx_Budget,ProspectAutoId",
        ),
        (
            vec!["/LeadPropertyList/mx_City".to_owned()],
            "mx_City,ProspectID,ProspectAutoId,ModifiedOn",
        ),
    ] {
        let memory = memory(&account);
        let job = Job {
            fields,
            ..job("leads")
        };
        memory.sync::<LeadSquared>(&job, Vec::new()).unwrap();
        let asked = memory.requests().pop().unwrap().document();
        assert_eq!(asked["Columns"]["Include_CSV"], expected);
    }
}

#[test]
fn fields_are_looked_up_once_for_all_windows_of_a_run() {
    let account = Account::default();
    for number in 1..=2 * LEADS_PAGE {
        account.put("lead", number, NOW_S - DAY_S + number / 50);
    }
    let memory = memory(&account);
    memory
        .sync::<LeadSquared>(&job("leads"), Vec::new())
        .unwrap();
    let lookups = memory
        .requests()
        .iter()
        .filter(|request| request.path().ends_with("LeadsMetaData.Get"))
        .count();
    assert_eq!(lookups, 1);
}

#[test]
fn users_are_read_whole() {
    let memory = memory(&Account::default());
    memory
        .sync::<LeadSquared>(&job("users"), Vec::new())
        .unwrap();
    assert_eq!(memory.landed().len(), 2);
}
