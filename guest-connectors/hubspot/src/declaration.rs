//! What the connector asks for: hosts, credentials, limits.

use serde_json::json;
use tidegate_sdk::{Auth, prelude::*};

const API: &str = "https://api.hubapi.com";

/// The consent page, and what it asks for where the account has it: not every plan
/// has object types of its own.
const AUTHORIZE: &str = "https://app.hubspot.com/oauth/authorize?optional_scope=\
crm.objects.custom.read%20crm.schemas.custom.read";

/// What is granted of every account; each object on its own.
const SCOPES: [&str; 6] = [
    "oauth",
    "crm.objects.companies.read",
    "crm.objects.contacts.read",
    "crm.objects.deals.read",
    "crm.objects.owners.read",
    "tickets",
];

/// What a blind connector may be told of a page: where the next one is, how many there
/// are, which records it names and which of them have associations on further pages,
/// and which records became a part of others.
const PAGING: [&str; 6] = [
    "/paging/next/after",
    "/total",
    "/results/*/id",
    "/results/*/from/id",
    "/results/*/paging/next/after",
    "/results/*/properties/hs_merged_object_ids",
];

pub(crate) fn manifest() -> Manifest {
    let manifest = Manifest::new("hubspot", "HubSpot", env!("CARGO_PKG_VERSION"))
        .config_schema(json!({
            "type": "object",
            "properties": {
                "auth": {
                    "enum": ["oauth", "private_app"],
                    "default": "oauth",
                    "description": "OAuth, or the token of a private app"
                }
            },
            "additionalProperties": false
        }))
        .endpoint(
            Endpoint::data("api", API)
                .path("/crm/v3/objects/")
                .path("/crm/v3/owners")
                .path("/crm/v3/pipelines/")
                .path("/crm/v4/associations/"),
        )
        .endpoint(
            Endpoint::metadata("schema", API)
                .path("/crm/v3/properties/")
                .path("/crm/v3/schemas")
                .path("/account-info/"),
        )
        .auth(
            "oauth",
            Auth::OAuthCode(OAuthCode {
                authorize_url: AUTHORIZE.to_owned(),
                token_url: "https://api.hubapi.com/oauth/v1/token".to_owned(),
                scopes: SCOPES.map(str::to_owned).to_vec(),
                pkce: true,
                ..OAuthCode::default()
            }),
        )
        .auth(
            "private_app",
            Auth::key(
                "token",
                Place::Header("authorization".to_owned()),
                "Bearer ",
            ),
        )
        // Of an application that acts for an account through OAuth; private
        // apps have 100 to 190 by plan, which the header tells.
        .limit(
            Limit::rolling(110, 10_000)
                .bucket("default")
                .scope(Scope::RemoteAccount)
                .remaining_header("x-hubspot-ratelimit-remaining"),
        )
        // Search has a budget of its own and says nothing about it in headers.
        .limit(
            Limit::rolling(5, 1_000)
                .bucket("search")
                .scope(Scope::RemoteAccount),
        )
        .response_header("date")
        .blind();
    let manifest = PAGING.into_iter().fold(manifest, Manifest::paging_pointer);
    responses().into_iter().fold(manifest, Manifest::response)
}

fn responses() -> Vec<ResponseRule> {
    use ResponseClass::{Auth, Permanent, ThrottledLong, ThrottledShort, Transient};
    vec![
        ResponseRule::status(429, ThrottledLong).holding("/policyName", "DAILY"),
        ResponseRule::status(429, ThrottledShort),
        ResponseRule::status(401, Auth),
        ResponseRule::status(408, Transient),
        ResponseRule::status(423, Transient), // locked for a moment
        ResponseRule::status(477, Transient), // the account is being moved
        ResponseRule::range(400, 499, Permanent),
        ResponseRule::range(500, 599, Transient), // the edge's 521 to 530 among them
    ]
}
