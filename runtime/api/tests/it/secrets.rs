//! Secrets go in and never come out.

use crate::client::{Answer, JSON};
use crate::site::{Site, connection, sync};
use http::Method;
use serde_json::{Value, json};
use tidegate_domain::access::Role;
use tidegate_domain::id::TenantId;
use tidegate_domain::spec::SecretRef;

const CANARY: &str = "c4n4ry-5f1d2a";

#[tokio::test]
async fn no_answer_ever_holds_a_secret_wherever_it_was_sent() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    let mut answers: Vec<Answer> = Vec::new();
    let quoted = format!("\"{CANARY}\"");
    answers.push(
        admin
            .put("/v1/secrets/token", &json!({ "value": CANARY }))
            .await
            .expect(204),
    );
    answers.push(
        admin
            .put("/v1/secrets/token", &json!({ "value": [CANARY] }))
            .await
            .expect(422),
    );
    answers.push(
        admin
            .put("/v1/secrets/token", &json!(CANARY))
            .await
            .expect(422),
    );
    answers.push(
        admin
            .put("/v1/secrets/token", &json!({ "value": "x", CANARY: 1 }))
            .await,
    );
    answers.pop(); // a field's name is not a value
    let mut literal = connection();
    literal["secrets"] = json!({ "token": CANARY });
    answers.push(admin.put("/v1/connections/crm", &literal).await.expect(422));
    literal["secrets"] = json!({ "token": "${secret:token}" });
    answers.push(admin.put("/v1/connections/crm", &literal).await.expect(201));
    for misplaced in [
        json!({ "connector": "hubspot", "concurrency_max": CANARY }),
        json!({ "connector": "hubspot", "oauth_app": { "client_id": "a", "client_secret": CANARY } }),
        json!({ "connector": "hubspot", "oauth_app": CANARY }),
        json!({ "connector": 7, "secrets": CANARY }),
    ] {
        answers.push(
            admin
                .put("/v1/connections/other", &misplaced)
                .await
                .expect(422),
        );
    }
    let mut target = sync("crm");
    target["target"]["secret_key"] = json!(CANARY);
    answers.push(admin.put("/v1/syncs/crm", &target).await.expect(422));
    target["target"]["secret_key"] = json!("${secret:token}");
    target["streams"][0]["mode"] = json!(CANARY);
    answers.push(admin.put("/v1/syncs/crm", &target).await.expect(422));
    let set = json!({ "secrets": { "other": CANARY } });
    answers.push(admin.post("/v1/apply?dry_run=true", &set).await.expect(200));
    answers.push(admin.post("/v1/apply", &set).await.expect(200));
    answers.push(admin.post_as("/v1/apply", "again", &set).await.expect(200));
    answers.push(admin.post_as("/v1/apply", "again", &set).await.expect(200));
    answers.push(
        admin
            .post("/v1/apply", &json!({ "secrets": { "a b": CANARY } }))
            .await
            .expect(422),
    );
    answers.push(
        admin
            .post("/v1/apply", &json!({ "secrets": { "a": [CANARY] } }))
            .await
            .expect(422),
    );
    answers.push(
        admin
            .send(
                Method::PUT,
                "/v1/secrets/token",
                &[("content-type", JSON)],
                format!("{{\"value\":{quoted}"),
            )
            .await
            .expect(400),
    );
    answers.push(
        admin
            .post("/v1/syncs/crm/jobs", &json!({ "kind": CANARY }))
            .await,
    );
    answers.push(
        admin
            .get(&format!("/v1/jobs?state={CANARY}"))
            .await
            .expect(422),
    );
    for path in [
        "secrets",
        "connections",
        "connections/crm",
        "syncs",
        "events",
        "audit?limit=200",
        "keys",
        "jobs",
        "connectors",
    ] {
        answers.push(admin.get(&format!("/v1/{path}")).await.expect(200));
    }
    for answer in &answers {
        let headers = format!("{:?}", answer.headers);
        assert!(
            !answer.text.contains(CANARY) && !headers.contains(CANARY),
            "{}",
            answer.text
        );
    }
}

#[tokio::test]
async fn a_secret_is_sealed_in_the_database_and_opens_for_its_own_name_only() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    admin
        .put("/v1/secrets/token", &json!({ "value": CANARY }))
        .await
        .expect(204);
    let tenant = TenantId::parse("acme").unwrap();
    let sealed = site
        .node
        .store
        .secret(&tenant, "token")
        .await
        .unwrap()
        .unwrap();
    assert!(
        !sealed
            .windows(CANARY.len())
            .any(|window| window == CANARY.as_bytes())
    );
    let open = async |reference: &str| {
        site.node
            .secret(&tenant, &SecretRef::parse(reference).unwrap(), "test")
            .await
    };
    let opened = open("${secret:token}").await.unwrap();
    assert_eq!(secrecy::ExposeSecret::expose_secret(&opened), CANARY);
    assert!(open("${env:HOME}").await.is_err());
}

#[tokio::test]
async fn a_secret_that_a_document_names_stays() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    admin
        .put("/v1/secrets/token", &json!({ "value": CANARY }))
        .await
        .expect(204);
    let mut body = connection();
    body["secrets"] = json!({ "token": "${secret:token}" });
    admin.put("/v1/connections/crm", &body).await.expect(201);
    assert_eq!(
        admin.delete("/v1/secrets/token").await.expect(409).code(),
        "in_use"
    );
    admin.delete("/v1/connections/crm").await.expect(204);
    admin.delete("/v1/secrets/token").await.expect(204);
    assert_eq!(
        admin.get("/v1/secrets").await.expect(200).json()["items"],
        json!([])
    );
}

#[tokio::test]
async fn a_viewer_reads_names_and_writes_nothing() {
    let site = Site::new().await;
    let (admin, viewer) = (
        site.admin("acme").await,
        site.caller("acme", Role::TenantViewer).await,
    );
    admin
        .put("/v1/secrets/token", &json!({ "value": CANARY }))
        .await
        .expect(204);
    let listed: Value = viewer.get("/v1/secrets").await.expect(200).json();
    assert_eq!(listed["items"][0]["name"], "token");
    assert_eq!(
        listed["items"][0].as_object().unwrap().len(),
        2,
        "more than a name and a time: {listed}"
    );
    viewer
        .put("/v1/secrets/token", &json!({ "value": "x" }))
        .await
        .expect(403);
    viewer.delete("/v1/secrets/token").await.expect(403);
}
