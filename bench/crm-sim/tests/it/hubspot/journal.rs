//! The journal says who asked, when, and who was gone before the answer.

use crm_sim::hubspot::{Fault, PathKind, Rule, When};
use std::time::Duration;

use super::client::{get_as, unlimited};

const PAGE: &str = "/crm/v3/objects/contacts?limit=50";

#[tokio::test]
async fn each_request_has_its_token_its_page_and_its_time() {
    let sim = unlimited(100).await;
    let (one, other) = (sim.issue_tokens(), sim.issue_tokens());
    get_as(&sim, &one.access_token, PAGE).await;
    assert!(sim.journal().is_empty(), "nobody asked for a journal");
    sim.begin_journal();
    get_as(&sim, &one.access_token, PAGE).await;
    get_as(&sim, &other.access_token, PAGE).await;
    let journal = sim.journal();
    let tokens: Vec<_> = journal.iter().map(|seen| &seen.token).collect();
    assert_eq!(tokens, [&one.access_token, &other.access_token]);
    assert!(
        journal
            .iter()
            .all(|seen| seen.answered && seen.target == PAGE)
    );
    assert!(journal[0].ended.unwrap() <= journal[1].began);
}

#[tokio::test]
async fn a_client_that_is_gone_leaves_a_request_without_an_answer() {
    let sim = unlimited(100).await;
    sim.begin_journal();
    sim.install_fault(Rule {
        path: Some(PathKind::List),
        when: When::Always,
        fault: Fault::Delay(60_000),
    });
    let token = sim.issue_tokens().access_token;
    {
        let mut asked = std::pin::pin!(get_as(&sim, &token, PAGE));
        while sim.journal().is_empty() {
            let wait = Duration::from_millis(5);
            assert!(tokio::time::timeout(wait, &mut asked).await.is_err());
        }
        assert_eq!(sim.journal()[0].ended, None, "it is under way");
    }
    while sim.journal()[0].ended.is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!sim.journal()[0].answered);
}
