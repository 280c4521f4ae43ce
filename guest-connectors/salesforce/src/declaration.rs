//! What the connector asks for: hosts, credentials, limits.

use serde_json::json;
use tidegate_sdk::{Auth, OAuthJwt, prelude::*};

use crate::bayeux::STREAMING;
use crate::{BASE, DAY_MS};

/// Every org has a host of its own, which the token answer names; it may move, so it is
/// read at each refresh.
const INSTANCE: &str = "https://{token.instance_url}";

/// What a blind connector has to know of answers: sizes, states, errors, and of
/// deletes the ids, which are all that there is of them.
const PAGING: [&str; 27] = [
    "/totalSize",
    "/records/0/SystemModstamp",
    "/records/0/LastModifiedDate",
    "/records/0/CreatedDate",
    "/records/0/LoginTime",
    "/id",
    "/state",
    "/numberRecordsProcessed",
    "/errorMessage",
    "/0/errorCode",
    "/0/message",
    "/latestDateCovered",
    "/earliestDateAvailable",
    "/deletedRecords",
    "/deletedRecords/*/*",
    "/records/*/Id",
    // Of events: what happened to which records, and nothing that is in them.
    "/*/channel",
    "/*/clientId",
    "/*/successful",
    "/*/error",
    "/*/advice/reconnect",
    "/*/ext/sfdc/failureReason",
    "/*/data/event/replayId",
    "/*/data/payload/ChangeEventHeader/changeType",
    "/*/data/payload/ChangeEventHeader/commitTimestamp",
    "/*/data/payload/ChangeEventHeader/recordIds",
    "/*/data/payload/ChangeEventHeader/recordIds/*",
];

pub(crate) fn manifest() -> Manifest {
    // Connections to one org share its limits, and those that one person authorised a
    // grant: Salesforce keeps five of a person's, and ends the oldest.
    let keep = || {
        let kept = [
            ("instance_url", "/instance_url"),
            ("account", "/instance_url"),
            ("identity", "/id"),
        ];
        kept.map(|(name, pointer)| (name.to_owned(), pointer.to_owned()))
            .to_vec()
    };
    let jwt = |host: &str| {
        Auth::OAuthJwt(OAuthJwt {
            token_url: format!("{host}/services/oauth2/token"),
            audience: host.to_owned(),
            scopes: Vec::new(),
            keep: keep(),
        })
    };
    let manifest = Manifest::new("salesforce", "Salesforce", env!("CARGO_PKG_VERSION"))
        .config_schema(config_schema())
        .endpoint(
            Endpoint::data("data", INSTANCE)
                .path(format!("{BASE}/queryAll"))
                .path(format!("{BASE}/jobs/query"))
                .path(format!("{BASE}/sobjects/")),
        )
        .endpoint(
            Endpoint::data("streaming", INSTANCE)
                .path(STREAMING)
                .with_cookies(),
        )
        .endpoint(
            Endpoint::metadata("schema", INSTANCE)
                .path(format!("{BASE}/sobjects"))
                .path(format!("{BASE}/limits")),
        )
        .auth(
            "oauth",
            Auth::OAuthCode(OAuthCode {
                authorize_url: "https://{config.login}.salesforce.com/services/oauth2/authorize"
                    .to_owned(),
                token_url: "https://{config.login}.salesforce.com/services/oauth2/token".to_owned(),
                scopes: ["api", "refresh_token"].map(str::to_owned).to_vec(),
                pkce: true,
                keep: keep(),
                ..OAuthCode::default()
            }),
        )
        .auth("jwt", jwt("https://login.salesforce.com"))
        .auth("jwt_sandbox", jwt("https://test.salesforce.com"))
        // An Enterprise org's before its licences are counted; the header says what is
        // left of the org's own.
        .limit(
            Limit::rolling(100_000, DAY_MS)
                .bucket("default")
                .scope(Scope::RemoteAccount)
                .remaining_header("sforce-limit-info"),
        )
        // Counted by Salesforce once a request takes 20 seconds.
        .limit(
            Limit::concurrent(25)
                .bucket("default")
                .scope(Scope::RemoteAccount),
        )
        // Held connections are counted apart from calls: 2,000 clients of an org at once
        // in the larger editions.
        .limit(
            Limit::concurrent(2_000)
                .bucket("streaming")
                .scope(Scope::RemoteAccount),
        )
        .response_header("date")
        .response_header("sforce-locator")
        .response_header("sforce-numberofrecords")
        .blind();
    let manifest = PAGING.into_iter().fold(manifest, Manifest::paging_pointer);
    responses().into_iter().fold(manifest, Manifest::response)
}

fn config_schema() -> serde_json::Value {
    json!({
        "type": "object",
        "properties": {
            "auth": {
                "enum": ["oauth", "jwt", "jwt_sandbox"],
                "default": "oauth",
                "description": "OAuth by a person, or JWT bearer with a key of a connected app"
            },
            "login": {
                "enum": ["login", "test"],
                "description": "login for production and developer orgs, test for sandboxes"
            },
            "objects": {
                "type": "array",
                "items": {"type": "string"},
                "description": "API names of the objects to read, history objects among them; \
                                without it the usual ones and all custom ones"
            },
            "bulk_above": {
                "type": "integer", "minimum": 0, "default": 20_000,
                "description": "Records of a partition above which it is read by Bulk API 2.0"
            },
            "bulk_page_records": {
                "type": "integer", "minimum": 500, "maximum": 250_000, "default": 25_000,
                "description": "Records of a page of Bulk results"
            },
            "window_days": {
                "type": "integer", "minimum": 1, "default": 30,
                "description": "Days of history in one partition, at the least"
            },
            "window_records": {
                "type": "integer", "minimum": 1,
                "description": "Records of a partition of a history, on average and at the \
                                least: windows are wider where they would hold fewer. Five \
                                times bulk_above without it"
            },
            "compound_fields": {
                "type": "boolean", "default": false,
                "description": "Reads addresses and locations beside their parts. Objects that \
                                have any are read by query then, since Bulk refuses them"
            },
            "look_back_s": {
                "type": "integer", "minimum": 0, "default": 600,
                "description": "Seconds that a run reads again, for transactions that commit late"
            },
            "live_check_s": {
                "type": "integer", "minimum": 60, "default": 300,
                "description": "Seconds between two looks of a live read for what no event told"
            }
        },
        "required": ["login"],
        "additionalProperties": false
    })
}

/// A daily and a concurrent limit have the same status and code; only the message
/// tells them apart.
fn responses() -> Vec<ResponseRule> {
    use ResponseClass::{Auth, Permanent, ThrottledLong, ThrottledShort, Transient};
    vec![
        ResponseRule::status(403, ThrottledShort).holding("/0/message", "ConcurrentRequests"),
        ResponseRule::status(403, ThrottledShort).holding("/0/message", "ConcurrentPerOrg"),
        ResponseRule::status(403, ThrottledLong).holding("/0/errorCode", "REQUEST_LIMIT_EXCEEDED"),
        ResponseRule::status(429, ThrottledShort),
        // A user who may not use the API; another token would not help.
        ResponseRule::status(401, Permanent).holding("/0/message", "not valid for use with"),
        ResponseRule::status(401, Permanent).holding("/0/message", "Connected app is not attached"),
        ResponseRule::status(401, Auth),
        ResponseRule::status(400, Transient).holding("/0/errorCode", "UNABLE_TO_LOCK_ROW"),
        ResponseRule::status(400, Transient).holding("/0/errorCode", "SERVER_UNAVAILABLE"),
        // The edge's own, with no body or with HTML.
        ResponseRule::status(406, Transient),
        ResponseRule::status(408, Transient),
        ResponseRule::status(420, Transient),
        ResponseRule::range(400, 499, Permanent),
        ResponseRule::range(500, 599, Transient),
    ]
}
