//! Every operation of the OpenAPI document, by every kind of caller, at ids of their
//! own and of another tenant: nobody gets in where they may not, and nobody sees or
//! changes what is another's.

use crate::client::{Answer, Client, JSON};
use crate::site::{Site, connection, connector, sync};
use http::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_api::openapi::PERMISSION;
use tidegate_domain::access::{Permission, Role};
use tidegate_domain::id::{ConnectionId, TenantId};
use tidegate_store::control::Write;
use tidegate_store::grants::GrantKey;

/// Stands in everything that is the first tenant's, and in nothing else.
const MARK: &str = "marked-alpha";

struct Operation {
    id: String,
    method: Method,
    path: String,
    permission: Option<Permission>,
    has_body: bool,
}

/// All operations of the document.
async fn operations(site: &Site) -> Vec<Operation> {
    let document = site
        .nobody()
        .get("/v1/openapi.json")
        .await
        .expect(200)
        .json();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else {
                continue;
            };
            let permission = match operation[PERMISSION].as_str().unwrap() {
                "public" => None,
                _ => Some(serde_json::from_value(operation[PERMISSION].clone()).unwrap()),
            };
            found.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method,
                path: path.clone(),
                permission,
                has_body: operation.get("requestBody").is_some(),
            });
        }
    }
    found
}

/// A body that the operation takes. A new operation with a body needs a line here.
fn body(operation: &Operation) -> Option<Value> {
    let body = match operation.id.as_str() {
        _ if !operation.has_body => return None,
        "create_key" | "create_tenant_key" => json!({ "role": "tenant-viewer" }),
        "put_tenant" => json!({ "title": "changed" }),
        "put_secret" => json!({ "value": "changed" }),
        "put_connection" => connection(),
        "put_sync" => sync(MARK),
        "apply" => json!({ "connections": {}, "syncs": {} }),
        "trigger_job" => json!({ "kind": "sync" }),
        "retry_jobs" => json!({ "reason": "auth" }),
        "begin_authorization" => json!({}),
        "put_subscription" => subscription(),
        "edit_checkpoints" => json!({ "edits": [{ "partition": "all", "cursor": "{}" }] }),
        "replay_events" => json!({ "since": 1 }),
        "upload_connector" => return None,
        other => panic!("{other} has a body: add one that it takes"),
    };
    Some(body)
}

fn subscription() -> Value {
    json!({
        "url": format!("https://{MARK}.example"),
        "events": ["job.finished"],
        "secret": format!("${{secret:{MARK}}}"),
    })
}

/// The ids of one tenant's things, by the names that paths give them.
type Ids = BTreeMap<&'static str, String>;

async fn call(client: &Client, operation: &Operation, ids: &Ids) -> Answer {
    let mut path = operation.path.clone();
    for (name, id) in ids {
        path = path.replace(&format!("{{{name}}}"), id);
    }
    assert!(!path.contains('{'), "{}: no id for {path}", operation.id);
    match (operation.id.as_str(), body(operation)) {
        ("upload_connector", _) => {
            client
                .send(
                    operation.method.clone(),
                    &path,
                    &[("content-type", "application/wasm")],
                    "x",
                )
                .await
        }
        (_, Some(body)) => {
            client
                .send(
                    operation.method.clone(),
                    &path,
                    &[("content-type", JSON)],
                    body.to_string(),
                )
                .await
        }
        (_, None) => client.send(operation.method.clone(), &path, &[], "").await,
    }
}

/// One of everything; all of it carries the mark.
async fn seed(site: &Site, tenant: &str, digest: &str) -> Ids {
    let admin = site.admin(tenant).await;
    site.write(tenant, vec![connector(MARK, "1.0.0", digest, false)])
        .await;
    admin
        .put(&format!("/v1/secrets/{MARK}"), &json!({ "value": MARK }))
        .await
        .expect(204);
    let mut marked = connection();
    marked["account"] = json!(MARK);
    admin
        .put(&format!("/v1/connections/{MARK}"), &marked)
        .await
        .expect(201);
    let grant = GrantKey {
        tenant: TenantId::parse(tenant).unwrap(),
        connection: ConnectionId::parse(MARK).unwrap(),
        method: MARK.to_owned(),
    };
    let granted = site.node.store.put_grant(&grant, 1, MARK.as_bytes()).await;
    assert!(granted.unwrap());
    let mut marked = sync(MARK);
    marked["target"]["url"] = json!(format!("file:///tmp/{MARK}"));
    admin
        .put(&format!("/v1/syncs/{MARK}"), &marked)
        .await
        .expect(201);
    admin
        .put(&format!("/v1/subscriptions/{MARK}"), &subscription())
        .await
        .expect(201);
    let job = admin
        .post(
            &format!("/v1/syncs/{MARK}/jobs"),
            &json!({ "kind": "sync" }),
        )
        .await
        .expect(201)
        .json();
    let job = job["id"].as_str().unwrap().to_owned();
    admin
        .post(&format!("/v1/jobs/{job}/cancel"), &json!(null))
        .await
        .expect(200);
    let key = admin
        .post(
            "/v1/keys",
            &json!({ "role": "tenant-viewer", "title": MARK }),
        )
        .await
        .expect(201)
        .json();
    Ids::from([
        ("tenant", tenant.to_owned()),
        ("key", key["id"].as_str().unwrap().to_owned()),
        ("name", MARK.to_owned()),
        ("digest", digest.to_owned()),
        ("connection", MARK.to_owned()),
        ("sync", MARK.to_owned()),
        ("stream", "contacts".to_owned()),
        ("log", "contacts".to_owned()),
        ("job", job),
        ("subscription", MARK.to_owned()),
        ("file", "sync.json".to_owned()),
        ("number", "1".to_owned()),
        ("method", MARK.to_owned()),
    ])
}

/// All that a tenant's administrator reads of it, but for what every request moves.
async fn snapshot(admin: &Client) -> BTreeMap<&'static str, Value> {
    let mut all = BTreeMap::new();
    for path in [
        "/v1/connections",
        "/v1/syncs",
        "/v1/secrets",
        "/v1/connectors",
        "/v1/jobs",
        "/v1/keys",
        "/v1/subscriptions",
        "/v1/events",
    ] {
        let mut page = admin
            .get(&format!("{path}?limit=200"))
            .await
            .expect(200)
            .json();
        for item in page["items"].as_array_mut().unwrap() {
            item.as_object_mut().unwrap().remove("used_at_ms");
        }
        all.insert(path, page);
    }
    all
}

#[tokio::test]
async fn every_operation_is_closed_to_those_who_may_not() {
    let site = Site::new().await;
    let ids = seed(&site, "alpha", &"ab".repeat(32)).await;
    let operations = operations(&site).await;
    let mut callers = vec![("nobody", None, site.nobody())];
    for role in Role::ALL {
        callers.push((role.as_str(), Some(role), site.caller("alpha", role).await));
    }
    let revoked = site.caller("alpha", Role::PlatformAdmin).await;
    let id = revoked.get("/v1/me").await.expect(200).json()["key"]
        .as_str()
        .unwrap()
        .to_owned();
    site.write("alpha", vec![Write::RevokeKey { id }]).await;
    callers.push(("revoked", None, revoked));

    let mut walked = 0;
    for operation in &operations {
        for (name, role, client) in &callers {
            // Those who may are walked below, where nothing is changed under others.
            let expected = match (operation.permission, role) {
                (None, _) => continue,
                (Some(_), None) => 401,
                (Some(permission), Some(role)) if !role.allows(permission) => 403,
                _ => continue,
            };
            let answer = call(client, operation, &ids).await;
            assert_eq!(
                answer.status.as_u16(),
                expected,
                "{} by {name}: {}",
                operation.id,
                answer.text
            );
            assert!(
                !answer.text.contains(MARK),
                "{} by {name}: {}",
                operation.id,
                answer.text
            );
            walked += 1;
        }
    }
    println!("{walked} refusals over {} operations", operations.len());
    assert!(walked > 2 * operations.len());
}

#[tokio::test]
async fn every_operation_shows_and_changes_only_what_is_the_callers() {
    let site = Site::new().await;
    let theirs = seed(&site, "alpha", &"ab".repeat(32)).await;
    let owner = site.admin("alpha").await;
    let before = snapshot(&owner).await;
    let operations = operations(&site).await;
    let mut walked = BTreeSet::new();
    let mut calls = 0;
    for (tenant, role) in [
        ("beta", Role::TenantAdmin),
        ("beta-viewers", Role::TenantViewer),
        ("beta-platform", Role::PlatformAdmin),
    ] {
        let stranger = site.caller(tenant, role).await;
        for operation in &operations {
            let is_platform = operation.permission == Some(Permission::ManageTenants)
                || operation.path.contains("{tenant}");
            let may = operation
                .permission
                .is_none_or(|permission| role.allows(permission));
            if !may || (is_platform && role == Role::PlatformAdmin) {
                continue;
            }
            let answer = call(&stranger, operation, &theirs).await;
            let what = format!(
                "{} by a {role} of another tenant: {}",
                operation.id, answer.text
            );
            assert!(answer.status.as_u16() < 500, "{what}");
            assert_ne!(answer.status.as_u16(), 401, "{what}");
            let names_an_id = operation.path.contains('{') && operation.permission.is_some();
            let may_make_own = operation.method == Method::PUT || operation.id == "delete_secret";
            if names_an_id && !may_make_own {
                // What a PUT made under the same name is the stranger's own, so it is
                // removed before the next operation asks for it.
                assert_eq!(answer.status.as_u16(), 404, "{what}");
            }
            if operation.method == Method::PUT && answer.status.is_success() {
                let undo = Operation {
                    id: "undo".to_owned(),
                    method: Method::DELETE,
                    path: operation.path.clone(),
                    permission: None,
                    has_body: false,
                };
                call(&stranger, &undo, &theirs).await.expect(204);
            } else if !names_an_id {
                assert!(!answer.text.contains(MARK), "{what}");
            }
            walked.insert(operation.id.clone());
            calls += 1;
        }
    }
    assert_eq!(
        snapshot(&owner).await,
        before,
        "a stranger changed something"
    );
    for operation in &operations {
        let only_platform = matches!(operation.permission, Some(Permission::ManageTenants))
            || operation.path.contains("{tenant}");
        assert!(
            only_platform || walked.contains(&operation.id),
            "{} was not walked",
            operation.id
        );
    }
    println!(
        "{calls} calls with foreign ids, {} of {} operations; the others are the platform's",
        walked.len(),
        operations.len()
    );
}

#[tokio::test]
async fn every_operation_lets_those_in_who_may() {
    let site = Site::new().await;
    let operations = operations(&site).await;
    let mut walked = BTreeSet::new();
    for (at, operation) in operations.iter().enumerate() {
        for role in Role::ALL {
            if operation
                .permission
                .is_some_and(|permission| !role.allows(permission))
            {
                continue;
            }
            // Each in a tenant of its own, so that what one removes another still finds.
            let tenant = format!("own-{at}-{role}");
            let ids = seed(&site, &tenant, &format!("{:064x}", at * 8 + role as usize)).await;
            let client = site.caller(&tenant, role).await;
            let answer = call(&client, operation, &ids).await;
            let status = answer.status.as_u16();
            let what = format!("{} by {role}: {status} {}", operation.id, answer.text);
            assert!(status < 500 && status != 401 && status != 403, "{what}");
            assert!(
                status != 404
                    || matches!(
                        operation.id.as_str(),
                        "read_catalog"
                            | "read_schema"
                            | "compare_schemas"
                            | "accept_schema"
                            | "start_authorization"
                            | "end_authorization"
                    ),
                "{what}"
            );
            walked.insert(operation.id.as_str());
        }
    }
    assert_eq!(walked.len(), operations.len());
}
