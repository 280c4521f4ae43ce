//! Every fault as a client meets it.

use crm_sim::hubspot::{CrmSim, Fault, Kind, PathKind, Rule, When, WrongJson};

use super::client::{Answer, get, get_as, unlimited};

const LIST: &str = "/crm/v3/objects/contacts?limit=50";

/// The answer to the first request under a fault, and that to the second.
async fn struck(sim: &CrmSim, fault: Fault) -> Answer {
    sim.install_fault(Rule {
        path: Some(PathKind::List),
        when: When::Ordinal { skip: 0, take: 1 },
        fault,
    });
    let answer = get(sim, LIST).await;
    let after = get(sim, LIST).await;
    assert_eq!((after.status, after.ids().len()), (200, 50));
    sim.clear_faults();
    answer
}

#[tokio::test]
async fn servers_and_edges_fail_with_their_own_bodies() {
    let sim = unlimited(100).await;
    let server = struck(&sim, Fault::Status(500)).await;
    assert_eq!(
        (server.status, server.json()["status"].as_str()),
        (500, Some("error"))
    );
    let edge = struck(&sim, Fault::Status(502)).await;
    assert_eq!(edge.status, 502);
    assert!(
        edge.header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    assert_eq!(sim.counters().faulted, 2);
}

#[tokio::test]
async fn a_cut_body_ends_before_its_length() {
    let sim = unlimited(100).await;
    let cut = struck(&sim, Fault::Cut(500)).await;
    assert_eq!(cut.status, 200);
    let promised: usize = cut.header("content-length").unwrap().parse().unwrap();
    assert!(cut.broken);
    assert!(
        cut.body.len() < promised,
        "{} of {promised}",
        cut.body.len()
    );
}

#[tokio::test]
async fn throttling_names_a_delay_only_when_told_to() {
    let sim = unlimited(100).await;
    let silent = struck(
        &sim,
        Fault::Throttle {
            retry_after_s: None,
        },
    )
    .await;
    assert_eq!((silent.status, silent.header("retry-after")), (429, None));
    let spoken = Fault::Throttle {
        retry_after_s: Some(3),
    };
    assert_eq!(struck(&sim, spoken).await.header("retry-after"), Some("3"));
}

#[tokio::test]
async fn an_early_expiry_ends_the_presented_token() {
    let sim = unlimited(100).await;
    sim.install_fault(Rule {
        path: None,
        when: When::Ordinal { skip: 0, take: 1 },
        fault: Fault::ExpireToken,
    });
    let token = sim.issue_tokens().access_token;
    for _ in 0..2 {
        let answer = get_as(&sim, &token, LIST).await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.json()["category"], "EXPIRED_AUTHENTICATION");
    }
    assert_eq!(get(&sim, LIST).await.status, 200);
}

#[tokio::test]
async fn redirects_and_lies_are_told_as_asked() {
    let sim = unlimited(100).await;
    let redirect = struck(&sim, Fault::Redirect("http://127.0.0.1:1/".to_owned())).await;
    assert_eq!(
        (redirect.status, redirect.header("location")),
        (302, Some("http://127.0.0.1:1/"))
    );
    for wrong in [
        WrongJson::Html,
        WrongJson::Truncated,
        WrongJson::Empty,
        WrongJson::WrongShape,
    ] {
        let lie = struck(&sim, Fault::WrongJson(wrong)).await;
        assert_eq!(lie.status, 200);
        assert!(!lie.broken);
        let parsed: Result<serde_json::Value, _> = serde_json::from_slice(&lie.body);
        assert!(
            parsed.is_err() || !parsed.unwrap()["results"].is_array(),
            "{wrong:?}"
        );
    }
}

#[tokio::test]
async fn short_pages_keep_their_cursor_and_lose_nothing() {
    let sim = unlimited(120).await;
    sim.install_fault(Rule {
        path: Some(PathKind::List),
        when: When::Share {
            per_mille: 500,
            seed: 3,
        },
        fault: Fault::ShortPage(2),
    });
    sim.install_fault(Rule {
        path: Some(PathKind::List),
        when: When::Ordinal { skip: 1, take: 1 },
        fault: Fault::ShortPage(0),
    });
    let mut seen = Vec::new();
    let mut target = LIST.to_owned();
    loop {
        let page = get(&sim, &target).await;
        seen.extend(page.ids());
        match page.json()["paging"]["next"]["after"].as_str() {
            Some(after) => target = format!("{LIST}&after={after}"),
            None => break,
        }
    }
    let truth: Vec<u64> = sim
        .current(Kind::Contacts)
        .map(|record| record.id)
        .collect();
    assert_eq!(seen, truth);
}
