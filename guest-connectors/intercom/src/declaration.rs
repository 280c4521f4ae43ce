//! What the connector asks for: hosts, credentials, limits.

use serde_json::json;
use tidegate_sdk::{Auth, prelude::*};

use crate::{ERROR_CODE, Region};

/// 10,000 requests in a minute, in slices of ten seconds. Older applications have a
/// tenth; the header tells. A workspace has 25,000 for all of its applications, which is
/// no tighter for any one.
const SLICE_MS: u64 = 10_000;
const REQUESTS: u32 = 1_666;

/// Prefixes of records, and of what describes them.
const RECORDS: [&str; 6] = [
    "/contacts",
    "/companies",
    "/conversations",
    "/admins",
    "/teams",
    "/tags",
];
const DESCRIPTIONS: [&str; 2] = ["/data_attributes", "/me"];

pub(crate) fn manifest() -> Manifest {
    let manifest = Manifest::new("intercom", "Intercom", env!("CARGO_PKG_VERSION"))
        .config_schema(json!({
            "type": "object",
            "properties": {
                "auth": {
                    "enum": ["oauth", "access_token"],
                    "default": "oauth",
                    "description": "OAuth, or the access token of an application of one's own"
                },
                "region": {
                    "enum": ["us", "eu", "au"],
                    "default": "us",
                    "description": "Where the workspace's data is"
                }
            },
            "additionalProperties": false
        }))
        .auth(
            "oauth",
            Auth::OAuthCode(OAuthCode {
                authorize_url: "https://app.intercom.com/oauth".to_owned(),
                token_url: "https://api.intercom.io/auth/eagle/token".to_owned(),
                ..OAuthCode::default()
            }),
        )
        .auth(
            "access_token",
            Auth::key(
                "token",
                Place::Header("authorization".to_owned()),
                "Bearer ",
            ),
        )
        .limit(
            Limit::fixed(REQUESTS, SLICE_MS)
                .bucket("default")
                .scope(Scope::RemoteAccount)
                .remaining_header("x-ratelimit-remaining")
                .reset_header("x-ratelimit-reset"),
        )
        .response_header("date")
        .once("/companies/scroll")
        .blind();
    let pointers = [
        "/pages/next/starting_after",
        "/pages/next",
        "/total_count",
        "/scroll_param",
        "/data/*/id",
        "/conversations/*/id",
        "/conversations/*/updated_at",
        ERROR_CODE,
    ];
    let manifest = pointers
        .into_iter()
        .fold(manifest, Manifest::paging_pointer);
    let manifest = Region::ALL.into_iter().fold(manifest, with_region);
    responses().into_iter().fold(manifest, Manifest::response)
}

fn with_region(manifest: Manifest, region: Region) -> Manifest {
    let base_url = match region {
        Region::Us => "https://api.intercom.io",
        Region::Eu => "https://api.eu.intercom.io",
        Region::Au => "https://api.au.intercom.io",
    };
    let records = Endpoint::data(region.name(), base_url);
    let schema = Endpoint::metadata(region.schema(), base_url);
    manifest
        .endpoint(RECORDS.into_iter().fold(records, Endpoint::path))
        .endpoint(DESCRIPTIONS.into_iter().fold(schema, Endpoint::path))
}

fn responses() -> Vec<ResponseRule> {
    use ResponseClass::{Auth, Permanent, ThrottledShort, Transient};
    vec![
        ResponseRule::status(429, ThrottledShort),
        // A permission that is missing; the token itself is good.
        ResponseRule::status(401, Permanent).holding(ERROR_CODE, "token_unauthorized"),
        // There is nothing to refresh: who revoked it has to authorise again.
        ResponseRule::status(401, Auth),
        ResponseRule::status(408, Transient),
        // A scroll goes on with every request, so one that failed is not asked again.
        ResponseRule::status(500, Permanent).holding("/errors/0/message", "restart the scroll"),
        ResponseRule::range(400, 499, Permanent),
        ResponseRule::range(500, 599, Transient),
    ]
}
