//! Searches: operators, caps, whole days, order, and an index that lags.

use crm_sim::intercom::{IntercomSim, Kind};
use serde_json::{Value, json};

use super::client::{check_problem, post, search_all, start, unlimited};

/// 2026-03-04 20:30:00 in Los Angeles, 2026-03-05 04:30:00 UTC.
const EVENING_S: i64 = 1_772_685_000;

async fn count(sim: &IntercomSim, query: Value) -> u64 {
    let answer = post(sim, "/contacts/search", &json!({"query": query})).await;
    let body = answer.json();
    assert_eq!(answer.status, 200, "{body}");
    body["total_count"].as_u64().unwrap()
}

fn updated(operator: &str, value: i64) -> Value {
    json!({"field": "updated_at", "operator": operator, "value": value})
}

#[tokio::test]
async fn times_are_compared_by_the_day_of_the_workspaces_time_zone() {
    let sim = start(unlimited()).await;
    let ids: Vec<u64> = sim
        .current(Kind::Contacts)
        .take(4)
        .map(|version| version.id)
        .collect();
    // An hour before midnight, a minute before, a minute after, and a day later: all of
    // the first three are the same day in UTC.
    let midnight_s = EVENING_S + 3 * 3600 + 1800;
    for (id, at_s) in ids.iter().zip([-3600, -60, 60, 86_400]) {
        sim.edit(Kind::Contacts, &[*id], (midnight_s + at_s) * 1000);
    }
    assert_eq!(count(&sim, updated("=", EVENING_S)).await, 2);
    assert_eq!(
        count(&sim, updated(">", EVENING_S)).await,
        2,
        "not the rest of the day"
    );
    assert_eq!(count(&sim, updated("<", EVENING_S)).await, 996);
    let recipe =
        json!({"operator": "OR", "value": [updated(">", EVENING_S), updated("=", EVENING_S)]});
    assert_eq!(count(&sim, recipe).await, 4);
    for operator in ["!=", ">=", "<=", "IN", "NIN", "~"] {
        let body = json!({"query": updated(operator, EVENING_S)});
        assert_eq!(
            post(&sim, "/contacts/search", &body).await.status,
            400,
            "{operator}"
        );
    }
}

#[tokio::test]
async fn values_and_order_have_full_precision() {
    let sim = start(unlimited()).await;
    sim.edit_count(
        Kind::Contacts,
        300,
        EVENING_S * 1000,
        (EVENING_S + 9000) * 1000,
    );
    let body = json!({
        "query": {"operator": "OR", "value": [updated(">", EVENING_S), updated("=", EVENING_S)]},
        "sort": {"field": "updated_at", "order": "ascending"},
        "pagination": {"per_page": 17},
    });
    let found = search_all(&sim, "/contacts/search", &body).await;
    let times: Vec<i64> = found
        .iter()
        .map(|contact| contact["updated_at"].as_i64().unwrap())
        .collect();
    assert_eq!(times.len(), 300);
    assert!(times.is_sorted() && times[299] - times[0] > 8000);
    let body = json!({"query": updated("<", EVENING_S), "sort": {"field": "created_at", "order": "descending"}});
    let found = search_all(&sim, "/contacts/search", &body).await;
    let times = found
        .iter()
        .map(|contact| contact["created_at"].as_i64().unwrap());
    assert!(times.rev().is_sorted());
    assert_eq!(found.len(), 700);
}

#[tokio::test]
async fn a_record_that_changes_under_a_descending_search_is_missed_and_under_an_ascending_one_comes_twice()
 {
    for (order, expected) in [("ascending", 1001), ("descending", 999)] {
        let sim = start(unlimited()).await;
        let mut body = json!({
            "query": updated(">", 1),
            "sort": {"field": "updated_at", "order": order},
            "pagination": {"per_page": 150},
        });
        let first = post(&sim, "/contacts/search", &body).await.json();
        let versions = sim.current(Kind::Contacts);
        let moved = if order == "ascending" {
            // One that was seen already.
            Kind::Contacts
                .parse_id(first["data"][0]["id"].as_str().unwrap())
                .unwrap()
        } else {
            versions
                .min_by_key(|version| version.modified_ms)
                .unwrap()
                .id
        };
        sim.edit(Kind::Contacts, &[moved], EVENING_S * 1000);
        let mut seen = 150;
        let mut page = first;
        while let Some(cursor) = page["pages"]["next"]["starting_after"].as_str() {
            body["pagination"]["starting_after"] = json!(cursor);
            page = post(&sim, "/contacts/search", &body).await.json();
            seen += page["data"].as_array().unwrap().len();
        }
        assert_eq!(seen, expected, "{order}");
    }
}

#[tokio::test]
async fn each_operator_lets_through_what_it_says() {
    let sim = start(unlimited()).await;
    let leads = count(
        &sim,
        json!({"field": "role", "operator": "=", "value": "lead"}),
    )
    .await;
    assert_eq!(leads, 250);
    let users = json!({"field": "role", "operator": "!=", "value": "lead"});
    assert_eq!(count(&sim, users.clone()).await, 750);
    let either = json!({"field": "role", "operator": "IN", "value": ["lead", "user"]});
    assert_eq!(count(&sim, either).await, 1000);
    let neither = json!({"field": "role", "operator": "NIN", "value": ["lead", "user"]});
    assert_eq!(count(&sim, neither).await, 0);
    let starts = json!({"field": "email", "operator": "^", "value": "USER."});
    assert_eq!(count(&sim, starts).await, 1000);
    let ends = json!({"field": "email", "operator": "$", "value": "-7@example.com"});
    assert_eq!(count(&sim, ends.clone()).await, 1);
    let lacks = json!({"field": "email", "operator": "!~", "value": "-7@"});
    assert_eq!(count(&sim, lacks).await, 999);
    let both = json!({"operator": "AND", "value": [users, ends]});
    assert_eq!(count(&sim, both).await, 0, "the seventh contact is a lead");
    let owner =
        |operator: &str| json!({"field": "owner_id", "operator": operator, "value": 4_518_200});
    let (below, above) = (count(&sim, owner("<")).await, count(&sim, owner(">")).await);
    assert!(
        below > 0 && above > 0 && below + above < 1000,
        "some have no owner"
    );
    let rich = json!({"field": "custom_attributes.LTV", "operator": ">", "value": 50_000});
    assert!((300..700).contains(&count(&sim, rich).await));
}

#[tokio::test]
async fn malformed_searches_are_refused() {
    let sim = start(unlimited()).await;
    let filter = json!({"field": "email", "operator": "=", "value": "x"});
    let many = vec![filter.clone(); 16];
    let nested = json!({"operator": "AND", "value": [{"operator": "OR", "value": [{"operator": "AND", "value": [filter]}]}]});
    let refused = [
        json!({}),
        json!({"query": {"field": "shoe_size", "operator": "=", "value": 1}}),
        json!({"query": {"field": "updated_at", "operator": ">", "value": "2026-01-01"}}),
        json!({"query": {"field": "owner_id", "operator": ">", "value": "seven"}}),
        json!({"query": {"operator": "AND", "value": many}}),
        json!({"query": nested}),
        json!({"query": filter, "pagination": {"per_page": 151}}),
        json!({"query": filter, "pagination": {"starting_after": "nonsense"}}),
    ];
    for body in refused {
        let answer = post(&sim, "/contacts/search", &body).await;
        assert_eq!(answer.status, 400, "{body}");
    }
    let body = json!({"query": filter, "sort": {"field": "updated_at", "order": "asc"}});
    let answer = post(&sim, "/contacts/search", &body).await;
    check_problem(
        &answer,
        400,
        "invalid_sort_order",
        "sort order must be ascending or descending",
    );
    let two = json!({"operator": "AND", "value": [{"operator": "OR", "value": [filter]}]});
    assert_eq!(count(&sim, two).await, 0);
}

#[tokio::test]
async fn a_lagging_index_shows_what_was_before() {
    let sim = start(unlimited()).await;
    sim.clock().fix(EVENING_S * 1000);
    let edited = sim.edit_count(Kind::Contacts, 5, EVENING_S * 1000, EVENING_S * 1000);
    sim.clock().advance(60_000);
    sim.create(Kind::Contacts, 3, (EVENING_S + 60) * 1000);
    sim.delete(Kind::Contacts, &[edited[0].0], (EVENING_S + 60) * 1000);
    let today = updated("=", EVENING_S);
    assert_eq!(count(&sim, today.clone()).await, 7);
    sim.set_search_lag_ms(30_000);
    assert_eq!(
        count(&sim, today.clone()).await,
        5,
        "neither created nor deleted yet"
    );
    sim.set_search_lag_ms(120_000);
    assert_eq!(count(&sim, today.clone()).await, 0);
    let all =
        json!({"query": updated(">", 1), "sort": {"field": "updated_at", "order": "ascending"}});
    let found = search_all(&sim, "/contacts/search", &all).await;
    assert_eq!(found.len(), 1000);
    assert!(
        found
            .iter()
            .map(|contact| contact["updated_at"].as_i64())
            .is_sorted()
    );
    sim.clock().advance(120_000);
    assert_eq!(count(&sim, today).await, 7);
}
