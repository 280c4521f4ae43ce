//! The scroll over companies: one at a time, never gone on with.

use serde_json::json;
use tidegate_sdk::{Directive, testing::Answer};

use super::*;

fn broken() -> Answer {
    Answer::refusal(
        500,
        &json!({"type": "error.list", "errors": [{"code": "server_error", "message":
            "Request failed due to an internal network error. Please restart the scroll operation."}]}),
    )
}

#[test]
fn a_scroll_that_breaks_is_begun_again() {
    let workspace = Workspace::of(450, NOW_S - 9 * DAY_S);
    let memory = memory(&workspace);
    workspace.before(|workspace, number| {
        if number == 4 {
            workspace.scroll_faults.borrow_mut().push(broken());
        }
    });
    memory
        .sync::<Intercom>(&job("companies"), Vec::new())
        .unwrap();
    assert_eq!(landed(&memory), workspace.truth());
}

#[test]
fn pages_that_were_lost_on_the_way_are_found_by_scrolling_again() {
    let workspace = Workspace::of(450, NOW_S - 9 * DAY_S);
    let memory = memory(&workspace);
    // In each reading another one.
    *workspace.lost_pages.borrow_mut() = vec![2, 8];
    memory
        .sync::<Intercom>(&job("companies"), Vec::new())
        .unwrap();
    assert_eq!(landed(&memory), workspace.truth());
}

#[test]
fn a_scroll_that_answers_no_more_is_a_failure_worth_trying_again() {
    let workspace = Workspace::of(450, NOW_S - 9 * DAY_S);
    let memory = memory(&workspace);
    *workspace.lost_pages.borrow_mut() = (2..100).collect();
    let read = memory.sync::<Intercom>(&job("companies"), Vec::new());
    assert!(matches!(read, Err(Failure::Transient(_))), "{read:?}");
}

#[test]
fn companies_that_no_scroll_shows_are_a_failure_and_no_smaller_copy() {
    let workspace = Workspace::of(450, NOW_S - 9 * DAY_S);
    let memory = memory(&workspace);
    *workspace.lost_pages.borrow_mut() = (0..100).map(|reading| 2 + 6 * reading).collect();
    let read = memory.sync::<Intercom>(&job("companies"), Vec::new());
    assert!(matches!(read, Err(Failure::Transient(_))), "{read:?}");
}

#[test]
fn who_finds_the_scroll_taken_waits_until_it_is_idle_and_over() {
    let workspace = Workspace::of(450, NOW_S - 9 * DAY_S);
    workspace.scroll.borrow_mut().take();
    let memory = memory(&workspace);
    let slice = Slice::All { until: NOW_MS };
    let outcome = memory.call::<Intercom>(&job("companies"), &slice).unwrap();
    let Outcome::WaitUntil(at_ms) = outcome else {
        panic!("expected a wait, not {outcome:?}");
    };
    assert!(at_ms >= NOW_MS + 60_000);
    workspace.scroll.borrow_mut().expire();
    memory.run::<Intercom>(&job("companies"), &slice).unwrap();
    assert_eq!(landed(&memory), workspace.truth());
}

#[test]
fn a_scroll_is_not_given_up_for_another_and_begun_again_after_a_stop() {
    let workspace = Workspace::of(450, NOW_S - 9 * DAY_S);
    let memory = memory(&workspace).directing([Directive::YieldSoon, Directive::Stop]);
    let slice = Slice::All { until: NOW_MS };
    let outcome = memory.call::<Intercom>(&job("companies"), &slice).unwrap();
    assert!(matches!(outcome, Outcome::More));
    assert_eq!(memory.emitted().len(), 200);
    workspace.scroll.borrow_mut().expire();
    let rest = Job {
        state: memory.saves().pop(),
        ..job("companies")
    };
    memory.run::<Intercom>(&rest, &slice).unwrap();
    assert_eq!(landed(&memory), workspace.truth());
    let saves = memory.saves();
    assert!(
        saves.windows(2).all(|pair| pair[0] != pair[1]),
        "a cursor moves"
    );
}
