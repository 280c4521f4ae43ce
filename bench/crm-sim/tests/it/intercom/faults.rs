//! Failures on demand.

use crm_sim::intercom::{Fault, PathKind, Rule, When, WrongJson};

use super::client::{get, ids, start, unlimited};

#[tokio::test]
async fn faults_strike_the_path_they_name_in_the_apis_own_words() {
    let sim = start(unlimited()).await;
    let once = |fault| Rule {
        path: Some(PathKind::List),
        when: When::Ordinal { skip: 0, take: 1 },
        fault,
    };
    sim.install_fault(once(Fault::Status(503)));
    assert_eq!(get(&sim, "/tags").await.status, 200);
    let answer = get(&sim, "/contacts").await;
    assert_eq!(answer.json()["errors"][0]["code"], "service_unavailable");
    sim.install_fault(once(Fault::Throttle {
        retry_after_s: None,
    }));
    let answer = get(&sim, "/contacts").await;
    assert_eq!(
        (answer.status, answer.header("x-ratelimit-remaining")),
        (429, Some("0"))
    );
    sim.install_fault(once(Fault::WrongJson(WrongJson::Html)));
    let answer = get(&sim, "/contacts").await;
    assert!(answer.status == 200 && answer.body.starts_with(b"<!DOCTYPE"));
    sim.install_fault(once(Fault::ShortPage(7)));
    let page = get(&sim, "/contacts").await.json();
    assert_eq!(ids(&page, "data").len(), 7);
    assert!(page["pages"]["next"].is_object());
    sim.install_fault(once(Fault::Cut(300)));
    assert!(get(&sim, "/contacts").await.broken);
    assert_eq!(sim.counters().tally.faulted, 5);
    assert_eq!(get(&sim, "/contacts").await.status, 200);
}
