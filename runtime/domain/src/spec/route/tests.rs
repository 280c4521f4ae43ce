#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::spec::SubscriptionSpec;
use serde_json::json;

fn event() -> Value {
    json!({
        "id": "evt_1",
        "type": "objects.committed",
        "timestamp": "2026-11-22T00:00:00Z",
        "sync": "crm",
        "stream": "contacts",
        "slot": 7,
        "a/b": { "~": true },
        "Records": [
            { "s3": { "object": { "key": "tenant=a/x", "size": 3 } }, "rows": 1 },
            { "s3": { "object": { "key": "tenant=a/y", "size": 4 } }, "rows": 2 },
        ],
    })
}

#[test]
fn predicates_hold_as_they_say() {
    for (predicate, holds) in [
        (json!({ "eq": { "field": "/sync", "value": "crm" } }), true),
        (json!({ "eq": { "field": "/sync", "value": "erp" } }), false),
        (json!({ "eq": { "field": "/slot", "value": 7 } }), true),
        (json!({ "eq": { "field": "/slot", "value": "7" } }), false),
        (
            json!({ "eq": { "field": "/a~1b/~0", "value": true } }),
            true,
        ),
        (json!({ "eq": { "field": "/absent", "value": "x" } }), false),
        (json!({ "ne": { "field": "/sync", "value": "erp" } }), true),
        (json!({ "ne": { "field": "/absent", "value": "x" } }), true),
        (
            json!({ "in": { "field": "/stream", "values": ["deals", "contacts"] } }),
            true,
        ),
        (
            json!({ "in": { "field": "/stream", "values": ["deals"] } }),
            false,
        ),
        (json!({ "exists": { "field": "/Records/1/rows" } }), true),
        (json!({ "exists": { "field": "/Records/2" } }), false),
        (json!({ "exists": { "field": "/sync/x" } }), false),
        (
            json!({ "prefix": { "field": "/Records/*/s3/object/key", "value": "tenant=a/y" } }),
            true,
        ),
        (
            json!({ "prefix": { "field": "/slot", "value": "7" } }),
            false,
        ),
        (
            json!({ "eq": { "field": "/Records/*/rows", "value": 2 } }),
            true,
        ),
        (
            json!({ "ne": { "field": "/Records/*/rows", "value": 2 } }),
            false,
        ),
        (
            json!({ "all": [
                { "exists": { "field": "/sync" } },
                { "any": [
                    { "eq": { "field": "/stream", "value": "deals" } },
                    { "eq": { "field": "/stream", "value": "contacts" } },
                ] },
            ] }),
            true,
        ),
    ] {
        let read: Predicate = serde_json::from_value(predicate.clone()).unwrap();
        assert_eq!(read.holds(&event()), holds, "{predicate}");
        assert_eq!(serde_json::to_value(read).unwrap(), predicate);
    }
}

#[test]
fn a_projection_keeps_what_it_names_where_it_stands() {
    let project = |fields: Value| {
        let route: RouteSpec = serde_json::from_value(json!({ "projection": fields })).unwrap();
        route.project(event())
    };
    assert_eq!(project(json!([])), event());
    let envelope = |rest: Value| {
        let mut event = json!({
            "id": "evt_1", "type": "objects.committed", "timestamp": "2026-11-22T00:00:00Z",
        });
        let members = event.as_object_mut().unwrap();
        members.extend(rest.as_object().unwrap().clone());
        event
    };
    assert_eq!(
        project(json!(["/stream", "/Records/*/s3/object/key", "/absent/x"])),
        envelope(json!({
            "stream": "contacts",
            "Records": [
                { "s3": { "object": { "key": "tenant=a/x" } } },
                { "s3": { "object": { "key": "tenant=a/y" } } },
            ],
        }))
    );
    assert_eq!(
        project(json!(["/Records/1/rows"])),
        envelope(json!({ "Records": [{ "rows": 2 }] }))
    );
}

fn subscription(route: &Value) -> Value {
    json!({
        "url": "https://hooks.example/x",
        "events": ["objects.committed"],
        "secret": "${secret:hook}",
        "route": route,
    })
}

fn problems(document: Value) -> Vec<String> {
    let spec: SubscriptionSpec = serde_json::from_value(document).unwrap();
    let problems = spec.validate().into_iter();
    problems.map(|problem| problem.pointer).collect()
}

#[test]
fn what_cannot_work_is_named_by_its_place() {
    let exists = json!({ "exists": { "field": "/x" } });
    let nested = (0..9).fold(exists.clone(), |inner, _| json!({ "all": [inner] }));
    let deep = format!("/route/predicate{}", "/all/0".repeat(7) + "/all");
    for (route, wrong) in [
        (json!({ "predicate": exists }), Vec::new()),
        (
            json!({ "predicate": { "all": [] } }),
            vec!["/route/predicate/all"],
        ),
        (
            json!({ "predicate": { "any": [{ "in": { "field": "/x", "values": [] } }] } }),
            vec!["/route/predicate/any/0/in/values"],
        ),
        (json!({ "predicate": nested }), vec![deep.as_str()]),
        (
            json!({ "predicate": { "any": vec![exists.clone(); 64] } }),
            vec!["/route/predicate"],
        ),
        (
            json!({ "projection": vec!["/x"; 65] }),
            vec!["/route/projection"],
        ),
    ] {
        assert_eq!(problems(subscription(&route)), wrong, "{route}");
    }
    for url in [
        "http://hooks.example",
        "https://",
        "https://user@hooks.example/",
        "https://hooks.example/#x",
        "https://hooks.example/a b",
    ] {
        let mut document = subscription(&json!({}));
        document["url"] = json!(url);
        assert_eq!(problems(document), ["/url"], "{url}");
    }
    let mut document = subscription(&json!({}));
    document["events"] = json!([]);
    assert_eq!(problems(document.clone()), ["/events"]);
    document["events"] = json!(["job.finished", "job.finished"]);
    assert_eq!(problems(document), ["/events/1"]);
}

#[test]
fn what_is_no_route_is_refused_when_it_is_read() {
    for route in [
        json!({ "predicate": { "matches": { "field": "/x" } } }),
        json!({ "predicate": { "eq": { "field": "x", "value": 1 } } }),
        json!({ "predicate": { "eq": { "field": "/x", "value": [1] } } }),
        json!({ "predicate": { "eq": { "field": "/x", "value": 1, "also": 2 } } }),
        json!({ "predicate": { "exists": { "field": "/~2" } } }),
        json!({ "projection": [format!("/{}", "x/".repeat(16))] }),
        json!({ "other": 1 }),
    ] {
        let document = subscription(&route);
        assert!(
            serde_json::from_value::<SubscriptionSpec>(document).is_err(),
            "{route}"
        );
    }
    let mut literal = subscription(&json!({}));
    literal["secret"] = json!("whsec_c2VjcmV0");
    let error = serde_json::from_value::<SubscriptionSpec>(literal).unwrap_err();
    assert!(!error.to_string().contains("c2VjcmV0"));
}
