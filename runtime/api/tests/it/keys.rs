//! Keys and tenants: who gets in, and what a key may make.

use crate::client::Client;
use crate::site::Site;
use serde_json::{Value, json};
use tidegate_domain::access::Role;
use tidegate_store::clock::now_ms;

#[tokio::test]
async fn a_key_is_shown_once_works_at_once_and_ends_when_it_is_revoked() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    let made = admin
        .post(
            "/v1/keys",
            &json!({ "role": "tenant-viewer", "title": "reports" }),
        )
        .await
        .expect(201)
        .json();
    let (id, text) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let viewer = Client {
        key: Some(text.to_owned()),
        ..admin.clone()
    };
    let me = viewer.get("/v1/me").await.expect(200).json();
    assert_eq!(
        me,
        json!({ "tenant": "acme", "key": id, "role": "tenant-viewer" })
    );

    let listed = admin.get("/v1/keys").await.expect(200);
    assert!(!listed.text.contains(text), "a key's text was shown again");
    let listed = listed.json();
    let row = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["id"] == id)
        .unwrap();
    assert_eq!(row["title"], "reports");
    assert!(row["used_at_ms"].as_u64().is_some(), "{row}");

    admin.delete(&format!("/v1/keys/{id}")).await.expect(204);
    let refused = viewer.get("/v1/me").await.expect(401);
    assert_eq!(refused.code(), "unauthenticated");
    assert_eq!(refused.header("www-authenticate"), "Bearer");
}

#[tokio::test]
async fn nobody_makes_a_key_that_is_stronger_or_already_over() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    let stronger = admin
        .post("/v1/keys", &json!({ "role": "platform-admin" }))
        .await
        .expect(403);
    assert_eq!(stronger.code(), "forbidden");
    let over = admin
        .post(
            "/v1/keys",
            &json!({ "role": "tenant-viewer", "expires_at_ms": now_ms() - 1 }),
        )
        .await
        .expect(422);
    assert_eq!(over.json()["errors"][0]["pointer"], "/expires_at_ms");
}

#[tokio::test]
async fn what_is_no_key_opens_nothing() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    let good = admin.key.clone().unwrap();
    let mut bad = vec![
        None,
        Some(String::new()),
        Some("tg_x".to_owned()),
        Some(format!("{good} ")),
    ];
    bad.push(Some(format!("{}A", &good[..good.len() - 1])).filter(|other| *other != good));
    bad.push(Some(good.to_uppercase()));
    for key in bad {
        let client = Client {
            key: key.clone(),
            ..admin.clone()
        };
        // A trailing space is trimmed by HTTP itself.
        let expected = if key == Some(format!("{good} ")) {
            200
        } else {
            401
        };
        client.get("/v1/me").await.expect(expected);
    }
    let basic = [("authorization", "Basic dXNlcjpwYXNz")];
    site.nobody()
        .send(http::Method::GET, "/v1/me", &basic, "")
        .await
        .expect(401);
}

#[tokio::test]
async fn a_platform_administrator_makes_a_tenant_and_its_first_key() {
    let site = Site::new().await;
    let platform = site.caller("platform", Role::PlatformAdmin).await;
    let made = platform
        .put("/v1/tenants/umbrella", &json!({ "title": "Umbrella" }))
        .await
        .expect(201);
    let tag = made.header("etag").to_owned();
    assert_eq!(
        made.json()["spec"],
        json!({ "title": "Umbrella", "suspended": false })
    );
    let key = platform
        .post(
            "/v1/tenants/umbrella/keys",
            &json!({ "role": "tenant-admin" }),
        )
        .await
        .expect(201)
        .json();
    let admin = Client {
        key: key["key"].as_str().map(str::to_owned),
        ..platform.clone()
    };
    assert_eq!(
        admin.get("/v1/me").await.expect(200).json()["tenant"],
        "umbrella"
    );
    admin.get("/v1/tenants").await.expect(403);

    let headers = [
        ("content-type", crate::client::JSON),
        ("if-match", tag.as_str()),
    ];
    let suspended = json!({ "suspended": true, "jobs_max": 3 }).to_string();
    let put = platform
        .send(
            http::Method::PUT,
            "/v1/tenants/umbrella",
            &headers,
            suspended.clone(),
        )
        .await
        .expect(200);
    assert_eq!(put.json()["spec"]["jobs_max"], 3);
    let stale = platform
        .send(
            http::Method::PUT,
            "/v1/tenants/umbrella",
            &headers,
            suspended,
        )
        .await
        .expect(412);
    assert_eq!(stale.code(), "revision_changed");
    platform.get("/v1/tenants/nobody").await.expect(404);
}

#[tokio::test]
async fn a_deleted_tenant_leaves_nothing_but_its_audit_log_and_others_stay() {
    let site = Site::new().await;
    let platform = site.caller("platform", Role::PlatformAdmin).await;
    let neighbour = site.admin("globex").await;
    let admin = site.admin("acme").await;
    for client in [&admin, &neighbour] {
        client
            .put("/v1/secrets/token", &json!({ "value": "s3cret" }))
            .await
            .expect(204);
        client
            .put("/v1/connections/crm", &crate::site::connection())
            .await
            .expect(201);
    }
    let refused = platform.delete("/v1/tenants/acme").await.expect(409);
    assert_eq!(refused.code(), "in_use", "it is not suspended");
    platform
        .put("/v1/tenants/acme", &json!({ "suspended": true }))
        .await
        .expect(200);
    platform.delete("/v1/tenants/acme").await.expect(204);

    admin.get("/v1/me").await.expect(401);
    platform.get("/v1/tenants/acme").await.expect(404);
    platform.delete("/v1/tenants/acme").await.expect(404);
    let behind = rusqlite::Connection::open(site.database()).unwrap();
    let tables = "SELECT m.name, c.name FROM sqlite_schema AS m JOIN pragma_table_info(m.name) AS c
                  WHERE m.type = 'table' AND c.name IN ('tenant', 'owner') AND m.name <> 'audit'";
    let mut statement = behind.prepare(tables).unwrap();
    let columns = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    let columns: Vec<(String, String)> = columns.collect::<Result<_, _>>().unwrap();
    assert!(columns.len() > 15, "{columns:?}");
    for (table, column) in columns {
        let left: u64 = behind
            .query_row(
                &format!("SELECT count(*) FROM {table} WHERE {column} = 'acme'"),
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(left, 0, "{table}");
    }
    let noted: u64 = behind
        .query_row(
            "SELECT count(*) FROM audit WHERE tenant = 'acme' AND action = 'tenant.delete'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(noted, 1);
    neighbour.get("/v1/connections/crm").await.expect(200);
    neighbour.get("/v1/secrets").await.expect(200);

    // Its name is free, and what comes by it finds nothing of the old one.
    platform
        .put("/v1/tenants/acme", &json!({}))
        .await
        .expect(201);
    let again = site.admin("acme").await;
    let found = again.get("/v1/connections").await.expect(200).json();
    assert_eq!(found["items"], json!([]));
}

#[tokio::test]
async fn refusals_and_changes_are_in_the_audit_log_and_the_chain_is_whole() {
    let site = Site::new().await;
    let admin = site.admin("acme").await;
    let viewer = site.caller("acme", Role::TenantViewer).await;
    viewer.get("/v1/keys").await.expect(403);
    admin
        .put("/v1/connections/crm", &crate::site::connection())
        .await
        .expect(201);
    let log = admin.get("/v1/audit?limit=200").await.expect(200).json();
    let entries: Vec<(&str, &str)> = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (
                entry["action"].as_str().unwrap(),
                entry["subject"].as_str().unwrap(),
            )
        })
        .collect();
    assert!(
        entries.contains(&("access.refuse", "GET /v1/keys")),
        "{entries:?}"
    );
    assert!(
        entries.contains(&("connection.put", "connection crm")),
        "{entries:?}"
    );
    let last = log["items"].as_array().unwrap().last().unwrap();
    assert_eq!(last["origin"], "127.0.0.1");
    assert!(last["actor"].as_str().unwrap().starts_with("key:"));

    let platform = site.caller("platform", Role::PlatformAdmin).await;
    assert_eq!(
        platform
            .get("/v1/platform/audit/chain")
            .await
            .expect(200)
            .json()["verdict"],
        "intact"
    );
    let all: Value = platform
        .get("/v1/platform/audit?limit=200")
        .await
        .expect(200)
        .json();
    assert!(all["items"].as_array().unwrap().len() > log["items"].as_array().unwrap().len());
}

#[tokio::test]
async fn a_key_that_sends_too_much_is_told_when_to_come_back() {
    let config = tidegate_api::Config {
        requests_per_second: 1,
        requests_burst: 3,
        ..tidegate_api::Config::default()
    };
    let site = Site::with(config).await;
    let (one, other) = (site.admin("acme").await, site.admin("acme").await);
    for left in [2, 1, 0] {
        let answer = one.get("/v1/me").await.expect(200);
        assert_eq!(answer.header("ratelimit"), format!("\"key\";r={left}"));
        assert_eq!(answer.header("ratelimit-policy"), "\"key\";q=3;w=3");
    }
    let refused = one.get("/v1/me").await.expect(429);
    assert_eq!(refused.code(), "rate_limited");
    assert_eq!(refused.header("retry-after"), "1");
    other.get("/v1/me").await.expect(200);
    site.nobody().get("/healthz").await.expect(200);
}
