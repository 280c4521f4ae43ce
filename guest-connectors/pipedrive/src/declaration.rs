//! What the connector asks for: hosts, credentials, limits.

use serde_json::json;
use tidegate_sdk::{Auth, prelude::*};

use crate::catalog;

/// The company's own host, as the token answer names it. It moves with the company's
/// name, so the host reads it again with every token.
const COMPANY: &str = "https://{token.api_domain}";
const SHARED: &str = "https://api.pipedrive.com";

const SCOPES: [&str; 5] = [
    "base",
    "deals:read",
    "contacts:read",
    "activities:read",
    "users:read",
];

/// Requests of one token in two seconds, on the smallest plan; OAuth has four times as
/// many.
const BURST: u32 = 20;
/// Units of one company in a day, on the smallest plan with one seat. Everything that
/// talks to the company draws on them.
const DAILY_UNITS: u32 = 30_000;
const DAY_MS: u64 = 86_400_000;

pub(crate) fn manifest() -> Manifest {
    let manifest = Manifest::new("pipedrive", "Pipedrive", env!("CARGO_PKG_VERSION"))
        .config_schema(json!({
            "type": "object",
            "properties": {
                "auth": {
                    "enum": ["oauth", "api_token"],
                    "default": "oauth",
                    "description": "OAuth, or the API token of a user"
                }
            },
            "additionalProperties": false
        }))
        .endpoint(records("company", COMPANY, false))
        .endpoint(fields("company_fields", COMPANY))
        .endpoint(records("shared", SHARED, true))
        .endpoint(fields("shared_fields", SHARED))
        .auth(
            "oauth",
            Auth::OAuthCode(OAuthCode {
                authorize_url: "https://oauth.pipedrive.com/oauth/authorize".to_owned(),
                token_url: "https://oauth.pipedrive.com/oauth/token".to_owned(),
                scopes: SCOPES.map(str::to_owned).to_vec(),
                pkce: false,
                basic_client_auth: true,
                // The company is the account whose limits its connections share.
                keep: ["api_domain", "account"]
                    .map(|name| (name.to_owned(), "/api_domain".to_owned()))
                    .to_vec(),
            }),
        )
        .auth(
            "api_token",
            Auth::key("token", Place::Header("x-api-token".to_owned()), ""),
        )
        .limit(burst("oauth", 4 * BURST))
        .limit(burst("api_token", BURST))
        // It resets at midnight of a server whose zone is not told; a rolling day holds
        // at every alignment.
        .limit(
            Limit::rolling(DAILY_UNITS, DAY_MS)
                .bucket("oauth")
                .bucket("api_token")
                .scope(Scope::RemoteAccount)
                .remaining_header("x-daily-ratelimit-token-remaining"),
        )
        .response_header("date")
        .paging_pointer(NEXT)
        .blind();
    responses().into_iter().fold(manifest, Manifest::response)
}

/// Where a page names the next one.
pub(crate) const NEXT: &str = "/additional_data/next_cursor";

fn records(name: &str, base_url: &str, is_shared: bool) -> Endpoint {
    let feeds = catalog::ALL.iter().flat_map(|entity| entity.feeds);
    let mut endpoint = Endpoint::data(name, base_url);
    for feed in feeds {
        let path = if is_shared {
            feed.shared_path
        } else {
            feed.path
        };
        if !endpoint.paths.iter().any(|known| known == path) {
            endpoint = endpoint.path(path);
        }
    }
    endpoint
}

fn fields(name: &str, base_url: &str) -> Endpoint {
    let paths = catalog::ALL.iter().filter_map(|entity| entity.fields_path);
    paths.fold(Endpoint::metadata(name, base_url), Endpoint::path)
}

fn burst(bucket: &str, requests: u32) -> Limit {
    Limit::rolling(requests, 2_000)
        .bucket(bucket)
        .counting_requests()
        .remaining_header("x-ratelimit-remaining")
        .reset_header("x-ratelimit-reset")
}

fn responses() -> Vec<ResponseRule> {
    use ResponseClass::{Auth, Permanent, ThrottledShort};
    vec![
        ResponseRule::status(429, ThrottledShort),
        // A missing scope is told in JSON. Who sends too much for long is met by the
        // edge's page instead, for minutes.
        ResponseRule::status(403, Permanent).holding("/success", "false"),
        ResponseRule::status(403, ThrottledShort),
        ResponseRule::status(401, Auth),
        ResponseRule::range(400, 407, Permanent),
        ResponseRule::range(409, 499, Permanent),
    ]
}
