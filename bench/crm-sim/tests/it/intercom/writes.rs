//! Writes of contacts: identities, roles, tags, archives.

use crm_sim::intercom::{IntercomSim, Kind};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{call, call_as, check_problem, get, list_all, post, start, unlimited};

async fn create(sim: &IntercomSim, body: Value) -> Value {
    let answer = post(sim, "/contacts", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.json()
}

fn path(contact: &Value) -> String {
    format!("/contacts/{}", contact["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_user_is_made_once_and_a_lead_as_often_as_you_like() {
    let sim = start(unlimited()).await;
    let user = create(
        &sim,
        json!({"role": "user", "email": "a@example.org", "external_id": "a"}),
    )
    .await;
    assert_eq!(
        (&user["role"], &user["custom_attributes"]),
        (&json!("user"), &json!({}))
    );
    let again = post(&sim, "/contacts", &json!({"email": "a@example.org"})).await;
    let id = user["id"].as_str().unwrap();
    let message = format!("A contact matching those details already exists with id={id}");
    check_problem(&again, 409, "conflict", &message);
    let lead = json!({"role": "lead", "email": "a@example.org", "external_id": null});
    let leads = [create(&sim, lead.clone()).await, create(&sim, lead).await];
    assert_ne!(leads[0]["external_id"], leads[1]["external_id"]);
    assert_eq!(
        leads[0]["external_id"].as_str().unwrap().len(),
        36,
        "assigned although null was sent"
    );
    let known = get(&sim, "/contacts/find_by_external_id/a").await.json();
    assert_eq!(known["id"], user["id"]);
}

#[tokio::test]
async fn a_put_writes_what_it_names_and_no_change_is_no_modification() {
    let sim = start(unlimited()).await;
    sim.clock().fix(1_772_685_000_000);
    let user = create(&sim, json!({"email": "b@example.org", "name": "B"})).await;
    let put = |body: Value| {
        let sim = &sim;
        let path = path(&user);
        async move { call(sim, Method::PUT, &path, &body).await.json() }
    };
    sim.clock().advance(5_000);
    let written =
        put(json!({"phone": "+1", "custom_attributes": {"number_field": 13, "text_field": "x"}}))
            .await;
    assert_eq!(written["updated_at"], 1_772_685_005);
    assert_eq!(
        (&written["name"], &written["phone"]),
        (&json!("B"), &json!("+1"))
    );
    assert_eq!(
        written["custom_attributes"],
        json!({"number_field": 13, "text_field": "x"})
    );
    sim.clock().advance(5_000);
    let same = put(json!({"phone": "+1", "email": "b@example.org"})).await;
    assert_eq!(same["updated_at"], 1_772_685_005);
    let cleared = put(json!({"email": null, "custom_attributes": {"number_field": null}})).await;
    assert_eq!(
        (
            &cleared["email"],
            &cleared["custom_attributes"]["number_field"]
        ),
        (&json!(""), &Value::Null)
    );
    assert_eq!(cleared["custom_attributes"]["text_field"], "x");
    let unknown = put(json!({"custom_attributes": {"isOpenSource": true}})).await;
    assert_eq!(
        unknown["errors"][0]["message"],
        "Custom attribute 'isOpenSource' does not exist"
    );
}

#[tokio::test]
async fn a_user_never_becomes_a_lead_again() {
    let sim = start(unlimited()).await;
    let lead = create(&sim, json!({"role": "lead", "name": "L"})).await;
    let kept = call(
        &sim,
        Method::PUT,
        &path(&lead),
        &json!({"external_id": "mine"}),
    )
    .await
    .json();
    assert_eq!(kept["external_id"], lead["external_id"]);
    let user = call(
        &sim,
        Method::PUT,
        &path(&lead),
        &json!({"role": "user", "external_id": "mine"}),
    )
    .await
    .json();
    assert_eq!(
        (&user["role"], &user["external_id"]),
        (&json!("user"), &json!("mine"))
    );
    let answer = call(&sim, Method::PUT, &path(&lead), &json!({"role": "lead"})).await;
    check_problem(
        &answer,
        400,
        "client_error",
        "Contact with user role can't be converted to a lead",
    );
}

#[tokio::test]
async fn an_archived_contact_looks_deleted_until_it_is_back() {
    let sim = start(unlimited()).await;
    let user = create(&sim, json!({"email": "c@example.org"})).await;
    let (id, path) = (user["id"].as_str().unwrap(), path(&user));
    let archive = format!("{path}/archive");
    let answer = call_as(&sim, "2.3", Method::POST, &archive, &json!({})).await;
    assert_eq!(
        answer.json(),
        json!({"id": id, "object": "contact", "archived": true})
    );
    check_problem(&get(&sim, &path).await, 404, "not_found", "User Not Found");
    assert!(!list_all(&sim, "/contacts", "data").await.contains(id));
    let search = json!({"query": {"field": "email", "operator": "=", "value": "c@example.org"}});
    assert_eq!(
        post(&sim, "/contacts/search", &search).await.json()["total_count"],
        0
    );
    let again = post(&sim, "/contacts", &json!({"email": "c@example.org"})).await;
    let message = format!("An archived contact matching those details already exists with id={id}");
    check_problem(&again, 409, "conflict", &message);
    let back = post(&sim, &format!("{path}/unarchive"), &json!({}))
        .await
        .json();
    assert_eq!(
        back,
        json!({"id": id, "type": "contact", "external_id": null, "archived": false})
    );
    assert_eq!(get(&sim, &path).await.json()["email"], "c@example.org");
}

#[tokio::test]
async fn a_deleted_contact_keeps_its_identity_and_cannot_come_back() {
    let sim = start(unlimited()).await;
    let user = create(&sim, json!({"email": "d@example.org", "external_id": "d"})).await;
    let gone = call(&sim, Method::DELETE, &path(&user), &Value::Null)
        .await
        .json();
    assert_eq!(
        gone,
        json!({"id": user["id"], "type": "contact", "external_id": "d", "deleted": true})
    );
    assert_eq!(
        post(&sim, "/contacts", &json!({"email": "d@example.org"}))
            .await
            .status,
        409
    );
    let back = post(&sim, &format!("{}/unarchive", path(&user)), &json!({})).await;
    let message = "User has been marked for permanent deletion and is not restorable.";
    check_problem(&back, 400, "bad_request", message);
    let id = Kind::Contacts
        .parse_id(user["id"].as_str().unwrap())
        .unwrap();
    assert!(sim.versions_of(Kind::Contacts, id).last().unwrap().archived);
}

#[tokio::test]
async fn a_tag_modifies_the_contact_that_gets_it() {
    let sim = start(unlimited()).await;
    sim.clock().fix(1_772_685_000_000);
    let user = create(&sim, json!({"email": "e@example.org"})).await;
    let tags = format!("{}/tags", path(&user));
    sim.clock().advance(7_000);
    let tag = post(&sim, &tags, &json!({"id": "4919472"})).await.json();
    assert_eq!(
        tag,
        json!({"type": "tag", "id": "4919472", "name": "All Emails"})
    );
    let tagged = get(&sim, &path(&user)).await.json();
    assert_eq!(tagged["updated_at"], 1_772_685_007);
    assert_eq!(
        tagged["tags"]["data"],
        json!([{"id": "4919472", "type": "tag", "url": "/tags/4919472"}])
    );
    call(
        &sim,
        Method::DELETE,
        &format!("{tags}/4919472"),
        &Value::Null,
    )
    .await;
    assert_eq!(
        get(&sim, &tags).await.json(),
        json!({"type": "list", "data": []})
    );
    check_problem(
        &post(&sim, &tags, &json!({"id": "1"})).await,
        404,
        "tag_not_found",
        "Tag not found",
    );
}
