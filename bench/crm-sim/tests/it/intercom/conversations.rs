//! Conversations, their parts, and the feed of deleted ones.

use std::collections::BTreeSet;

use crm_sim::intercom::{Config, Kind};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{
    call, call_as, check_problem, get, ids, list_all, search_all, start, unlimited,
};

#[tokio::test]
async fn parts_come_with_the_detail_alone() {
    let sim = start(unlimited()).await;
    let page = get(&sim, "/conversations").await.json();
    assert_eq!(page["type"], "conversation.list");
    assert_eq!(page["pages"]["per_page"], 20);
    for listed in page["conversations"].as_array().unwrap() {
        assert!(listed.get("conversation_parts").is_none());
        let target = format!("/conversations/{}", listed["id"].as_str().unwrap());
        let mut detail = get(&sim, &target).await.json();
        let parts = detail["conversation_parts"].take();
        assert_eq!(
            parts["total_count"],
            parts["conversation_parts"].as_array().unwrap().len()
        );
        detail.as_object_mut().unwrap().remove("conversation_parts");
        assert_eq!(&detail, listed);
    }
    assert_eq!(
        list_all(&sim, "/conversations", "conversations")
            .await
            .len(),
        400
    );
}

#[tokio::test]
async fn a_long_conversation_shows_its_five_hundred_newest_parts() {
    let sim = start(unlimited()).await;
    let details = sim.current(Kind::Conversations);
    let details = details.map(|version| sim.record_json(Kind::Conversations, version.id).unwrap());
    let long = details.max_by_key(String::len).unwrap();
    let long: Value = serde_json::from_str(&long).unwrap();
    let target = format!("/conversations/{}", long["id"].as_str().unwrap());
    let detail = get(&sim, &target).await.json();
    assert_eq!(detail, long);
    let parts = &detail["conversation_parts"];
    assert_eq!(parts["total_count"], 520);
    let shown: BTreeSet<String> = ids(parts, "conversation_parts").into_iter().collect();
    assert_eq!(shown.len(), 500);
    let first = format!("{}020", long["id"].as_str().unwrap());
    assert!(shown.contains(&first), "the oldest twenty are left out");
}

#[tokio::test]
async fn an_edit_adds_a_part_and_plain_text_has_no_markup() {
    let sim = start(unlimited()).await;
    let (id, at_ms) =
        sim.edit_count(Kind::Conversations, 1, 1_772_685_000_000, 1_772_685_000_000)[0];
    let html = get(&sim, &format!("/conversations/{id}")).await.json();
    let plain = get(&sim, &format!("/conversations/{id}?display_as=plaintext"))
        .await
        .json();
    assert_eq!(html["updated_at"], at_ms / 1000);
    let newest = |detail: &Value| {
        detail["conversation_parts"]["conversation_parts"]
            .as_array()
            .unwrap()
            .last()
            .unwrap()
            .clone()
    };
    assert_eq!(newest(&html)["created_at"], at_ms / 1000);
    let body = newest(&plain)["body"].as_str().unwrap().to_owned();
    assert!(body.starts_with("Edited"));
    assert_eq!(newest(&html)["body"], format!("<p>{body}</p>"));
    let found = search_all(
        &sim,
        "/conversations/search",
        &json!({"query": {"field": "updated_at", "operator": ">", "value": 1_772_000_000}}),
    )
    .await;
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn details_are_functions_of_the_seed() {
    let config = Config {
        conversations: 20_000,
        ..unlimited()
    };
    let (one, other) = (start(config.clone()).await, start(config.clone()).await);
    let changed = start(Config { seed: 2, ..config }).await;
    let mut differ = 0;
    for version in one.current(Kind::Conversations).step_by(199) {
        let detail = one.record_json(Kind::Conversations, version.id);
        assert_eq!(detail, other.record_json(Kind::Conversations, version.id));
        differ += usize::from(detail != changed.record_json(Kind::Conversations, version.id));
    }
    assert_eq!(differ, 101);
}

#[tokio::test]
async fn deleted_conversations_are_listed_from_2_16_on_only() {
    let sim = start(unlimited()).await;
    let gone = sim.delete_count(Kind::Conversations, 25, 1_772_685_000_000);
    let more = gone[0] + 1;
    let answer = get(&sim, &format!("/conversations/{}", gone[0])).await;
    check_problem(&answer, 404, "not_found", "Resource Not Found");
    assert_eq!(
        get(&sim, &format!("/conversations/{more}")).await.status,
        404
    );
    assert_eq!(get(&sim, "/conversations/deleted").await.status, 400);
    let mut feed = BTreeSet::new();
    let mut target = "/conversations/deleted?order=asc".to_owned();
    loop {
        let page = call_as(&sim, "2.16", Method::GET, &target, &Value::Null)
            .await
            .json();
        assert_eq!(page["type"], "conversations.list");
        feed.extend(ids(&page, "conversations"));
        let Some(next) = page["pages"]["next"].as_str() else {
            break;
        };
        target = next.strip_prefix(sim.base_url()).unwrap().to_owned();
    }
    assert_eq!(feed, gone.iter().map(u64::to_string).collect());
    let left = list_all(&sim, "/conversations", "conversations").await;
    let id = left.first().unwrap();
    let answer = call(
        &sim,
        Method::DELETE,
        &format!("/conversations/{id}"),
        &Value::Null,
    )
    .await;
    assert_eq!(
        answer.json(),
        json!({"id": id, "object": "conversation", "deleted": true})
    );
    assert_eq!(sim.live_count(Kind::Conversations), 374);
}
